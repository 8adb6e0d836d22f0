//! Given, not to be changed: the questions' code, and the web that is crawled.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout};

// ------------------------------------------- task 1: the questions to predict

/// `n` milliseconds.
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Question 1: two futures are made, one of them is awaited.
pub async fn q1(log: Log) {
    async fn brew(log: &Log, what: &str) {
        log.note(what);
        sleep(ms(100)).await;
        log.note("ready");
    }

    let tea = brew(&log, "tea");
    let coffee = brew(&log, "coffee");
    log.note("a");
    tea.await;
    drop(coffee);
    log.note("b");
}

/// Question 2: two naps of 100 and 200 ms, four times.
pub async fn q2(log: Log) {
    async fn nap(length: Duration) {
        sleep(length).await;
    }

    nap(ms(100)).await;
    nap(ms(200)).await;
    log.note("sequence");

    tokio::join!(nap(ms(100)), nap(ms(200)));
    log.note("joined");

    let (short, long) = (nap(ms(100)), nap(ms(200)));
    short.await;
    long.await;
    log.note("calls");

    let (short, long) = (sleep(ms(100)), sleep(ms(200)));
    short.await;
    long.await;
    log.note("sleeps");
}

/// Question 4: two guards inside a timeout of one second.
pub async fn q4(log: Log) {
    let work = async {
        let _coat = log.on_drop("coat");
        sleep(ms(400)).await;
        log.note("seated");
        let _plate = log.on_drop("plate");
        sleep(ms(5000)).await;
        log.note("full");
    };
    let outcome = timeout(ms(1000), work).await;
    log.note(if outcome.is_ok() { "in_time" } else { "late" });
    sleep(ms(100)).await;
    log.note("gone");
}

/// Question 6: two tasks, and what becomes of their handles.
pub async fn q6(log: Log) {
    async fn work(log: Log, what: &str, length: Duration) {
        let _bell = log.on_drop("bell");
        sleep(length).await;
        log.note(what);
    }

    let handle = tokio::spawn(work(log.clone(), "errand", ms(300)));
    drop(handle);
    log.note("dropped");
    sleep(ms(50)).await;

    let handle = tokio::spawn(work(log.clone(), "parcel", ms(200)));
    let outcome = timeout(ms(100), handle).await;
    log.note(if outcome.is_ok() { "in_time" } else { "late" });
    sleep(ms(250)).await;
    log.note("end");
}

/// A notebook: what happened, and when. A clone is the same notebook.
#[derive(Debug, Clone)]
pub struct Log {
    began: Instant,
    events: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// An empty notebook, whose time begins now. Needs the tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Arc::default(),
        }
    }

    /// Notes that `event` happens now.
    pub fn note(&self, event: &str) {
        let at_ms = self.began.elapsed().as_millis();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(format!("{event}@{at_ms}"));
    }

    /// A guard that notes `event` when it is dropped.
    #[must_use = "a guard that is not kept is dropped at once"]
    pub fn on_drop(&self, event: &'static str) -> Noted {
        let log = self.clone();
        Noted { log, event }
    }

    /// All that was noted, in order, as an answer is written: `a@0 b@100`.
    #[must_use]
    pub fn events(&self) -> String {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.join(" ")
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// Notes its event when it is dropped.
#[derive(Debug)]
pub struct Noted {
    log: Log,
    event: &'static str,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.log.note(self.event);
    }
}

// ------------------------------------------------- task 2: a café and a ledger

/// Question 3: a café, which opens late and has few seats.
#[derive(Debug, Default)]
pub struct Cafe {
    /// Whether the door is open.
    pub open: bool,
    /// How many more may sit down.
    pub free_seats: usize,
    waiting: Vec<Waker>,
}

impl Cafe {
    /// Opens the door, and wakes everybody who waits.
    pub fn open_up(&mut self) {
        self.open = true;
        self.wake_all();
    }

    /// Somebody gets up: one more seat is free. Wakes everybody who waits.
    pub fn get_up(&mut self) {
        self.free_seats += 1;
        self.wake_all();
    }

    /// Puts a waker on the list of those who wait.
    pub fn wait(&mut self, waker: &Waker) {
        self.waiting.push(waker.clone());
    }

    fn wake_all(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// Question 5: a ledger, which is read sheet by sheet.
pub trait Ledger: Send + Sync {
    /// Fetches the sheet of this number; the first is number 1. Takes a while,
    /// and may fail.
    fn sheet(&self, number: u32) -> BoxFuture<'_, Result<Sheet, Torn>>;
}

/// One sheet of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// What is written on it.
    pub sums: Vec<u32>,
    /// The number of the sheet that follows; `None` on the last one. Numbers
    /// may be left out.
    pub next: Option<u32>,
}

/// The sheet of this number cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn(
    /// Its number.
    pub u32,
);

// ------------------------------------------------------ tasks 3 to 5: the web

/// Where a page is: `host/path`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    host: String,
    path: String,
}

impl Url {
    /// The page `path` at `host`. Both are taken as they are: two addresses are
    /// the same page if they are equal, and not otherwise.
    #[must_use]
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Self {
        let (host, path) = (host.into(), path.into());
        Self { host, path }
    }

    /// Who serves the page.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whoever fetches pages.
pub trait Fetch: Send + Sync {
    /// Fetches a page. Takes a while, and may fail.
    ///
    /// Nothing happens before the future is polled; dropping it gives the call
    /// up at that moment. It does not borrow the address.
    fn fetch<'a>(&'a self, url: &Url) -> BoxFuture<'a, Result<Page, FetchError>>;
}

/// A page as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it is called.
    pub title: String,
    /// Where it links to, in order. A link may come twice, or lead back.
    pub links: Vec<Url>,
}

/// Why a page was not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchError(
    /// In the host's own words.
    pub String,
);

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no page: {}", self.0)
    }
}

impl Error for FetchError {}

/// How far a crawl may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The depth of the deepest pages that are fetched; the seed's depth is 0.
    pub depth: usize,
    /// How many calls may be in flight at one host.
    pub per_host: NonZeroUsize,
    /// When the crawl returns at the latest, from its first poll on.
    pub deadline: Duration,
}

/// What a crawl has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The pages that were fetched.
    pub pages: BTreeMap<Url, Visit>,
    /// The pages whose call failed.
    pub failed: BTreeMap<Url, FetchError>,
    /// The pages that were known to be within the depth, but whose call had not
    /// ended, or not even begun, at the deadline.
    pub unfinished: BTreeSet<Url>,
}

/// A page that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// What it is called.
    pub title: String,
    /// How many links the shortest known way from the seed has.
    pub depth: usize,
}
