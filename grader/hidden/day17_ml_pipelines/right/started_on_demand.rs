//! right: nobody waits for calls: the first one in the line starts the task that makes batches

mod given;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use given::*;

/// Runs the model over the inputs of `jobs`, and sends each job its output.
pub async fn run_batch(model: &dyn Model, jobs: Vec<Job>) {
    // What is still to run; the last one is next.
    let mut batches = vec![jobs];
    while let Some(mut jobs) = batches.pop() {
        // Before inputs and replies part: what is left out, is left out of both.
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
            // One of them is to blame. With halves it is found in about
            // 2 log n runs, and most of the others need few of them.
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
    is_served: bool,
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
    tasks: Mutex<JoinSet<()>>,
}

impl Server {
    /// The next batch; `None`: the line is empty, and nobody serves it.
    async fn next(&self) -> Option<Vec<Job>> {
        let max_batch = self.settings.max_batch.get();
        let since = {
            let mut line = self.line.lock().unwrap();
            line.is_served = !line.waiting.is_empty();
            line.waiting.front()?.since
        };
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

    async fn serve(self: Arc<Self>) {
        while let Some(batch) = self.next().await {
            run_batch(&*self.model, batch).await;
        }
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
            tasks: Mutex::default(),
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
        let replied = self.queue(tokens, place);
        let scores = replied.await.map_err(|_| InferError::Closed)?;
        let scores = scores.map_err(InferError::Model)?;
        let _decoder = self.decoders.acquire().await;
        self.codec.decode(scores).await.map_err(InferError::Decode)
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
        if !line.is_served {
            line.is_served = true;
            let mut tasks = self.tasks.lock().unwrap();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(Arc::clone(&self.server).serve());
        }
        replied
    }

    pub async fn shutdown(&self) {
        self.server.closing.cancel();
        drop(self.calls.write().await);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.shutdown().await;
    }
}
