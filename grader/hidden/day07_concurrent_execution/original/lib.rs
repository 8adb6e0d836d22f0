//! Day 7: Concurrent Execution.
//!
//! Four ways to run many jobs at the same time. For each of them: nothing
//! starts before it is first polled, and when it has returned, or is dropped,
//! no job is still running.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::stream::BoxStream;

/// Runs all `jobs` at the same time and gives each output when it is there,
/// with the job's place in the list, counted from 0.
///
/// Whoever awaits the stream has all jobs run, from the first time on. It ends
/// after the last output. When it is dropped the jobs that still run are dropped.
pub fn as_completed<F>(jobs: Vec<F>) -> BoxStream<'static, (usize, F::Output)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let _ = jobs;
    todo!("task 1: poll all jobs together, give each output as it comes")
}

/// Runs `jobs`, at most `limit` at a time, and returns their outputs in the
/// order of the list.
///
/// Jobs start in the order of the list, each at the moment when there is room
/// for it: whenever fewer than `limit` run and one is left, the next one starts.
pub async fn gather_ordered<F>(limit: NonZeroUsize, jobs: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let _ = (limit, jobs);
    todo!("task 2: at most `limit` at a time, outputs in the order of the list")
}

/// Runs all `jobs` at the same time and returns the first success.
///
/// The other jobs are dropped at that instant. Of jobs that succeed at the same
/// instant the one that is earliest in the list wins.
///
/// # Errors
///
/// When every job has failed: all errors, in the order of the list. An empty
/// list fails at once, with no errors.
pub async fn first_ok<T, E, F>(jobs: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let _ = jobs;
    todo!("task 3: the first Ok wins; if there is none, all errors")
}

/// Runs `attempts`, one more each time that patience runs out, and returns the
/// first success.
///
/// The first attempt starts at once. Each other one starts, in the order of the
/// list, when `delay` has passed since the start of the one before it, or when
/// a running attempt fails, whichever is earlier. At the first success the
/// others are dropped, and no more are started: also if the next start would
/// have come at that very instant.
///
/// # Errors
///
/// When every attempt has failed: all errors, in the order of the list. An
/// empty list fails at once, with no errors.
pub async fn hedged<T, E, F>(delay: Duration, attempts: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let _ = (delay, attempts);
    todo!("task 4: start the next attempt after `delay` or a failure; the first Ok wins")
}
