//! wrong: Drop puts the session aside, and shutdown closes them all
//! fails: a dropped lease is closed at once, in the background: failed
//! fails: the slot stays taken until the close has ended: failed
//! fails: panic, timeout and abort of the holder close the session: failed
//! fails: a failed close frees the slot all the same: failed
//! fails: shutdown waits for every lease and every close: failed
//! fails: a slot handed over as shutdown begins is refused or waited for: failed
//! fails: every shutdown gets the same whole report: failed
//! fails: a shutdown dropped at any pending changes nothing: failed
//! fails: in a storm nothing is lost: failed
//! pitfall: cleanup-forgotten

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
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
    out: TaskTracker,
    returned: Mutex<Vec<Session>>,
    report: Mutex<Report>,
}

pub struct Lease {
    session: Option<Session>,
    _permit: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    _out: TaskTrackerToken,
}

impl Pool {
    pub fn new(server: Arc<dyn Server>, limit: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            server,
            slots: Arc::new(Semaphore::new(limit.get())),
            out: TaskTracker::new(),
            returned: Mutex::default(),
            report: Mutex::default(),
        });
        Self { shared }
    }

    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        let slots = Arc::clone(&self.shared.slots);
        let permit = slots.acquire_owned().await;
        let permit = permit.map_err(|_closed| LeaseError::Closed)?;
        let out = self.shared.out.token();
        let session = self.shared.server.open().await?;
        Ok(Lease {
            session: Some(session),
            _permit: permit,
            shared: Arc::clone(&self.shared),
            _out: out,
        })
    }

    pub async fn shutdown(&self) -> Report {
        self.shared.slots.close();
        self.shared.out.close();
        self.shared.out.wait().await;
        let returned = std::mem::take(&mut *self.shared.returned.lock().unwrap());
        for session in returned {
            let closed = self.shared.server.close(session).await;
            self.shared.report.lock().unwrap().note(closed);
        }
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
        let session = self.session.take();
        self.shared.returned.lock().unwrap().extend(session);
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
