//! Day 8: Queues & Locks.

mod given;

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::sync::watch;

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// Wakes those who wait until something is so.
#[derive(Debug, Default)]
pub struct Signal {
    // your fields
}

impl Signal {
    /// A signal that nobody waits for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that something has changed: everybody who waits looks again.
    pub fn notify(&self) {
        todo!("task 1: wake everybody who waits")
    }

    /// Waits until `condition` gives `true`.
    ///
    /// Looks at once, and again after each [`notify`](Self::notify), and at no
    /// other time. A `notify` counts from the moment at which `condition` is
    /// called: one that comes while it looks is not lost. `condition` may call
    /// `notify` itself.
    pub async fn wait_until(&self, condition: impl FnMut() -> bool) {
        let _ = condition;
        todo!("task 1: look, and wait for a notice, until the condition holds")
    }
}

// ---------------------------------------------------------------- Task 2

/// A queue with room for `capacity` items. It may be shared by many producers
/// and consumers.
#[derive(Debug)]
pub struct BoundedBuffer<T> {
    items: PhantomData<fn() -> T>, // change the fields as you like
}

impl<T> BoundedBuffer<T> {
    /// An empty buffer with room for `capacity` items.
    pub fn new(capacity: NonZeroUsize) -> Self {
        let _ = (capacity, Self { items: PhantomData });
        todo!("task 2: an empty queue, and room for `capacity` items")
    }

    /// Puts `item` in, behind all others, as soon as there is room for it.
    ///
    /// Room goes to whoever has waited longest. A push that is dropped before
    /// its end has put nothing in, and takes nobody's room or turn.
    ///
    /// # Errors
    /// [`Closed`], with the item, if the buffer is closed before it is in
    /// (task 3).
    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        let _ = (&self.items, item);
        todo!("task 2: wait for room, then put the item in")
    }

    /// Takes the oldest item out, as soon as there is one.
    ///
    /// An item goes to whoever has waited longest. A pop that is dropped before
    /// its end has taken nothing. `None`: the buffer is closed and empty (task
    /// 3).
    pub async fn pop(&self) -> Option<T> {
        todo!("task 2: wait for an item, then take it out")
    }
}

// ---------------------------------------------------------------- Task 3

impl<T> BoundedBuffer<T> {
    /// Closes the buffer, for good. More than once is as good as once.
    ///
    /// From now on nothing goes in: every push, waiting or new, gets its item
    /// back at once. What is inside still comes out; then every pop, waiting
    /// or new, gets `None` at once.
    pub fn close(&self) {
        todo!("task 3: take nothing more, and wake everybody who waits")
    }
}

// ---------------------------------------------------------------- Task 4

/// Lets at most `limit` calls through in any window of the length `per`.
#[derive(Debug)]
pub struct RateLimiter {
    // your fields
}

impl RateLimiter {
    /// A limiter that has let nobody through yet. `limit` always holds the
    /// limit of today; it may change at any time.
    pub fn new(per: Duration, limit: watch::Receiver<usize>) -> Self {
        let _ = (per, limit);
        todo!("task 4: remember the window, and where the limit stands")
    }

    /// Waits until one more call may go through, and lets it.
    ///
    /// That is as soon as fewer than `limit` calls went through less than
    /// `per` ago: first come, first served. A change of the limit counts at
    /// once, for those who wait, too. A limit of 0 lets nobody through. When
    /// the sender of the limit is gone the last limit stays.
    ///
    /// When this future is dropped before its end, nothing went through, and
    /// those behind move up.
    pub async fn acquire(&self) {
        todo!("task 4: wait for your turn, then for the window or a new limit")
    }
}
