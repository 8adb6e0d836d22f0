//! wrong: it counts in windows that begin at fixed times
//! fails: no window of that length holds more than the limit: failed
//! fails: a raised limit lets calls through at that instant: failed
//! pitfall: shared-state-race

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep};

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
    began: Instant,
    window: tokio::sync::Mutex<(u128, usize)>,
}

impl RateLimiter {
    pub fn new(per: Duration, limit: watch::Receiver<usize>) -> Self {
        let began = Instant::now();
        let window = tokio::sync::Mutex::default();
        Self {
            per,
            limit,
            began,
            window,
        }
    }

    pub async fn acquire(&self) {
        let mut window = self.window.lock().await;
        let mut limit = self.limit.clone();
        loop {
            let allowed = *limit.borrow_and_update();
            let into = self.began.elapsed().as_nanos();
            let number = into / self.per.as_nanos();
            if window.0 != number {
                *window = (number, 0);
            }
            if window.1 < allowed {
                window.1 += 1;
                return;
            }
            let next = self.per.as_nanos() - into % self.per.as_nanos();
            let next = Duration::from_nanos(u64::try_from(next).unwrap());
            tokio::select! {
                () = changed(&mut limit) => {}
                () = sleep(next) => {}
            }
        }
    }
}

async fn changed(limit: &mut watch::Receiver<usize>) {
    if limit.changed().await.is_err() {
        pending::<()>().await;
    }
}
