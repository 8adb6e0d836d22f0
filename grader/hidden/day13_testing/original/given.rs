//! Given, not to be changed: what is tested, and a source to test it with.
//!
//! The cache's specification is in `README.md`. Nobody shows you a cache: your
//! tests get a [`Maker`], and through it one cache after the other.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

// ------------------------------------------------------------ what is tested

/// Makes caches, all of the same kind.
pub trait Maker: Send + Sync {
    /// A new cache that knows nothing, with its circuit closed. Needs the tokio
    /// runtime, which a test always has.
    fn make(&self, source: Arc<dyn Source>, settings: Settings) -> Arc<dyn Cache>;
}

/// A cache with a time to live and a circuit breaker.
pub trait Cache: Send + Sync + 'static {
    /// The value of `key`: the one that is fresh, or else a loaded one.
    ///
    /// Nothing happens before the future is first polled. Dropping it means
    /// that its caller leaves (rule 10).
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String, CacheError>>;

    /// How many values the cache keeps.
    fn len(&self) -> usize;

    /// Whether it keeps none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a cache behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// For how long a value is fresh, from the end of its load on.
    pub ttl: Duration,
    /// The circuit opens with so many failures in a row.
    pub threshold: NonZeroU32,
    /// For how long an open circuit lets no load through.
    pub cooldown: Duration,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheError {
    /// The load failed, and this is what the source said.
    Failed(LoadError),
    /// The circuit is open: nobody asked the source. The words are the cache's
    /// own.
    Open(String),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "no value: {error}"),
            Self::Open(words) => write!(f, "not asked: {words}"),
        }
    }
}

impl Error for CacheError {}

// ------------------------------------------------------- where values come from

/// Where a cache loads its values from.
pub trait Source: Send + Sync + 'static {
    /// Loads the value of `key`. Takes a while, and may fail.
    ///
    /// The load begins when the future is first polled; dropping it gives the
    /// load up at that moment.
    fn load(&self, key: &str) -> BoxFuture<'static, Result<String, LoadError>>;
}

/// Why a load failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(
    /// In the source's own words.
    pub String,
);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for LoadError {}

/// A source for tests: it does what the test says, and remembers every load.
///
/// Its loads are numbered from 1, over all keys. Load 3, of the key `a`, gives
/// the value `a 3` or fails with `a 3`. A clone is the same source.
#[derive(Debug, Clone)]
pub struct FakeSource {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    takes: Duration,
    failing: bool,
    loads: Vec<Load>,
}

/// A load, as the source saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// What was asked for.
    pub key: String,
    /// When it began.
    pub began: Instant,
    /// How it stands.
    pub state: LoadState,
}

/// How a load stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadState {
    /// It is under way.
    InFlight,
    /// It gave its value.
    Succeeded,
    /// It gave an error.
    Failed,
    /// It was dropped before its end.
    Dropped,
}

impl FakeSource {
    /// A source whose loads take so long, and succeed.
    #[must_use]
    pub fn new(takes: Duration) -> Self {
        let inner = Inner {
            takes,
            failing: false,
            loads: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loads that begin from now on take so long.
    pub fn set_takes(&self, takes: Duration) {
        self.inner().takes = takes;
    }

    /// The loads that begin from now on fail, or succeed.
    pub fn set_failing(&self, failing: bool) {
        self.inner().failing = failing;
    }

    /// How many loads have begun.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner().loads.len()
    }

    /// All loads that have begun, in that order.
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        self.inner().loads.clone()
    }
}

impl Source for FakeSource {
    fn load(&self, key: &str) -> BoxFuture<'static, Result<String, LoadError>> {
        let (source, key) = (self.clone(), key.to_owned());
        Box::pin(async move {
            let (takes, failing, number) = {
                let mut inner = source.inner();
                inner.loads.push(Load {
                    key: key.clone(),
                    began: Instant::now(),
                    state: LoadState::InFlight,
                });
                (inner.takes, inner.failing, inner.loads.len())
            };
            let mut under_way = UnderWay {
                source,
                number,
                end: LoadState::Dropped,
            };
            sleep(takes).await;
            let words = format!("{key} {number}");
            if failing {
                under_way.end = LoadState::Failed;
                return Err(LoadError(words));
            }
            under_way.end = LoadState::Succeeded;
            Ok(words)
        })
    }
}

/// Writes down how its load has ended, when it is dropped.
struct UnderWay {
    source: FakeSource,
    number: usize,
    end: LoadState,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(load) = self.source.inner().loads.get_mut(self.number - 1) {
            load.state = self.end;
        }
    }
}
