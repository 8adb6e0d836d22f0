//! right: one `timeout` in another; the group is a vector of futures that is polled by hand

mod given;

use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, timeout};

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
pub async fn retry<T, E, F, Fut>(policy: &Policy, rng: &mut Rng, mut op: F) -> Result<T, GaveUp<E>>
where
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Transient,
{
    let began = Instant::now();
    let mut failures = Vec::new();
    let within = policy.deadline.unwrap_or(Duration::MAX);
    let attempts = async {
        for attempt in 1..=policy.attempts.get() {
            let own = policy.attempt_timeout.unwrap_or(Duration::MAX);
            match timeout(own, op(attempt)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => {
                    let transient = error.is_transient();
                    failures.push(Failure::Error(error));
                    if !transient {
                        return Err(Reason::Permanent);
                    }
                }
                Err(_) => failures.push(Failure::TimedOut),
            }
            if attempt < policy.attempts.get() {
                let pause = delay(policy, attempt, rng);
                if began.elapsed().saturating_add(pause) >= within {
                    return Err(Reason::Deadline);
                }
                sleep(pause).await;
            }
        }
        Err(Reason::Attempts)
    };
    // During a pause it cannot elapse: the pause would not have begun.
    let outcome = timeout(within, attempts).await;
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(reason)) => Err(GaveUp { reason, failures }),
        Err(_) => {
            failures.push(Failure::TimedOut);
            let reason = Reason::Deadline;
            Err(GaveUp { reason, failures })
        }
    }
}

/// Runs all `futures` at the same time, each to its end.
pub async fn try_all<T, E, Fut>(futures: Vec<Fut>) -> Result<Vec<T>, Errors<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    enum Job<Fut, T, E> {
        Runs(std::pin::Pin<Box<Fut>>),
        Ended(Result<T, Failure<E>>),
    }

    // Nothing in here is pinned but what is in its own box.
    impl<Fut, T, E> Unpin for Job<Fut, T, E> {}

    let of = futures.len();
    let mut jobs: Vec<Job<Fut, T, E>> = futures
        .into_iter()
        .map(|future| Job::Runs(Box::pin(future)))
        .collect();
    poll_fn(|context| {
        let mut running = false;
        for job in &mut jobs {
            let Job::Runs(future) = job else { continue };
            let polled = AssertUnwindSafe(|| future.as_mut().poll(context));
            let ended = match std::panic::catch_unwind(polled) {
                Ok(std::task::Poll::Pending) => {
                    running = true;
                    continue;
                }
                Ok(std::task::Poll::Ready(outcome)) => outcome.map_err(Failure::Error),
                Err(payload) => Err(Failure::Panicked(message(&*payload))),
            };
            *job = Job::Ended(ended);
        }
        if running {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;

    let mut values = Vec::new();
    let mut failures = Vec::new();
    for (index, job) in jobs.into_iter().enumerate() {
        match job {
            Job::Ended(Ok(value)) => values.push(value),
            Job::Ended(Err(failure)) => failures.push((index, failure)),
            Job::Runs(_) => unreachable!("all have ended"),
        }
    }
    match failures.is_empty() {
        true => Ok(values),
        false => Err(Errors { failures, of }),
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
