//! Given, not to be changed: limits, settings, and what stands at either end.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

/// When a batch is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// With so many bytes of lines it is full. At least 1.
    pub bytes: usize,
    /// So long after its first line was taken it has to go. At least 1 ms.
    pub age: Duration,
}

/// The CPU stage: makes a block of a batch.
pub trait Pack: Send + Sync + 'static {
    /// Computes for a while, and never awaits: not to be called on the thread
    /// of the runtime.
    fn pack(&self, lines: &[String]) -> Vec<u8>;
}

/// The I/O stage: where blocks go.
pub trait Sink: Send + Sync + 'static {
    /// Writes one block. May be called while other writes are under way.
    fn write(&self, block: &[u8]) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// Why a block was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// Too much at once. The same block may come again, later.
    Overloaded,
    /// It cannot be written, now or later.
    Failed(String),
}

/// How an ingest works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// When a batch is complete.
    pub batch: BatchLimits,
    /// So many blocks are packed at the same time, at most.
    pub workers: NonZeroUsize,
    /// So many batches are complete and not yet written, at most.
    pub backlog: NonZeroUsize,
    /// The limit of the writes in flight is never below this: it begins here.
    pub least_writes: NonZeroUsize,
    /// The limit of the writes in flight is never above this.
    pub most_writes: NonZeroUsize,
    /// So long after an overload the block may come again.
    pub pause: Duration,
}

/// What an ingest did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that were written.
    pub lines: usize,
    /// Blocks that were written.
    pub blocks: usize,
    /// Writes that ended with [`WriteError::Overloaded`].
    pub overloads: usize,
}

/// The sink failed, and with it the ingest. This is what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(
    /// As [`WriteError::Failed`] has it.
    pub String,
);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sink failed: {}", self.0)
    }
}

impl Error for Failed {}
