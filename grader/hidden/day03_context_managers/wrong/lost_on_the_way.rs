//! wrong: a slot is lost when its waiter is dropped after it was woken
//! fails: a waiter dropped after its wake-up passes the slot on: failed
//! fails: a slot handed over as shutdown begins is refused or waited for: failed
//! pitfall: lost-wakeup

mod given;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, oneshot};

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
    all_back: Notify,
}

#[derive(Default)]
struct State {
    free: usize,
    queue: VecDeque<oneshot::Sender<()>>,
    shut: bool,
    report: Report,
}

/// A slot in use.
struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        // A waiter that gave up is passed over.
        while let Some(waiter) = self.0.next_or_put_back() {
            if waiter.send(()).is_ok() {
                return;
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn next_or_put_back(&self) -> Option<oneshot::Sender<()>> {
        let mut state = self.state();
        let next = state.queue.pop_front();
        if next.is_none() {
            state.free += 1;
        }
        if state.free == self.limit {
            self.all_back.notify_waiters();
        }
        next
    }
}

pub struct Lease {
    session: Option<Session>,
    slot: Option<Slot>,
}

impl Pool {
    pub fn new(server: Arc<dyn Server>, limit: NonZeroUsize) -> Self {
        let limit = limit.get();
        let state = State {
            free: limit,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            server,
            limit,
            state: Mutex::new(state),
            all_back: Notify::new(),
        });
        Self { shared }
    }

    /// Takes a free slot: `None`. Or else joins the queue.
    fn ask(&self) -> Result<Option<oneshot::Receiver<()>>, LeaseError> {
        let mut state = self.shared.state();
        if state.shut {
            return Err(LeaseError::Closed);
        }
        if state.free > 0 {
            state.free -= 1;
            return Ok(None);
        }
        let (waiter, arrives) = oneshot::channel();
        state.queue.push_back(waiter);
        Ok(Some(arrives))
    }

    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        if let Some(arrives) = self.ask()? {
            arrives.await.map_err(|_dropped| LeaseError::Closed)?;
        }
        let slot = Slot(Arc::clone(&self.shared));
        let session = self.shared.server.open().await?;
        Ok(Lease {
            session: Some(session),
            slot: Some(slot),
        })
    }

    pub async fn shutdown(&self) -> Report {
        let shared = &self.shared;
        let queue = {
            let mut state = shared.state();
            state.shut = true;
            std::mem::take(&mut state.queue)
        };
        drop(queue);
        loop {
            // Made before we look, so that it hears of what happens after.
            let all_back = shared.all_back.notified();
            {
                let state = shared.state();
                if state.free == shared.limit {
                    return state.report.clone();
                }
            }
            all_back.await;
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
