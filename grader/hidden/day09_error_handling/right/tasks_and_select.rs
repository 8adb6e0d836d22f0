//! right: a task for each job in a `JoinSet`; the limits of time are branches of a `select!`

mod given;

use std::any::Any;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub use given::*;

/// How long to wait after so many `failures` in a row (1 or more).
pub fn delay(policy: &Policy, failures: u32, rng: &mut Rng) -> Duration {
    let mut full = policy.first_delay.min(policy.max_delay);
    for _ in 1..failures {
        if full.is_zero() || full == policy.max_delay {
            break;
        }
        full = full
            .checked_mul(2)
            .map_or(policy.max_delay, |twice| twice.min(policy.max_delay));
    }
    let share = f64::from(policy.jitter) / 100.0 * rng.f64();
    // Rounded up it may be a little too long to be taken away.
    full.saturating_sub(Duration::try_from_secs_f64(full.as_secs_f64() * share).unwrap_or(full))
}

/// Calls `op` until it succeeds, or until it is time to give up.
pub async fn retry<T, E, F, Fut>(policy: &Policy, rng: &mut Rng, mut op: F) -> Result<T, GaveUp<E>>
where
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Transient,
{
    let began = Instant::now();
    let left = || {
        policy
            .deadline
            .map(|deadline| deadline.saturating_sub(began.elapsed()))
    };
    let mut failures = Vec::new();
    loop {
        let attempt = u32::try_from(failures.len()).unwrap() + 1;
        let failure = tokio::select! {
            biased;
            outcome = op(attempt) => match outcome {
                Ok(value) => return Ok(value),
                Err(error) => Failure::Error(error),
            },
            () = after(left()) => {
                failures.push(Failure::TimedOut);
                return Err(GaveUp { reason: Reason::Deadline, failures });
            }
            () = after(policy.attempt_timeout) => Failure::TimedOut,
        };
        let hopeless = matches!(&failure, Failure::Error(error) if !error.is_transient());
        failures.push(failure);
        if hopeless {
            return Err(GaveUp {
                reason: Reason::Permanent,
                failures,
            });
        }
        if attempt >= policy.attempts.get() {
            return Err(GaveUp {
                reason: Reason::Attempts,
                failures,
            });
        }
        let pause = delay(policy, attempt, rng);
        if left().is_some_and(|left| left <= pause) {
            return Err(GaveUp {
                reason: Reason::Deadline,
                failures,
            });
        }
        sleep(pause).await;
    }
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Runs all `futures` at the same time, each to its end.
pub async fn try_all<T, E, Fut>(futures: Vec<Fut>) -> Result<Vec<T>, Errors<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    let of = futures.len();
    // Dropping the set aborts its tasks.
    let mut tasks = JoinSet::new();
    let mut places = std::collections::HashMap::new();
    for (index, future) in futures.into_iter().enumerate() {
        places.insert(tasks.spawn(future).id(), index);
    }
    let mut values: Vec<(usize, T)> = Vec::new();
    let mut failures = Vec::new();
    while let Some(joined) = tasks.join_next_with_id().await {
        match joined {
            Ok((id, Ok(value))) => values.push((places[&id], value)),
            Ok((id, Err(error))) => failures.push((places[&id], Failure::Error(error))),
            Err(error) => {
                let index = places[&error.id()];
                let message = message(&*error.into_panic());
                failures.push((index, Failure::Panicked(message)));
            }
        }
    }
    values.sort_by_key(|(index, _)| *index);
    failures.sort_by_key(|(index, _)| *index);
    if failures.is_empty() {
        return Ok(values.into_iter().map(|(_, value)| value).collect());
    }
    Err(Errors { failures, of })
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
        let mut parts = (None, None);
        for (index, failure) in self.failures {
            let part = if matches(&failure) {
                &mut parts.0
            } else {
                &mut parts.1
            };
            let empty = || Errors {
                failures: Vec::new(),
                of: self.of,
            };
            part.get_or_insert_with(empty)
                .failures
                .push((index, failure));
        }
        parts
    }
}
