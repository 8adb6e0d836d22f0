//! Given, not to be changed: the server, its sessions, errors and the report.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

/// A future that may cross threads, in a box: what a trait object's method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A server that lets only a few sessions in.
///
/// A session takes a place at the server from the start of `open` until the
/// end of `close`.
pub trait Server: Send + Sync + 'static {
    /// Opens a session. Takes a while, and may fail.
    ///
    /// A failed `open` takes no place. Neither does one that was dropped
    /// before its end.
    fn open(&self) -> BoxFuture<'_, Result<Session, OpenError>>;

    /// Closes a session. Takes a while, and may fail; either way the place is
    /// free again when it ends. It never panics.
    ///
    /// A `close` that was dropped before its end has closed nothing: the
    /// session keeps its place for ever.
    fn close(&self, session: Session) -> BoxFuture<'_, Result<(), CloseError>>;
}

/// One open session at the server.
#[derive(Debug)]
pub struct Session {
    id: usize,
    sent: Vec<String>,
}

impl Session {
    /// What a server makes when it opens a session.
    #[must_use]
    pub fn new(id: usize) -> Self {
        let sent = Vec::new();
        Self { id, sent }
    }

    /// The session's number at its server.
    #[must_use]
    pub fn id(&self) -> usize {
        self.id
    }

    /// Sends a line.
    pub fn send(&mut self, line: &str) {
        self.sent.push(line.to_owned());
    }

    /// The lines sent so far, in order.
    #[must_use]
    pub fn sent(&self) -> &[String] {
        &self.sent
    }
}

/// Why a lease was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseError {
    /// The pool was shut down.
    Closed,
    /// The server did not open the session.
    Open(OpenError),
}

impl From<OpenError> for LeaseError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "the pool was shut down"),
            Self::Open(error) => error.fmt(f),
        }
    }
}

impl Error for LeaseError {}

/// Why the server did not open a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenError(
    /// In the server's own words.
    pub String,
);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot open a session: {}", self.0)
    }
}

impl Error for OpenError {}

/// Why the server did not close a session in good order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseError {
    /// The session's number.
    pub session: usize,
    /// In the server's own words.
    pub message: String,
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, message } = self;
        write!(f, "cannot close session {session}: {message}")
    }
}

impl Error for CloseError {}

/// What became of all sessions that a pool ever opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many were closed in good order.
    pub closed: usize,
    /// The errors of the others, in the order in which their `close` ended.
    pub failed: Vec<CloseError>,
}
