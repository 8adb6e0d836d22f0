//! wrong: both halves run at the same time
//! fails: halves run one after the other, and answer when they end: failed
//! fails: who has left when a half begins is left out of it: failed
//! fails: the next batch waits until the halves have run: failed
//! pitfall: wrong-result

mod given;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use given::*;

pub async fn run_batch(model: &dyn Model, jobs: Vec<Job>) {
    run_or_halve(model, jobs).await;
}

fn run_or_halve(model: &dyn Model, jobs: Vec<Job>) -> BoxFuture<'_, ()> {
    async move { run_all(model, jobs).await }.boxed()
}

async fn run_all(model: &dyn Model, jobs: Vec<Job>) {
    let mut batches = vec![jobs];
    while let Some(mut jobs) = batches.pop() {
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            continue;
        }
        let inputs = jobs.iter().map(|job| job.tokens.clone()).collect();
        match model.run(inputs).await {
            Ok(outputs) => {
                for (job, output) in jobs.into_iter().zip(outputs) {
                    let _ = job.reply.send(Ok(output)); // his caller may have left
                }
            }
            Err(error) if jobs.len() == 1 => {
                for job in jobs {
                    let _ = job.reply.send(Err(error.clone()));
                }
            }
            Err(_) => {
                let second_half = jobs.split_off(jobs.len().div_ceil(2));
                tokio::join!(run_or_halve(model, jobs), run_or_halve(model, second_half));
            }
        }
    }
}

pub struct Batcher {
    codec: Arc<dyn Codec>,
    places: Arc<Semaphore>,
    encoders: Semaphore,
    decoders: Semaphore,
    line: mpsc::UnboundedSender<Waiting>,
    calls: TaskTracker,
    closing: CancellationToken,
    worker: TaskTracker,
    stop: DropGuard,
}

struct Waiting {
    job: Job,
    since: Instant,
    place: OwnedSemaphorePermit,
}

impl Batcher {
    pub fn new(model: Arc<dyn Model>, codec: Arc<dyn Codec>, settings: Settings) -> Self {
        let (line, waiting) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        let stop = CancellationToken::new();
        let worker = TaskTracker::new();
        let batches = make_batches(model, waiting, settings, closing.clone());
        worker.spawn(stop.clone().run_until_cancelled_owned(batches));
        worker.close();
        Self {
            codec,
            places: Arc::new(Semaphore::new(settings.max_queued.get())),
            encoders: Semaphore::new(settings.workers.get()),
            decoders: Semaphore::new(settings.workers.get()),
            line,
            calls: TaskTracker::new(),
            closing,
            worker,
            stop: stop.drop_guard(),
        }
    }

    pub async fn infer(&self, text: &str) -> Result<String, InferError> {
        let _call = self.calls.token();
        if self.closing.is_cancelled() {
            return Err(InferError::Closed);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| InferError::Overloaded)?;

        let encoder = self.encoders.acquire().await;
        let tokens = self.codec.encode(text).await.map_err(InferError::Encode)?;
        drop(encoder);

        let (reply, replied) = oneshot::channel();
        let waiting = Waiting {
            job: Job { tokens, reply },
            since: Instant::now(),
            place,
        };
        let _ = self.line.send(waiting); // its loss would close `reply`
        let scores = replied.await.map_err(|_| InferError::Closed)?;
        let scores = scores.map_err(InferError::Model)?;

        let _decoder = self.decoders.acquire().await;
        self.codec.decode(scores).await.map_err(InferError::Decode)
    }

    pub async fn shutdown(&self) {
        self.closing.cancel();
        self.calls.close();
        self.calls.wait().await;
        self.stop.token().cancel();
        self.worker.wait().await;
    }
}

async fn make_batches(
    model: Arc<dyn Model>,
    mut line: mpsc::UnboundedReceiver<Waiting>,
    settings: Settings,
    closing: CancellationToken,
) {
    while let Some(first) = line.recv().await {
        let due = first.since + settings.max_wait;
        let mut batch = vec![first];
        while batch.len() < settings.max_batch.get() {
            tokio::select! {
                biased;
                Some(next) = line.recv() => batch.push(next),
                () = sleep_until(due) => break,
                () = closing.cancelled() => break,
            }
        }
        let jobs = batch.into_iter().map(|waiting| {
            drop(waiting.place);
            waiting.job
        });
        run_batch(&*model, jobs.collect()).await;
    }
}
