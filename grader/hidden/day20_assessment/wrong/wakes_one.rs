//! wrong: wakes one of those who wait, for whatever has changed
//! fails: a drain takes no more, and ends with the last job: failed
//! fails: the API says what the queue says, at the same instants: failed
//! pitfall: lost-wakeup

mod given;
pub use given::*;

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

// ------------------------------------------------- Task 1: predict

/// Question I1: a `broadcast` keeps the last two for a receiver that is late, and
/// tells it how many it missed. A `watch` keeps the last one, and tells nothing.
pub fn answer_i1() -> &'static str {
    "missed_3@0 got_4@10 got_5@20 closed@30 saw_1@40 saw_3@65 saw_5@90 over@115"
}

/// Question I2: the line is fair. The free seat belongs to the family, which comes
/// first, until it has three, or gives up.
pub fn answer_i2() -> &'static str {
    "taken@30 family@60 single@110 closing@160 taken@190 single@200 closing@250"
}

/// Question I3: `notify_one` leaves one permit, however often it is called;
/// `notify_one` leaves none, and reaches each `Notified` that was made before.
pub fn answer_i3() -> &'static str {
    "heard@0 silence@50 silence@100 heard@100"
}

/// Question I4: whoever comes after a writer that waits, waits behind it.
pub fn answer_i4() -> &'static str {
    "taken@60 first@100 written@130 second@160 third@175"
}

// ------------------------------------------------- Task 2: spot and choose

/// How many lines and rows each of the two queues of [`ingest`] holds.
const QUEUE: usize = 4;

/// Question I5: reads lines, parses them, and stores a row for each, in order.
///
/// Both queues are bounded: a bound behind an unbounded queue only moves the heap.
pub async fn ingest(mut lines: BoxStream<'static, String>, store: Arc<dyn Store>) {
    let (raw, mut to_parse) = mpsc::channel(QUEUE);
    let (rows, mut to_store) = mpsc::channel(QUEUE);
    let reading = async move {
        while let Some(line) = lines.next().await {
            let _ = raw.send(line).await;
        }
    };
    let parsing = async move {
        while let Some(line) = to_parse.recv().await {
            let _ = rows.send(line.len()).await;
        }
    };
    let storing = async move {
        while let Some(row) = to_store.recv().await {
            store.put(row).await;
        }
    };
    tokio::join!(reading, parsing, storing);
}

/// Question I5: the queue of rows.
pub fn answer_i5() -> u32 {
    3
}

/// Question I6: a circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    cool_down: Duration,
    state: Mutex<BreakerState>,
}

#[derive(Debug, Clone, Copy)]
enum BreakerState {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

impl Breaker {
    /// A closed breaker, which stays open for `cool_down` after a failure.
    pub fn new(cool_down: Duration) -> Self {
        let state = Mutex::new(BreakerState::Closed);
        Self { cool_down, state }
    }

    /// Makes the call, if the breaker lets it through.
    ///
    /// # Errors
    /// `Rejected`: it is open, or somebody else tries; `Failed`: the call's own error.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let Some(visit) = self.enter() else {
            return Err(CallError::Rejected);
        };
        let outcome = call.await;
        visit.leave(outcome.is_ok());
        outcome.map_err(CallError::Failed)
    }

    fn state(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Option<Visit<'_>> {
        let mut state = self.state();
        let is_probe = match *state {
            BreakerState::Closed => false,
            BreakerState::Open { until } if until <= Instant::now() => {
                *state = BreakerState::HalfOpen;
                true
            }
            BreakerState::Open { .. } | BreakerState::HalfOpen => return None,
        };
        Some(Visit {
            breaker: self,
            is_probe,
        })
    }
}

/// A call under way. A probe that is dropped on its way lets the next one try.
struct Visit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Visit<'_> {
    fn leave(mut self, well: bool) {
        self.is_probe = false; // nothing is left for `drop` to do
        *self.breaker.state() = if well {
            BreakerState::Closed
        } else {
            let until = Instant::now() + self.breaker.cool_down;
            BreakerState::Open { until }
        };
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            let until = Instant::now();
            *self.breaker.state() = BreakerState::Open { until };
        }
    }
}

/// Question I6: the await between `enter` and `leave`.
pub fn answer_i6() -> u32 {
    8
}

/// Question I9: waiting is for async, computing for threads, what may crash or has a
/// global lock for processes.
pub fn answer_i9() -> [Model; 5] {
    [
        Model::Async,
        Model::Threads,
        Model::Processes,
        Model::Threads,
        Model::Processes,
    ]
}

// ------------------------------------------------- Task 3: complete

/// A future that an executor runs.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Question I7: an executor. It owns the futures; wakers know only their numbers.
#[derive(Default)]
pub struct Executor {
    futures: BTreeMap<usize, (Task, Arc<Flag>)>,
    ready: Arc<Mutex<VecDeque<usize>>>,
    spawned: usize,
}

/// What a waker has: its future's number, and the queue to put that into.
struct Flag {
    number: usize,
    queued: AtomicBool,
    ready: Arc<Mutex<VecDeque<usize>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            locked(&self.ready).push_back(self.number);
        }
    }
}

impl Executor {
    /// An executor without futures.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a future. It stands at the end of the ready queue.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let flag = Arc::new(Flag {
            number: self.spawned,
            queued: AtomicBool::new(false),
            ready: Arc::clone(&self.ready),
        });
        self.spawned += 1;
        Arc::clone(&flag).wake();
        self.futures.insert(flag.number, (Box::pin(future), flag));
    }

    /// Polls the futures in the ready queue until it is empty, and tells how many have
    /// not ended.
    pub fn run(&mut self) -> usize {
        loop {
            // On a line of its own: in a `while let` the lock would be held by the poll.
            let next = locked(&self.ready).pop_front();
            let Some(number) = next else {
                return self.futures.len();
            };
            let Some((future, flag)) = self.futures.get_mut(&number) else {
                continue; // it has ended, and was woken after that
            };
            // Before the poll: a wake that comes during it counts.
            flag.queued.store(false, Ordering::Release);
            let waker = Waker::from(Arc::clone(flag));
            if future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                self.futures.remove(&number);
            }
        }
    }
}

/// Question I8: first whoever brings work, last whatever others use.
pub async fn shut_down(server: &dyn Server, grace: Duration) {
    server.stop_accepting();
    if timeout(grace, server.requests_done()).await.is_err() {
        server.abort_requests();
    }
    server.finish_jobs().await;
    server.close_database().await;
    server.flush_log().await;
}

/// Question I10: runs all jobs at the same time; the first error ends the others.
///
/// # Errors
/// The first one.
pub async fn gather<T, E>(jobs: Vec<BoxFuture<'static, Result<T, E>>>) -> Result<Vec<T>, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let mut outputs: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let mut tasks = JoinSet::new();
    for (place, job) in jobs.into_iter().enumerate() {
        tasks.spawn(async move { (place, job.await) });
    }
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((place, Ok(output))) => outputs[place] = Some(output),
            Ok((_, Err(error))) => {
                // Aborts the others, and waits until they are gone.
                tasks.shutdown().await;
                return Err(error);
            }
            Err(error) => {
                tasks.shutdown().await;
                resume_unwind(error.into_panic());
            }
        }
    }
    Ok(outputs.into_iter().flatten().collect())
}

// ------------------------------------------------- Tasks 4 and 5: a job queue

/// A queue of jobs, from which workers take leases.
pub struct Queue {
    settings: Settings,
    state: Mutex<State>,
    // Told of whatever those who wait might wait for, except that time goes by.
    changed: Notify,
}

/// The jobs, each in exactly one place.
#[derive(Default)]
struct State {
    ready: BTreeMap<(Reverse<u8>, u64), Entry>,
    delayed: BTreeMap<(Instant, u64), Entry>,
    leased: BTreeMap<u64, (Instant, Entry)>,
    dead: Vec<Dead>,
    last_job: u64,
    last_lease: u64,
    closed: bool,
}

struct Entry {
    job: Job,
    /// How many attempts there were, the one under way included.
    attempt: u32,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The state as it is now: what is due by now has happened.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(&self.settings, Instant::now());
        state
    }

    /// Takes a job in, and gives its number.
    ///
    /// # Errors
    /// `Full`: it keeps `capacity` jobs; `Closed`: it is being drained.
    pub fn push(&self, priority: u8, payload: Arc<str>) -> Result<u64, PushError> {
        let mut state = self.now();
        if state.closed {
            return Err(PushError::Closed);
        }
        if state.unfinished() + state.dead.len() >= self.settings.capacity.get() {
            return Err(PushError::Full);
        }
        state.last_job += 1;
        let id = state.last_job;
        let job = Job {
            id,
            priority,
            payload,
        };
        state.offer(Entry { job, attempt: 0 });
        drop(state);
        self.changed.notify_one();
        Ok(id)
    }

    /// Waits for a job; `None`: none will ever come.
    pub async fn lease(&self) -> Option<Lease> {
        loop {
            // Listen first, then look: what happens in between is heard.
            let changed = self.changed.notified();
            let due = {
                let mut state = self.now();
                if let Some(lease) = state.lease(&self.settings) {
                    drop(state);
                    // For whoever waits for the end: there is an expiry to know of.
                    self.changed.notify_one();
                    return Some(lease);
                }
                if state.closed && state.unfinished() == 0 {
                    return None;
                }
                state.next_due()
            };
            wait(changed, due).await;
        }
    }

    /// The job of this lease is done.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn done(&self, lease: u64) -> Result<(), LeaseLost> {
        let answered = self.now().leased.remove(&lease);
        self.changed.notify_one();
        answered.map(drop).ok_or(LeaseLost)
    }

    /// The attempt under this lease failed.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn failed(&self, lease: u64, reason: &str) -> Result<(), LeaseLost> {
        let mut state = self.now();
        let (_, entry) = state.leased.remove(&lease).ok_or(LeaseLost)?;
        state.ended_badly(&self.settings, entry, Instant::now(), reason);
        drop(state);
        // Those who wait have to know of the delay, or of a last job that is dead.
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the dead letters out.
    pub fn take_dead(&self) -> Vec<Dead> {
        std::mem::take(&mut self.now().dead)
    }

    /// Takes no more jobs, and waits until those that it has are done or dead, for
    /// `grace` at most. What is left then is handed back.
    pub async fn drain(&self, grace: Duration) -> Vec<Job> {
        self.now().closed = true;
        self.changed.notify_one();
        if timeout(grace, self.finished()).await.is_ok() {
            return Vec::new();
        }
        let left = self.now().take_unfinished();
        self.changed.notify_one();
        left
    }

    /// Waits until every job is done or dead.
    async fn finished(&self) {
        loop {
            let changed = self.changed.notified();
            let due = {
                let state = self.now();
                if state.unfinished() == 0 {
                    return;
                }
                state.next_due()
            };
            wait(changed, due).await;
        }
    }
}

/// Waits until something changes, or until `due`, if there is such an instant.
async fn wait(changed: impl Future<Output = ()>, due: Option<Instant>) {
    let due = async {
        match due {
            Some(due) => sleep_until(due).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = changed => {}
        () = due => {}
    }
}

impl State {
    /// Lets leases expire and delays be over that are due by `now`.
    fn advance(&mut self, settings: &Settings, now: Instant) {
        // All leases last equally long: the one that was given first expires first.
        while let Some(first) = self.leased.first_entry()
            && first.get().0 <= now
        {
            let (until, entry) = first.remove();
            self.ended_badly(settings, entry, until, EXPIRED);
        }
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            let entry = first.remove();
            self.offer(entry);
        }
    }

    fn offer(&mut self, entry: Entry) {
        let place = (Reverse(entry.job.priority), entry.job.id);
        self.ready.insert(place, entry);
    }

    fn lease(&mut self, settings: &Settings) -> Option<Lease> {
        let (_, mut entry) = self.ready.pop_first()?;
        entry.attempt += 1;
        self.last_lease += 1;
        let lease = Lease {
            id: self.last_lease,
            job: entry.job.clone(),
            attempt: entry.attempt,
            until: Instant::now() + settings.lease,
        };
        self.leased.insert(lease.id, (lease.until, entry));
        Some(lease)
    }

    /// An attempt ended badly at this instant: there is another one, or none is left.
    fn ended_badly(&mut self, settings: &Settings, entry: Entry, at: Instant, reason: &str) {
        if entry.attempt < settings.attempts.get() {
            let due = at + settings.delay_after(entry.attempt);
            self.delayed.insert((due, entry.job.id), entry);
        } else {
            self.dead.push(Dead {
                job: entry.job,
                reason: reason.to_owned(),
            });
        }
    }

    /// How many jobs are neither done nor dead.
    fn unfinished(&self) -> usize {
        self.ready.len() + self.delayed.len() + self.leased.len()
    }

    /// When something happens next by itself.
    fn next_due(&self) -> Option<Instant> {
        let delayed = self.delayed.keys().map(|(due, _)| *due);
        let leased = self.leased.values().map(|(until, _)| *until);
        delayed.take(1).chain(leased.take(1)).min()
    }

    /// Every job that is neither done nor dead, by number; their leases are lost.
    fn take_unfinished(&mut self) -> Vec<Job> {
        let ready = std::mem::take(&mut self.ready).into_values();
        let delayed = std::mem::take(&mut self.delayed).into_values();
        let leased = std::mem::take(&mut self.leased).into_values();
        let entries = ready.chain(delayed).chain(leased.map(|(_, entry)| entry));
        let mut jobs: Vec<Job> = entries.map(|entry| entry.job).collect();
        jobs.sort_by_key(|job| job.id);
        jobs
    }
}

/// The API of a queue.
pub fn app(queue: Arc<Queue>) -> Router {
    Router::new()
        .route("/jobs", post(push))
        .route("/leases", post(lease))
        .route("/leases/{lease}/done", post(done))
        .route("/leases/{lease}/failed", post(failed))
        .with_state(queue)
}

async fn push(Shared(queue): Shared<Arc<Queue>>, Json(job): Json<NewJob>) -> Response {
    match queue.push(job.priority, job.payload.into()) {
        Ok(job) => (StatusCode::ACCEPTED, Json(Accepted { job })).into_response(),
        Err(error @ PushError::Full) => {
            (StatusCode::TOO_MANY_REQUESTS, error.to_string()).into_response()
        }
        Err(error @ PushError::Closed) => {
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
        }
    }
}

async fn lease(Shared(queue): Shared<Arc<Queue>>) -> Response {
    // The handler waits in the request's own future: dropped with it, it takes no
    // job along.
    match timeout(queue.settings.poll, queue.lease()).await {
        Ok(Some(lease)) => Json(Leased::from(lease)).into_response(),
        Ok(None) => StatusCode::GONE.into_response(),
        Err(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn done(Shared(queue): Shared<Arc<Queue>>, Path(lease): Path<u64>) -> StatusCode {
    answered(queue.done(lease))
}

async fn failed(
    Shared(queue): Shared<Arc<Queue>>,
    Path(lease): Path<u64>,
    Json(failure): Json<Failure>,
) -> StatusCode {
    answered(queue.failed(lease, &failure.reason))
}

fn answered(outcome: Result<(), LeaseLost>) -> StatusCode {
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(LeaseLost) => StatusCode::GONE,
    }
}

/// The value behind a lock; nothing panics while it is held.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
