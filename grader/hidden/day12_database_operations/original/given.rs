//! Given, not to be changed: what a connection is, and what may go wrong with it.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};

/// A future that may cross threads, in a box: what a trait's method returns,
/// and what a closure gives whose future borrows its argument.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One connection to a database, as far as transactions go. How statements are
/// run in between is each connection's own affair.
///
/// A call does nothing before its first poll. One that is dropped before its
/// end may have taken effect, or may not: nobody can tell. After it the
/// connection can be used as ever. Dropping a connection closes it.
pub trait Conn: Send + 'static {
    /// Begins a transaction. It fails if one is open on this connection. After
    /// an error no transaction was begun.
    fn begin(&mut self) -> BoxFuture<'_, Result<(), DbError>>;

    /// Makes what was written in the transaction permanent, and ends it. After
    /// an error nothing is permanent, and the transaction **is still open**.
    fn commit(&mut self) -> BoxFuture<'_, Result<(), DbError>>;

    /// Takes back what was written in the transaction, and ends it. Does
    /// nothing, and succeeds, if none is open.
    fn rollback(&mut self) -> BoxFuture<'_, Result<(), DbError>>;
}

/// Opens one more connection. Takes a while, and may fail. Dropped before its
/// end, it has opened nothing.
pub type Connect<C> = Box<dyn Fn() -> BoxFuture<'static, Result<C, DbError>> + Send + Sync>;

/// What may go wrong with a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbError {
    /// There was no connection within the acquire timeout.
    Timeout,
    /// Somebody else holds a lock. The same transaction may succeed later.
    Busy,
    /// The database refuses, in its own words.
    Failed(String),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => write!(f, "no connection in time"),
            Self::Busy => write!(f, "the database is busy"),
            Self::Failed(message) => write!(f, "the database refuses: {message}"),
        }
    }
}

impl Error for DbError {}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// An error that tells whether the same transaction may succeed later.
pub trait IsBusy {
    /// Whether it is worthwhile to try again.
    fn is_busy(&self) -> bool;
}

impl IsBusy for DbError {
    fn is_busy(&self) -> bool {
        *self == Self::Busy
    }
}

/// How often a transaction is tried, and how long to wait in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// At most so many attempts, the first one included.
    pub attempts: NonZeroU32,
    /// Between the end of the first attempt and the second. It doubles each time.
    pub delay: Duration,
}

/// Opens a database file. Blocks the calling thread, as all of rusqlite does.
///
/// A lock that somebody else holds is told at once, as an error. By default
/// `SQLite` would wait for it, for five seconds, and block its thread as long.
///
/// # Errors
/// What `SQLite` says.
pub fn open_file(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(path)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}
