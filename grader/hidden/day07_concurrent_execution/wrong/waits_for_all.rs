//! wrong: all jobs are joined, then the first success in the list is taken
//! fails: first_ok returns the first success, not the first result: failed
//! fails: the losers are dropped the moment there is a winner: failed
//! pitfall: swallowed-error

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{self, BoxStream, FuturesUnordered, StreamExt};
use tokio::select;
use tokio::time::sleep;

pub fn as_completed<F>(jobs: Vec<F>) -> BoxStream<'static, (usize, F::Output)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let jobs: FuturesUnordered<_> = numbered(jobs).collect();
    jobs.boxed()
}

pub async fn gather_ordered<F>(limit: NonZeroUsize, jobs: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let jobs = stream::iter(numbered(jobs)).buffer_unordered(limit.get());
    in_order(jobs.collect().await)
}

pub async fn first_ok<T, E, F>(jobs: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut errors = Vec::new();
    for result in futures::future::join_all(jobs).await {
        match result {
            Ok(value) => return Ok(value),
            Err(error) => errors.push(error),
        }
    }
    Err(errors)
}

pub async fn hedged<T, E, F>(delay: Duration, attempts: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut waiting = numbered(attempts);
    let mut running = FuturesUnordered::new();
    let mut errors = Vec::new();
    loop {
        running.extend(waiting.next());
        select! {
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
