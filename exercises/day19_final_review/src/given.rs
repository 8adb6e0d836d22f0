//! Given, not to be changed: the questions' code, and the jobs of the runner.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

// ------------------------------------------- task 1: the questions to predict

/// `n` milliseconds.
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Question 1: two futures are made, and one of them is awaited late.
pub async fn q1(log: Log) {
    async fn fetch(log: &Log, what: &str, length: Duration) {
        log.note(what);
        sleep(length).await;
        log.note("got");
    }

    let bread = fetch(&log, "bread", ms(70));
    let milk = fetch(&log, "milk", ms(30));
    log.note("list");
    sleep(ms(20)).await;
    milk.await;
    drop(bread);
    log.note("home");
}

/// Question 2: naps in `async fn`s, and bare sleeps.
pub async fn q2(log: Log) {
    async fn nap(length: Duration) {
        sleep(length).await;
    }

    let (call, bare) = (nap(ms(40)), sleep(ms(60)));
    sleep(ms(50)).await;
    call.await;
    bare.await;
    log.note("mixed");

    tokio::join!(nap(ms(80)), async {
        nap(ms(30)).await;
        nap(ms(30)).await;
    });
    log.note("joined");

    let (bare, call) = (sleep(ms(100)), nap(ms(40)));
    call.await;
    bare.await;
    log.note("sleeps");
}

/// Question 4: guards inside a timeout of 300 ms.
pub async fn q4(log: Log) {
    let work = async {
        let _coat = log.on_drop("coat");
        {
            let _key = log.on_drop("key");
            sleep(ms(120)).await;
        }
        log.note("inside");
        let _lamp = log.on_drop("lamp");
        sleep(ms(400)).await;
        log.note("read");
    };
    let outcome = timeout(ms(300), work).await;
    log.note(if outcome.is_ok() { "in_time" } else { "late" });
    sleep(ms(50)).await;
    log.note("gone");
}

/// Question 6: a handle that is lent to a timeout, and one that is given to it.
pub async fn q6(log: Log) {
    async fn work(log: Log, what: &str, length: Duration) {
        let _bell = log.on_drop("bell");
        sleep(length).await;
        log.note(what);
    }

    let mut handle = tokio::spawn(work(log.clone(), "lent", ms(120)));
    let outcome = timeout(ms(50), &mut handle).await;
    log.note(if outcome.is_ok() { "in_time" } else { "late" });
    let outcome = handle.await;
    log.note(if outcome.is_ok() { "well" } else { "cut" });

    let handle = tokio::spawn(work(log.clone(), "given", ms(70)));
    let outcome = timeout(ms(30), handle).await;
    log.note(if outcome.is_ok() { "in_time" } else { "late" });
    sleep(ms(100)).await;
    log.note("end");
}

/// Question 7: two tasks, `abort_all` at 30 ms, and one that is aborted before
/// its first poll.
pub async fn q7(log: Log) {
    async fn job(log: Log, done: &'static str, length: Duration, ticket: Noted) {
        log.note("begin");
        let _lamp = log.on_drop("lamp");
        sleep(length).await;
        log.note(done);
        drop(ticket);
    }

    let mut set = JoinSet::new();
    set.spawn(job(log.clone(), "quick", ms(20), log.on_drop("ticket")));
    sleep(ms(10)).await;
    set.spawn(job(log.clone(), "slow", ms(60), log.on_drop("voucher")));
    sleep(ms(20)).await;
    set.abort_all();
    log.note("aborted");
    while let Some(joined) = set.join_next().await {
        log.note(if joined.is_ok() { "well" } else { "cut" });
    }

    let handle = set.spawn(job(log.clone(), "never", ms(60), log.on_drop("coupon")));
    handle.abort();
    sleep(ms(15)).await;
    log.note("end");
}

/// Question 8: the loser of a `select!` in a loop, by value and by reference.
pub async fn q8(log: Log) {
    async fn bake(log: Log, done: &'static str, gone: &'static str) {
        let _oven = log.on_drop(gone);
        sleep(ms(120)).await;
        log.note(done);
    }

    for _ in 0..2 {
        tokio::select! {
            () = bake(log.clone(), "bread", "cold") => break,
            () = sleep(ms(90)) => log.note("look"),
        }
    }
    log.note("first");

    let mut baking = pin!(bake(log.clone(), "cake", "off"));
    for _ in 0..2 {
        tokio::select! {
            () = &mut baking => break,
            () = sleep(ms(90)) => log.note("look"),
        }
    }
    log.note("second");
}

/// Question 12: a call of 20 ms that fails, five times, with a delay that grows
/// up to a limit.
pub async fn q12(log: Log) {
    let mut delay = ms(50);
    for attempt in 1..=5 {
        log.note("try");
        sleep(ms(20)).await;
        if attempt == 5 {
            break;
        }
        sleep(delay).await;
        delay = (delay * 3).min(ms(400));
    }
    log.note("gave_up");
}

/// Question 15: an interval of 80 ms that is not asked for 200 ms.
pub async fn q15(log: Log, missed: MissedTickBehavior) {
    let mut ticks = interval(ms(80));
    ticks.set_missed_tick_behavior(missed);
    ticks.tick().await;
    log.note("stall");
    sleep(ms(200)).await;
    for _ in 0..4 {
        ticks.tick().await;
        log.note("tick");
    }
}

/// Question 16: the thread sleeps while a timer of 15 ms is set; then a job on
/// a thread of its own, under a timeout.
pub async fn q16(log: Log) {
    let timer = {
        let log = log.clone();
        tokio::spawn(async move {
            sleep(ms(15)).await;
            log.note("timer");
        })
    };
    sleep(ms(5)).await;
    log.note("begin");
    std::thread::sleep(ms(25));
    log.note("slept");
    let job = spawn_blocking(|| std::thread::sleep(ms(25)));
    let outcome = timeout(ms(4), job).await;
    log.note(if outcome.is_ok() { "job" } else { "too_late" });
    let outcome = timer.await;
    log.note(if outcome.is_ok() { "well" } else { "cut" });
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

// ------------------------------------------------- tasks 2 and 3: the others

/// Question 14: a database in memory. Each statement takes 10 ms, and does what
/// it does at its end: dropped before that, it has done nothing.
#[derive(Debug, Default)]
pub struct Db {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    sums: BTreeMap<String, i64>,
    /// The sums as they were when the transaction began.
    before: Option<BTreeMap<String, i64>>,
}

/// A statement was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbError(
    /// In the database's own words.
    pub String,
);

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for DbError {}

impl Db {
    /// A database with these accounts.
    #[must_use]
    pub fn new(sums: &[(&str, i64)]) -> Self {
        let own = |&(name, sum): &(&str, i64)| (name.to_owned(), sum);
        let sums = sums.iter().map(own).collect();
        let tables = Tables { sums, before: None };
        Self {
            tables: Mutex::new(tables),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// If one is open already.
    pub async fn begin(&self) -> Result<(), DbError> {
        sleep(ms(10)).await;
        let mut tables = self.tables();
        if tables.before.is_some() {
            return Err(DbError("a transaction is open already".to_owned()));
        }
        tables.before = Some(tables.sums.clone());
        Ok(())
    }

    /// Adds `amount` to an account, within the transaction.
    ///
    /// # Errors
    /// If there is no such account, if its sum would be negative, or if no
    /// transaction is open. The transaction stays open.
    pub async fn add(&self, account: &str, amount: i64) -> Result<(), DbError> {
        sleep(ms(10)).await;
        let mut tables = self.tables();
        if tables.before.is_none() {
            return Err(DbError("no transaction is open".to_owned()));
        }
        let Some(sum) = tables.sums.get_mut(account) else {
            return Err(DbError(format!("there is no account {account}")));
        };
        if *sum + amount < 0 {
            return Err(DbError(format!("{account} has only {sum}")));
        }
        *sum += amount;
        Ok(())
    }

    /// Ends the transaction; what was done in it stays.
    ///
    /// # Errors
    /// If none is open.
    pub async fn commit(&self) -> Result<(), DbError> {
        sleep(ms(10)).await;
        let ended = self.tables().before.take();
        ended
            .map(|_| ())
            .ok_or_else(|| DbError("no transaction is open".to_owned()))
    }

    /// Ends the transaction at once, as if it had never been. Without one,
    /// nothing happens.
    pub fn rollback(&self) {
        let mut tables = self.tables();
        if let Some(before) = tables.before.take() {
            tables.sums = before;
        }
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.tables().before.is_some()
    }

    /// The sum of an account, as it is now.
    #[must_use]
    pub fn sum(&self, account: &str) -> Option<i64> {
        self.tables().sums.get(account).copied()
    }
}

/// Question 5: a meter that is read page by page.
pub trait Meter: Send + Sync {
    /// Fetches the page of this mark; the first page has the mark 0. Takes a
    /// while, and may fail.
    fn page(&self, mark: u64) -> BoxFuture<'_, Result<Readings, Broken>>;
}

/// One page of readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// What was read. May be empty, also if more pages follow.
    pub values: Vec<u32>,
    /// The mark of the page that follows; `None` on the last one.
    pub next: Option<u64>,
}

/// The page of this mark cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(
    /// Its mark.
    pub u64,
);

/// Question 13: what is asked of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Of what.
    pub path: String,
}

/// Question 13: what a service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// As in HTTP: 200 is well, 408 is too late.
    pub status: u16,
    /// What else there is to say.
    pub body: String,
}

/// Question 17: a lamp that goes out by itself.
///
/// - It is off until it is touched.
/// - It is on from a touch on, for 100 ms: at exactly 100 ms it is off.
/// - A touch while it is on counts as well: it is on for 100 ms after the last
///   touch.
/// - Looking changes nothing.
pub trait Lamp {
    /// Somebody touches it.
    fn touch(&mut self);

    /// Whether it is on. (An implementation may keep a note of being asked.)
    fn is_on(&mut self) -> bool;
}

// ------------------------------------------------- tasks 4 to 6: the runner

/// A piece of work, and what has to be done after it in any case.
pub struct Job {
    /// What it is called.
    pub name: String,
    /// The work. It may take long, fail and panic. Dropping it cancels it.
    pub work: BoxFuture<'static, Result<u32, Fault>>,
    /// What follows the work, however that has ended. It takes a while and may
    /// fail; it does not panic.
    pub cleanup: BoxFuture<'static, Result<(), Fault>>,
}

impl Job {
    /// A job of these parts.
    pub fn new(
        name: impl Into<String>,
        work: impl Future<Output = Result<u32, Fault>> + Send + 'static,
        cleanup: impl Future<Output = Result<(), Fault>> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            work: Box::pin(work),
            cleanup: Box::pin(cleanup),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a work or a cleanup failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(
    /// In its own words.
    pub String,
);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Fault {}

/// What went wrong in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The job's name.
    pub job: String,
    /// What it was.
    pub cause: Cause,
}

/// How something went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The work gave an error.
    Failed(Fault),
    /// The work panicked, with these words.
    Panicked(String),
    /// The cleanup gave an error.
    Cleanup(Fault),
}

/// Through which jobs are added to a scope. A clone adds to the same one.
#[derive(Debug, Clone)]
pub struct Crew {
    jobs: UnboundedSender<Job>,
}

/// A crew, and where the jobs come out that are added through it.
#[must_use]
pub fn crew() -> (Crew, UnboundedReceiver<Job>) {
    let (jobs, added) = mpsc::unbounded_channel();
    (Crew { jobs }, added)
}

impl Crew {
    /// Adds a job.
    ///
    /// # Errors
    /// If the receiver is closed or gone: the job comes back, untouched.
    pub fn add(&self, job: Job) -> Result<(), Job> {
        self.jobs.send(job).map_err(|refused| refused.0)
    }
}

/// The runner that you replace. It returns at once; `on_each` is called for each
/// job that ends, `on_all` after the last one.
pub fn run_with_callbacks(
    jobs: Vec<Job>,
    on_each: impl Fn(&str, Result<u32, Fault>) + Send + Sync + 'static,
    on_all: impl Fn() + Send + Sync + 'static,
) {
    let left = Arc::new(AtomicUsize::new(jobs.len()));
    let (on_each, on_all) = (Arc::new(on_each), Arc::new(on_all));
    for job in jobs {
        let (left, on_each, on_all) = (Arc::clone(&left), on_each.clone(), on_all.clone());
        tokio::spawn(async move {
            let outcome = job.work.await;
            on_each(&job.name, outcome);
            tokio::spawn(job.cleanup);
            if left.fetch_sub(1, SeqCst) == 1 {
                on_all();
            }
        });
    }
}
