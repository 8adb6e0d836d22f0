//! right: try_unfold and select!, tokio-stream's own chunks, a page ahead through a channel

mod given;
pub use given::*;

use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_stream::stream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Every item of every page.
pub fn paginate(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    stream::try_unfold(Some(Cursor::default()), move |cursor| {
        let api = Arc::clone(&api);
        async move {
            let Some(cursor) = cursor else {
                return Ok(None);
            };
            let page = api.page(cursor).await?;
            let items = stream::iter(page.items.into_iter().map(Ok));
            Ok(Some((items, page.next)))
        }
    })
    .try_flatten()
}

/// The items after which it was quiet.
pub fn debounce<S>(input: S, quiet: Duration) -> impl Stream<Item = S::Item> + Send + 'static
where
    S: Stream<Item: Send> + Send + 'static,
{
    stream! {
        let mut input = pin!(input.fuse());
        let mut timer = pin!(sleep(Duration::ZERO));
        let mut latest = None;
        loop {
            tokio::select! {
                biased;
                item = input.next() => match item {
                    Some(item) => {
                        latest = Some(item);
                        timer.as_mut().reset(Instant::now() + quiet);
                    }
                    None => break,
                },
                () = timer.as_mut(), if latest.is_some() => {
                    if let Some(item) = latest.take() {
                        yield item;
                    }
                }
            }
        }
        if let Some(item) = latest {
            yield item;
        }
    }
}

/// Chunks by size or age: tokio-stream's own, under another name.
pub struct ChunksTimeout<S: Stream> {
    chunks: Pin<Box<tokio_stream::adapters::ChunksTimeout<S>>>,
}

impl<S: Stream> ChunksTimeout<S> {
    /// Chunks of at most `max` items, none kept for longer than `patience`.
    pub fn new(input: S, max: NonZeroUsize, patience: Duration) -> Self {
        let chunks = tokio_stream::StreamExt::chunks_timeout(input, max.get(), patience);
        let chunks = Box::pin(chunks);
        Self { chunks }
    }
}

impl<S: Stream> Stream for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.as_mut().poll_next(cx)
    }
}

/// The same, read ahead.
pub fn paginate_ahead(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    let pages = async_stream::stream! {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let mut cursor = Some(Cursor::default());
            // Room first, then the page: what lies in the channel is the one ahead.
            while let (Some(at), Ok(room)) = (cursor.take(), sender.reserve().await) {
                let page = api.page(at).await;
                if let Ok(page) = &page {
                    cursor.clone_from(&page.next);
                }
                room.send(page);
            }
        });
        while let Some(page) = receiver.recv().await {
            yield page;
        }
    };
    pages
        .map(|page| match page {
            Ok(page) => page.items.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
        .flat_map(stream::iter)
        .fuse()
}
