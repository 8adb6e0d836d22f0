//! Day 6: Task Management.

mod given;

use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// What the result of awaiting a task says about its end.
///
/// A panic's message is its payload if that is a `&str` or a `String`, and
/// otherwise [`NO_MESSAGE`].
pub fn end_of(result: Result<(), JoinError>) -> End {
    let _ = result;
    todo!("task 1: done, panicked with its message, or aborted")
}

/// Runs all jobs at the same time, each in a task of its own.
///
/// Returns when the last one has ended: every job's name and end, in the order
/// in which they ended. A panic ends its own job and no other. No jobs take no
/// time. When this future is dropped all jobs that still run are aborted.
pub async fn run_all(jobs: Vec<(String, Job)>) -> Vec<(String, End)> {
    let _ = jobs;
    todo!("task 1: spawn every job, then collect the ends as they come")
}

// ---------------------------------------------------------------- Task 2

/// Owns a crew of workers. They run as long as it exists, and no longer: when
/// the supervisor is dropped, or the future of one of its methods that take it
/// by value, every worker is aborted at that instant.
pub struct Supervisor {
    // your fields
}

impl Supervisor {
    /// A supervisor without workers. `restart` is for all that will come.
    pub fn new(restart: Restart) -> Self {
        let _ = restart;
        todo!("task 2: no workers yet, and a token that stops them all")
    }

    /// Starts a worker, in a task of its own, and returns at once.
    ///
    /// The worker is the future that `start` makes; `start` is called in the
    /// worker's task, so its panic is the worker's panic. Its argument is a
    /// token of this worker: the supervisor cancels it to ask the worker to
    /// end, and a worker that cancels it reaches nobody else.
    ///
    /// A worker that panics is started again as [`Restart`] says, with a new
    /// token, but not after shutdown has begun (task 4).
    pub fn spawn<F, W>(&mut self, name: &str, start: F)
    where
        F: Fn(CancellationToken) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let _ = (name, start);
        todo!("task 2: spawn it into what you own, and remember its name")
    }

    /// Waits until every worker has ended by itself: one [`Exit`] for each, in
    /// the order in which they ended. Cancels nothing.
    pub async fn wait(self) -> Vec<Exit> {
        todo!("task 2: collect the ends as they come")
    }
}

// ---------------------------------------------------------------- Task 3

impl Supervisor {
    /// Asks all workers to end, and aborts those that take longer than `grace`.
    ///
    /// At its first poll the token of every worker is cancelled. From then on
    /// the workers have `grace`, all together, to clean up and return. If the
    /// last one has ended earlier this returns then; otherwise it aborts, at
    /// exactly `grace`, those that are left.
    ///
    /// When it returns every worker's future has ended or been dropped. The
    /// exits are those of all workers there ever were, in the order in which
    /// they ended, those from before the shutdown included.
    pub async fn shutdown(self, grace: Duration) -> Vec<Exit> {
        let _ = grace;
        todo!("task 3: cancel, drain until `grace` is over, abort what is left")
    }
}

// ---------------------------------------------------------------- Task 5

impl Supervisor {
    /// Runs until every worker has ended by itself, or until `stop` is
    /// cancelled; then it shuts down with `grace`. Exits as of `shutdown`.
    ///
    /// With this a supervisor can be the worker of another one.
    pub async fn run_until(self, stop: CancellationToken, grace: Duration) -> Vec<Exit> {
        let _ = (stop, grace);
        todo!("task 5: wait for the workers or for `stop`, whichever comes first")
    }
}
