//! wrong: the lock of the queue is held while it waits
//! fails: who has to wait goes on at that instant, not sooner: failed
//! fails: items and room go first come, first served: deadlock
//! fails: never more inside than the capacity, and never less: failed
//! fails: a push or pop dropped at any pending loses nothing: deadlock
//! fails: who is dropped after the wake-up passes the turn on: deadlock
//! fails: what is inside at the close still comes out: failed
//! pitfall: lock-across-await

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
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
    inside: tokio::sync::Mutex<VecDeque<T>>,
    closed: watch::Sender<bool>,
    room: Notify,
    item: Notify,
}

impl<T> BoundedBuffer<T> {
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            capacity: capacity.get(),
            inside: tokio::sync::Mutex::default(),
            closed: watch::Sender::new(false),
            room: Notify::new(),
            item: Notify::new(),
        }
    }

    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        let mut closed = self.closed.subscribe();
        let mut items = tokio::select! {
            items = self.inside.lock() => items,
            _ = closed.wait_for(|closed| *closed) => return Err(Closed(item)),
        };
        while items.len() >= self.capacity && !*self.closed.borrow() {
            tokio::select! {
                () = self.room.notified() => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        }
        if *self.closed.borrow() {
            return Err(Closed(item));
        }
        items.push_back(item);
        self.item.notify_one();
        Ok(())
    }

    pub async fn pop(&self) -> Option<T> {
        let mut closed = self.closed.subscribe();
        let mut items = self.inside.lock().await;
        while items.is_empty() && !*self.closed.borrow() {
            tokio::select! {
                () = self.item.notified() => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        }
        let item = items.pop_front()?;
        self.room.notify_one();
        Some(item)
    }

    pub fn close(&self) {
        self.closed.send_replace(true);
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
