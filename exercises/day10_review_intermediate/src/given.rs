//! Given, not to be changed: the questions' code, and the service behind the client.

use std::error::Error;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

// ------------------------------------------- task 1: the questions to predict

/// `n` milliseconds.
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Question 7: a `JoinSet` that is dropped, and a task that is aborted.
pub async fn q7(log: Log) {
    async fn job(log: Log, ticket: Noted) {
        log.note("begin");
        let _lamp = log.on_drop("lamp");
        sleep(ms(30)).await;
        log.note("end");
        drop(ticket);
    }

    let mut set = JoinSet::new();
    set.spawn(job(log.clone(), log.on_drop("ticket")));
    sleep(ms(10)).await;
    drop(set);
    sleep(ms(40)).await;
    log.note("next");

    let handle = tokio::spawn(job(log.clone(), log.on_drop("voucher")));
    handle.abort();
    sleep(ms(50)).await;
    let aborted = handle.await.is_err_and(|error| error.is_cancelled());
    log.note(if aborted { "aborted" } else { "well" });
}

/// Question 8: the loser of a `select!`, by value and by reference.
pub async fn q8(log: Log) {
    async fn work(log: Log, done: &'static str, gone: &'static str) {
        let _guard = log.on_drop(gone);
        sleep(ms(300)).await;
        log.note(done);
    }

    tokio::select! {
        () = work(log.clone(), "a_done", "a_gone") => {}
        () = sleep(ms(100)) => {}
    }
    sleep(ms(10)).await;
    log.note("first");

    let mut slow = pin!(work(log.clone(), "b_done", "b_gone"));
    tokio::select! {
        () = &mut slow => {}
        () = sleep(ms(100)) => {}
    }
    log.note("second");
    sleep(ms(250)).await;
    slow.await;
    log.note("third");
}

/// Question 12: a call that fails at once, five times.
pub async fn q12(log: Log) {
    let mut delay = ms(100);
    for attempt in 1..=5 {
        log.note("try");
        if attempt == 5 {
            break;
        }
        sleep(delay).await;
        delay *= 2;
    }
    log.note("gave_up");
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

// ------------------------------------------- tasks 3 to 5: the service behind

/// A service somewhere else, which knows a value for each key.
pub trait Api: Send + Sync + 'static {
    /// Asks for the value of `key`. Takes a while, and may fail.
    ///
    /// The call begins when the future is first polled; dropping it gives the
    /// call up at that moment.
    fn get(&self, key: &str) -> BoxFuture<'static, Result<String, ApiError>>;
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The service is busy: the same call may succeed later.
    Busy(String),
    /// The service refuses: the same call will never succeed.
    Refused(String),
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(message) => write!(f, "busy: {message}"),
            Self::Refused(message) => write!(f, "refused: {message}"),
        }
    }
}

impl Error for ApiError {}

/// What a client may ask of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many calls may begin in any window of the length `per`.
    pub calls: NonZeroUsize,
    /// The length of the window.
    pub per: Duration,
    /// How many calls there are at most for one fetch, the first included.
    pub attempts: NonZeroU32,
    /// The delay after the first busy answer. It doubles with each further one.
    pub first_delay: Duration,
}
