//! Day 20: Assessment.
//!
//! Ten interview questions, and a job queue. `README.md` states what each asks for;
//! the code of the questions is in `given.rs` and below.

mod given;
pub use given::*;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

// ------------------------------------------------- Task 1: predict

// What does the code note, and when? Answer with all events in their order, as
// in `"begin@0 end@250"`: name, `@`, milliseconds; a space in between.

/// Question I1: what does [`i1`] note?
pub fn answer_i1() -> &'static str {
    todo!("question I1: what does i1 note, and when?")
}

/// Question I2: what does [`i2`] note?
pub fn answer_i2() -> &'static str {
    todo!("question I2: what does i2 note, and when?")
}

/// Question I3: what does [`i3`] note?
pub fn answer_i3() -> &'static str {
    todo!("question I3: what does i3 note, and when?")
}

/// Question I4: what does [`i4`] note?
pub fn answer_i4() -> &'static str {
    todo!("question I4: what does i4 note, and when?")
}

// ------------------------------------------------- Task 2: spot and choose

/// Question I5: reads lines, parses them, and stores a row for each, in order.
///
/// Its memory grows and grows. Mend it here.
pub async fn ingest(mut lines: BoxStream<'static, String>, store: Arc<dyn Store>) {
    let (raw, mut to_parse) = mpsc::unbounded_channel();
    let (rows, mut to_store) = mpsc::unbounded_channel();
    let reading = async move {
        while let Some(line) = lines.next().await {
            let _ = raw.send(line);
        }
    };
    let parsing = async move {
        while let Some(line) = to_parse.recv().await {
            let _ = rows.send(line.len());
        }
    };
    let storing = async move {
        while let Some(row) = to_store.recv().await {
            store.put(row).await;
        }
    };
    tokio::join!(reading, parsing, storing);
}

/// Question I5: the number of the line, in the README's listing, that makes the
/// queue that grows in the trace.
pub fn answer_i5() -> u32 {
    todo!("question I5: which line of the listing?")
}

/// Question I6: a circuit breaker.
///
/// Now and then it lets nobody through any more. Mend it here.
#[derive(Debug)]
pub struct Breaker {
    cool_down: Duration,
    state: Mutex<BreakerState>,
}

#[derive(Debug, Clone, Copy)]
enum BreakerState {
    /// Everybody may call.
    Closed,
    /// Nobody may call until then.
    Open { until: Instant },
    /// One call, the probe, is under way; nobody else may call.
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
    /// `Rejected`: it is open, or a probe is under way; `Failed`: the call's own error.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        if !self.enter() {
            return Err(CallError::Rejected);
        }
        let outcome = call.await;
        self.leave(outcome.is_ok());
        outcome.map_err(CallError::Failed)
    }

    fn state(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> bool {
        let mut state = self.state();
        match *state {
            BreakerState::Closed => true,
            BreakerState::Open { until } if until <= Instant::now() => {
                *state = BreakerState::HalfOpen;
                true
            }
            BreakerState::Open { .. } | BreakerState::HalfOpen => false,
        }
    }

    fn leave(&self, well: bool) {
        *self.state() = if well {
            BreakerState::Closed
        } else {
            let until = Instant::now() + self.cool_down;
            BreakerState::Open { until }
        };
    }
}

/// Question I6: the number of the line, in the README's listing, at whose `.await`
/// the probe was dropped that never came back.
pub fn answer_i6() -> u32 {
    todo!("question I6: which line of the listing?")
}

/// Question I9: the model that costs least for each of the [`WORKLOADS`], in their
/// order.
pub fn answer_i9() -> [Model; 5] {
    todo!("question I9: which model for which workload?")
}

// ------------------------------------------------- Task 3: complete

/// Question I7: an executor, which runs any number of futures on the thread that
/// calls it. Dropping it drops the futures that have not ended.
pub struct Executor {
    // your fields
}

impl Executor {
    /// An executor without futures.
    pub fn new() -> Self {
        todo!("question I7: no futures, and an empty ready queue")
    }

    /// Takes a future. It stands at the end of the ready queue, and is not polled
    /// before [`run`](Self::run).
    pub fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let _ = future;
        todo!("question I7: keep it, and put it into the ready queue")
    }

    /// Polls the futures in the ready queue, from the front, until it is empty. Gives
    /// the number of futures that have not ended. Never waits.
    ///
    /// A future that is woken goes to the end of the queue, unless it is in it. One
    /// that has ended is dropped at once.
    pub fn run(&mut self) -> usize {
        todo!("question I7: poll what is ready, with a waker that puts it back")
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

/// Question I8: shuts the server down, in an order in which nothing is lost. Requests
/// have `grace` to end; those that are left are aborted.
pub async fn shut_down(server: &dyn Server, grace: Duration) {
    let _ = (server, grace);
    todo!("question I8: five calls, or six, in the right order")
}

/// Question I10: runs all jobs at the same time, and gives their outputs in the order
/// of the jobs. The first error, or panic, ends the others: they are gone when this
/// returns.
///
/// # Errors
/// The first one.
pub async fn gather<T, E>(jobs: Vec<BoxFuture<'static, Result<T, E>>>) -> Result<Vec<T>, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let _ = jobs;
    todo!("question I10: the README's code with a JoinSet")
}

// ------------------------------------------------- Tasks 4 and 5: a job queue

/// A queue of jobs, from which workers take leases.
///
/// A job that was accepted is *ready*, *leased*, *delayed* between two attempts, or
/// *dead*, until it is done or its dead letter is taken. The queue keeps at most
/// `capacity` of all these together, and nothing of a job that is gone.
pub struct Queue {
    // your fields
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: Settings) -> Self {
        let _ = settings;
        todo!("task 4: keep the settings, and room for jobs in each of their states")
    }

    /// Takes a job in, and gives its number: 1, 2, 3 …
    ///
    /// # Errors
    /// `Closed`: [`drain`](Self::drain) was begun; `Full`: the queue keeps `capacity`
    /// jobs.
    pub fn push(&self, priority: u8, payload: Arc<str>) -> Result<u64, PushError> {
        let _ = (priority, payload);
        todo!("task 4: is there room? then keep it, and tell those who wait")
    }

    /// Waits until a job is ready, and gives a lease of the most urgent one: of the
    /// highest priority, and of those the one with the smallest number. While nothing
    /// happens it is not woken.
    ///
    /// Dropped before it is ready, it takes no job along, and no attempt. `None`: the
    /// queue was drained, and no job will ever come (task 5).
    pub async fn lease(&self) -> Option<Lease> {
        todo!("task 4: a job that is ready, or wait for whatever may make one ready")
    }

    /// The job of this lease is done: the queue forgets it.
    ///
    /// # Errors
    /// The lease expired, was answered before, or never was.
    pub fn done(&self, lease: u64) -> Result<(), LeaseLost> {
        let _ = lease;
        todo!("task 4: if the lease is good, the job is gone")
    }

    /// The attempt under this lease has failed: the job is delayed, or dead.
    ///
    /// # Errors
    /// The lease expired, was answered before, or never was.
    pub fn failed(&self, lease: u64, reason: &str) -> Result<(), LeaseLost> {
        let _ = (lease, reason);
        todo!("task 4: if the lease is good: another attempt after a delay, or the end")
    }

    /// The dead letters, in the order in which they died. The queue keeps them no more.
    pub fn take_dead(&self) -> Vec<Dead> {
        todo!("task 4: hand them out, and make room")
    }

    /// Takes no more jobs, and waits until all that it has are done or dead, for `grace`
    /// at most. Then it hands back what is left, ordered by number, and every lease is
    /// lost.
    ///
    /// If it is dropped the queue stays closed, and goes on; it can be drained again.
    pub async fn drain(&self, grace: Duration) -> Vec<Job> {
        let _ = grace;
        todo!("task 5: close it, wait for the last job, hand back what is left")
    }
}

/// The API of a queue; the README has the table of its routes.
pub fn app(queue: Arc<Queue>) -> Router {
    let _ = queue;
    todo!("task 5: four routes, whose state is the queue")
}
