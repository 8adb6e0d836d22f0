//! wrong: the losers are moved into a task of their own, to end there
//! fails: the losers are dropped the moment there is a winner: failed
//! fails: a first_ok that is dropped drops its jobs: failed
//! pitfall: leaked-task
//! line: 53

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
    if jobs.is_empty() {
        return Err(Vec::new());
    }
    let errors = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let racing = numbered(jobs).map(|job| {
        let errors = std::sync::Arc::clone(&errors);
        Box::pin(async move {
            let (index, result) = job.await;
            result.map_err(|error| errors.lock().unwrap().push((index, error)))
        })
    });
    let racing: Vec<_> = racing.collect();
    let result = futures::future::select_ok(racing).await;
    if let Ok((value, losers)) = result {
        tokio::spawn(futures::future::join_all(losers));
        return Ok(value);
    }
    let errors = std::mem::take(&mut *errors.lock().unwrap());
    Err(in_order(errors))
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
