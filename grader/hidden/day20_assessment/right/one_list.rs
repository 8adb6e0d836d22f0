//! right: one list of jobs with their phases, and a `watch` that counts changes

mod given;
pub use given::*;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::future::{BoxFuture, FutureExt, try_join_all};
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

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

/// Question I5: the stream itself holds what is read ahead.
pub async fn ingest(lines: BoxStream<'static, String>, store: Arc<dyn Store>) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(6);
    let reading = async move {
        let mut rows = lines.map(|line| line.len());
        while let Some(row) = rows.next().await {
            if sender.send(row).await.is_err() {
                return;
            }
        }
    };
    let storing = async {
        while let Some(row) = receiver.recv().await {
            store.put(row).await;
        }
    };
    futures::join!(reading, storing);
}

/// Question I5.
pub fn answer_i5() -> u32 {
    3
}

/// Question I6: a breaker that knows when it opened, and who tries.
#[derive(Debug)]
pub struct Breaker {
    cool_down: Duration,
    /// Since when it is open; `None`: it is closed.
    open_since: Mutex<Option<Instant>>,
    probing: AtomicBool,
}

struct Probe<'a>(&'a AtomicBool);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new(cool_down: Duration) -> Self {
        Self {
            cool_down,
            open_since: Mutex::new(None),
            probing: AtomicBool::new(false),
        }
    }

    /// Makes the call, if the breaker lets it through.
    ///
    /// # Errors
    /// `Rejected` or `Failed`.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let open_since = *locked(&self.open_since);
        let _probe = match open_since {
            None => None,
            Some(since) if since + self.cool_down > Instant::now() => {
                return Err(CallError::Rejected);
            }
            Some(_) if self.probing.swap(true, Ordering::SeqCst) => {
                return Err(CallError::Rejected);
            }
            Some(_) => Some(Probe(&self.probing)),
        };
        let outcome = call.await;
        *locked(&self.open_since) = outcome.is_err().then(Instant::now);
        outcome.map_err(CallError::Failed)
    }
}

/// Question I6.
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

/// Question I7: a list of slots, and std's channel as the ready queue.
pub struct Executor {
    slots: Vec<Option<Slot>>,
    ready: std_mpsc::Receiver<usize>,
    sender: std_mpsc::Sender<usize>,
}

struct Slot {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    bell: Arc<Bell>,
}

struct Bell {
    place: usize,
    rung: AtomicBool,
    sender: std_mpsc::Sender<usize>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // If the executor is gone nobody has to be told.
            let _ = self.sender.send(self.place);
        }
    }
}

impl Executor {
    /// An executor without futures.
    pub fn new() -> Self {
        let (sender, ready) = std_mpsc::channel();
        Self {
            slots: Vec::new(),
            ready,
            sender,
        }
    }

    /// Takes a future.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let bell = Arc::new(Bell {
            place: self.slots.len(),
            rung: AtomicBool::new(false),
            sender: self.sender.clone(),
        });
        bell.clone().wake();
        let future = Box::pin(future);
        self.slots.push(Some(Slot { future, bell }));
    }

    /// Polls what is ready.
    pub fn run(&mut self) -> usize {
        while let Ok(place) = self.ready.try_recv() {
            let Some(slot) = &mut self.slots[place] else {
                continue;
            };
            slot.bell.rung.store(false, Ordering::SeqCst);
            let waker = slot.bell.clone().into();
            if let Poll::Ready(()) = slot.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.slots[place] = None;
            }
        }
        self.slots.iter().flatten().count()
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

/// Question I8.
pub async fn shut_down(server: &dyn Server, grace: Duration) {
    let end = Instant::now() + grace;
    server.stop_accepting();
    tokio::select! {
        biased;
        () = server.requests_done() => {}
        () = tokio::time::sleep_until(end) => server.abort_requests(),
    }
    server
        .finish_jobs()
        .then(|()| server.close_database())
        .then(|()| server.flush_log())
        .await;
}

/// Question I10: futures need no tasks.
///
/// # Errors
/// The first one.
pub async fn gather<T, E>(jobs: Vec<BoxFuture<'static, Result<T, E>>>) -> Result<Vec<T>, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    try_join_all(jobs).await
}

/// A queue: a list, looked through from one end to the other.
pub struct Queue {
    settings: Settings,
    jobs: Mutex<Jobs>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct Jobs {
    list: Vec<Entry>,
    accepted: u64,
    leases: u64,
    closed: bool,
}

struct Entry {
    job: Job,
    attempt: u32,
    phase: Phase,
}

enum Phase {
    Ready,
    Delayed { until: Instant },
    Leased { lease: u64, until: Instant },
    Dead { since: Instant, reason: String },
}

impl Entry {
    fn ended_badly(&mut self, at: Instant, reason: &str, settings: &Settings) {
        self.phase = if self.attempt < settings.attempts.get() {
            let until = at + settings.delay_after(self.attempt);
            Phase::Delayed { until }
        } else {
            let reason = reason.to_owned();
            Phase::Dead { since: at, reason }
        };
    }

    fn is_dead(&self) -> bool {
        matches!(self.phase, Phase::Dead { .. })
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            jobs: Mutex::default(),
            version: watch::Sender::new(0),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        let mut jobs = locked(&self.jobs);
        let now = Instant::now();
        for entry in &mut jobs.list {
            if let Phase::Leased { until, .. } = entry.phase
                && until <= now
            {
                entry.ended_badly(until, EXPIRED, &self.settings);
            }
            if let Phase::Delayed { until } = entry.phase
                && until <= now
            {
                entry.phase = Phase::Ready;
            }
        }
        jobs
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Takes a job in.
    ///
    /// # Errors
    /// `Full` or `Closed`.
    pub fn push(&self, priority: u8, payload: Arc<str>) -> Result<u64, PushError> {
        let mut jobs = self.jobs();
        if jobs.closed {
            return Err(PushError::Closed);
        }
        if jobs.list.len() == self.settings.capacity.get() {
            return Err(PushError::Full);
        }
        jobs.accepted += 1;
        let id = jobs.accepted;
        let job = Job {
            id,
            priority,
            payload,
        };
        jobs.list.push(Entry {
            job,
            attempt: 0,
            phase: Phase::Ready,
        });
        drop(jobs);
        self.changed();
        Ok(id)
    }

    /// Looks again and again, until `look` has what it wants.
    async fn until<T>(&self, mut look: impl FnMut(&mut Jobs) -> Option<T>) -> T {
        let mut version = self.version.subscribe();
        loop {
            version.mark_unchanged();
            let due = {
                let mut jobs = self.jobs();
                if let Some(found) = look(&mut jobs) {
                    return found;
                }
                let due = jobs.list.iter().filter_map(|entry| match entry.phase {
                    Phase::Delayed { until } | Phase::Leased { until, .. } => Some(until),
                    Phase::Ready | Phase::Dead { .. } => None,
                });
                due.min()
            };
            match due {
                Some(due) => drop(timeout_at(due, version.changed()).await),
                None => drop(version.changed().await),
            }
        }
    }

    /// Waits for a job.
    pub async fn lease(&self) -> Option<Lease> {
        let good = self.settings.lease;
        let lease = self
            .until(|jobs| {
                let ready = jobs.list.iter_mut();
                let ready = ready.filter(|entry| matches!(entry.phase, Phase::Ready));
                let best = ready.min_by_key(|entry| (Reverse(entry.job.priority), entry.job.id));
                if let Some(entry) = best {
                    jobs.leases += 1;
                    let (id, until) = (jobs.leases, Instant::now() + good);
                    entry.attempt += 1;
                    entry.phase = Phase::Leased { lease: id, until };
                    return Some(Some(Lease {
                        id,
                        job: entry.job.clone(),
                        attempt: entry.attempt,
                        until,
                    }));
                }
                let over = jobs.closed && jobs.list.iter().all(Entry::is_dead);
                over.then_some(None)
            })
            .await;
        self.changed();
        lease
    }

    fn answer(
        &self,
        number: u64,
        answer: impl FnOnce(&mut Vec<Entry>, usize),
    ) -> Result<(), LeaseLost> {
        let mut jobs = self.jobs();
        let place = jobs.list.iter().position(
            |entry| matches!(entry.phase, Phase::Leased { lease, .. } if lease == number),
        );
        answer(&mut jobs.list, place.ok_or(LeaseLost)?);
        drop(jobs);
        self.changed();
        Ok(())
    }

    /// The job is done.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn done(&self, lease: u64) -> Result<(), LeaseLost> {
        self.answer(lease, |list, place| drop(list.swap_remove(place)))
    }

    /// The attempt failed.
    ///
    /// # Errors
    /// The lease is not good.
    pub fn failed(&self, lease: u64, reason: &str) -> Result<(), LeaseLost> {
        self.answer(lease, |list, place| {
            list[place].ended_badly(Instant::now(), reason, &self.settings);
        })
    }

    /// Takes the dead letters out.
    pub fn take_dead(&self) -> Vec<Dead> {
        let mut jobs = self.jobs();
        let (dead, rest) = std::mem::take(&mut jobs.list)
            .into_iter()
            .partition::<VecDeque<_>, _>(Entry::is_dead);
        jobs.list = rest.into();
        let mut dead: Vec<_> = dead
            .into_iter()
            .filter_map(|entry| match entry.phase {
                Phase::Dead { since, reason } => Some((
                    since,
                    Dead {
                        job: entry.job,
                        reason,
                    },
                )),
                _ => None,
            })
            .collect();
        dead.sort_by_key(|(since, _)| *since);
        dead.into_iter().map(|(_, dead)| dead).collect()
    }

    /// Drains the queue.
    pub async fn drain(&self, grace: Duration) -> Vec<Job> {
        self.jobs().closed = true;
        self.changed();
        let finished = self.until(|jobs| jobs.list.iter().all(Entry::is_dead).then_some(()));
        tokio::select! {
            () = finished => Vec::new(),
            () = sleep(grace) => {
                let mut jobs = self.jobs();
                let list = std::mem::take(&mut jobs.list);
                let (dead, left): (Vec<_>, Vec<_>) = list.into_iter().partition(Entry::is_dead);
                jobs.list = dead;
                drop(jobs);
                self.changed();
                let mut left: Vec<Job> = left.into_iter().map(|entry| entry.job).collect();
                left.sort_by_key(|job| job.id);
                left
            }
        }
    }
}

/// The API of a queue.
pub fn app(queue: Arc<Queue>) -> Router {
    async fn push(Extract(queue): Extract<Arc<Queue>>, Json(new): Json<NewJob>) -> Response {
        let job = match queue.push(new.priority, new.payload.into()) {
            Ok(job) => job,
            Err(PushError::Full) => return StatusCode::TOO_MANY_REQUESTS.into_response(),
            Err(PushError::Closed) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        };
        (StatusCode::ACCEPTED, Json(Accepted { job })).into_response()
    }

    async fn lease(Extract(queue): Extract<Arc<Queue>>) -> Result<Json<Leased>, StatusCode> {
        tokio::select! {
            biased;
            lease = queue.lease() => lease.map(|lease| Json(lease.into())).ok_or(StatusCode::GONE),
            () = sleep(queue.settings.poll) => Err(StatusCode::NO_CONTENT),
        }
    }

    let done = |Extract(queue): Extract<Arc<Queue>>, Path(lease): Path<u64>| async move {
        queue
            .done(lease)
            .map_or(StatusCode::GONE, |()| StatusCode::NO_CONTENT)
    };
    let failed = |Extract(queue): Extract<Arc<Queue>>,
                  Path(lease): Path<u64>,
                  Json(failure): Json<Failure>| async move {
        let failed = queue.failed(lease, &failure.reason);
        failed.map_or(StatusCode::GONE, |()| StatusCode::NO_CONTENT)
    };
    let leases = Router::new()
        .route("/", post(lease))
        .route("/{lease}/done", post(done))
        .route("/{lease}/failed", post(failed));
    Router::new()
        .nest("/leases", leases)
        .route("/jobs", post(push))
        .with_state(queue)
}

/// The value behind a lock; nothing panics while it is held.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
