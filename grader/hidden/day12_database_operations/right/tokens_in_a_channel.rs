//! right: tokens in a channel behind an async lock; the panic is caught, and goes on later

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use rusqlite::Connection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

pub use given::*;

/// A `SQLite` connection whose work is done off the runtime's thread.
pub struct Sqlite {
    // Shared with the job, which cannot be stopped and may outlive its call. It
    // holds the lock until its end, and the next call awaits that. A std lock
    // could only be taken in the job, where threads decide who comes first: a
    // rollback might overtake the `begin` that it is to end.
    connection: Arc<tokio::sync::Mutex<Connection>>,
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
        let connection = blocking(open).await?;
        Ok(Self {
            connection: Arc::new(tokio::sync::Mutex::new(connection)),
        })
    }

    /// Runs `job` with the connection, where it may block, and gives what it gave.
    ///
    /// # Errors
    /// What `job` says.
    pub async fn call<T, F>(&mut self, job: F) -> Result<T, DbError>
    where
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        // The guard goes along. A job that panics drops it, too: tokio's lock
        // knows no poison.
        blocking(move || job(&mut connection)).await
    }
}

/// Runs `job` on a thread that is there to be blocked.
async fn blocking<T, F>(job: F) -> Result<T, DbError>
where
    F: FnOnce() -> rusqlite::Result<T> + Send + 'static,
    T: Send + 'static,
{
    match spawn_blocking(job).await {
        Ok(output) => Ok(output?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(DbError::Failed("the runtime is shutting down".to_owned())),
        },
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
    /// One token for each slot; the async lock is the queue.
    tokens: tokio::sync::Mutex<UnboundedReceiver<()>>,
    token: UnboundedSender<()>,
    idle: Arc<Mutex<Vec<C>>>,
}

/// Gives its token back when it is dropped.
struct Token(UnboundedSender<()>);

impl Drop for Token {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// One connection on loan.
pub struct Lease<C: Conn> {
    held: Option<(C, Token)>,
    dirty: bool,
    idle: Arc<Mutex<Vec<C>>>,
}

impl<C: Conn> Pool<C> {
    /// A pool of at most `size` connections.
    pub fn new(size: NonZeroUsize, acquire_timeout: Duration, connect: Connect<C>) -> Self {
        let (token, tokens) = unbounded_channel();
        for _ in 0..size.get() {
            let _ = token.send(());
        }
        Self {
            connect,
            acquire_timeout,
            tokens: tokio::sync::Mutex::new(tokens),
            token,
            idle: Arc::default(),
        }
    }

    /// Waits for a connection and lends it.
    ///
    /// # Errors
    /// [`DbError::Timeout`]; what `connect` says.
    pub async fn acquire(&self) -> Result<Lease<C>, DbError> {
        let asked = async {
            self.tokens.lock().await.recv().await;
            let token = Token(self.token.clone());
            let idle = self.idle.lock().expect("nobody panics here").pop();
            let connection = match idle {
                Some(connection) => connection,
                None => (self.connect)().await?,
            };
            Ok(Lease {
                held: Some((connection, token)),
                dirty: false,
                idle: Arc::clone(&self.idle),
            })
        };
        match timeout(self.acquire_timeout, asked).await {
            Ok(lease) => lease,
            Err(_) => Err(DbError::Timeout),
        }
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
        let transaction = async {
            lease.begin().await?;
            let value = work(&mut lease).await?;
            lease.commit().await?;
            Ok(value)
        };
        let outcome = AssertUnwindSafe(transaction).catch_unwind().await;
        if let Ok(Ok(value)) = outcome {
            lease.dirty = false;
            return Ok(value);
        }
        // An error and a panic go the same way: the rollback is waited for.
        if let Some(cleaning) = lease.clean() {
            let _ = cleaning.await;
        }
        match outcome {
            Ok(outcome) => outcome,
            Err(panic) => resume_unwind(panic),
        }
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
    fn clean(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        let (mut connection, token) = self.held.take()?;
        let idle = Arc::clone(&self.idle);
        Some(tokio::spawn(async move {
            match connection.rollback().await {
                Ok(()) => idle.lock().expect("nobody panics here").push(connection),
                Err(_) => drop(connection),
            }
            drop(token);
        }))
    }
}

impl<C: Conn> Drop for Lease<C> {
    fn drop(&mut self) {
        if self.dirty {
            self.clean();
        } else if let Some((connection, token)) = self.held.take() {
            self.idle
                .lock()
                .expect("nobody panics here")
                .push(connection);
            drop(token);
        }
    }
}

impl<C: Conn> Deref for Lease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.held.as_ref().expect("held until it is cleaned").0
    }
}

impl<C: Conn> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.held.as_mut().expect("held until it is cleaned").0
    }
}
