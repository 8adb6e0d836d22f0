//! right: one task closes; the senders of its channel count what is out

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

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
    server: Arc<dyn Server>,
    slots: Arc<Semaphore>,
    returns: Mutex<Option<UnboundedSender<Returned>>>,
    report: watch::Receiver<Option<Report>>,
}

/// What comes back from a holder.
struct Returned {
    session: Session,
    permit: OwnedSemaphorePermit,
}

pub struct Lease {
    session: Option<Session>,
    permit: Option<OwnedSemaphorePermit>,
    returns: UnboundedSender<Returned>,
}

/// Closes whatever is returned, until nobody is left who could return anything.
async fn close_all(server: Arc<dyn Server>, mut returns: UnboundedReceiver<Returned>) -> Report {
    let mut report = Report::default();
    let mut closes = JoinSet::new();
    loop {
        tokio::select! {
            Some(Returned { session, permit }) = returns.recv() => {
                let server = Arc::clone(&server);
                closes.spawn(async move {
                    let closed = server.close(session).await;
                    drop(permit);
                    closed
                });
            }
            Some(closed) = closes.join_next() => report.note(closed.expect("close does not panic")),
            else => return report,
        }
    }
}

impl Pool {
    pub fn new(server: Arc<dyn Server>, limit: NonZeroUsize) -> Self {
        let (returns, returned) = unbounded_channel();
        let (reporter, report) = watch::channel(None);
        let closing = close_all(Arc::clone(&server), returned);
        tokio::spawn(async move { reporter.send_replace(Some(closing.await)) });
        Self {
            server,
            slots: Arc::new(Semaphore::new(limit.get())),
            returns: Mutex::new(Some(returns)),
            report,
        }
    }

    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        let permit = permit.map_err(|_closed| LeaseError::Closed)?;
        // Taken before `open`: shutdown waits for those who are opening, too.
        let returns = self.returns.lock().unwrap().clone();
        let returns = returns.ok_or(LeaseError::Closed)?;
        let session = self.server.open().await?;
        Ok(Lease {
            session: Some(session),
            permit: Some(permit),
            returns,
        })
    }

    pub async fn shutdown(&self) -> Report {
        self.slots.close();
        self.returns.lock().unwrap().take();
        let mut report = self.report.clone();
        let report = report.wait_for(Option::is_some).await;
        let report = report.expect("the closer task reports before it ends");
        report.clone().unwrap_or_default()
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
        if let (Some(session), Some(permit)) = (self.session.take(), self.permit.take()) {
            // Fails only when the runtime ended and took the closer task along.
            let _ = self.returns.send(Returned { session, permit });
        }
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
