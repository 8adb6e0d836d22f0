//! Day 12: Database Operations.

mod given;

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// A `SQLite` connection whose work is done off the runtime's thread.
///
/// `SQLite` blocks the thread that calls it. So everything that is done with
/// the connection, opening included, is done with `spawn_blocking`.
pub struct Sqlite {
    // your fields
}

impl Sqlite {
    /// Opens a connection with `open`.
    ///
    /// # Errors
    /// What `open` says. A panic of `open` goes on in the caller.
    pub async fn open<F>(open: F) -> Result<Self, DbError>
    where
        F: FnOnce() -> rusqlite::Result<rusqlite::Connection> + Send + 'static,
    {
        let _ = open;
        todo!("task 1: open the connection where it may block")
    }

    /// Runs `job` with the connection and gives what it gave.
    ///
    /// A call that is dropped after its first poll may leave its job running:
    /// no one can stop it. The connection is not lost with it. The next call
    /// waits for the job's end, and does not block the runtime meanwhile.
    ///
    /// # Errors
    /// What `job` says. A panic of `job` goes on in the caller, and the
    /// connection can be used as before.
    pub async fn call<T, F>(&mut self, job: F) -> Result<T, DbError>
    where
        F: FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let _ = job;
        todo!("task 1: run the job where it may block")
    }
}

/// What each of them promises stands at [`Conn`].
impl Conn for Sqlite {
    /// Takes the write lock at once: [`DbError::Busy`] if another has it.
    fn begin(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        todo!("task 1: begin a transaction, with the write lock")
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        todo!("task 1: commit the transaction")
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        todo!("task 1: roll back, if there is a transaction")
    }
}

// ---------------------------------------------------------------- Task 2

/// Lends connections, a limited number at a time.
pub struct Pool<C: Conn> {
    connect: Connect<C>, // change the fields as you like
}

/// One connection on loan. Dropping it gives the connection back.
///
/// It borrows nothing from its pool, so it may move to another task, and
/// outlive the pool. You may rely on its being dropped inside the runtime.
///
/// A lease from [`Pool::acquire`] is given back as it is: transactions that
/// its holder began by hand are its holder's affair.
pub struct Lease<C: Conn> {
    connection: C, // change the fields as you like
}

impl<C: Conn> Pool<C> {
    /// A pool of at most `size` connections, which `connect` opens. Opens
    /// nothing yet.
    pub fn new(size: NonZeroUsize, acquire_timeout: Duration, connect: Connect<C>) -> Self {
        let _ = (size, acquire_timeout, connect);
        todo!("task 2: keep what is needed to open connections, and `size` slots")
    }

    /// Waits for a connection and lends it: one that is idle, or a new one.
    ///
    /// First come, first served: what becomes free belongs to whoever has
    /// waited longest. When this future is dropped, at whatever point, its
    /// place in the queue, or its slot, passes on.
    ///
    /// # Errors
    /// [`DbError::Timeout`] when the acquire timeout has passed since the first
    /// poll, be it in the queue or in `connect`. What `connect` says, if it
    /// fails. Either way the slot is free again.
    pub async fn acquire(&self) -> Result<Lease<C>, DbError> {
        let _ = &self.connect;
        todo!("task 2: wait for your turn, then lend a connection")
    }
}

impl<C: Conn> Deref for Lease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        let _ = &self.connection;
        todo!("task 2: lend the connection")
    }
}

impl<C: Conn> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C {
        todo!("task 2: lend the connection, to be changed")
    }
}

impl<C: Conn> Drop for Lease<C> {
    /// Gives the connection back, for the next to use, and returns at once.
    ///
    /// If a transaction may be open (task 4), it is rolled back first, in the
    /// background; connection and slot are free when that has ended.
    fn drop(&mut self) {
        // Tasks 2 and 4. As long as this is empty the fields are dropped, and
        // no more.
    }
}

// -------------------------------------------------------- Tasks 3 and 4

impl<C: Conn> Pool<C> {
    /// Runs `work` in a transaction of its own, commits it, and gives what
    /// `work` gave. The acquire timeout is for `acquire` alone.
    ///
    /// # Errors
    /// The error of `acquire`, of `begin`, of `work` or of `commit`. When it
    /// is returned nothing was written, and the rollback has ended.
    ///
    /// # Panics and cancellation
    /// A panic of `work` goes on in the caller. When it panics, and when this
    /// future is dropped, at whatever point, the rollback begins at that
    /// instant, in the background, and runs to its end.
    pub async fn with_tx<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send,
        E: From<DbError> + Send,
        F: for<'a> FnOnce(&'a mut C) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let _ = work;
        todo!("task 3: begin, work, commit; or roll back")
    }
}

// ---------------------------------------------------------------- Task 5

impl<C: Conn> Pool<C> {
    /// As [`Pool::with_tx`], and if that fails because the database is busy, it
    /// is begun again from the start, after `retry.delay`, which doubles each
    /// time. In between no connection is held.
    ///
    /// # Errors
    /// Any error that is not busy, at once. After `retry.attempts` attempts the
    /// last one's, at once.
    pub async fn with_retry<T, E, F>(&self, retry: Retry, work: F) -> Result<T, E>
    where
        T: Send,
        E: From<DbError> + IsBusy + Send,
        F: for<'a> FnMut(&'a mut C) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let _ = (retry, work);
        todo!("task 5: try again while the database is busy")
    }
}
