//! wrong: a place goes to the first in the line, also if he has left it
//! fails: work whose caller is gone keeps its place to its end: failed
//! fails: an acquire that is dropped takes nobody's place: failed
//! pitfall: cancellation-ignored

mod given;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

pub use given::*;

#[derive(Debug, Default)]
struct Line {
    taken: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
}

impl Line {
    fn admit(&mut self, limit: usize) {
        while self.taken < limit
            && let Some(first) = self.waiting.pop_front()
        {
            let _ = first.send(());
            self.taken += 1;
        }
    }
}

struct Waiting<F: Fn()> {
    receiver: Option<oneshot::Receiver<()>>,
    free: F,
}

impl<F: Fn()> Waiting<F> {
    async fn admitted(mut self) {
        if let Some(receiver) = &mut self.receiver {
            let _ = receiver.await;
        }
        self.receiver = None;
    }
}

impl<F: Fn()> Drop for Waiting<F> {
    fn drop(&mut self) {
        let Some(mut receiver) = self.receiver.take() else {
            return;
        };
        receiver.close();
        if receiver.try_recv().is_ok() {
            (self.free)();
        }
    }
}

#[derive(Debug)]
pub struct CpuPool {
    workers: usize,
    line: Arc<Mutex<Line>>,
}

fn leave(line: &Mutex<Line>, workers: usize) {
    let mut line = line.lock().unwrap();
    line.taken -= 1;
    line.admit(workers);
}

impl CpuPool {
    pub fn new(workers: NonZeroUsize) -> Self {
        Self {
            workers: workers.get(),
            line: Arc::default(),
        }
    }

    pub async fn run<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let receiver = {
            let (sender, receiver) = oneshot::channel();
            let mut line = self.line.lock().unwrap();
            line.waiting.push_back(sender);
            line.admit(self.workers);
            Some(receiver)
        };
        let free = || leave(&self.line, self.workers);
        Waiting { receiver, free }.admitted().await;
        let (line, workers) = (Arc::clone(&self.line), self.workers);
        let (sender, receiver) = oneshot::channel();
        drop(tokio::task::spawn_blocking(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            leave(&line, workers);
            let _ = sender.send(outcome);
        }));
        match receiver.await.expect("the job sends its outcome") {
            Ok(output) => output,
            Err(payload) => resume_unwind(payload),
        }
    }
}

struct Batches<S> {
    lines: Option<Pin<Box<S>>>,
    limits: BatchLimits,
    batch: Vec<String>,
    bytes: usize,
    left_over: Option<(String, Instant)>,
    clock: Pin<Box<Sleep>>,
}

impl<S> Batches<S> {
    fn open(&mut self, line: String, taken: Instant) {
        self.bytes = line.len();
        self.batch.push(line);
        self.clock.as_mut().reset(taken + self.limits.age);
    }
}

impl<S: Stream<Item = String>> Stream for Batches<S> {
    type Item = Vec<String>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<String>>> {
        let this = &mut *self;
        if let Some((line, taken)) = this.left_over.take() {
            this.open(line, taken);
        }
        while this.batch.is_empty() || this.bytes < this.limits.bytes {
            let Some(lines) = &mut this.lines else { break };
            match lines.as_mut().poll_next(cx) {
                Poll::Ready(Some(line)) if this.batch.is_empty() => {
                    this.open(line, Instant::now());
                }
                Poll::Ready(Some(line)) if this.bytes + line.len() > this.limits.bytes => {
                    this.left_over = Some((line, Instant::now()));
                    break;
                }
                Poll::Ready(Some(line)) => {
                    this.bytes += line.len();
                    this.batch.push(line);
                }
                Poll::Ready(None) => this.lines = None,
                Poll::Pending if this.batch.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    std::task::ready!(this.clock.as_mut().poll(cx));
                    break;
                }
            }
        }
        if this.batch.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(std::mem::take(&mut this.batch)))
    }
}

pub fn batches<S>(lines: S, limits: BatchLimits) -> BoxStream<'static, Vec<String>>
where
    S: Stream<Item = String> + Send + 'static,
{
    let mut making = Some(lines);
    let mut made = None;
    futures::stream::poll_fn(move |cx| {
        if let Some(lines) = making.take() {
            made = Some(Batches {
                lines: Some(Box::pin(lines)),
                limits,
                batch: Vec::new(),
                bytes: 0,
                left_over: None,
                clock: Box::pin(sleep_until(Instant::now())),
            });
        }
        made.as_mut().expect("made above").poll_next_unpin(cx)
    })
    .boxed()
}

#[derive(Debug)]
struct State {
    line: Line,
    limit: usize,
    successes: usize,
    halvings: u64,
}

#[derive(Debug)]
pub struct Limiter {
    least: usize,
    most: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
pub struct Slot {
    least: usize,
    most: usize,
    state: Arc<Mutex<State>>,
    halvings: u64,
}

fn end(state: &Mutex<State>) {
    let state = &mut *state.lock().unwrap();
    state.line.taken -= 1;
    state.line.admit(state.limit);
}

impl Limiter {
    pub fn new(least: NonZeroUsize, most: NonZeroUsize) -> Self {
        let state = State {
            line: Line::default(),
            limit: least.get(),
            successes: 0,
            halvings: 0,
        };
        Self {
            least: least.get(),
            most: most.get(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub fn limit(&self) -> usize {
        self.state.lock().unwrap().limit
    }

    pub async fn acquire(&self) -> Slot {
        let receiver = {
            let (sender, receiver) = oneshot::channel();
            let state = &mut *self.state.lock().unwrap();
            state.line.waiting.push_back(sender);
            state.line.admit(state.limit);
            Some(receiver)
        };
        let free = || end(&self.state);
        Waiting { receiver, free }.admitted().await;
        let halvings = self.state.lock().unwrap().halvings;
        Slot {
            least: self.least,
            most: self.most,
            state: Arc::clone(&self.state),
            halvings,
        }
    }
}

impl Slot {
    pub fn succeeded(self) {
        let mut state = self.state.lock().unwrap();
        if state.halvings == self.halvings {
            state.successes += 1;
            if state.successes >= state.limit && state.limit < self.most {
                state.limit += 1;
                state.successes = 0;
            }
        }
    }

    pub fn overloaded(self) {
        let mut state = self.state.lock().unwrap();
        if state.halvings == self.halvings {
            state.limit = self.least.max(state.limit / 2);
            state.successes = 0;
            state.halvings += 1;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        end(&self.state);
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
    let (packer, sink) = (Arc::new(packer), Arc::new(sink));
    let pool = Arc::new(CpuPool::new(settings.workers));
    let limiter = Arc::new(Limiter::new(settings.least_writes, settings.most_writes));
    let backlog = Arc::new(Semaphore::new(settings.backlog.get()));
    let mut batches = batches(lines, settings.batch);
    let mut tasks = JoinSet::new();
    let mut report = Report::default();
    let mut open = true;
    loop {
        let next = async {
            let room = Arc::clone(&backlog).acquire_owned().await.ok();
            (batches.next().await, room)
        };
        tokio::select! {
            (batch, room) = next, if open => {
                let Some(batch) = batch else {
                    open = false;
                    continue;
                };
                let (packer, sink) = (Arc::clone(&packer), Arc::clone(&sink));
                let (pool, limiter) = (Arc::clone(&pool), Arc::clone(&limiter));
                tasks.spawn(async move {
                    let _room = room;
                    let lines = batch.len();
                    let block = pool.run(move || packer.pack(&batch)).await;
                    for overloads in 0.. {
                        let slot = limiter.acquire().await;
                        match sink.write(&block).await {
                            Ok(()) => {
                                slot.succeeded();
                                return Ok((lines, overloads));
                            }
                            Err(WriteError::Overloaded) => slot.overloaded(),
                            Err(WriteError::Failed(message)) => return Err(Failed(message)),
                        }
                        sleep(settings.pause).await;
                    }
                    unreachable!("it is tried again and again")
                });
            }
            Some(joined) = tasks.join_next() => {
                let (lines, overloads) = match joined {
                    Ok(outcome) => outcome?,
                    Err(error) => resume_unwind(error.into_panic()),
                };
                report.lines += lines;
                report.blocks += 1;
                report.overloads += overloads;
            }
            else => return Ok(report),
        }
    }
}
