//! Day 12: Database Operations.

#[path = "../../../grader/hidden/day12_database_operations/original/given.rs"]
mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
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
    shared: Arc<Shared<C>>,
}

/// What the pool and its leases share: a lease may outlive its pool.
struct Shared<C> {
    acquire_timeout: Duration,
    connect: Connect<C>,
    /// Fair: a permit goes to whoever has waited longest.
    slots: Arc<Semaphore>,
    /// Open connections that nobody holds: at most as many as there are permits.
    idle: Mutex<Vec<C>>,
}

impl<C> Shared<C> {
    fn idle(&self) -> MutexGuard<'_, Vec<C>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_back(&self, held: Held<C>) {
        self.idle().push(held.connection);
        // Only now: whoever gets the slot finds the connection there.
        drop(held.permit);
    }
}

/// One connection on loan. Dropping it gives the connection back.
pub struct Lease<C: Conn> {
    /// `None` only when it has been handed over.
    held: Option<Held<C>>,
    /// Whether a transaction may be open on it.
    in_transaction: bool,
    shared: Arc<Shared<C>>,
}

/// A connection and its slot. Fields are dropped in this order: a connection
/// that is closed is gone before somebody may open one in its place.
struct Held<C> {
    connection: C,
    permit: OwnedSemaphorePermit,
}

impl<C: Conn> Pool<C> {
    /// A pool of at most `size` connections, which `connect` opens.
    pub fn new(size: NonZeroUsize, acquire_timeout: Duration, connect: Connect<C>) -> Self {
        let shared = Shared {
            acquire_timeout,
            connect,
            slots: Arc::new(Semaphore::new(size.get())),
            idle: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Waits for a connection and lends it.
    ///
    /// # Errors
    /// [`DbError::Timeout`] after the acquire timeout; what `connect` says.
    pub async fn acquire(&self) -> Result<Lease<C>, DbError> {
        let lease = timeout(self.shared.acquire_timeout, self.lease());
        lease.await.map_err(|_elapsed| DbError::Timeout)?
    }

    /// As `acquire`, without a limit of time.
    async fn lease(&self) -> Result<Lease<C>, DbError> {
        let shared = Arc::clone(&self.shared);
        let permit = Arc::clone(&shared.slots).acquire_owned().await;
        let permit = permit.expect("nobody closes the semaphore");
        // In a statement of its own: the guard must not live on to the await.
        let idle = shared.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => (shared.connect)().await?,
        };
        Ok(Lease {
            held: Some(Held { connection, permit }),
            in_transaction: false,
            shared,
        })
    }

    /// Runs `work` in a transaction of its own, and commits it.
    ///
    /// # Errors
    /// What `work`, the pool or the database says. Nothing was written then.
    pub async fn with_tx<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send,
        E: From<DbError> + Send,
        F: for<'a> FnOnce(&'a mut C) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let mut lease = self.acquire().await?;
        // Before `begin`, which may be dropped half way and have begun it.
        // From here on there is one way out without a rollback: a commit that
        // has ended well.
        lease.in_transaction = true;
        let done = async {
            lease.begin().await?;
            let value = work(&mut lease).await?;
            lease.commit().await?;
            Ok(value)
        };
        let done = done.await;
        match done {
            Ok(_) => lease.in_transaction = false,
            Err(_) => lease.roll_back().await,
        }
        done
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
    /// Rolls back and gives the connection back. Dropped half way, it goes on.
    async fn roll_back(mut self) {
        if let Some(rolling_back) = self.start_to_roll_back()
            && let Err(error) = rolling_back.await
            && let Ok(panic) = error.try_into_panic()
        {
            resume_unwind(panic);
        }
    }

    /// Hands the connection to a task that belongs to nobody, and so is not
    /// cancelled with anybody.
    fn start_to_roll_back(&mut self) -> Option<JoinHandle<()>> {
        let mut held = self.held.take()?;
        let shared = Arc::clone(&self.shared);
        Some(tokio::spawn(async move {
            // On an error nobody knows what is open on it: it is dropped, which
            // closes it, and the next one opens another.
            if held.connection.rollback().await.is_ok() {
                shared.put_back(held);
            }
        }))
    }
}

impl<C: Conn> Drop for Lease<C> {
    fn drop(&mut self) {
        if self.in_transaction {
            // A panic, or a cancellation. `drop` cannot await, the task can.
            self.start_to_roll_back();
        } else if let Some(held) = self.held.take() {
            self.shared.put_back(held);
        }
    }
}

impl<C: Conn> Deref for Lease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        let held = self.held.as_ref().expect("held until it is handed over");
        &held.connection
    }
}

impl<C: Conn> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C {
        let held = self.held.as_mut().expect("held until it is handed over");
        &mut held.connection
    }
}
