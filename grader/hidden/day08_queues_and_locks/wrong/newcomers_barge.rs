//! wrong: room and items are left for anybody to take
//! fails: items and room go first come, first served: failed
//! pitfall: shared-state-race

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

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
    room: Notify,
    item: Notify,
}

#[derive(Debug)]
struct Inside<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> BoundedBuffer<T> {
    pub fn new(capacity: NonZeroUsize) -> Self {
        let items = VecDeque::new();
        Self {
            capacity: capacity.get(),
            inside: Mutex::new(Inside {
                items,
                closed: false,
            }),
            room: Notify::new(),
            item: Notify::new(),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap()
    }

    fn is_full(&self) -> bool {
        let inside = self.inside();
        !inside.closed && inside.items.len() >= self.capacity
    }

    fn is_empty(&self) -> bool {
        let inside = self.inside();
        !inside.closed && inside.items.is_empty()
    }

    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        while self.is_full() {
            self.room.notified().await;
        }
        let mut inside = self.inside();
        if inside.closed {
            return Err(Closed(item));
        }
        inside.items.push_back(item);
        self.item.notify_one();
        Ok(())
    }

    pub async fn pop(&self) -> Option<T> {
        while self.is_empty() {
            self.item.notified().await;
        }
        let mut inside = self.inside();
        let item = inside.items.pop_front()?;
        self.room.notify_one();
        Some(item)
    }

    pub fn close(&self) {
        self.inside().closed = true;
        self.room.notify_waiters();
        self.item.notify_waiters();
    }
}

/// Lets at most `limit` calls through in any window of the length `per`.
#[derive(Debug)]
pub struct RateLimiter {
    per: Duration,
    limit: watch::Receiver<usize>,
    recent: tokio::sync::Mutex<VecDeque<Instant>>,
}

impl RateLimiter {
    /// A limiter that has let nobody through yet.
    pub fn new(per: Duration, limit: watch::Receiver<usize>) -> Self {
        let recent = tokio::sync::Mutex::default();
        Self { per, limit, recent }
    }

    /// Waits until one more call may go through, and lets it.
    pub async fn acquire(&self) {
        let mut recent = self.recent.lock().await;
        let mut limit = self.limit.clone();
        loop {
            let now = Instant::now();
            while recent.front().is_some_and(|at| now >= *at + self.per) {
                recent.pop_front();
            }
            let allowed = *limit.borrow_and_update();
            if recent.len() < allowed {
                recent.push_back(now);
                return;
            }
            let last_to_leave = recent.get(recent.len() - allowed);
            let room = last_to_leave.map(|at| *at + self.per);
            tokio::select! {
                () = changed(&mut limit) => {}
                () = at(room) => {}
            }
        }
    }
}

/// Waits for a new limit: for ever, if nobody can send one any more.
async fn changed(limit: &mut watch::Receiver<usize>) {
    if limit.changed().await.is_err() {
        pending::<()>().await;
    }
}

/// Waits for an instant: for ever, if there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
