//! wrong: after a notice it does not look again
//! fails: a notice between look and wait is not lost: failed
//! fails: a wait ends the moment its condition holds: failed
//! fails: nobody looks again while nothing was notified: failed
//! pitfall: lost-wakeup

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
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

    /// Says that something has changed.
    pub fn notify(&self) {
        self.notice.notify_waiters();
    }

    /// Waits until `condition` gives `true`.
    pub async fn wait_until(&self, mut condition: impl FnMut() -> bool) {
        let notice = self.notice.notified();
        if !condition() {
            notice.await;
        }
    }
}

/// A queue with room for `capacity` items.
#[derive(Debug)]
pub struct BoundedBuffer<T> {
    free: Semaphore,
    filled: Semaphore,
    inside: Mutex<Inside<T>>,
}

#[derive(Debug)]
struct Inside<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> BoundedBuffer<T> {
    /// An empty buffer with room for `capacity` items.
    pub fn new(capacity: NonZeroUsize) -> Self {
        let items = VecDeque::new();
        Self {
            free: Semaphore::new(capacity.get()),
            filled: Semaphore::new(0),
            inside: Mutex::new(Inside {
                items,
                closed: false,
            }),
        }
    }

    /// Puts `item` in, behind all others, as soon as there is room for it.
    ///
    /// # Errors
    /// [`Closed`], with the item, if the buffer is closed before it is in.
    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        let Ok(place) = self.free.acquire().await else {
            return Err(Closed(item));
        };
        {
            let mut inside = self.inside();
            if inside.closed {
                return Err(Closed(item));
            }
            inside.items.push_back(item);
        }
        place.forget(); // `pop` makes it free again
        self.filled.add_permits(1);
        Ok(())
    }

    /// Takes the oldest item out, as soon as there is one. `None`: the buffer
    /// is closed and empty.
    pub async fn pop(&self) -> Option<T> {
        if let Ok(filled) = self.filled.acquire().await {
            filled.forget();
        }
        let item = self.inside().items.pop_front()?;
        self.free.add_permits(1);
        Some(item)
    }

    /// Closes the buffer, for good.
    pub fn close(&self) {
        self.inside().closed = true;
        self.free.close();
        self.filled.close();
    }

    /// Nobody panics with the lock, and a queue is whole after every line.
    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
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
