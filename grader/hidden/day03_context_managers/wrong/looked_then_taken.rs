//! wrong: looks for a free slot, opens, and only then takes it
//! fails: the limit is kept, and used to the full: failed
//! fails: slots are given first come, first served: failed
//! fails: a failed open gives its error and frees the slot: failed
//! fails: a lease dropped at any pending loses no slot: failed
//! fails: the slot stays taken until the close has ended: failed
//! fails: in a storm nothing is lost: failed
//! pitfall: shared-state-race
//! line: 118

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

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
    limit: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    in_use: usize,
    shut: bool,
    report: Report,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A slot in use.
struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_use -= 1;
        if state.shut {
            self.0.changed.notify_waiters();
        } else {
            self.0.changed.notify_one();
        }
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
            limit: limit.get(),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        Self { shared }
    }

    async fn a_slot_is_free(&self) -> Result<(), LeaseError> {
        loop {
            let changed = self.shared.changed.notified();
            {
                let state = self.shared.state();
                if state.shut {
                    return Err(LeaseError::Closed);
                }
                if state.in_use < self.shared.limit {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        self.a_slot_is_free().await?;
        let session = self.shared.server.open().await?;
        self.shared.state().in_use += 1;
        Ok(Lease {
            session: Some(session),
            slot: Some(Slot(Arc::clone(&self.shared))),
        })
    }

    pub async fn shutdown(&self) -> Report {
        self.shared.state().shut = true;
        self.shared.changed.notify_waiters();
        loop {
            let changed = self.shared.changed.notified();
            {
                let state = self.shared.state();
                if state.in_use == 0 {
                    return state.report.clone();
                }
            }
            changed.await;
        }
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
            let closed = slot.0.server.close(session).await;
            slot.0.state().report.note(closed);
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
