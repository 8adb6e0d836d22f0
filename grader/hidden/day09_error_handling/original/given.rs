//! Given, not to be changed: the policy of a retry, failures, and groups of them.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// How often, how soon and for how long something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How many attempts there are at most, the first included.
    pub attempts: NonZeroU32,
    /// The delay after the first failure. It doubles with each further one.
    pub first_delay: Duration,
    /// No delay is longer than this.
    pub max_delay: Duration,
    /// By how many percent at most chance shortens a delay: 0 to 100.
    pub jitter: u32,
    /// How long one attempt may take. `None`: as long as it likes.
    pub attempt_timeout: Option<Duration>,
    /// How long it may take in all, from the first poll on. `None`: no limit.
    pub deadline: Option<Duration>,
}

/// An error that knows whether another attempt may help.
pub trait Transient {
    /// Whether the same call may succeed later (a busy server), or never will
    /// (a wrong password).
    fn is_transient(&self) -> bool;
}

/// What came instead of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<E> {
    /// It returned an error.
    Error(E),
    /// It took too long, and was dropped.
    TimedOut,
    /// It panicked, with this message.
    Panicked(String),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::TimedOut => write!(f, "timed out"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
        }
    }
}

/// Why a retry ended without a value (tasks 2 and 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The last error was not transient.
    Permanent,
    /// All attempts were used up.
    Attempts,
    /// There was no time for the running attempt to end, or for the next to start.
    Deadline,
}

/// A retry ended without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaveUp<E> {
    /// Why there was no further attempt.
    pub reason: Reason,
    /// How each attempt failed, in their order.
    pub failures: Vec<Failure<E>>,
}

impl<E: fmt::Display> fmt::Display for GaveUp<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = self.failures.len();
        write!(f, "gave up after {attempts} attempts")?;
        match self.failures.last() {
            Some(last) => write!(f, ", the last: {last}"),
            None => Ok(()),
        }
    }
}

impl<E: Error + 'static> Error for GaveUp<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.failures.last() {
            Some(Failure::Error(error)) => Some(error),
            _ => None,
        }
    }
}

/// Some of several things failed (task 4): Python's `ExceptionGroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors<E> {
    /// Which of them, by their place in the input from 0 on, and how: in the
    /// order of the input.
    pub failures: Vec<(usize, Failure<E>)>,
    /// How many there were in all, the successes included.
    pub of: usize,
}

impl<E: fmt::Display> fmt::Display for Errors<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} failed", self.failures.len(), self.of)?;
        for (index, failure) in &self.failures {
            write!(f, "; {index}: {failure}")?;
        }
        Ok(())
    }
}

impl<E: fmt::Debug + fmt::Display> Error for Errors<E> {}
