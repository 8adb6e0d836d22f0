//! wrong: only the door knows that the pool is shut: waiters still get their slot
//! fails: shutdown wakes whoever waits for a slot: failed
//! fails: a slot handed over as shutdown begins is refused or waited for: failed
//! pitfall: lost-wakeup

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub use given::*;

/// A guard: it runs its action when it is dropped.
pub struct Defer<F: FnOnce()> {
    action: Option<F>,
}

pub fn defer<F: FnOnce()>(action: F) -> Defer<F> {
    let action = Some(action);
    Defer { action }
}

impl<F: FnOnce()> Defer<F> {
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

pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    server: Arc<dyn Server>,
    slots: Arc<Semaphore>,
    shut: AtomicBool,
    out: TaskTracker,
    report: Mutex<Report>,
}

pub struct Lease {
    session: Option<Session>,
    permit: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
    _out: TaskTrackerToken,
}

impl Pool {
    pub fn new(server: Arc<dyn Server>, limit: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            server,
            slots: Arc::new(Semaphore::new(limit.get())),
            shut: AtomicBool::new(false),
            out: TaskTracker::new(),
            report: Mutex::default(),
        });
        Self { shared }
    }

    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        if self.shared.shut.load(Ordering::SeqCst) {
            return Err(LeaseError::Closed);
        }
        let slots = Arc::clone(&self.shared.slots);
        let permit = slots.acquire_owned().await;
        let permit = permit.map_err(|_closed| LeaseError::Closed)?;
        let out = self.shared.out.token();
        let session = self.shared.server.open().await?;
        Ok(Lease {
            session: Some(session),
            permit: Some(permit),
            shared: Arc::clone(&self.shared),
            _out: out,
        })
    }

    pub async fn shutdown(&self) -> Report {
        self.shared.shut.store(true, Ordering::SeqCst);
        self.shared.out.close();
        self.shared.out.wait().await;
        self.shared.report.lock().unwrap().clone()
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("held until it is dropped")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("held until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let permit = self.permit.take();
        let shared = Arc::clone(&self.shared);
        self.shared.out.spawn(async move {
            let closed = shared.server.close(session).await;
            shared.report.lock().unwrap().note(closed);
            drop(permit);
        });
    }
}

trait Note {
    fn note(&mut self, closed: Result<(), CloseError>);
}

impl Note for Report {
    fn note(&mut self, closed: Result<(), CloseError>) {
        match closed {
            Ok(()) => self.closed += 1,
            Err(error) => self.failed.push(error),
        }
    }
}
