//! wrong: close wakes the pushes, and no pop
//! fails: close wakes everybody who waits: failed
//! fails: what is inside at the close still comes out: failed
//! fails: a closed buffer takes nothing more: failed
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

    /// Says that something has changed: everybody who waits looks again.
    pub fn notify(&self) {
        self.notice.notify_waiters();
    }

    /// Waits until `condition` gives `true`.
    pub async fn wait_until(&self, mut condition: impl FnMut() -> bool) {
        loop {
            // Listen first, then look. `notify_waiters` reaches every `Notified`
            // that exists, polled or not, so a notice that comes during the
            // look ends the wait below at once.
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
    // One permit for each free place, one for each item. The semaphores do the
    // waiting: they are fair, and hand a permit to the waiter itself. Whoever
    // has a permit only needs the lock for a moment, and never awaits with it.
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
        // There is no `.await` from here on, so no cancellation either: the
        // place is taken, filled and announced in one go.
        {
            let mut inside = self.inside();
            // On many threads `close` may come between the permit and the lock.
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
        // An error means closed: then there is nothing to wait for, and what is
        // left goes to whoever asks.
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
    // When the calls of the last window went through. The lock is also the
    // queue: tokio's is fair, and whoever has it is the next to go through. It
    // is meant to be held across an await: those who wait for it have nothing
    // else to do, and nobody needs it to end their wait.
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
            // `and_update`: a later `changed` is about what comes after this.
            let allowed = *limit.borrow_and_update();
            if recent.len() < allowed {
                recent.push_back(now);
                return;
            }
            // There is room when this call has left the window, and with it
            // all before. With a limit of 0 there is no such call.
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
