//! Given, not to be changed: a server that answers page by page.

use std::error::Error;
use std::fmt;

use futures::future::BoxFuture;

/// A server whose answer is too long for one reply.
pub trait Api: Send + Sync + 'static {
    /// Fetches the page at `cursor`. Takes a while, and may fail.
    ///
    /// Nothing happens before the future is polled; dropping it gives the call
    /// up at that moment. It owns what it needs, so you may keep it, or move it
    /// into a task, without the server.
    fn page(&self, cursor: Cursor) -> BoxFuture<'static, Result<Page, ApiError>>;
}

/// Where a page begins, in words that only the server understands.
///
/// `Cursor::default()` is the first page. Every other cursor comes out of the
/// page before it: there is no counting, and no guessing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    token: String,
}

impl Cursor {
    /// What a server makes when it has more to say.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        let token = token.into();
        Self { token }
    }

    /// The server's own words; empty for the first page.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// One page of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What stands on it, in order. A page may be empty and yet not be the last.
    pub items: Vec<String>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// Why the server did not give a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError(
    /// In the server's own words.
    pub String,
);

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no page: {}", self.0)
    }
}

impl Error for ApiError {}
