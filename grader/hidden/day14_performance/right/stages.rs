//! right: two stages of their own, with a channel between them

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
    let backlog = Arc::new(Semaphore::new(settings.backlog.get()));
    let (sender, mut packed) = tokio::sync::mpsc::channel(1);
    let mut batches = batches(lines, settings.batch);

    let (pool, packer) = (&pool, &packer);
    let packing = async move {
        let with_room = stream::poll_fn({
            let mut room = Box::pin(Arc::clone(&backlog).acquire_owned());
            let mut got = None;
            move |cx| {
                use std::task::{Poll, ready};
                if got.is_none() {
                    got = Some(ready!(room.as_mut().poll(cx)));
                }
                let Some(batch) = ready!(batches.poll_next_unpin(cx)) else {
                    return Poll::Ready(None);
                };
                room = Box::pin(Arc::clone(&backlog).acquire_owned());
                Poll::Ready(Some((batch, got.take())))
            }
        });
        let mut blocks = with_room
            .map(|(batch, room)| {
                let packer = Arc::clone(packer);
                async move {
                    let lines = batch.len();
                    let block = pool.run(move || packer.pack(&batch)).await;
                    (block, lines, room)
                }
            })
            .buffer_unordered(settings.backlog.get());
        while let Some(block) = blocks.next().await {
            if sender.send(block).await.is_err() {
                break;
            }
        }
    };

    let stages = Stages {
        limiter: &limiter,
        sink: &sink,
        pause: settings.pause,
    };
    let writing = async {
        let mut writes = FuturesUnordered::new();
        let mut report = Report::default();
        loop {
            tokio::select! {
                Some(written) = writes.next() => {
                    let (written, _room): (Result<Report, Failed>, _) = written;
                    let written = written?;
                    report.lines += written.lines;
                    report.blocks += written.blocks;
                    report.overloads += written.overloads;
                }
                Some((block, lines, room)) = packed.recv() => {
                    let stages = &stages;
                    writes.push(async move { (stages.deliver(block, lines).await, room) });
                }
                else => return Ok(report),
            }
        }
    };
    let mut packing = std::pin::pin!(packing);
    let mut writing = std::pin::pin!(writing);
    tokio::select! {
        report = &mut writing => report,
        () = &mut packing => writing.await,
    }
}

struct Stages<'a, K> {
    limiter: &'a Limiter,
    sink: &'a K,
    pause: Duration,
}

impl<K: Sink> Stages<'_, K> {
    async fn deliver(&self, block: Vec<u8>, lines: usize) -> Result<Report, Failed> {
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
