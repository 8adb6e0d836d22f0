//! wrong: an item is sent to the first waiter, who may be gone
//! fails: items and room go first come, first served: failed
//! fails: a push or pop dropped at any pending loses nothing: failed
//! fails: who is dropped after the wake-up passes the turn on: failed
//! pitfall: shared-state-race

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, oneshot, watch};
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
    free: Semaphore,
    inside: Mutex<Inside<T>>,
}

#[derive(Debug)]
struct Inside<T> {
    items: VecDeque<T>,
    waiting: VecDeque<oneshot::Sender<T>>,
    closed: bool,
}

impl<T> BoundedBuffer<T> {
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            free: Semaphore::new(capacity.get()),
            inside: Mutex::new(Inside {
                items: VecDeque::new(),
                waiting: VecDeque::new(),
                closed: false,
            }),
        }
    }

    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        let Ok(place) = self.free.acquire().await else {
            return Err(Closed(item));
        };
        let mut inside = self.inside.lock().unwrap();
        if let Some(waiter) = inside.waiting.pop_front() {
            let _ = waiter.send(item);
            return Ok(());
        }
        place.forget();
        inside.items.push_back(item);
        Ok(())
    }

    pub async fn pop(&self) -> Option<T> {
        let given = {
            let mut inside = self.inside.lock().unwrap();
            if let Some(item) = inside.items.pop_front() {
                self.free.add_permits(1);
                return Some(item);
            }
            if inside.closed {
                return None;
            }
            let (giver, given) = oneshot::channel();
            inside.waiting.push_back(giver);
            given
        };
        given.await.ok()
    }

    pub fn close(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.closed = true;
        inside.waiting.clear();
        self.free.close();
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
