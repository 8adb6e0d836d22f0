//! Given, not to be changed: the questions' code, and the types of the job queue.

use std::error::Error;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, RwLock, Semaphore, broadcast, watch};
use tokio::time::{Instant, sleep, timeout};

// ------------------------------------------- task 1: the questions to predict

/// `n` milliseconds.
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Question I1: a `broadcast` of capacity 2, and a `watch`.
pub async fn i1(log: Log) {
    let (sender, mut receiver) = broadcast::channel(2);
    for number in 1..=5 {
        let _ = sender.send(number);
    }
    drop(sender);
    loop {
        match receiver.recv().await {
            Ok(number) => log.note(&format!("got_{number}")),
            Err(RecvError::Lagged(count)) => log.note(&format!("missed_{count}")),
            Err(RecvError::Closed) => break,
        }
        sleep(ms(10)).await;
    }
    log.note("closed");

    let (sender, mut receiver) = watch::channel(0);
    tokio::spawn(async move {
        for number in 1..=5 {
            sleep(ms(10)).await;
            let _ = sender.send(number);
        }
    });
    while receiver.changed().await.is_ok() {
        let number = *receiver.borrow_and_update();
        log.note(&format!("saw_{number}"));
        sleep(ms(25)).await;
    }
    log.note("over");
}

/// Question I2: three seats, a family of three, and one person.
pub async fn i2(log: Log) {
    /// So many who come, and wait for seats, but not for ever.
    async fn guests(log: &Log, seats: &Semaphore, name: &str, count: u32, come: u64, wait: u64) {
        sleep(ms(come)).await;
        let Ok(taken) = timeout(ms(wait), seats.acquire_many(count)).await else {
            return;
        };
        log.note(name);
        sleep(ms(50)).await;
        drop(taken);
    }

    let seats = Semaphore::new(3);
    for patience in [200, 30] {
        let two = seats.acquire_many(2).await;
        tokio::join!(
            guests(&log, &seats, "family", 3, 10, patience),
            guests(&log, &seats, "single", 1, 20, 200),
            async {
                sleep(ms(30)).await;
                let free = seats.try_acquire().is_ok();
                log.note(if free { "free" } else { "taken" });
                sleep(ms(30)).await;
                drop(two);
            },
        );
        log.note("closing");
    }
}

/// Question I3: a bell that is rung before anybody listens.
pub async fn i3(log: Log) {
    /// Waits for the bell, for 50 ms at most.
    async fn listen(log: &Log, rung: impl Future<Output = ()>) {
        let heard = timeout(ms(50), rung).await.is_ok();
        log.note(if heard { "heard" } else { "silence" });
    }

    let bell = Notify::new();
    bell.notify_one();
    bell.notify_one();
    listen(&log, bell.notified()).await;
    listen(&log, bell.notified()).await;
    bell.notify_waiters();
    listen(&log, bell.notified()).await;
    let rung = bell.notified();
    bell.notify_waiters();
    listen(&log, rung).await;
}

/// Question I4: readers, and a writer who comes between them.
pub async fn i4(log: Log) {
    async fn read(log: &Log, board: &RwLock<u32>, name: &str, come: u64, stay: u64) {
        sleep(ms(come)).await;
        let _guard = board.read().await;
        sleep(ms(stay)).await;
        log.note(name);
    }

    let board = RwLock::new(0);
    tokio::join!(
        read(&log, &board, "first", 0, 100),
        async {
            sleep(ms(10)).await;
            let mut guard = board.write().await;
            sleep(ms(30)).await;
            *guard += 1;
            log.note("written");
        },
        read(&log, &board, "second", 20, 30),
        read(&log, &board, "third", 40, 45),
        async {
            sleep(ms(60)).await;
            let free = board.try_read().is_ok();
            log.note(if free { "free" } else { "taken" });
        },
    );
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

// ------------------------------------------------- task 2: spot and choose

/// Question I5: where rows are kept.
pub trait Store: Send + Sync {
    /// Keeps one row. Takes a while.
    fn put(&self, row: usize) -> BoxFuture<'_, ()>;
}

/// Question I6: why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError<E> {
    /// The breaker let nobody through: there was no call.
    Rejected,
    /// The call was made, and failed.
    Failed(E),
}

/// Question I9: three ways to have several things going at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Tasks on one thread, all items at once.
    Async,
    /// A thread for each item, 256 at most.
    Threads,
    /// Eight processes, one for each core.
    Processes,
}

/// Question I9: a kind of work, and how many pieces of it there are at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// What it is.
    pub name: &'static str,
    /// How many items there are.
    pub items: u32,
    /// How long each waits for others, where the wait can be awaited.
    pub wait_ms: u64,
    /// How long each waits inside a call that keeps its thread.
    pub blocking_ms: u64,
    /// How long each computes.
    pub cpu_ms: u64,
    /// Whether only one of a process computes at a time (a global lock).
    pub global_lock: bool,
    /// Whether one of the items crashes the process that it is in.
    pub crashes: bool,
}

/// Question I9: the five workloads.
pub const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "chat connections",
        items: 1_000,
        wait_ms: 1_000,
        blocking_ms: 0,
        cpu_ms: 0,
        global_lock: false,
        crashes: false,
    },
    Workload {
        name: "thumbnails",
        items: 200,
        wait_ms: 0,
        blocking_ms: 0,
        cpu_ms: 50,
        global_lock: false,
        crashes: false,
    },
    Workload {
        name: "a foreign decoder",
        items: 100,
        wait_ms: 0,
        blocking_ms: 0,
        cpu_ms: 20,
        global_lock: false,
        crashes: true,
    },
    Workload {
        name: "an old database driver",
        items: 64,
        wait_ms: 0,
        blocking_ms: 100,
        cpu_ms: 1,
        global_lock: false,
        crashes: false,
    },
    Workload {
        name: "scripts in an interpreter",
        items: 80,
        wait_ms: 0,
        blocking_ms: 0,
        cpu_ms: 40,
        global_lock: true,
        crashes: false,
    },
];

/// Question I9: what a workload costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// How long it takes until all items are done.
    pub took_ms: u64,
    /// How much memory the tasks, threads or processes take.
    pub memory_mib: u64,
    /// How many items are lost in a crash.
    pub lost: u64,
}

impl Cost {
    /// All in one number: a millisecond costs 1, a mebibyte 1, a lost item 1000.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.took_ms + self.memory_mib + 1_000 * self.lost
    }
}

/// Question I9: runs a workload on a machine with eight cores, in whatever time the
/// runtime has, and gives its cost.
pub async fn simulate(workload: Workload, model: Model) -> Cost {
    const CORES: usize = 8;
    let items = workload.items as usize;
    let (at_once, start_ms, kib_each) = match model {
        Model::Async => (items, 0, 1),
        Model::Threads => (items.min(256), 0, 256),
        Model::Processes => (CORES, 50, 30 * 1024),
    };
    let computing = match model {
        Model::Async => 1,
        Model::Threads if workload.global_lock => 1,
        Model::Threads | Model::Processes => CORES,
    };
    let (places, cores) = (Semaphore::new(at_once), Semaphore::new(computing));
    let item = || async {
        let _place = places.acquire().await;
        sleep(ms(workload.wait_ms)).await;
        if model == Model::Async {
            // All tasks share one thread, and a call that keeps it keeps it from all.
            let _thread = cores.acquire().await;
            sleep(ms(workload.blocking_ms + workload.cpu_ms)).await;
        } else {
            sleep(ms(workload.blocking_ms)).await;
            let _core = cores.acquire().await;
            sleep(ms(workload.cpu_ms)).await;
        }
    };
    let began = Instant::now();
    sleep(ms(start_ms)).await;
    join_all((0..items).map(|_| item())).await;
    let lost = match (workload.crashes, model) {
        (false, _) => 0,
        (true, Model::Processes) => 1,
        // A crash ends the process, and all that is in it.
        (true, Model::Async | Model::Threads) => u64::from(workload.items),
    };
    Cost {
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        memory_mib: (at_once as u64 * kib_each).div_ceil(1024),
        lost,
    }
}

// ------------------------------------------------- task 3: complete

/// Question I8: the parts of a server that is to be shut down.
pub trait Server: Send + Sync {
    /// No request is taken in from now on.
    fn stop_accepting(&self);
    /// Ends when no request is in flight any more.
    fn requests_done(&self) -> BoxFuture<'_, ()>;
    /// Drops the requests that are in flight: they are gone when it returns.
    fn abort_requests(&self);
    /// The worker does the jobs that it has by now, and ends.
    fn finish_jobs(&self) -> BoxFuture<'_, ()>;
    /// Closes the connections to the database.
    fn close_database(&self) -> BoxFuture<'_, ()>;
    /// Writes out the lines that were logged by now, and closes the log.
    fn flush_log(&self) -> BoxFuture<'_, ()>;
}

// ------------------------------------------------- tasks 4 and 5: a job queue

/// What a queue keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many jobs it keeps at most.
    pub capacity: NonZeroUsize,
    /// How long a lease is good.
    pub lease: Duration,
    /// How many attempts a job has, the first included.
    pub attempts: NonZeroU32,
    /// The delay after the first attempt that ended badly.
    pub first_delay: Duration,
    /// How long a request for a lease waits for a job.
    pub poll: Duration,
}

impl Settings {
    /// How long a job waits after attempt number `attempt`: after the first one the
    /// first delay, after the second one twice as long, and so on.
    #[must_use]
    pub fn delay_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first_delay.saturating_mul(1 << doublings)
    }
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number: the first job that a queue accepts is 1, the next one 2.
    pub id: u64,
    /// More is more urgent.
    pub priority: u8,
    /// What is to be done. Clones of it share the memory.
    pub payload: Arc<str>,
}

/// A job that somebody has to do, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The number of the lease. No other lease of the queue ever has it.
    pub id: u64,
    /// What is to be done.
    pub job: Job,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// When the lease expires.
    pub until: Instant,
}

/// A dead letter: a job whose attempts have all ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// What was not done.
    pub job: Job,
    /// How the last attempt ended: what its worker said, or [`EXPIRED`].
    pub reason: String,
}

/// The reason of an attempt whose lease expired.
pub const EXPIRED: &str = "the lease expired";

/// Why a job was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// The queue keeps as many jobs as it may.
    Full,
    /// The queue is being drained, or has been.
    Closed,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::Closed => "the queue takes no more jobs",
        })
    }
}

impl Error for PushError {}

/// The lease is not good: it expired, it was answered before, or there never was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseLost;

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such lease any more")
    }
}

impl Error for LeaseLost {}

/// The body of `POST /jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NewJob {
    /// More is more urgent.
    pub priority: u8,
    /// What is to be done.
    pub payload: String,
}

/// The answer to `POST /jobs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The number of the job.
    pub job: u64,
}

/// The answer to `POST /leases`; `Leased::from(lease)` makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leased {
    /// The number of the lease.
    pub lease: u64,
    /// The number of the job.
    pub job: u64,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// What is to be done.
    pub payload: String,
}

impl From<Lease> for Leased {
    fn from(lease: Lease) -> Self {
        Self {
            lease: lease.id,
            job: lease.job.id,
            attempt: lease.attempt,
            payload: lease.job.payload.to_string(),
        }
    }
}

/// The body of `POST /leases/{lease}/failed`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub reason: String,
}
