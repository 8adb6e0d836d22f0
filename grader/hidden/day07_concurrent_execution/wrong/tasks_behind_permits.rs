//! wrong: spawned behind a semaphore; the handles detach when they are dropped
//! fails: a gather_ordered that is dropped drops its jobs: failed
//! pitfall: leaked-task
//! line: 36

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{BoxStream, FuturesUnordered, StreamExt};
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
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(limit.get()));
    let tasks: Vec<_> = jobs
        .into_iter()
        .map(|job| {
            let places = std::sync::Arc::clone(&places);
            tokio::spawn(async move {
                let _place = places.acquire().await;
                job.await
            })
        })
        .collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.expect("no job panics"));
    }
    outputs
}

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
