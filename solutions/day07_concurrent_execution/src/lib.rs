//! Day 7: Concurrent Execution.
//!
//! No task is spawned here. All jobs live in one future, so they are dropped
//! with it, whether it returns, fails or is dropped itself.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{self, BoxStream, FuturesUnordered, StreamExt};
use tokio::select;
use tokio::time::sleep;

/// Gives each output when it is there, with the job's place in the list.
pub fn as_completed<F>(jobs: Vec<F>) -> BoxStream<'static, (usize, F::Output)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // The stream polls only the jobs that were woken: a thousand jobs that wait
    // cost nothing when one of them goes on.
    let jobs: FuturesUnordered<_> = numbered(jobs).collect();
    jobs.boxed()
}

/// Returns the outputs in the order of the list; at most `limit` jobs run at a
/// time.
pub async fn gather_ordered<F>(limit: NonZeroUsize, jobs: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // Not `buffered`: that keeps the order by itself, but an output that has to
    // wait for an earlier one keeps its place there, and holds up the next job.
    let jobs = stream::iter(numbered(jobs)).buffer_unordered(limit.get());
    in_order(jobs.collect().await)
}

/// Returns the first success; of several at the same instant, the one that is
/// earliest in the list.
///
/// # Errors
///
/// When every job has failed: all errors, in the order of the list.
pub async fn first_ok<T, E, F>(jobs: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    enum Job<F, E> {
        Running(Pin<Box<F>>),
        Failed(E),
    }

    let running = jobs.into_iter().map(|job| Job::Running(Box::pin(job)));
    let mut jobs: Vec<Job<F, E>> = running.collect();
    // Polled in the order of the list: that is what makes the earliest win. A
    // `FuturesUnordered` gives outputs in the order in which they were woken.
    let success = poll_fn(|cx| {
        let mut all_failed = true;
        for job in &mut jobs {
            let Job::Running(future) = job else { continue };
            match future.as_mut().poll(cx) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Some(value)),
                Poll::Ready(Err(error)) => *job = Job::Failed(error),
                Poll::Pending => all_failed = false,
            }
        }
        if all_failed {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    });
    if let Some(value) = success.await {
        return Ok(value);
    }
    let error = |job| match job {
        Job::Failed(error) => Some(error),
        Job::Running(_) => None,
    };
    Err(jobs.into_iter().filter_map(error).collect())
}

/// Returns the first success of attempts that start one after the other, each
/// `delay` after the one before it, or when one fails.
///
/// # Errors
///
/// When every attempt has failed: all errors, in the order of the list.
pub async fn hedged<T, E, F>(delay: Duration, attempts: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut waiting = numbered(attempts);
    let mut running = FuturesUnordered::new();
    let mut errors = Vec::new();
    // Each turn begins with the next start: the first one, one because of a
    // failure, or one because of the delay. So the delay may begin anew, too.
    loop {
        running.extend(waiting.next());
        select! {
            // A success at the very instant of the next start comes first.
            biased;
            ended = running.next() => match ended {
                Some((_, Ok(value))) => return Ok(value),
                Some((index, Err(error))) => errors.push((index, error)),
                None => return Err(in_order(errors)),
            },
            () = sleep(delay), if waiting.len() > 0 => {}
        }
    }
}

/// Every job, made to tell its place in the list.
fn numbered<F: Future>(
    jobs: Vec<F>,
) -> impl ExactSizeIterator<Item = impl Future<Output = (usize, F::Output)>> {
    let jobs = jobs.into_iter().enumerate();
    jobs.map(|(index, job)| job.map(move |output| (index, output)))
}

fn in_order<T>(mut outputs: Vec<(usize, T)>) -> Vec<T> {
    outputs.sort_unstable_by_key(|(index, _)| *index);
    outputs.into_iter().map(|(_, output)| output).collect()
}
