//! The public shapes of day 8.

use std::num::NonZeroUsize;
use std::time::Duration;

use exercise::{BoundedBuffer, Closed, RateLimiter, Signal};
use tokio::sync::watch;

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Holds only for what many tasks may share.
fn shared<T: Send + Sync + 'static>() {}

/// Task 1.
pub fn shape_of_signal(condition: impl FnMut() -> bool + Send) {
    shared::<Signal>();
    let signal = Signal::new();
    signal.notify();
    send_future_of::<()>(signal.wait_until(condition));
}

/// Tasks 2 and 3.
pub fn shape_of_bounded_buffer<T: Send + 'static>(capacity: NonZeroUsize, item: T) {
    shared::<BoundedBuffer<T>>();
    let buffer = BoundedBuffer::<T>::new(capacity);
    send_future_of::<Result<(), Closed<T>>>(buffer.push(item));
    send_future_of::<Option<T>>(buffer.pop());
    buffer.close();
}

/// Task 4.
pub fn shape_of_rate_limiter(per: Duration, limit: watch::Receiver<usize>) {
    shared::<RateLimiter>();
    let limiter = RateLimiter::new(per, limit);
    send_future_of::<()>(limiter.acquire());
}
