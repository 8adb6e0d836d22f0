//! right: every stream but one by hand, one pinned timer, a task aborted in Drop

mod given;
pub use given::*;

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::Fuse;
use futures::{FutureExt, Stream, StreamExt, stream};
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

/// Every item of every page, by hand.
pub fn paginate(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    Pages {
        items: VecDeque::new(),
        next: Some(Cursor::default()),
        call: None,
        api,
    }
}

struct Pages {
    api: Arc<dyn Api>,
    items: VecDeque<String>,
    next: Option<Cursor>,
    call: Option<BoxFuture<'static, Result<Page, ApiError>>>,
}

impl Stream for Pages {
    type Item = Result<String, ApiError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.call.is_none() {
                let Some(cursor) = self.next.take() else {
                    return Poll::Ready(None);
                };
                self.call = Some(self.api.page(cursor));
            }
            let call = self.call.as_mut().expect("made above");
            let page = ready!(call.as_mut().poll(cx));
            self.call = None;
            match page {
                Ok(page) => {
                    self.items.extend(page.items);
                    self.next = page.next;
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

/// The items after which it was quiet.
pub fn debounce<S>(input: S, quiet: Duration) -> impl Stream<Item = S::Item> + Send + 'static
where
    S: Stream<Item: Send> + Send + 'static,
{
    let input = Box::pin(input);
    stream::unfold(Some(input), move |state| async move {
        let mut input = state?;
        let mut latest = input.next().await?;
        let mut deadline = Instant::now() + quiet;
        loop {
            match timeout_at(deadline, input.next()).await {
                Ok(Some(later)) => {
                    latest = later;
                    deadline = Instant::now() + quiet;
                }
                Ok(None) => return Some((latest, None)),
                Err(_) => return Some((latest, Some(input))),
            }
        }
    })
    .fuse()
}

pin_project! {
    /// Chunks by size or age, with its input and its one timer pinned in place.
    pub struct ChunksTimeout<S: Stream> {
        #[pin]
        input: Fuse<S>,
        #[pin]
        timer: Sleep,
        max: NonZeroUsize,
        patience: Duration,
        chunk: Vec<S::Item>,
    }
}

impl<S: Stream> ChunksTimeout<S> {
    /// Chunks of at most `max` items, none kept for longer than `patience`.
    pub fn new(input: S, max: NonZeroUsize, patience: Duration) -> Self {
        Self {
            input: input.fuse(),
            timer: sleep(Duration::ZERO),
            max,
            patience,
            chunk: Vec::with_capacity(max.get()),
        }
    }
}

impl<S: Stream> Stream for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        // The clock first: a chunk whose time is up takes nothing more.
        if !this.chunk.is_empty() && this.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(mem::take(this.chunk)));
        }
        loop {
            match this.input.as_mut().poll_next(cx) {
                Poll::Pending if this.chunk.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    ready!(this.timer.as_mut().poll(cx));
                    break;
                }
                Poll::Ready(Some(item)) => {
                    if this.chunk.is_empty() {
                        let until = Instant::now() + *this.patience;
                        this.timer.as_mut().reset(until);
                    }
                    this.chunk.push(item);
                    if this.chunk.len() == this.max.get() {
                        break;
                    }
                }
                Poll::Ready(None) if this.chunk.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => break,
            }
        }
        Poll::Ready(Some(mem::take(this.chunk)))
    }
}

/// The same, read ahead, with a task that is aborted by hand.
pub fn paginate_ahead(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    Ahead {
        items: VecDeque::new(),
        next: Some(Cursor::default()),
        task: None,
        api,
    }
}

struct Ahead {
    api: Arc<dyn Api>,
    items: VecDeque<String>,
    next: Option<Cursor>,
    task: Option<JoinHandle<Result<Page, ApiError>>>,
}

impl Ahead {
    fn ask(&mut self) {
        let next = self.next.take();
        self.task = next.map(|cursor| tokio::spawn(self.api.page(cursor)));
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Stream for Ahead {
    type Item = Result<String, ApiError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.task.is_none() {
                self.ask();
            }
            let Some(task) = &mut self.task else {
                return Poll::Ready(None);
            };
            let page = ready!(task.poll_unpin(cx)).expect("no call panics");
            self.task = None;
            match page {
                Ok(page) => {
                    self.items.extend(page.items);
                    self.next = page.next;
                    self.ask();
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}
