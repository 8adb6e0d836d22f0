//! right: spawned into a `JoinSet`, permits for the limit; `select_ok` for the race

use std::collections::BTreeMap;
use std::future::pending;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{Either, select, select_ok};
use futures::stream::{self, BoxStream, FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub fn as_completed<F>(jobs: Vec<F>) -> BoxStream<'static, (usize, F::Output)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut waiting = Some(jobs);
    let mut tasks = JoinSet::new();
    stream::poll_fn(move |cx| {
        let jobs = waiting.take().into_iter().flatten();
        for (index, job) in jobs.enumerate() {
            tasks.spawn(async move { (index, job.await) });
        }
        let joined = tasks.poll_join_next(cx);
        joined.map(|joined| joined.map(|output| output.expect("no job panics")))
    })
    .boxed()
}

pub async fn gather_ordered<F>(limit: NonZeroUsize, jobs: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let places = Arc::new(Semaphore::new(limit.get().min(Semaphore::MAX_PERMITS)));
    let mut tasks = JoinSet::new();
    for (index, job) in jobs.into_iter().enumerate() {
        let places = Arc::clone(&places);
        tasks.spawn(async move {
            let _place = places.acquire().await;
            (index, job.await)
        });
    }
    let mut outputs = BTreeMap::new();
    while let Some(joined) = tasks.join_next().await {
        outputs.extend(joined);
    }
    outputs.into_values().collect()
}

pub async fn first_ok<T, E, F>(jobs: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let errors = Mutex::new(BTreeMap::new());
    let racing = jobs.into_iter().enumerate().map(|(index, job)| {
        let errors = &errors;
        Box::pin(async move {
            let note = |error| {
                errors.lock().unwrap().insert(index, error);
            };
            job.await.map_err(note)
        })
    });
    let racing: Vec<_> = racing.collect();
    if racing.is_empty() {
        return Err(Vec::new());
    }
    if let Ok((value, _losers)) = select_ok(racing).await {
        return Ok(value);
    }
    Err(errors.into_inner().unwrap().into_values().collect())
}

pub async fn hedged<T, E, F>(delay: Duration, attempts: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let count = attempts.len();
    let mut waiting = attempts.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut errors = BTreeMap::new();
    let mut next_start = Some(Instant::now());
    while errors.len() < count {
        if next_start.is_some_and(|at| at <= Instant::now())
            && let Some((index, attempt)) = waiting.next()
        {
            running.push(async move { (index, attempt.await) });
            // None: a delay beyond the end of all clocks.
            next_start = Instant::now().checked_add(delay);
        }
        let at = next_start.filter(|_| waiting.len() > 0);
        let start = async {
            match at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        // Looks at its left side first.
        if let Either::Left((Some((index, outcome)), _)) = select(running.next(), pin!(start)).await
        {
            match outcome {
                Ok(value) => return Ok(value),
                Err(error) => errors.insert(index, error),
            };
            next_start = Some(Instant::now());
        }
    }
    Err(errors.into_values().collect())
}
