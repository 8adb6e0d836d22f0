//! wrong: the backlog is compared with `<=`: one batch more than it is on its way
//! fails: no more lines are taken than the backlog has room for: failed
//! pitfall: unbounded-queue

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

#[derive(Debug)]
pub struct CpuPool {
    workers: Arc<Semaphore>,
}

impl CpuPool {
    pub fn new(workers: NonZeroUsize) -> Self {
        let workers = Arc::new(Semaphore::new(workers.get()));
        Self { workers }
    }

    pub async fn run<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        let job = spawn_blocking(move || {
            let _worker = worker;
            work()
        });
        match job.await {
            Ok(output) => output,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
}

pub fn batches<S>(lines: S, limits: BatchLimits) -> BoxStream<'static, Vec<String>>
where
    S: Stream<Item = String> + Send + 'static,
{
    let start = (Box::pin(lines.fuse()), None);
    stream::unfold(start, move |(mut lines, left_over)| async move {
        let (first, taken) = match left_over {
            Some(left_over) => left_over,
            None => (lines.next().await?, Instant::now()),
        };
        let due = taken + limits.age;
        let mut bytes = first.len();
        let mut batch = vec![first];
        while bytes < limits.bytes {
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

#[derive(Debug)]
pub struct Limiter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    least: usize,
    most: usize,
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    successes: usize,
    epoch: u64,
    excess: usize,
}

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

    pub fn limit(&self) -> usize {
        self.inner.state().limit
    }

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
    pub fn succeeded(self) {
        let mut state = self.inner.state();
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

    pub fn overloaded(self) {
        let mut state = self.inner.state();
        if state.epoch != self.epoch {
            return;
        }
        let limit = (state.limit / 2).max(self.inner.least);
        let fewer = state.limit - limit;
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
        let has_room = on_their_way.len() <= settings.backlog.get();
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
            else => return Ok(report),
        }
    }
}

struct Stages<'a, P, K> {
    packer: &'a Arc<P>,
    pool: &'a CpuPool,
    limiter: &'a Limiter,
    sink: &'a K,
    pause: Duration,
}

impl<P: Pack, K: Sink> Stages<'_, P, K> {
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
                Err(WriteError::Overloaded) => slot.overloaded(),
            }
            overloads += 1;
            sleep(self.pause).await;
        }
    }
}
