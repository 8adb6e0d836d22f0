//! Day 14: Performance.
//!
//! A pipeline whose every stage has a bound of its own: bytes and age for a
//! batch, workers for the processor, a limit that adapts for the sink, and one
//! number, the backlog, for all that lies in between.

#[path = "../../../grader/hidden/day14_performance/original/given.rs"]
mod given;

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, BoxStream, FuturesUnordered, Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// Runs CPU work off the runtime's thread, a bounded number of pieces at a
/// time.
#[derive(Debug)]
pub struct CpuPool {
    workers: Arc<Semaphore>,
}

impl CpuPool {
    /// A pool that hands over at most `workers` pieces of work at a time.
    pub fn new(workers: NonZeroUsize) -> Self {
        let workers = Arc::new(Semaphore::new(workers.get()));
        Self { workers }
    }

    /// Runs `work` on tokio's blocking pool and returns what it returns.
    pub async fn run<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        let job = spawn_blocking(move || {
            // The place belongs to the work, not to its caller: when the caller
            // is dropped the work still keeps a processor busy.
            let _worker = worker;
            work()
        });
        match job.await {
            Ok(output) => output,
            // Nobody aborts the job, so it panicked.
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
}

// ---------------------------------------------------------------- Task 2

/// Gathers lines into batches, by size or age.
pub fn batches<S>(lines: S, limits: BatchLimits) -> BoxStream<'static, Vec<String>>
where
    S: Stream<Item = String> + Send + 'static,
{
    // What is kept between two batches: the input, and a line that did not fit
    // into the last one. Its clock has been running since it was taken.
    let start = (Box::pin(lines.fuse()), None);
    stream::unfold(start, move |(mut lines, left_over)| async move {
        // Without a line there is no clock: this wait may be long.
        let (first, taken) = match left_over {
            Some(left_over) => left_over,
            None => (lines.next().await?, Instant::now()),
        };
        let due = taken + limits.age;
        let mut bytes = first.len();
        let mut batch = vec![first];
        while bytes < limits.bytes {
            // The deadline stays, however many lines come. And `next` may be
            // dropped by it: a line that was not given is still in the stream.
            let Ok(Some(line)) = timeout_at(due, lines.next()).await else {
                break; // of age, or the tail
            };
            if bytes + line.len() > limits.bytes {
                let left_over = Some((line, Instant::now()));
                return Some((batch, (lines, left_over)));
            }
            bytes += line.len();
            batch.push(line);
        }
        Some((batch, (lines, None)))
    })
    .boxed()
}

// ---------------------------------------------------------------- Task 3

/// A limit on what is in flight that follows the load: additive increase,
/// multiplicative decrease.
#[derive(Debug)]
pub struct Limiter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    least: usize,
    most: usize,
    /// The places that are free. Its queue is the line.
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Slots that succeeded since the limit last changed.
    successes: usize,
    /// How often the limit was halved.
    epoch: u64,
    /// Places above the limit whose slots have not ended: to be taken away
    /// when they do.
    excess: usize,
}

/// A place among those in flight. Dropped, it is free again.
#[derive(Debug)]
pub struct Slot {
    inner: Arc<Inner>,
    epoch: u64,
    place: Option<OwnedSemaphorePermit>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limiter {
    /// A limiter with nothing in flight, whose limit is `least`.
    pub fn new(least: NonZeroUsize, most: NonZeroUsize) -> Self {
        let (least, most) = (least.get(), most.get());
        let state = State {
            limit: least,
            successes: 0,
            epoch: 0,
            excess: 0,
        };
        let inner = Inner {
            least,
            most,
            places: Arc::new(Semaphore::new(least)),
            state: Mutex::new(state),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// The limit at this moment.
    pub fn limit(&self) -> usize {
        self.inner.state().limit
    }

    /// Waits for a place among those in flight: first come, first served.
    pub async fn acquire(&self) -> Slot {
        let places = Arc::clone(&self.inner.places);
        let place = places.acquire_owned().await.ok(); // it is never closed
        Slot {
            inner: Arc::clone(&self.inner),
            epoch: self.inner.state().epoch,
            place,
        }
    }
}

impl Slot {
    /// What was in flight went well.
    pub fn succeeded(self) {
        let mut state = self.inner.state();
        // News from before the last halving says nothing about the new limit.
        if state.epoch != self.epoch {
            return;
        }
        state.successes += 1;
        if state.successes < state.limit || state.limit == self.inner.most {
            return;
        }
        state.limit += 1;
        state.successes = 0;
        if state.excess > 0 {
            state.excess -= 1;
        } else {
            self.inner.places.add_permits(1);
        }
    }

    /// What was in flight was too much.
    pub fn overloaded(self) {
        let mut state = self.inner.state();
        if state.epoch != self.epoch {
            return;
        }
        let limit = (state.limit / 2).max(self.inner.least);
        let fewer = state.limit - limit;
        // The free places go at once, the others when their slots end.
        state.excess += fewer - self.inner.places.forget_permits(fewer);
        state.limit = limit;
        state.successes = 0;
        state.epoch += 1;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        let place = self.place.take();
        if state.excess > 0 {
            state.excess -= 1;
            place.into_iter().for_each(OwnedSemaphorePermit::forget);
        }
    }
}

// ---------------------------------------------------------------- Task 4

/// Gathers lines into batches, packs them off the loop, and writes the blocks,
/// as many at a time as the sink can bear.
///
/// # Errors
///
/// When a write fails for good: at that instant, with what the sink said.
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
    let packer = Arc::new(packer);
    let pool = CpuPool::new(settings.workers);
    let limiter = Limiter::new(settings.least_writes, settings.most_writes);
    let stages = Stages {
        packer: &packer,
        pool: &pool,
        limiter: &limiter,
        sink: &sink,
        pause: settings.pause,
    };
    let mut batches = batches(lines, settings.batch).fuse();
    let mut on_their_way = FuturesUnordered::new();
    let mut report = Report::default();
    loop {
        // While the backlog is full nobody looks at the lines: that is the whole
        // of the backpressure.
        let has_room = on_their_way.len() < settings.backlog.get();
        tokio::select! {
            biased;
            Some(written) = on_their_way.next() => {
                let written: Report = written?;
                report.lines += written.lines;
                report.blocks += written.blocks;
                report.overloads += written.overloads;
            }
            Some(batch) = batches.next(), if has_room => {
                on_their_way.push(stages.deliver(batch));
            }
            // No batch is on its way, and none will come.
            else => return Ok(report),
        }
    }
}

/// What a batch goes through.
struct Stages<'a, P, K> {
    packer: &'a Arc<P>,
    pool: &'a CpuPool,
    limiter: &'a Limiter,
    sink: &'a K,
    pause: Duration,
}

impl<P: Pack, K: Sink> Stages<'_, P, K> {
    /// Packs a batch once, and writes the block until it is written.
    async fn deliver(&self, batch: Vec<String>) -> Result<Report, Failed> {
        let lines = batch.len();
        let packer = Arc::clone(self.packer);
        let block = self.pool.run(move || packer.pack(&batch)).await;
        let mut overloads = 0;
        loop {
            let slot = self.limiter.acquire().await;
            match self.sink.write(&block).await {
                Ok(()) => {
                    slot.succeeded();
                    let blocks = 1;
                    return Ok(Report {
                        lines,
                        blocks,
                        overloads,
                    });
                }
                Err(WriteError::Failed(message)) => return Err(Failed(message)),
                // The slot ends before the pause: who pauses is not in flight.
                Err(WriteError::Overloaded) => slot.overloaded(),
            }
            overloads += 1;
            sleep(self.pause).await;
        }
    }
}
