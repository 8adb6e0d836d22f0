//! Day 4: Iterators.

#[path = "../../../grader/hidden/day04_iterators/original/given.rs"]
mod given;
pub use given::*;

use std::mem;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_stream::{stream, try_stream};
use futures::{Stream, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

/// Every item of every page, in order, fetched page by page.
pub fn paginate(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    // The macro's block is a state machine that lives in the stream, not in the
    // reader's `next()`: a `next()` that is dropped only stops the polling.
    try_stream! {
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor {
            let page = api.page(at).await?; // `?` gives the error, then the end
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
            // Each turn makes a new timeout: its clock starts at this item.
            let ended = loop {
                match timeout(quiet, input.next()).await {
                    Ok(Some(later)) => latest = later,
                    Ok(None) => break true,
                    Err(_elapsed) => break false,
                }
            };
            yield latest;
            if ended {
                return; // the input must not be asked again
            }
        }
    }
}

/// Packs the items of a stream into chunks.
pub struct ChunksTimeout<S: Stream> {
    // Boxed, so that the input stays put while this struct may move.
    // `None` once it has ended: then nobody can poll it again.
    input: Option<Pin<Box<S>>>,
    max: NonZeroUsize,
    patience: Duration,
    chunk: Vec<S::Item>,
    // Runs from the first item of the chunk on; `None` while there is none.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream> ChunksTimeout<S> {
    /// Chunks of at most `max` items, none of them kept for longer than
    /// `patience`.
    pub fn new(input: S, max: NonZeroUsize, patience: Duration) -> Self {
        Self {
            input: Some(Box::pin(input)),
            max,
            patience,
            chunk: Vec::new(),
            timer: None,
        }
    }

    /// Gives the chunk away; the next one starts with nothing, and no timer.
    fn give(&mut self) -> Poll<Option<Vec<S::Item>>> {
        self.timer = None;
        Poll::Ready(Some(mem::take(&mut self.chunk)))
    }
}

// Nothing here is pinned in place, whatever the items are: `poll_next` may
// change the fields through `&mut *self`.
impl<S: Stream> Unpin for ChunksTimeout<S> {}

impl<S: Stream> Stream for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Some(input) = &mut this.input {
            match input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    this.chunk.push(item);
                    if this.chunk.len() == this.max.get() {
                        return this.give();
                    }
                }
                Poll::Ready(None) => this.input = None,
                Poll::Pending => break, // the input has kept the waker
            }
        }
        if this.chunk.is_empty() {
            return match this.input {
                Some(_) => Poll::Pending,
                None => Poll::Ready(None),
            };
        }
        if this.input.is_none() {
            return this.give();
        }
        // Polled as soon as it is made: a timer that was never polled wakes nobody.
        let patience = this.patience;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => this.give(),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What [`paginate`] gives, with the next page on its way.
pub fn paginate_ahead(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    try_stream! {
        // A task goes on while nobody polls the stream. The set holds at most
        // one, and aborts it when it is dropped together with the stream.
        let mut on_its_way = JoinSet::new();
        on_its_way.spawn(api.page(Cursor::default()));
        while let Some(joined) = on_its_way.join_next().await {
            let page = joined.unwrap_or_else(|error| resume_unwind(error.into_panic()))?;
            if let Some(next) = page.next {
                on_its_way.spawn(api.page(next));
            }
            for item in page.items {
                yield item;
            }
        }
    }
}
