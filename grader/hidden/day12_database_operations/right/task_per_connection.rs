//! right: a task has each connection, and one more task rolls back what is left open

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use rusqlite::Connection;
use tokio::select;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

pub use given::*;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A `SQLite` connection in the hands of a task, which is sent the jobs.
pub struct Sqlite {
    jobs: UnboundedSender<Job>,
}

fn gone() -> DbError {
    DbError::Failed("the connection is gone".to_owned())
}

async fn serve(mut connection: Connection, mut jobs: UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let done = spawn_blocking(move || {
            job(&mut connection);
            connection
        });
        connection = match done.await {
            Ok(connection) => connection,
            Err(_) => return,
        };
    }
}

impl Sqlite {
    /// Opens a connection with `open`.
    ///
    /// # Errors
    /// What `open` says.
    pub async fn open<F>(open: F) -> Result<Self, DbError>
    where
        F: FnOnce() -> rusqlite::Result<Connection> + Send + 'static,
    {
        let opened = spawn_blocking(move || catch_unwind(AssertUnwindSafe(open))).await;
        let connection = match opened.map_err(|_| gone())? {
            Ok(connection) => connection?,
            Err(panic) => resume_unwind(panic),
        };
        let (jobs, sent) = unbounded_channel();
        tokio::spawn(serve(connection, sent));
        Ok(Self { jobs })
    }

    /// Runs `job` with the connection.
    ///
    /// # Errors
    /// What `job` says.
    pub async fn call<T, F>(&mut self, job: F) -> Result<T, DbError>
    where
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let output = catch_unwind(AssertUnwindSafe(|| job(connection)));
            let _ = answer.send(output);
        });
        self.jobs.send(job).map_err(|_| gone())?;
        match answered.await.map_err(|_| gone())? {
            Ok(output) => Ok(output?),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Conn for Sqlite {
    fn begin(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        // IMMEDIATE takes the write lock now. A plain BEGIN takes it with the
        // first write, when it may be too late to wait for it.
        Box::pin(self.call(|connection| connection.execute_batch("BEGIN IMMEDIATE")))
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        Box::pin(self.call(|connection| connection.execute_batch("COMMIT")))
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        Box::pin(self.call(|connection| {
            // Asked in the job, when all jobs before have ended.
            if connection.is_autocommit() {
                return Ok(());
            }
            connection.execute_batch("ROLLBACK")
        }))
    }
}

/// Lends connections, a limited number at a time.
pub struct Pool<C: Conn> {
    connect: Connect<C>,
    acquire_timeout: Duration,
    slots: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<C>>>,
    janitor: UnboundedSender<Dirty<C>>,
}

/// A connection with a transaction on it, and who waits for its end.
struct Dirty<C> {
    connection: C,
    permit: OwnedSemaphorePermit,
    waits: Option<oneshot::Sender<()>>,
}

async fn clean<C: Conn>(mut dirty: Dirty<C>, idle: Arc<Mutex<Vec<C>>>) {
    if dirty.connection.rollback().await.is_ok() {
        idle.lock()
            .expect("nobody panics here")
            .push(dirty.connection);
    } else {
        drop(dirty.connection);
    }
    drop(dirty.permit);
    if let Some(waits) = dirty.waits {
        let _ = waits.send(());
    }
}

/// Rolls back whatever comes, all at the same time, until nobody is left to send.
async fn tidy<C: Conn>(mut comes: UnboundedReceiver<Dirty<C>>, idle: Arc<Mutex<Vec<C>>>) {
    let mut running = FuturesUnordered::new();
    loop {
        select! {
            Some(dirty) = comes.recv() => running.push(clean(dirty, Arc::clone(&idle))),
            Some(()) = running.next() => {}
            else => return,
        }
    }
}

/// One connection on loan.
pub struct Lease<C: Conn> {
    connection: Option<C>,
    permit: Option<OwnedSemaphorePermit>,
    dirty: bool,
    idle: Arc<Mutex<Vec<C>>>,
    janitor: UnboundedSender<Dirty<C>>,
}

impl<C: Conn> Pool<C> {
    /// A pool of at most `size` connections.
    pub fn new(size: NonZeroUsize, acquire_timeout: Duration, connect: Connect<C>) -> Self {
        let (janitor, comes) = unbounded_channel();
        let idle = Arc::default();
        tokio::spawn(tidy(comes, Arc::clone(&idle)));
        Self {
            connect,
            acquire_timeout,
            slots: Arc::new(Semaphore::new(size.get())),
            idle,
            janitor,
        }
    }

    /// Waits for a connection and lends it.
    ///
    /// # Errors
    /// [`DbError::Timeout`]; what `connect` says.
    pub async fn acquire(&self) -> Result<Lease<C>, DbError> {
        let asked = async {
            let permit = Arc::clone(&self.slots).acquire_owned().await;
            let permit = permit.map_err(|_| gone())?;
            let idle = self.idle.lock().expect("nobody panics here").pop();
            let connection = match idle {
                Some(connection) => connection,
                None => (self.connect)().await?,
            };
            Ok(Lease {
                connection: Some(connection),
                permit: Some(permit),
                dirty: false,
                idle: Arc::clone(&self.idle),
                janitor: self.janitor.clone(),
            })
        };
        let asked = timeout(self.acquire_timeout, asked).await;
        asked.unwrap_or(Err(DbError::Timeout))
    }

    /// Runs `work` in a transaction of its own.
    ///
    /// # Errors
    /// What `work`, the pool or the database says.
    pub async fn with_tx<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send,
        E: From<DbError> + Send,
        F: for<'a> FnOnce(&'a mut C) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let mut lease = self.acquire().await?;
        lease.dirty = true;
        let outcome = match lease.begin().await {
            Ok(()) => work(&mut lease).await,
            Err(error) => Err(error.into()),
        };
        let outcome = match outcome {
            Ok(value) => match lease.commit().await {
                Ok(()) => Ok(value),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        };
        if outcome.is_ok() {
            lease.dirty = false;
        } else {
            let (waits, cleaned) = oneshot::channel();
            lease.leave(Some(waits));
            let _ = cleaned.await;
        }
        outcome
    }

    /// As `with_tx`, begun again as long as the database is busy.
    ///
    /// # Errors
    /// As `with_tx`: what the last attempt said.
    pub async fn with_retry<T, E, F>(&self, retry: Retry, mut work: F) -> Result<T, E>
    where
        T: Send,
        E: From<DbError> + IsBusy + Send,
        F: for<'a> FnMut(&'a mut C) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let mut delay = retry.delay;
        for _ in 1..retry.attempts.get() {
            match self.with_tx(&mut work).await {
                Err(error) if error.is_busy() => {}
                done => return done,
            }
            // Nothing is held here: the connection is back in the pool.
            sleep(delay).await;
            delay = delay.saturating_mul(2);
        }
        self.with_tx(&mut work).await
    }
}

impl<C: Conn> Lease<C> {
    fn leave(&mut self, waits: Option<oneshot::Sender<()>>) {
        let (Some(connection), Some(permit)) = (self.connection.take(), self.permit.take()) else {
            return;
        };
        if self.dirty {
            let _ = self.janitor.send(Dirty {
                connection,
                permit,
                waits,
            });
        } else {
            self.idle
                .lock()
                .expect("nobody panics here")
                .push(connection);
        }
    }
}

impl<C: Conn> Drop for Lease<C> {
    fn drop(&mut self) {
        self.leave(None);
    }
}

impl<C: Conn> Deref for Lease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.connection.as_ref().expect("held until it leaves")
    }
}

impl<C: Conn> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.connection.as_mut().expect("held until it leaves")
    }
}
