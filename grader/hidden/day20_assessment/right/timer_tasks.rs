//! right: a task for each lease and each delay, and permits for what is ready

mod given;
pub use given::*;

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
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
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

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
/// `notify_waiters` leaves none, and reaches each `Notified` that was made before.
pub fn answer_i3() -> &'static str {
    "heard@0 silence@50 silence@100 heard@100"
}

/// Question I4: whoever comes after a writer that waits, waits behind it.
pub fn answer_i4() -> &'static str {
    "taken@60 first@100 written@130 second@160 third@175"
}

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

/// A queue: timers are tasks, which end when nobody needs them.
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    state: Mutex<State>,
    // A permit for each job that is ready. Closed when none will ever come.
    ready: Semaphore,
    unfinished: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    ready: BTreeMap<(Reverse<u8>, u64), Entry>,
    delayed: BTreeMap<u64, (Entry, AbortOnDropHandle<()>)>,
    leased: BTreeMap<u64, Held>,
    dead: Vec<Dead>,
    accepted: u64,
    leases: u64,
    closed: bool,
}

struct Held {
    entry: Entry,
    until: Instant,
    _timer: AbortOnDropHandle<()>,
}

struct Entry {
    job: Job,
    attempt: u32,
}

impl Inner {
    fn offer(&self, state: &mut State, entry: Entry) {
        let place = (Reverse(entry.job.priority), entry.job.id);
        state.ready.insert(place, entry);
        self.ready.add_permits(1);
    }

    /// Tells the drain how many are left, and those who wait if none is.
    fn tell(&self, state: &State) {
        let left = state.ready.len() + state.delayed.len() + state.leased.len();
        self.unfinished.send_replace(left);
        if state.closed && left == 0 {
            self.ready.close();
        }
    }

    fn ended_badly(self: &Arc<Self>, state: &mut State, entry: Entry, at: Instant, reason: &str) {
        if entry.attempt == self.settings.attempts.get() {
            let reason = reason.to_owned();
            state.dead.push(Dead {
                job: entry.job,
                reason,
            });
        } else {
            let due = at + self.settings.delay_after(entry.attempt);
            let (inner, id) = (Arc::clone(self), entry.job.id);
            let timer = tokio::spawn(async move {
                sleep_until(due).await;
                let mut state = locked(&inner.state);
                if let Some((entry, _timer)) = state.delayed.remove(&id) {
                    inner.offer(&mut state, entry);
                }
            });
            state
                .delayed
                .insert(id, (entry, AbortOnDropHandle::new(timer)));
        }
        self.tell(state);
    }

    /// A good lease, taken out.
    fn answered(&self, state: &mut State, lease: u64) -> Result<Entry, LeaseLost> {
        match state.leased.get(&lease) {
            Some(held) if Instant::now() < held.until => {}
            // It is not good, or will be taken out by its timer at this very instant.
            _ => return Err(LeaseLost),
        }
        let held = state.leased.remove(&lease);
        Ok(held.ok_or(LeaseLost)?.entry)
    }

    fn make_lease(self: &Arc<Self>) -> Option<Lease> {
        let mut state = locked(&self.state);
        let (_, mut entry) = state.ready.pop_first()?;
        entry.attempt += 1;
        state.leases += 1;
        let id = state.leases;
        let until = Instant::now() + self.settings.lease;
        let inner = Arc::clone(self);
        let timer = tokio::spawn(async move {
            sleep_until(until).await;
            let mut state = locked(&inner.state);
            if let Some(held) = state.leased.remove(&id) {
                inner.ended_badly(&mut state, held.entry, until, EXPIRED);
            }
        });
        let lease = Lease {
            id,
            job: entry.job.clone(),
            attempt: entry.attempt,
            until,
        };
        let held = Held {
            entry,
            until,
            _timer: AbortOnDropHandle::new(timer),
        };
        state.leased.insert(id, held);
        Some(lease)
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: Settings) -> Self {
        let inner = Arc::new(Inner {
            settings,
            state: Mutex::default(),
            ready: Semaphore::new(0),
            unfinished: watch::Sender::new(0),
        });
        Self { inner }
    }

    /// Takes a job in.
    ///
    /// # Errors
    /// `Full` or `Closed`.
    pub fn push(&self, priority: u8, payload: Arc<str>) -> Result<u64, PushError> {
        let mut state = locked(&self.inner.state);
        if state.closed {
            return Err(PushError::Closed);
        }
        let kept = state.ready.len() + state.delayed.len() + state.leased.len() + state.dead.len();
        if kept >= self.inner.settings.capacity.get() {
            return Err(PushError::Full);
        }
        state.accepted += 1;
        let id = state.accepted;
        let job = Job {
            id,
            priority,
            payload,
        };
        self.inner.offer(&mut state, Entry { job, attempt: 0 });
        self.inner.tell(&state);
        Ok(id)
    }

    /// Waits for a job.
    pub async fn lease(&self) -> Option<Lease> {
        // Dropped here, a permit that was meant for this one goes to the next.
        self.inner.ready.acquire().await.ok()?.forget();
        self.inner.make_lease()
    }

    /// The job is done.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn done(&self, lease: u64) -> Result<(), LeaseLost> {
        let mut state = locked(&self.inner.state);
        self.inner.answered(&mut state, lease)?;
        self.inner.tell(&state);
        Ok(())
    }

    /// The attempt failed.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn failed(&self, lease: u64, reason: &str) -> Result<(), LeaseLost> {
        let mut state = locked(&self.inner.state);
        let entry = self.inner.answered(&mut state, lease)?;
        let now = Instant::now();
        self.inner.ended_badly(&mut state, entry, now, reason);
        Ok(())
    }

    /// Takes the dead letters out.
    pub fn take_dead(&self) -> Vec<Dead> {
        std::mem::take(&mut locked(&self.inner.state).dead)
    }

    /// Drains the queue.
    pub async fn drain(&self, grace: Duration) -> Vec<Job> {
        let mut unfinished = self.inner.unfinished.subscribe();
        {
            let mut state = locked(&self.inner.state);
            state.closed = true;
            self.inner.tell(&state);
        }
        if timeout(grace, unfinished.wait_for(|left| *left == 0))
            .await
            .is_ok()
        {
            return Vec::new();
        }
        let mut state = locked(&self.inner.state);
        let mut left: Vec<Job> = Vec::new();
        let ready = std::mem::take(&mut state.ready);
        left.extend(ready.into_values().map(|entry| entry.job));
        let delayed = std::mem::take(&mut state.delayed);
        left.extend(delayed.into_values().map(|(entry, _timer)| entry.job));
        let leased = std::mem::take(&mut state.leased);
        left.extend(leased.into_values().map(|held| held.entry.job));
        left.sort_by_key(|job| job.id);
        self.inner.tell(&state);
        left
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
    match timeout(queue.inner.settings.poll, queue.lease()).await {
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
