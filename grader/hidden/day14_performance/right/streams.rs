//! right: the ingest is one chain of stream combinators; a mutex is the line

mod given;

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use tokio::select;
use tokio::sync::{self, Notify};
use tokio::time::{Instant, sleep, sleep_until};

pub use given::*;

/// A room for a number of people that may change. Whoever has `line` is first.
#[derive(Debug, Default)]
struct Room {
    line: sync::Mutex<()>,
    left: Notify,
    inside: Mutex<usize>,
}

impl Room {
    async fn enter(&self, limit: impl Fn() -> usize) {
        let _first = self.line.lock().await;
        loop {
            // A permit of an earlier notice makes one look too many, not one too few.
            {
                let mut inside = self.inside.lock().unwrap();
                if *inside < limit() {
                    *inside += 1;
                    return;
                }
            }
            self.left.notified().await;
        }
    }

    fn leave(&self) {
        *self.inside.lock().unwrap() -= 1;
        self.left.notify_one();
    }
}

struct Inside(Arc<Room>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[derive(Debug)]
pub struct CpuPool {
    workers: usize,
    room: Arc<Room>,
}

impl CpuPool {
    pub fn new(workers: NonZeroUsize) -> Self {
        let room = Arc::default();
        let workers = workers.get();
        Self { workers, room }
    }

    pub async fn run<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.room.enter(|| self.workers).await;
        let inside = Inside(Arc::clone(&self.room));
        let job = tokio::task::spawn_blocking(move || {
            let _inside = inside;
            work()
        });
        job.await
            .unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

pub fn batches<S>(lines: S, limits: BatchLimits) -> BoxStream<'static, Vec<String>>
where
    S: Stream<Item = String> + Send + 'static,
{
    struct Making<S> {
        lines: S,
        ended: bool,
        batch: Vec<String>,
        bytes: usize,
        since: Instant,
    }

    let making = Making {
        lines: Box::pin(lines),
        ended: false,
        batch: Vec::new(),
        bytes: 0,
        since: Instant::now(),
    };
    let batches = stream::unfold(making, move |mut making| async move {
        loop {
            if !making.batch.is_empty() && (making.ended || making.bytes >= limits.bytes) {
                break;
            }
            if making.ended {
                return None;
            }
            let line = if making.batch.is_empty() {
                making.lines.next().await
            } else {
                let mut of_age = pin!(sleep_until(making.since + limits.age));
                select! {
                    line = making.lines.next() => line,
                    () = &mut of_age => break,
                }
            };
            let Some(line) = line else {
                making.ended = true;
                continue;
            };
            if making.batch.is_empty() {
                making.since = Instant::now();
            } else if making.bytes + line.len() > limits.bytes {
                making.bytes = line.len();
                making.since = Instant::now();
                let batch = std::mem::replace(&mut making.batch, vec![line]);
                return Some((batch, making));
            }
            making.bytes += line.len();
            making.batch.push(line);
        }
        making.bytes = 0;
        Some((std::mem::take(&mut making.batch), making))
    });
    batches.boxed()
}

#[derive(Debug)]
pub struct Limiter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    room: Room,
    range: (usize, usize),
    // (limit, successes since it changed, halvings)
    level: Mutex<(usize, usize, u64)>,
}

#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    halvings: u64,
}

impl Limiter {
    pub fn new(least: NonZeroUsize, most: NonZeroUsize) -> Self {
        let shared = Shared {
            room: Room::default(),
            range: (least.get(), most.get()),
            level: Mutex::new((least.get(), 0, 0)),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub fn limit(&self) -> usize {
        self.shared.level.lock().unwrap().0
    }

    pub async fn acquire(&self) -> Slot {
        self.shared.room.enter(|| self.limit()).await;
        Slot {
            shared: Arc::clone(&self.shared),
            halvings: self.shared.level.lock().unwrap().2,
        }
    }
}

impl Slot {
    pub fn succeeded(self) {
        let (_, most) = self.shared.range;
        let (limit, successes, halvings) = &mut *self.shared.level.lock().unwrap();
        if *halvings == self.halvings {
            *successes += 1;
            if *successes >= *limit && *limit < most {
                (*limit, *successes) = (*limit + 1, 0);
            }
        }
    }

    pub fn overloaded(self) {
        let (least, _) = self.shared.range;
        let (limit, successes, halvings) = &mut *self.shared.level.lock().unwrap();
        if *halvings == self.halvings {
            (*limit, *successes, *halvings) = (least.max(*limit / 2), 0, *halvings + 1);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.room.leave();
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
    let (pool, limiter, sink) = (&pool, &limiter, &sink);
    batches(lines, settings.batch)
        .map(|batch| {
            let packer = Arc::clone(&packer);
            async move {
                let lines = batch.len();
                let block = pool.run(move || packer.pack(&batch)).await;
                let mut overloads = 0;
                while !attempt(limiter, sink, &block).await? {
                    overloads += 1;
                    sleep(settings.pause).await;
                }
                Ok((lines, overloads))
            }
        })
        .buffer_unordered(settings.backlog.get())
        .try_fold(Report::default(), |report, (lines, overloads)| async move {
            Ok(Report {
                lines: report.lines + lines,
                blocks: report.blocks + 1,
                overloads: report.overloads + overloads,
            })
        })
        .await
}

/// Whether the sink took the block.
async fn attempt<K: Sink>(limiter: &Limiter, sink: &K, block: &[u8]) -> Result<bool, Failed> {
    let slot = limiter.acquire().await;
    match sink.write(block).await {
        Ok(()) => {
            slot.succeeded();
            Ok(true)
        }
        Err(WriteError::Overloaded) => {
            slot.overloaded();
            Ok(false)
        }
        Err(WriteError::Failed(message)) => Err(Failed(message)),
    }
}
