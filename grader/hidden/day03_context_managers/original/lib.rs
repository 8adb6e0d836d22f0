//! Day 3: Context Managers.

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// A guard: it runs its action when it is dropped, however that comes about.
#[must_use = "a guard that is not kept acts at once"]
pub struct Defer<F: FnOnce()> {
    action: F, // change the fields as you like
}

/// Makes a guard that will run `action`: once, and not before it is dropped.
pub fn defer<F: FnOnce()>(action: F) -> Defer<F> {
    let _ = action;
    todo!("task 1: keep the action for later")
}

impl<F: FnOnce()> Defer<F> {
    /// Gives the guard up: its action is dropped and never runs.
    pub fn disarm(self) {
        let _ = &self.action;
        todo!("task 1: let the guard end without its action")
    }
}

impl<F: FnOnce()> Drop for Defer<F> {
    fn drop(&mut self) {
        todo!("task 1: run the action")
    }
}

// ---------------------------------------------------------------- Task 2

/// Lends sessions at a server, a limited number at a time.
pub struct Pool {
    // your fields
}

/// One session on loan. It is given back by dropping it, and in no other way.
///
/// It borrows nothing from its pool, so it may move to another task. You may
/// rely on its being dropped inside the tokio runtime.
pub struct Lease {
    // your fields
}

impl Pool {
    /// A pool over `server` with `limit` slots, a million at most. Opens
    /// nothing yet.
    pub fn new(server: Arc<dyn Server>, limit: NonZeroUsize) -> Self {
        let _ = (server, limit);
        todo!("task 2: keep the server, and `limit` slots")
    }

    /// Waits for a slot, opens a session with it and lends it.
    ///
    /// Slots are given first come, first served: a slot that becomes free
    /// belongs to whoever has waited longest. When this future is dropped, at
    /// whatever point, its place in the queue, or its slot, passes on.
    ///
    /// # Errors
    /// [`LeaseError::Open`] when the server does not open the session; the
    /// slot is then free again. [`LeaseError::Closed`], at once, when the pool
    /// is shut down before there is a slot (task 4).
    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        todo!("task 2: wait for a slot, then open a session")
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        todo!("task 2: lend the session")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Session {
        todo!("task 2: lend the session, to be changed")
    }
}

// ---------------------------------------------------------------- Task 3

impl Drop for Lease {
    /// Starts to close the session, in the background, and returns at once.
    ///
    /// The slot is free again when `close` has ended, well or badly. The close
    /// that was started runs to its end, whatever becomes of the holder.
    fn drop(&mut self) {
        // Task 3. As long as this is empty the fields are dropped, and no more.
    }
}

// ---------------------------------------------------------------- Task 4

impl Pool {
    /// Shuts the pool down and reports what became of its sessions.
    ///
    /// From its first poll on the pool gives no more slots: whoever waits for
    /// one, or comes later, gets [`LeaseError::Closed`]. A lease that has its
    /// slot already goes on: it is opened, used and dropped as ever. A waiter
    /// who was handed a slot, but has not run since, may get either of the two.
    ///
    /// Returns when every lease was dropped and every close has ended, those
    /// included that were given since it began; then nothing of the pool is
    /// left running. Every call, early or late, gets the same whole report. A
    /// call that is dropped before its end changes nothing: the pool stays
    /// shut, and the next call does the waiting.
    pub async fn shutdown(&self) -> Report {
        todo!("task 4: give no more slots, wait for what is out, report")
    }
}
