//! Day 14: Performance.
//!
//! A pipeline with a bound on each stage. Nothing here starts before it is
//! first polled, and what is dropped leaves no task and no write behind.

mod given;

use std::num::NonZeroUsize;

use futures::stream::{BoxStream, Stream};

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// Runs CPU work off the runtime's thread, a bounded number of pieces at a
/// time.
#[derive(Debug)]
pub struct CpuPool {
    // your fields
}

impl CpuPool {
    /// A pool that hands over at most `workers` pieces of work at a time.
    pub fn new(workers: NonZeroUsize) -> Self {
        let _ = (workers, Self {});
        todo!("task 1: remember how many pieces may be handed over")
    }

    /// Runs `work` on tokio's blocking pool (`spawn_blocking`) and returns what
    /// it returns. A panic of `work` goes on in whoever awaits this, with the
    /// same payload.
    ///
    /// At most `workers` pieces are handed over and not ended; the others wait
    /// here, first come, first served. A piece whose caller is dropped while it
    /// waits is never run. One that was handed over keeps its place until it
    /// has ended, whoever still waits for it.
    pub async fn run<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let _ = work;
        todo!("task 1: wait for a place, hand the work over, wait for its end")
    }
}

// ---------------------------------------------------------------- Task 2

/// Gathers lines into batches, by size or age.
///
/// A batch is given, at that instant,
/// - when its lines have `limits.bytes` bytes or more together,
/// - or when a line comes that would take it above `limits.bytes`: that line
///   opens the next batch,
/// - or when `limits.age` has passed since its first line was taken,
/// - or when `lines` has ended: it is the last one then.
///
/// No batch is empty. No line is taken before the stream is first polled, and
/// none that the batch in the making does not need. `lines` is not polled again
/// after its end.
pub fn batches<S>(lines: S, limits: BatchLimits) -> BoxStream<'static, Vec<String>>
where
    S: Stream<Item = String> + Send + 'static,
{
    let _ = (lines, limits);
    todo!("task 2: gather lines until the batch is full, of age, or the last one")
}

// ---------------------------------------------------------------- Task 3

/// A limit on what is in flight that follows the load: additive increase,
/// multiplicative decrease.
#[derive(Debug)]
pub struct Limiter {
    // your fields
}

impl Limiter {
    /// A limiter with nothing in flight, whose limit is `least`. It will never
    /// be less, and never more than `most`.
    pub fn new(least: NonZeroUsize, most: NonZeroUsize) -> Self {
        let _ = (least, most, Self {});
        todo!("task 3: begin with the limit `least`")
    }

    /// The limit at this moment.
    pub fn limit(&self) -> usize {
        todo!("task 3: the limit at this moment")
    }

    /// Waits until fewer than `limit` slots are in flight, and takes one: first
    /// come, first served. (Whose turn had come before a halving may still take
    /// it.)
    ///
    /// When this future is dropped before its end, no slot is taken, and those
    /// behind move up.
    pub async fn acquire(&self) -> Slot {
        todo!("task 3: wait in line for a place among those in flight")
    }
}

/// A place among those in flight. Dropped, it is free again, and nothing was
/// learned about the load.
#[derive(Debug)]
pub struct Slot {
    // your fields
}

impl Slot {
    /// What was in flight went well: frees the place. When as many slots have
    /// succeeded as the limit is, since it last changed, it rises by one.
    ///
    /// A slot that was taken before the last halving does not count.
    pub fn succeeded(self) {
        todo!("task 3: count a success; after `limit` of them the limit rises by one")
    }

    /// What was in flight was too much: frees the place, and halves the limit,
    /// rounded down.
    ///
    /// A slot that was taken before the last halving does not count.
    pub fn overloaded(self) {
        todo!("task 3: halve the limit, once for all slots that were taken before")
    }
}

// ---------------------------------------------------------------- Task 4

/// Gathers lines into batches, packs each one off the loop, and writes the
/// blocks, as many at a time as the sink can bear. Returns when `lines` has
/// ended and all is written.
///
/// At most `settings.backlog` batches are on their way: complete, and not yet
/// written. Besides them one batch may be in the making, no more; while so many
/// are on their way it takes no line.
///
/// A block that the sink was too busy for is written again, `settings.pause`
/// after that answer at the earliest. It is not packed again.
///
/// # Errors
///
/// When a write fails for good: at that instant, with what the sink said. All
/// that is under way is dropped.
pub async fn ingest<S, P, K>(
    lines: S,
    packer: P,
    sink: K,
    settings: Settings,
) -> Result<Report, Failed>
where
    S: Stream<Item = String> + Send + 'static,
    P: Pack,
    K: Sink,
{
    let _ = (lines, packer, sink, settings);
    todo!("task 4: batch, pack, write; a bound for each stage")
}
