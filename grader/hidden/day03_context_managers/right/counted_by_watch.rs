//! right: no TaskTracker: a `watch` counts what is out

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

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
    out: watch::Sender<usize>,
    report: Mutex<Report>,
}

/// A slot that is out: counted from its making to its drop, wherever that is.
struct Slot {
    _permit: OwnedSemaphorePermit,
    shared: Arc<Shared>,
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit, shared: &Arc<Shared>) -> Self {
        shared.out.send_modify(|out| *out += 1);
        let shared = Arc::clone(shared);
        Self {
            _permit: permit,
            shared,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.out.send_modify(|out| *out -= 1);
    }
}

pub struct Lease {
    session: Option<Session>,
    slot: Option<Slot>,
}

impl Pool {
    pub fn new(server: Arc<dyn Server>, limit: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            server,
            slots: Arc::new(Semaphore::new(limit.get())),
            out: watch::Sender::new(0),
            report: Mutex::default(),
        });
        Self { shared }
    }

    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        let shared = &self.shared;
        let permit = Arc::clone(&shared.slots).acquire_owned().await;
        let permit = permit.map_err(|_closed| LeaseError::Closed)?;
        let slot = Slot::new(permit, shared);
        // A shutdown on another thread may have looked just before we counted.
        if shared.slots.is_closed() {
            return Err(LeaseError::Closed);
        }
        let session = shared.server.open().await?;
        Ok(Lease {
            session: Some(session),
            slot: Some(slot),
        })
    }

    pub async fn shutdown(&self) -> Report {
        self.shared.slots.close();
        let mut out = self.shared.out.subscribe();
        let counted = out.wait_for(|&out| out == 0).await;
        drop(counted.expect("the pool keeps the sender"));
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
        let (Some(session), Some(slot)) = (self.session.take(), self.slot.take()) else {
            return;
        };
        tokio::spawn(async move {
            let closed = slot.shared.server.close(session).await;
            slot.shared.report.lock().unwrap().note(closed);
            drop(slot);
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
