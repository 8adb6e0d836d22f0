//! Day 3: Context Managers.

#[path = "../../../exercises/day03_context_managers/src/given.rs"]
mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub use given::*;

/// A guard: it runs its action when it is dropped, however that comes about.
#[must_use = "a guard that is not kept acts at once"]
pub struct Defer<F: FnOnce()> {
    // An `Option`, because `drop` has only `&mut self`, and calling a `FnOnce`
    // uses it up: `take` moves it out and leaves `None` behind.
    action: Option<F>,
}

/// Makes a guard that will run `action`: once, and not before it is dropped.
pub fn defer<F: FnOnce()>(action: F) -> Defer<F> {
    let action = Some(action);
    Defer { action }
}

impl<F: FnOnce()> Defer<F> {
    /// Gives the guard up: its action is dropped and never runs.
    pub fn disarm(mut self) {
        self.action = None;
    }
}

impl<F: FnOnce()> Drop for Defer<F> {
    fn drop(&mut self) {
        if let Some(action) = self.action.take() {
            action();
        }
    }
}

/// Lends sessions at a server, a limited number at a time.
pub struct Pool {
    shared: Arc<Shared>,
}

/// One session on loan. It is given back by dropping it, and in no other way.
pub struct Lease {
    // Both leave together, for the close: `None` only while `drop` runs.
    held: Option<(Session, Slot)>,
    shared: Arc<Shared>,
}

/// What the pool and its leases share. A lease owns its part of it, so that it
/// may outlive the pool's borrow and move to another task.
struct Shared {
    server: Arc<dyn Server>,
    slots: Arc<Semaphore>,
    /// Knows every slot that is out and every close that runs.
    out: TaskTracker,
    report: Mutex<Report>,
}

/// The right to one place at the server. Nobody has to give it back: wherever
/// it is dropped (on the way of an error, a panic, a cancelled `lease`, at the
/// end of a close) the next in the queue gets it.
struct Slot {
    _permit: OwnedSemaphorePermit,
    _out: TaskTrackerToken,
}

impl Pool {
    /// A pool over `server` with `limit` slots. Opens nothing yet.
    pub fn new(server: Arc<dyn Server>, limit: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            server,
            slots: Arc::new(Semaphore::new(limit.get())),
            out: TaskTracker::new(),
            report: Mutex::default(),
        });
        Self { shared }
    }

    /// Waits for a slot, opens a session with it and lends it.
    ///
    /// # Errors
    /// [`LeaseError::Open`] when the server does not open the session, and
    /// [`LeaseError::Closed`] when the pool is shut down before there is a slot.
    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        let slot = self.shared.slot().await?;
        // From here on the slot is a local variable. A failed open and a
        // cancellation in the middle of it both drop it: nothing to remember.
        let session = self.shared.server.open().await?;
        Ok(Lease {
            held: Some((session, slot)),
            shared: Arc::clone(&self.shared),
        })
    }

    /// Shuts the pool down and reports what became of its sessions.
    ///
    /// Cancel safe: all it waits for is known to the pool, not to this call.
    pub async fn shutdown(&self) -> Report {
        let Shared { slots, out, .. } = &*self.shared;
        slots.close();
        out.close();
        out.wait().await;
        self.shared.report().clone()
    }
}

impl Shared {
    async fn slot(&self) -> Result<Slot, LeaseError> {
        // tokio's semaphore is fair, and a waiter that is dropped hands its
        // permit on, even if it was woken already.
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        let slot = Slot {
            _permit: permit.map_err(|_closed| LeaseError::Closed)?,
            _out: self.out.token(),
        };
        // On a runtime with many threads a shutdown may have passed between the
        // permit and the token, and have seen nobody. One look back settles it:
        // still open now means that any shutdown will find the token.
        if self.slots.is_closed() {
            return Err(LeaseError::Closed);
        }
        Ok(slot)
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        // Nothing can panic while it is locked, so poison would mean nothing.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        let (session, _) = self.held.as_ref().expect("held until it is dropped");
        session
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Session {
        let (session, _) = self.held.as_mut().expect("held until it is dropped");
        session
    }
}

impl Drop for Lease {
    /// Hands session and slot to a task of their own and returns at once.
    ///
    /// The task belongs to nobody but the tracker. So it does not matter who
    /// drops the lease, or whether that task is being cancelled; and shutdown
    /// can await what cannot be awaited here.
    fn drop(&mut self) {
        let Some((session, slot)) = self.held.take() else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        self.shared.out.spawn(async move {
            let closed = shared.server.close(session).await;
            match closed {
                Ok(()) => shared.report().closed += 1,
                Err(error) => shared.report().failed.push(error),
            }
            // Only now: the session had its place at the server until here.
            // And after the report, which is then complete when shutdown looks.
            drop(slot);
        });
    }
}
