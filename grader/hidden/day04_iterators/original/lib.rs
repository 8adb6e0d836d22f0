//! Day 4: Iterators.
//!
//! Four streams: one that reads page by page, one that waits for quiet, one
//! written by hand that packs items into chunks, and one that reads ahead.
//! `README.md` states what each must do.
//!
//! For every stream here: making it does no work, polling it does. It loses
//! nothing when a future that waits for its next item is dropped. After `None`
//! it gives `None` again whenever it is asked, and does nothing more.

mod given;
pub use given::*;

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, Stream};

/// Task 1: every item of every page, in order, fetched page by page.
///
/// An item comes as soon as its page is there. While items of a page are being
/// read, no page beyond the next one is asked for. No call is made twice.
///
/// An error comes once, after the items of the pages before it, and ends the
/// stream.
pub fn paginate(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    let _ = api;
    stream::poll_fn(|_| todo!("task 1: fetch a page, give its items, go on with its `next`"))
}

/// Task 2: the items after which it was quiet.
///
/// An item comes exactly `quiet` after it was taken from `input`, unless
/// another one was taken before: then it is dropped for the later one. (Polled
/// late, with a later one ready, the stream may do either.) When `input` ends,
/// the item that waits comes at once, and then the end. `input` is not polled
/// after its end.
pub fn debounce<S>(input: S, quiet: Duration) -> impl Stream<Item = S::Item> + Send + 'static
where
    S: Stream<Item: Send> + Send + 'static,
{
    let _ = (input, quiet);
    stream::poll_fn(|_| todo!("task 2: keep the latest item until it has been quiet"))
}

/// Task 3: packs the items of a stream into chunks, written by hand.
pub struct ChunksTimeout<S: Stream> {
    input: Pin<Box<S>>,
    // Task 3: what else must be remembered from one poll to the next?
}

// The input is pinned in a box of its own, so this struct may move between two
// polls, and `poll_next` may change its fields through `&mut *self`. Delete the
// line if you use `pin-project-lite` instead.
impl<S: Stream> Unpin for ChunksTimeout<S> {}

impl<S: Stream> ChunksTimeout<S> {
    /// Chunks of at most `max` items, none of them kept for longer than
    /// `patience`.
    pub fn new(input: S, max: NonZeroUsize, patience: Duration) -> Self {
        let _ = (input, max, patience);
        todo!("task 3: keep the input, and begin with no items and no timer")
    }
}

impl<S: Stream> Stream for ChunksTimeout<S> {
    /// From 1 to `max` items, in the order of the input.
    type Item = Vec<S::Item>;

    /// A chunk is given as soon as it holds `max` items, or `patience` after its
    /// first item was taken, or when the input ends, whichever is first.
    ///
    /// A poll that has filled a chunk takes no further item. The input is not
    /// polled after its end.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let _ = (&self.input, cx);
        todo!("task 3: take what is there, then look at the size, the end and the clock")
    }
}

/// Task 4: what [`paginate`] gives, with the next page on its way.
///
/// The moment the first item of a page is given, the next page is asked for,
/// and its call goes on though nobody polls the stream. The page after that has
/// to wait until the first item of the next one is given. (An empty page has
/// none: the page after it is asked for when the reader's asking gets there, at
/// the latest.) There is never more than one call under way. An error known
/// early is kept until it is its turn.
///
/// Dropping the stream drops the call that is on its way, at that moment.
///
/// It is polled inside the tokio runtime.
pub fn paginate_ahead(
    api: Arc<dyn Api>,
) -> impl Stream<Item = Result<String, ApiError>> + Send + 'static {
    let _ = api;
    stream::poll_fn(|_| todo!("task 4: read one page while the next is on its way"))
}
