//! Day 6: Task Management.

#[path = "../../../grader/hidden/day06_task_management/original/given.rs"]
mod given;

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::select;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use given::*;

/// What the result of awaiting a task says about its end.
pub fn end_of(result: Result<(), JoinError>) -> End {
    match result.map_err(JoinError::try_into_panic) {
        Ok(()) => End::Done,
        Err(Ok(payload)) => panicked(&*payload),
        Err(Err(_aborted)) => End::Aborted,
    }
}

/// A panic's payload is whatever was given to `panic_any`. `panic!` gives it a
/// `&str` if the message is known at compile time, and else a `String`.
fn panicked(payload: &(dyn Any + Send)) -> End {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    End::Panicked(text.unwrap_or(NO_MESSAGE).to_owned())
}

/// Runs all jobs at the same time, each in a task of its own.
///
/// Cancel safe in the way of all that owns a `JoinSet`: dropped with it, the
/// tasks are aborted.
pub async fn run_all(jobs: Vec<(String, Job)>) -> Vec<(String, End)> {
    let mut tasks = JoinSet::new();
    // A task that panicked or was aborted has no output that could tell whose
    // it was. Its id does.
    let mut names: HashMap<Id, String> = jobs
        .into_iter()
        .map(|(name, job)| (tasks.spawn(job).id(), name))
        .collect();
    let mut ends = Vec::new();
    while let Some(joined) = tasks.join_next_with_id().await {
        let (id, result) = match joined {
            Ok((id, ())) => (id, Ok(())),
            Err(error) => (error.id(), Err(error)),
        };
        if let Some(name) = names.remove(&id) {
            ends.push((name, end_of(result)));
        }
    }
    ends
}

/// Owns a crew of workers. They run as long as it exists, and no longer.
pub struct Supervisor {
    restart: Restart,
    /// The parent of every worker's token.
    stop: CancellationToken,
    /// One task for each worker, all its starts included: whoever drops or
    /// aborts the task drops the worker's future with it.
    crew: JoinSet<End>,
    /// Those whose end has not been collected.
    workers: HashMap<Id, Worker>,
    exits: Vec<Exit>,
}

/// What must be known of a worker even when its task is aborted.
struct Worker {
    name: String,
    starts: Arc<AtomicU32>,
}

impl Supervisor {
    /// A supervisor without workers. `restart` is for all that will come.
    pub fn new(restart: Restart) -> Self {
        Self {
            restart,
            stop: CancellationToken::new(),
            crew: JoinSet::new(),
            workers: HashMap::new(),
            exits: Vec::new(),
        }
    }

    /// Starts a worker, in a task of its own, and returns at once.
    pub fn spawn<F, W>(&mut self, name: &str, start: F)
    where
        F: Fn(CancellationToken) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let starts = Arc::new(AtomicU32::new(0));
        let keep = keep(start, self.restart, self.stop.clone(), Arc::clone(&starts));
        let id = self.crew.spawn(keep).id();
        let name = name.to_owned();
        self.workers.insert(id, Worker { name, starts });
    }

    /// Waits until every worker has ended by itself.
    pub async fn wait(mut self) -> Vec<Exit> {
        self.drain().await;
        self.exits
    }

    /// Asks all workers to end, and aborts those that take longer than `grace`.
    pub async fn shutdown(mut self, grace: Duration) -> Vec<Exit> {
        self.stop.cancel();
        if timeout(grace, self.drain()).await.is_err() {
            self.crew.abort_all();
            // An aborted task is not gone yet: the runtime drops its future
            // when it comes to it. Only who joins the task knows that it did.
            self.drain().await;
        }
        self.exits
    }

    /// Runs until every worker has ended by itself, or until `stop` is
    /// cancelled; then it shuts down with `grace`.
    pub async fn run_until(mut self, stop: CancellationToken, grace: Duration) -> Vec<Exit> {
        select! {
            () = self.drain() => self.exits,
            () = stop.cancelled() => self.shutdown(grace).await,
        }
    }

    /// Collects ends until there are no more workers.
    ///
    /// Cancel safe: between an end's leaving the set and its place in `exits`
    /// nothing is awaited. That is why the exits are a field.
    async fn drain(&mut self) {
        while let Some(joined) = self.crew.join_next_with_id().await {
            let (id, end) = match joined {
                Ok(ended) => ended,
                // The worker's own panics are caught in `keep`. What is left is
                // an abort, or a panic in a destructor on the way of it.
                Err(error) => (error.id(), end_of(Err(error))),
            };
            if let Some(Worker { name, starts }) = self.workers.remove(&id) {
                let starts = starts.load(Ordering::Relaxed);
                self.exits.push(Exit { name, starts, end });
            }
        }
    }
}

/// One worker, from its first start to its last end.
async fn keep<F, W>(
    start: F,
    restart: Restart,
    stop: CancellationToken,
    starts: Arc<AtomicU32>,
) -> End
where
    F: Fn(CancellationToken) -> W,
    W: Future<Output = ()>,
{
    loop {
        let restarts = starts.fetch_add(1, Ordering::Relaxed);
        let token = stop.child_token();
        // The block makes `start` itself part of what is caught. What a panic
        // may have left half done is dropped with the future, and `start` is
        // `Fn`: that is why asserting is fair.
        let worker = AssertUnwindSafe(async { start(token).await });
        let Err(payload) = worker.catch_unwind().await else {
            return End::Done;
        };
        let end = panicked(&*payload);
        if restarts == restart.most {
            return end;
        }
        select! {
            biased; // a delay of zero must not win against a shutdown
            () = stop.cancelled() => return end,
            () = sleep(restart.delay) => {}
        }
    }
}
