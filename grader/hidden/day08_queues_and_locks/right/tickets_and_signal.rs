//! right: numbered tickets over the signal of task 1; the line of the limiter is a semaphore

mod given;

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

pub use given::*;

/// Wakes those who wait until something is so.
#[derive(Debug, Default)]
pub struct Signal {
    notice: Notify,
}

impl Signal {
    /// A signal that nobody waits for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that something has changed: everybody who waits looks again.
    pub fn notify(&self) {
        self.notice.notify_waiters();
    }

    /// Waits until `condition` gives `true`.
    pub async fn wait_until(&self, mut condition: impl FnMut() -> bool) {
        loop {
            let notice = self.notice.notified();
            if condition() {
                return;
            }
            notice.await;
        }
    }
}

/// A queue with room for `capacity` items.
#[derive(Debug)]
pub struct BoundedBuffer<T> {
    capacity: usize,
    inside: Mutex<Inside<T>>,
    signal: Signal,
}

#[derive(Debug)]
struct Inside<T> {
    items: VecDeque<T>,
    closed: bool,
    next_ticket: u64,
    producers: BTreeSet<u64>,
    consumers: BTreeSet<u64>,
}

/// A place in one of the two lines; left by dropping it.
struct Ticket<'a, T> {
    buffer: &'a BoundedBuffer<T>,
    line: fn(&mut Inside<T>) -> &mut BTreeSet<u64>,
    number: u64,
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        (self.line)(&mut self.buffer.inside()).remove(&self.number);
        self.buffer.signal.notify();
    }
}

impl<T> Ticket<'_, T> {
    fn ahead(&self, inside: &mut Inside<T>) -> usize {
        (self.line)(inside).range(..self.number).count()
    }
}

impl<T> BoundedBuffer<T> {
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            capacity: capacity.get(),
            inside: Mutex::new(Inside {
                items: VecDeque::new(),
                closed: false,
                next_ticket: 0,
                producers: BTreeSet::new(),
                consumers: BTreeSet::new(),
            }),
            signal: Signal::new(),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ticket(&self, line: fn(&mut Inside<T>) -> &mut BTreeSet<u64>) -> Ticket<'_, T> {
        let mut inside = self.inside();
        let number = inside.next_ticket;
        inside.next_ticket += 1;
        line(&mut inside).insert(number);
        Ticket {
            buffer: self,
            line,
            number,
        }
    }

    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        let mut item = Some(item);
        let mut open = false;
        {
            let ticket = self.ticket(|inside| &mut inside.producers);
            let attempt = || {
                let mut inside = self.inside();
                open = !inside.closed;
                let ahead = ticket.ahead(&mut inside);
                let goes_in = open && inside.items.len() + ahead < self.capacity;
                if goes_in {
                    inside.items.extend(item.take());
                }
                goes_in || !open
            };
            self.signal.wait_until(attempt).await;
        }
        match item {
            Some(item) => Err(Closed(item)),
            None => Ok(()),
        }
    }

    pub async fn pop(&self) -> Option<T> {
        let mut item = None;
        let ticket = self.ticket(|inside| &mut inside.consumers);
        let attempt = || {
            let mut inside = self.inside();
            if ticket.ahead(&mut inside) < inside.items.len() {
                item = inside.items.pop_front();
            }
            item.is_some() || inside.closed
        };
        self.signal.wait_until(attempt).await;
        item
    }

    pub fn close(&self) {
        self.inside().closed = true;
        self.signal.notify();
    }
}

/// Lets at most `limit` calls through in any window of the length `per`.
#[derive(Debug)]
pub struct RateLimiter {
    per: Duration,
    limit: watch::Receiver<usize>,
    turn: Semaphore,
    recent: Mutex<VecDeque<Instant>>,
}

impl RateLimiter {
    pub fn new(per: Duration, limit: watch::Receiver<usize>) -> Self {
        Self {
            per,
            limit,
            turn: Semaphore::new(1),
            recent: Mutex::default(),
        }
    }

    /// Goes through if there is room, else says when there may be some.
    fn attempt(&self, allowed: usize) -> Result<(), Option<Instant>> {
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap();
        recent.retain(|at| now < *at + self.per);
        if recent.len() < allowed {
            recent.push_back(now);
            return Ok(());
        }
        Err(recent.front().map(|at| *at + self.per))
    }

    pub async fn acquire(&self) {
        let _turn = self.turn.acquire().await;
        let mut limit = self.limit.clone();
        loop {
            let allowed = *limit.borrow_and_update();
            let Err(room) = self.attempt(allowed) else {
                return;
            };
            let stays = async {
                while limit.changed().await.is_err() {
                    pending::<()>().await
                }
            };
            match room {
                Some(room) => drop(tokio::time::timeout_at(room, stays).await),
                None => stays.await,
            }
        }
    }
}
