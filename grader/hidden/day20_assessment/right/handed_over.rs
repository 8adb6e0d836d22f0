//! right: jobs are assigned to those who wait, and come back from those who leave

mod given;
pub use given::*;

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

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

/// A queue: whoever waits has a place in a line, into which a job is put.
pub struct Queue {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: BTreeMap<(Reverse<u8>, u64), Entry>,
    delayed: Vec<(Instant, Entry)>,
    leased: VecDeque<(Lease, Entry)>,
    dead: Vec<Dead>,
    line: BTreeMap<u64, Place>,
    accepted: u64,
    leases: u64,
    places: u64,
    closed: bool,
    /// Whether there is something that those in the line have to look at.
    changed: bool,
}

/// A place in the line: of somebody who waits for a job, or for the end.
#[derive(Default)]
struct Place {
    waker: Option<Waker>,
    for_the_end: bool,
    lease: Option<Lease>,
}

struct Entry {
    job: Job,
    attempt: u32,
}

impl State {
    fn unfinished(&self) -> usize {
        self.ready.len() + self.delayed.len() + self.leased.len()
    }

    /// Brings everything up to now, and gives jobs to those who wait.
    fn settle(&mut self, settings: &Settings) {
        let now = Instant::now();
        while self
            .leased
            .front()
            .is_some_and(|(lease, _)| lease.until <= now)
        {
            if let Some((lease, entry)) = self.leased.pop_front() {
                self.ended_badly(settings, entry, lease.until, EXPIRED);
            }
        }
        let (due, later) = std::mem::take(&mut self.delayed)
            .into_iter()
            .partition(|(until, _)| *until <= now);
        self.delayed = later;
        let due: Vec<(Instant, Entry)> = due;
        for (_, entry) in due {
            self.offer(entry);
        }
        let mut free: Vec<u64> = self
            .line
            .iter()
            .filter(|(_, place)| place.lease.is_none() && !place.for_the_end)
            .map(|(number, _)| *number)
            .collect();
        free.reverse();
        while let Some(number) = free.pop()
            && let Some((_, mut entry)) = self.ready.pop_first()
        {
            entry.attempt += 1;
            self.leases += 1;
            self.changed = true;
            let lease = Lease {
                id: self.leases,
                job: entry.job.clone(),
                attempt: entry.attempt,
                until: now + settings.lease,
            };
            self.leased.push_back((lease.clone(), entry));
            if let Some(place) = self.line.get_mut(&number) {
                place.lease = Some(lease);
            }
        }
        // Whoever is woken looks at the time anew.
        if std::mem::take(&mut self.changed) {
            for place in self.line.values_mut() {
                place.waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }

    fn offer(&mut self, entry: Entry) {
        self.changed = true;
        self.ready
            .insert((Reverse(entry.job.priority), entry.job.id), entry);
    }

    fn ended_badly(&mut self, settings: &Settings, entry: Entry, at: Instant, reason: &str) {
        self.changed = true;
        if entry.attempt < settings.attempts.get() {
            self.delayed
                .push((at + settings.delay_after(entry.attempt), entry));
        } else {
            let reason = reason.to_owned();
            self.dead.push(Dead {
                job: entry.job,
                reason,
            });
        }
    }

    fn take_lease(&mut self, lease: u64) -> Option<Entry> {
        let place = self.leased.iter().position(|(own, _)| own.id == lease)?;
        let (_, entry) = self.leased.remove(place)?;
        self.changed = true;
        Some(entry)
    }

    fn next_due(&self) -> Option<Instant> {
        let leases = self.leased.iter().map(|(lease, _)| lease.until);
        leases
            .chain(self.delayed.iter().map(|(until, _)| *until))
            .min()
    }
}

/// Somebody in the line.
struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.queue.state);
        let place = state.line.remove(&self.number);
        // A job was put here, and nobody has fetched it: as if that had never been.
        if let Some(lease) = place.and_then(|place| place.lease)
            && let Some(mut entry) = state.take_lease(lease.id)
        {
            entry.attempt -= 1;
            state.offer(entry);
            state.settle(&self.queue.settings);
        }
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: Settings) -> Self {
        let state = Mutex::default();
        Self { settings, state }
    }

    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        state.settle(&self.settings);
        state
    }

    /// Takes a job in.
    ///
    /// # Errors
    /// `Full` or `Closed`.
    pub fn push(&self, priority: u8, payload: Arc<str>) -> Result<u64, PushError> {
        let mut state = self.now();
        if state.closed {
            return Err(PushError::Closed);
        }
        if state.unfinished() + state.dead.len() >= self.settings.capacity.get() {
            return Err(PushError::Full);
        }
        state.accepted += 1;
        let id = state.accepted;
        let job = Job {
            id,
            priority,
            payload,
        };
        state.offer(Entry { job, attempt: 0 });
        state.settle(&self.settings);
        Ok(id)
    }

    /// Stands in the line until `leave` has something to leave with.
    async fn stand<T>(&self, for_the_end: bool, leave: impl Fn(&mut State, u64) -> Option<T>) -> T {
        let ticket = {
            let mut state = locked(&self.state);
            state.places += 1;
            let number = state.places;
            let place = Place {
                for_the_end,
                ..Place::default()
            };
            state.line.insert(number, place);
            Ticket {
                queue: self,
                number,
            }
        };
        loop {
            let due = {
                let mut state = self.now();
                if let Some(left) = leave(&mut state, ticket.number) {
                    return left;
                }
                state.next_due()
            };
            let mut first = true;
            let woken = poll_fn(|context| {
                if !std::mem::take(&mut first) {
                    return Poll::Ready(());
                }
                if let Some(place) = locked(&self.state).line.get_mut(&ticket.number) {
                    place.waker = Some(context.waker().clone());
                }
                Poll::Pending
            });
            match due {
                Some(due) => {
                    let mut woken = pin!(woken);
                    tokio::select! {
                        biased;
                        () = &mut woken => {}
                        () = sleep_until(due) => {}
                    }
                }
                None => woken.await,
            }
        }
    }

    /// Waits for a job.
    pub async fn lease(&self) -> Option<Lease> {
        self.stand(false, |state, number| {
            let lease = state.line.get_mut(&number)?.lease.take();
            match lease {
                Some(lease) => Some(Some(lease)),
                None if state.closed && state.unfinished() == 0 => Some(None),
                None => None,
            }
        })
        .await
    }

    /// The job is done.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn done(&self, lease: u64) -> Result<(), LeaseLost> {
        let mut state = self.now();
        state.take_lease(lease).ok_or(LeaseLost)?;
        state.settle(&self.settings);
        Ok(())
    }

    /// The attempt failed.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn failed(&self, lease: u64, reason: &str) -> Result<(), LeaseLost> {
        let mut state = self.now();
        let entry = state.take_lease(lease).ok_or(LeaseLost)?;
        state.ended_badly(&self.settings, entry, Instant::now(), reason);
        state.settle(&self.settings);
        Ok(())
    }

    /// Takes the dead letters out.
    pub fn take_dead(&self) -> Vec<Dead> {
        std::mem::take(&mut self.now().dead)
    }

    /// Drains the queue.
    pub async fn drain(&self, grace: Duration) -> Vec<Job> {
        {
            let mut state = self.now();
            state.closed = true;
            state.changed = true;
            state.settle(&self.settings);
        }
        let end = self.stand(true, |state, _| (state.unfinished() == 0).then_some(()));
        if timeout(grace, end).await.is_ok() {
            return Vec::new();
        }
        let mut state = self.now();
        let mut left: Vec<Entry> = std::mem::take(&mut state.ready).into_values().collect();
        left.extend(state.delayed.drain(..).map(|(_, entry)| entry));
        left.extend(state.leased.drain(..).map(|(_, entry)| entry));
        left.sort_by_key(|entry| entry.job.id);
        state.changed = true;
        state.settle(&self.settings);
        left.into_iter().map(|entry| entry.job).collect()
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
