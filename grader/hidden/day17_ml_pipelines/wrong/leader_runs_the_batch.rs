//! wrong: the first caller in the line runs the batch in his own future, for all in it
//! fails: a caller who leaves is in no batch, and harms nobody: failed
//! fails: the next batch waits until the halves have run: failed
//! pitfall: cancellation-ignored

mod given;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use given::*;

pub async fn run_batch(model: &dyn Model, jobs: Vec<Job>) {
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
                batches.extend([second_half, jobs]);
            }
        }
    }
}

struct Waiting {
    job: Job,
    since: Instant,
    place: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
}

struct Server {
    model: Arc<dyn Model>,
    settings: Settings,
    line: Mutex<Line>,
    came: Notify,
    closing: CancellationToken,
}

pub struct Batcher {
    server: Arc<Server>,
    codec: Arc<dyn Codec>,
    places: Arc<Semaphore>,
    encoders: Semaphore,
    decoders: Semaphore,
    calls: tokio::sync::RwLock<()>,
    turn: tokio::sync::Mutex<()>,
}

impl Server {
    async fn next(&self) -> Option<Vec<Job>> {
        let max_batch = self.settings.max_batch.get();
        let since = { self.line.lock().unwrap().waiting.front()?.since };
        let enough = async {
            while self.line.lock().unwrap().waiting.len() < max_batch {
                tokio::select! {
                    () = self.came.notified() => {}
                    () = self.closing.cancelled() => break,
                }
            }
        };
        let _ = timeout_at(since + self.settings.max_wait, enough).await;
        let mut line = self.line.lock().unwrap();
        let count = line.waiting.len().min(max_batch);
        let batch = line.waiting.drain(..count);
        Some(batch.map(Waiting::run).collect())
    }
}

impl Waiting {
    fn run(self) -> Job {
        drop(self.place);
        self.job
    }
}

impl Batcher {
    pub fn new(model: Arc<dyn Model>, codec: Arc<dyn Codec>, settings: Settings) -> Self {
        Self {
            server: Arc::new(Server {
                model,
                settings,
                line: Mutex::default(),
                came: Notify::new(),
                closing: CancellationToken::new(),
            }),
            codec,
            places: Arc::new(Semaphore::new(settings.max_queued.get())),
            encoders: Semaphore::new(settings.workers.get()),
            decoders: Semaphore::new(settings.workers.get()),
            calls: tokio::sync::RwLock::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub async fn infer(&self, text: &str) -> Result<String, InferError> {
        if self.server.closing.is_cancelled() {
            return Err(InferError::Closed);
        }
        let Ok(_call) = self.calls.try_read() else {
            return Err(InferError::Closed);
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(InferError::Overloaded);
        };
        let encoder = self.encoders.acquire().await;
        let encoded = self.codec.encode(text).await;
        drop(encoder);
        let tokens = encoded.map_err(InferError::Encode)?;
        let mut replied = self.queue(tokens, place);
        let scores = loop {
            tokio::select! {
                biased;
                scores = &mut replied => break scores,
                () = self.lead() => {}
            }
        };
        let scores = scores.map_err(|_| InferError::Closed)?;
        let scores = scores.map_err(InferError::Model)?;
        let _decoder = self.decoders.acquire().await;
        self.codec.decode(scores).await.map_err(InferError::Decode)
    }

    async fn lead(&self) {
        let _turn = self.turn.lock().await;
        if let Some(batch) = self.server.next().await {
            run_batch(&*self.server.model, batch).await;
        }
    }

    fn queue(
        &self,
        tokens: Tokens,
        place: OwnedSemaphorePermit,
    ) -> oneshot::Receiver<Result<Scores, ModelError>> {
        let (reply, replied) = oneshot::channel();
        let since = Instant::now();
        let job = Job { tokens, reply };
        let mut line = self.server.line.lock().unwrap();
        line.waiting.push_back(Waiting { job, since, place });
        self.server.came.notify_one();
        replied
    }

    pub async fn shutdown(&self) {
        self.server.closing.cancel();
        drop(self.calls.write().await);
    }
}
