//! The public shapes of day 12.

use std::num::NonZeroUsize;
use std::time::Duration;

use exercise::{BoxFuture, Conn, Connect, DbError, IsBusy, Lease, Pool, Retry, Sqlite, open_file};

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Holds only for what many tasks may share.
fn shared<T: Send + Sync + 'static>() {}

/// Holds only for what may move to another task.
fn movable<T: Send + 'static>() {}

/// A closure's own error.
pub enum Refused {
    /// There is not enough.
    TooLittle,
    /// The database says so.
    Database(DbError),
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl IsBusy for Refused {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_busy())
    }
}

/// Task 1.
pub fn shape_of_sqlite(connection: &mut Sqlite) {
    movable::<Sqlite>();
    send_future_of::<Result<Sqlite, DbError>>(Sqlite::open(|| open_file("a.db".as_ref())));
    send_future_of::<Result<usize, DbError>>(
        connection.call(|connection| connection.execute("DELETE FROM notes", [])),
    );
    send_future_of::<Result<(), DbError>>(connection.begin());
}

/// Task 2.
pub fn shape_of_pool<C: Conn>(connect: Connect<C>) -> Pool<C> {
    shared::<Pool<Sqlite>>();
    movable::<Lease<C>>();
    let pool = Pool::new(NonZeroUsize::MIN, Duration::ZERO, connect);
    send_future_of::<Result<Lease<C>, DbError>>(pool.acquire());
    pool
}

/// Task 2.
pub fn shape_of_lease<C: Conn>(mut lease: Lease<C>) {
    let _: &C = &lease;
    let _: &mut C = &mut lease;
}

/// Tasks 3 and 4.
pub fn shape_of_with_tx<C: Conn>(pool: &Pool<C>, answer: String) {
    send_future_of::<Result<String, Refused>>(pool.with_tx(|connection| {
        Box::pin(async move {
            connection.rollback().await?;
            Ok(answer)
        })
    }));
}

/// Task 5.
pub fn shape_of_with_retry<C: Conn>(pool: &Pool<C>, retry: Retry) {
    fn work<C: Conn>(connection: &mut C) -> BoxFuture<'_, Result<u32, Refused>> {
        Box::pin(async {
            connection.rollback().await?;
            Err(Refused::TooLittle)
        })
    }
    send_future_of::<Result<u32, Refused>>(pool.with_retry(retry, work));
}
