//! Given, not to be changed: what the parts of the day say to each other.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

// ------------------------------------------------- tasks 1 and 2: the registry

/// One running instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Which registration this is. Counted from 1, never used twice.
    pub id: u64,
    /// Where it can be reached.
    pub address: String,
}

/// The lease is over: it ran out, or another registration took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;

impl fmt::Display for Expired {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the lease is over")
    }
}

impl Error for Expired {}

/// Looks whether something is in order. Used by a heartbeat, and for a report.
pub trait Check: Send + Sync {
    /// Begins when the future is first polled. Dropped, the look is over.
    fn check(&self) -> BoxFuture<'static, Result<(), String>>;
}

// ----------------------------------------------------------- task 3: the breaker

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many failures in a row open it.
    pub failures: NonZeroU32,
    /// So long it refuses everything.
    pub open_for: Duration,
}

/// What a breaker does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It lets everything through, and counts failures.
    Closed,
    /// It refuses everything.
    Open,
    /// It lets one request through, to see.
    HalfOpen,
}

/// Why a request through a breaker has no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused<E> {
    /// The breaker did not let it through.
    Open,
    /// It was let through, and failed.
    Failed(E),
}

// ------------------------------------------------------------ task 4: the health

/// Something that a service needs.
#[derive(Clone)]
pub struct Dependency {
    /// What it is called.
    pub name: String,
    /// Whether the service is of no use without it.
    pub critical: bool,
    /// How to see whether it is well.
    pub check: Arc<dyn Check>,
}

/// How a service is, all in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Every dependency is well.
    Up,
    /// Something is wrong, but nothing critical.
    Degraded,
    /// Something critical is wrong.
    Down,
}

/// What is wrong with a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Its check failed.
    Failed(String),
    /// Its check took too long, and was given up.
    Late,
    /// Its check panicked.
    Panicked,
}

/// How one dependency is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The dependency's name.
    pub name: String,
    /// What is wrong; `None`: it is well.
    pub trouble: Option<Trouble>,
}

/// How a service and its dependencies are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All in all.
    pub health: Health,
    /// Each dependency, in the order in which they were given.
    pub parts: Vec<Part>,
}

// ------------------------------------------------------------ task 5: the client

/// Sends requests to addresses.
pub trait Network: Send + Sync {
    /// Begins when the future is first polled. Dropped, the request is given up.
    fn send(&self, address: &str, request: &str) -> BoxFuture<'static, Result<String, String>>;
}

/// Why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// Nobody was tried: no instance is there, or no breaker lets a call through.
    Unavailable,
    /// All that were tried failed: address and error, in the order of the tries.
    AllFailed(Vec<(String, String)>),
}
