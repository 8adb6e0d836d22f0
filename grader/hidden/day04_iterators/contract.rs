//! The public shapes of day 4.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use exercise::{Api, ApiError, ChunksTimeout, debounce, paginate, paginate_ahead};
use futures::Stream;

fn _tasks_1_and_4(api: Arc<dyn Api>) {
    fn items<S>(_: S)
    where
        S: Stream<Item = Result<String, ApiError>> + Send + 'static,
    {
    }

    items(paginate(Arc::clone(&api)));
    items(paginate_ahead(api));
}

fn _task_2<S: Stream<Item = String> + Send + 'static>(input: S, quiet: Duration) {
    fn items(_: impl Stream<Item = String> + Send + 'static) {}

    items(debounce(input, quiet));
}

// Of any stream, also of one that is neither `Send` nor `Unpin`.
fn _task_3<S: Stream>(input: S, max: NonZeroUsize, patience: Duration) {
    fn chunks<T>(_: impl Stream<Item = Vec<T>>) {}

    let packed: ChunksTimeout<S> = ChunksTimeout::new(input, max, patience);
    chunks::<S::Item>(packed);
}

fn _chunks_may_cross_threads<S: Stream<Item: Send> + Send>(packed: ChunksTimeout<S>) {
    fn may_cross_threads(_: impl Send) {}

    may_cross_threads(packed);
}
