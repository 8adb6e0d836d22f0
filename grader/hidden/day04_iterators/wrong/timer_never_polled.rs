//! wrong: makes the timer and returns without polling it
//! fails: a chunk is given `patience` after its first item: failed
//! fails: every item is in one chunk, in order, at the right time: failed
//! fails: input and clock both wake the latest waker: failed
//! pitfall: lost-wakeup

mod given;
pub use given::*;

use std::mem;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_stream::{stream, try_stream};
use futures::{Stream, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

/// Every item of every page.
pub fn paginate(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    try_stream! {
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor {
            let page = api.page(at).await?;
            for item in page.items {
                yield item;
            }
            cursor = page.next;
        }
    }
}

/// The items after which it was quiet.
pub fn debounce<S>(input: S, quiet: Duration) -> impl Stream<Item = S::Item> + Send + 'static
where
    S: Stream<Item: Send> + Send + 'static,
{
    stream! {
        let mut input = pin!(input);
        while let Some(mut latest) = input.next().await {
            let ended = loop {
                match timeout(quiet, input.next()).await {
                    Ok(Some(later)) => latest = later,
                    Ok(None) => break true,
                    Err(_elapsed) => break false,
                }
            };
            yield latest;
            if ended {
                return;
            }
        }
    }
}

/// Chunks by size or age.
pub struct ChunksTimeout<S: Stream> {
    input: Option<Pin<Box<S>>>,
    max: NonZeroUsize,
    patience: Duration,
    chunk: Vec<S::Item>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream> Unpin for ChunksTimeout<S> {}

impl<S: Stream> ChunksTimeout<S> {
    /// Chunks of at most `max` items, none kept for longer than `patience`.
    pub fn new(input: S, max: NonZeroUsize, patience: Duration) -> Self {
        Self {
            input: Some(Box::pin(input)),
            max,
            patience,
            chunk: Vec::new(),
            timer: None,
        }
    }
}

impl<S: Stream> Stream for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Some(input) = &mut this.input {
            match input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    this.chunk.push(item);
                    if this.chunk.len() == this.max.get() {
                        this.timer = None;
                        return Poll::Ready(Some(mem::take(&mut this.chunk)));
                    }
                }
                Poll::Ready(None) => this.input = None,
                Poll::Pending => break,
            }
        }
        if this.chunk.is_empty() {
            return match this.input {
                Some(_) => Poll::Pending,
                None => Poll::Ready(None),
            };
        }
        if this.input.is_some() {
            let Some(timer) = &mut this.timer else {
                this.timer = Some(Box::pin(sleep(this.patience)));
                return Poll::Pending;
            };
            ready!(timer.as_mut().poll(cx));
        }
        this.timer = None;
        Poll::Ready(Some(mem::take(&mut this.chunk)))
    }
}

/// The same, read ahead.
pub fn paginate_ahead(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    try_stream! {
        let mut on_its_way = JoinSet::new();
        on_its_way.spawn(api.page(Cursor::default()));
        while let Some(joined) = on_its_way.join_next().await {
            let page = joined.expect("no call panics")?;
            if let Some(next) = page.next {
                on_its_way.spawn(api.page(next));
            }
            for item in page.items {
                yield item;
            }
        }
    }
}
