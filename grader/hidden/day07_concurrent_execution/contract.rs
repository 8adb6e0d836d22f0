//! The public shapes of day 7.

use std::num::NonZeroUsize;
use std::time::Duration;

use exercise::{as_completed, first_ok, gather_ordered, hedged};
use futures::stream::BoxStream;

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// A job that may not be moved once it was polled, as `async` blocks are.
async fn job(path: String) -> Result<Vec<u8>, String> {
    let borrowed = path.as_str();
    tokio::task::yield_now().await;
    Err(borrowed.to_owned())
}

/// Task 1. The stream is in a box, so it is `Send` and `Unpin`.
pub fn shape_of_as_completed() {
    let jobs = vec![job(String::new())];
    let _: BoxStream<'static, (usize, Result<Vec<u8>, String>)> = as_completed(jobs);
}

/// Task 2.
pub fn shape_of_gather_ordered(limit: NonZeroUsize) {
    let jobs = vec![job(String::new())];
    send_future_of::<Vec<Result<Vec<u8>, String>>>(gather_ordered(limit, jobs));
}

/// Task 3.
pub fn shape_of_first_ok() {
    let jobs = vec![job(String::new())];
    send_future_of::<Result<Vec<u8>, Vec<String>>>(first_ok(jobs));
}

/// Task 4.
pub fn shape_of_hedged(delay: Duration) {
    let attempts = vec![job(String::new())];
    send_future_of::<Result<Vec<u8>, Vec<String>>>(hedged(delay, attempts));
}
