//! The public shapes of day 9.

use std::time::Duration;

use exercise::{Errors, Failure, GaveUp, Policy, Transient};
use fastrand::Rng;

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Task 1.
pub fn shape_of_delay(policy: &Policy, failures: u32, rng: &mut Rng) -> Duration {
    exercise::delay(policy, failures, rng)
}

/// Tasks 2 and 3.
pub fn shape_of_retry<T, E, F, Fut>(policy: &Policy, rng: &mut Rng, op: F)
where
    T: Send,
    E: Transient + Send,
    F: FnMut(u32) -> Fut + Send,
    Fut: Future<Output = Result<T, E>> + Send,
{
    send_future_of::<Result<T, GaveUp<E>>>(exercise::retry(policy, rng, op));
}

/// Task 4.
pub fn shape_of_try_all<T, E, Fut>(futures: Vec<Fut>)
where
    T: Send + 'static,
    E: Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    send_future_of::<Result<Vec<T>, Errors<E>>>(exercise::try_all(futures));
}

/// Task 4.
pub fn shape_of_split<E>(
    errors: Errors<E>,
    matches: impl FnMut(&Failure<E>) -> bool,
) -> (Option<Errors<E>>, Option<Errors<E>>) {
    errors.split(matches)
}
