//! wrong: an acquire that is dropped leaves the line, and passes on no wake-up
//! fails: an acquire that is dropped takes nobody's place: failed
//! pitfall: lost-wakeup

mod given;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::stream::{self, BoxStream, FuturesUnordered, Stream, StreamExt};
use tokio::sync::Semaphore;
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
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    least: usize,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    in_flight: usize,
    successes: usize,
    epoch: u64,
    next_ticket: u64,
    line: VecDeque<(u64, Option<Waker>)>,
}

impl State {
    fn wake_first(&mut self) {
        if self.in_flight < self.limit
            && let Some((_, waker)) = self.line.front_mut()
            && let Some(waker) = waker.take()
        {
            waker.wake();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    epoch: u64,
}

struct InLine<'a> {
    shared: &'a Arc<Shared>,
    ticket: u64,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.line.retain(|(ticket, _)| *ticket != self.ticket);
    }
}

impl Limiter {
    pub fn new(least: NonZeroUsize, most: NonZeroUsize) -> Self {
        let state = State {
            limit: least.get(),
            in_flight: 0,
            successes: 0,
            epoch: 0,
            next_ticket: 0,
            line: VecDeque::new(),
        };
        let shared = Shared {
            least: least.get(),
            most: most.get(),
            state: Mutex::new(state),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub fn limit(&self) -> usize {
        self.shared.state().limit
    }

    pub async fn acquire(&self) -> Slot {
        let ticket = {
            let mut state = self.shared.state();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.line.push_back((ticket, None));
            ticket
        };
        let in_line = InLine {
            shared: &self.shared,
            ticket,
        };
        poll_fn(|cx| {
            let mut state = in_line.shared.state();
            let first = state.line.front().is_some_and(|first| first.0 == ticket);
            if first && state.in_flight < state.limit {
                state.line.pop_front();
                state.in_flight += 1;
                state.wake_first();
                return Poll::Ready(Slot {
                    shared: Arc::clone(in_line.shared),
                    epoch: state.epoch,
                });
            }
            for (waiting, waker) in &mut state.line {
                if *waiting == ticket {
                    *waker = Some(cx.waker().clone());
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Slot {
    pub fn succeeded(self) {
        let mut state = self.shared.state();
        if state.epoch != self.epoch {
            return;
        }
        state.successes += 1;
        if state.successes >= state.limit && state.limit < self.shared.most {
            state.limit += 1;
            state.successes = 0;
        }
    }

    pub fn overloaded(self) {
        let mut state = self.shared.state();
        if state.epoch != self.epoch {
            return;
        }
        state.limit = (state.limit / 2).max(self.shared.least);
        state.successes = 0;
        state.epoch += 1;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.in_flight -= 1;
        state.wake_first();
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
