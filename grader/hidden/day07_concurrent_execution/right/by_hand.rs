//! right: a Vec of boxed futures, polled in order; a timeout around it for the delay

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::time::timeout;

type Running<F> = Vec<(usize, Pin<Box<F>>)>;

fn poll_any<F: Future>(
    running: &mut Running<F>,
    cx: &mut Context<'_>,
) -> Poll<Option<(usize, F::Output)>> {
    for at in 0..running.len() {
        if let Poll::Ready(output) = running[at].1.as_mut().poll(cx) {
            let (index, _) = running.remove(at);
            return Poll::Ready(Some((index, output)));
        }
    }
    if running.is_empty() {
        Poll::Ready(None)
    } else {
        Poll::Pending
    }
}

async fn any<F: Future>(running: &mut Running<F>) -> Option<(usize, F::Output)> {
    poll_fn(|cx| poll_any(running, cx)).await
}

fn boxed<F: Future>(jobs: Vec<F>) -> impl ExactSizeIterator<Item = (usize, Pin<Box<F>>)> {
    jobs.into_iter().map(Box::pin).enumerate()
}

pub fn as_completed<F>(jobs: Vec<F>) -> BoxStream<'static, (usize, F::Output)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut running: Running<F> = boxed(jobs).collect();
    stream::poll_fn(move |cx| poll_any(&mut running, cx)).boxed()
}

pub async fn gather_ordered<F>(limit: NonZeroUsize, jobs: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut outputs: Vec<Option<F::Output>> = jobs.iter().map(|_| None).collect();
    let mut waiting = boxed(jobs);
    let mut running = Vec::new();
    loop {
        let room = limit.get() - running.len();
        running.extend(waiting.by_ref().take(room));
        let Some((index, output)) = any(&mut running).await else {
            return outputs.into_iter().flatten().collect();
        };
        outputs[index] = Some(output);
    }
}

pub async fn first_ok<T, E, F>(jobs: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut errors: Vec<Option<E>> = jobs.iter().map(|_| None).collect();
    let mut running = boxed(jobs).collect();
    while let Some((index, output)) = any(&mut running).await {
        match output {
            Ok(value) => return Ok(value),
            Err(error) => errors[index] = Some(error),
        }
    }
    Err(errors.into_iter().flatten().collect())
}

pub async fn hedged<T, E, F>(delay: Duration, attempts: Vec<F>) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut errors: Vec<Option<E>> = attempts.iter().map(|_| None).collect();
    let mut waiting = boxed(attempts);
    let mut running = Vec::new();
    loop {
        running.extend(waiting.next());
        let patience = if waiting.len() == 0 {
            Duration::MAX
        } else {
            delay
        };
        // A timeout looks at what is inside of it first.
        match timeout(patience, any(&mut running)).await {
            Ok(Some((_, Ok(value)))) => return Ok(value),
            Ok(Some((index, Err(error)))) => errors[index] = Some(error),
            Ok(None) => return Err(errors.into_iter().flatten().collect()),
            Err(_elapsed) => {}
        }
    }
}
