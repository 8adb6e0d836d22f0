//! Day 9: Error Handling.

mod given;

use std::time::Duration;

use fastrand::Rng;

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// How long to wait after so many `failures` in a row (1 or more).
///
/// The first delay, doubled with each failure after the first, but never more
/// than the longest; then shortened by chance, by at most `policy.jitter`
/// percent. It never overflows.
pub fn delay(policy: &Policy, failures: u32, rng: &mut Rng) -> Duration {
    let _ = (policy, failures, rng);
    todo!("task 1: double, cap, shorten by chance")
}

// ---------------------------------------------------------- Tasks 2 and 3

/// Calls `op` until it succeeds, or until it is time to give up.
///
/// `op` gets the number of the attempt, from 1 on. The first attempt starts at
/// once; the next one starts [`delay`] after the failure of the one before.
/// One that takes longer than `policy.attempt_timeout` is dropped, and counts
/// as a failure that may be retried (task 3).
///
/// # Errors
/// [`GaveUp`], at once: at an error that is not transient, at the failure of
/// the last attempt, at the deadline (the attempt is dropped, and counts as
/// timed out), and at a failure after which the next attempt could not start
/// before the deadline.
pub async fn retry<T, E, F, Fut>(policy: &Policy, rng: &mut Rng, op: F) -> Result<T, GaveUp<E>>
where
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Transient,
{
    let _ = (policy, rng, op);
    todo!("task 2: attempt, look at the failure, wait; then task 3: with limits of time")
}

// ---------------------------------------------------------------- Task 4

/// Runs all `futures` at the same time, each to its end, and collects their
/// values, in the order of the input.
///
/// When this future is dropped they all stop at that instant.
///
/// # Errors
/// [`Errors`] with all failures if there are any, panics included.
pub async fn try_all<T, E, Fut>(futures: Vec<Fut>) -> Result<Vec<T>, Errors<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    let _ = futures;
    todo!("task 4: run all to their ends, and keep every failure")
}

impl<E> Errors<E> {
    /// Parts the group in two: the failures that match, and the rest.
    ///
    /// A part without failures is `None`. Both keep the places, their order,
    /// and `of`.
    pub fn split(self, matches: impl FnMut(&Failure<E>) -> bool) -> (Option<Self>, Option<Self>) {
        let _ = matches;
        todo!("task 4: some here, some there, none lost")
    }
}
