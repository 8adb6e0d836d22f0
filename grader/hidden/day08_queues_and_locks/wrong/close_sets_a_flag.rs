//! wrong: `close` sets a flag, and whoever waits sleeps on
//! fails: close wakes everybody who waits: failed
//! pitfall: lost-wakeup

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Mutex;
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
    // A turnstile for each side: only the first in line gets through and waits
    // at the door, so nobody can pass it. Both of tokio's kind, which is fair.
    producers: tokio::sync::Mutex<()>,
    consumers: tokio::sync::Mutex<()>,
    // At each door waits one at most: `notify_one` is enough, and it keeps a
    // notice that comes before anybody waits.
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
            producers: tokio::sync::Mutex::new(()),
            consumers: tokio::sync::Mutex::new(()),
            room: Notify::new(),
            item: Notify::new(),
        }
    }

    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        let _turn = self.producers.lock().await;
        loop {
            {
                let mut inside = self.inside.lock().unwrap();
                if inside.closed {
                    return Err(Closed(item));
                }
                if inside.items.len() < self.capacity {
                    inside.items.push_back(item);
                    self.item.notify_one();
                    return Ok(());
                }
            }
            self.room.notified().await;
        }
    }

    pub async fn pop(&self) -> Option<T> {
        let _turn = self.consumers.lock().await;
        loop {
            {
                let mut inside = self.inside.lock().unwrap();
                if let Some(item) = inside.items.pop_front() {
                    self.room.notify_one();
                    return Some(item);
                }
                if inside.closed {
                    return None;
                }
            }
            self.item.notified().await;
        }
    }

    pub fn close(&self) {
        self.inside.lock().unwrap().closed = true;
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
