//! wrong: `op` gets the number of its attempt from 0 on
//! fails: the first success ends it, and gives its value: failed
//! pitfall: wrong-result

mod given;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use fastrand::Rng;
use futures::FutureExt;
use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

pub use given::*;

/// No `Duration` can be doubled more often than this, whatever it began with.
const MOST_DOUBLINGS: u32 = 96;

/// How long to wait after so many `failures` in a row (1 or more).
pub fn delay(policy: &Policy, failures: u32, rng: &mut Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
    let doubled = (0..doublings).fold(policy.first_delay, |delay, _| delay.saturating_mul(2));
    let full = doubled.min(policy.max_delay);
    let span = full / 100 * policy.jitter.min(100);
    let part = span / 1_000_000 * rng.u32(0..=1_000_000);
    full - part
}

/// Calls `op` until it succeeds, or until it is time to give up.
///
/// # Errors
/// [`GaveUp`], with the reason and with every failure.
pub async fn retry<T, E, F, Fut>(policy: &Policy, rng: &mut Rng, mut op: F) -> Result<T, GaveUp<E>>
where
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Transient,
{
    let deadline = policy.deadline.and_then(in_future);
    let mut failures = Vec::new();
    for attempt in 1.. {
        let own_end = policy.attempt_timeout.and_then(in_future);
        let end = deadline.into_iter().chain(own_end).min();
        let failure = match within(end, op(attempt - 1)).await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };

        let permanent = matches!(&failure, Failure::Error(error) if !error.is_transient());
        let cut_off = matches!(failure, Failure::TimedOut)
            && deadline.is_some_and(|deadline| Instant::now() >= deadline);
        failures.push(failure);
        let reason = if permanent {
            Reason::Permanent
        } else if cut_off {
            Reason::Deadline
        } else if attempt == policy.attempts.get() {
            Reason::Attempts
        } else {
            let delay = delay(policy, attempt, rng);
            if deadline.is_none_or(|deadline| delay < deadline.duration_since(Instant::now())) {
                sleep(delay).await;
                continue;
            }
            Reason::Deadline
        };
        return Err(GaveUp { reason, failures });
    }
    unreachable!("the last attempt returns")
}

/// An instant so far from now; `None` if it is too far to be told.
fn in_future(from_now: Duration) -> Option<Instant> {
    Instant::now().checked_add(from_now)
}

/// The future's value, unless it fails or is not ready by `end`.
async fn within<T, E>(
    end: Option<Instant>,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure<E>> {
    let outcome = match end {
        None => future.await,
        Some(end) => match timeout_at(end, future).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => return Err(Failure::TimedOut),
        },
    };
    outcome.map_err(Failure::Error)
}

/// Runs all `futures` at the same time, each to its end.
///
/// # Errors
/// [`Errors`] with all failures if there are any, panics included.
pub async fn try_all<T, E, Fut>(futures: Vec<Fut>) -> Result<Vec<T>, Errors<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    let of = futures.len();
    let caught = futures
        .into_iter()
        .map(|future| AssertUnwindSafe(future).catch_unwind());
    let mut values = Vec::with_capacity(of);
    let mut failures = Vec::new();
    for (index, outcome) in join_all(caught).await.into_iter().enumerate() {
        match outcome {
            Ok(Ok(value)) => values.push(value),
            Ok(Err(error)) => failures.push((index, Failure::Error(error))),
            Err(payload) => failures.push((index, Failure::Panicked(message(&*payload)))),
        }
    }
    if failures.is_empty() {
        Ok(values)
    } else {
        Err(Errors { failures, of })
    }
}

/// What a panic said: `panic!` leaves a `&str`, or a `String` if it formats.
fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

impl<E> Errors<E> {
    /// Parts the group in two: the failures that match, and the rest.
    pub fn split(
        self,
        mut matches: impl FnMut(&Failure<E>) -> bool,
    ) -> (Option<Self>, Option<Self>) {
        let of = self.of;
        let (matching, rest): (Vec<_>, Vec<_>) = self
            .failures
            .into_iter()
            .partition(|(_, failure)| matches(failure));
        let group = |failures: Vec<_>| (!failures.is_empty()).then_some(Self { failures, of });
        (group(matching), group(rest))
    }
}
