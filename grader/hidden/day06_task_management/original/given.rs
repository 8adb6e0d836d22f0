//! Given, not to be changed: jobs, how they end, and when to start again.

use std::pin::Pin;
use std::time::Duration;

/// A future in a box, ready to be spawned.
pub type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It returned.
    Done,
    /// It panicked. This is what it said, or [`NO_MESSAGE`].
    Panicked(String),
    /// It was aborted: its future was dropped before it returned.
    Aborted,
}

/// What stands for the message of a panic whose payload is no text.
pub const NO_MESSAGE: &str = "a panic without a message";

/// How a supervisor's worker ended, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// As it was given to `spawn`.
    pub name: String,
    /// How often the worker was started: 1 and one more for each restart.
    /// 0 if it was aborted before its first start.
    pub starts: u32,
    /// How its last start ended.
    pub end: End,
}

/// When a worker that panicked is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// At most so many times; the panic after that is the worker's end.
    pub most: u32,
    /// So long after each panic.
    pub delay: Duration,
}

impl Restart {
    /// The first panic is the worker's end.
    pub const NEVER: Self = Self {
        most: 0,
        delay: Duration::ZERO,
    };
}
