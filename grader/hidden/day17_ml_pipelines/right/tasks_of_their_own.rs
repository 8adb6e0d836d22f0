//! right: a bounded channel, a stream in chunks, the answer made in a spawned task

mod given;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures::FutureExt;
use futures::future::{Either, select};
use tokio::sync::{Mutex, RwLock, Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

pub use given::*;

pub async fn run_batch(model: &dyn Model, jobs: Vec<Job>) {
    let mut left = vec![jobs];
    loop {
        let Some(jobs) = left.pop() else { return };
        let jobs: Vec<Job> = jobs.into_iter().filter(|j| !j.reply.is_closed()).collect();
        if jobs.is_empty() {
            continue;
        }
        let (inputs, mut replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.tokens, job.reply)).unzip();
        let outcome = model.run(inputs.clone()).await;
        let count = inputs.len();
        match outcome {
            Ok(outputs) => {
                for (reply, output) in replies.into_iter().zip(outputs) {
                    drop(reply.send(Ok(output)));
                }
            }
            Err(error) if count == 1 => {
                let reply = replies.pop().expect("one input, one reply");
                drop(reply.send(Err(error)));
            }
            Err(_) => {
                let jobs = inputs.into_iter().zip(replies);
                let mut jobs: Vec<_> = jobs.map(|(tokens, reply)| Job { tokens, reply }).collect();
                left.push(jobs.split_off(count.div_ceil(2)));
                left.push(jobs);
            }
        }
    }
}

/// A number that is counted up and down by itself.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn below(count: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let up = |n: usize| (n < limit).then_some(n + 1);
        count.fetch_update(SeqCst, SeqCst, up).ok()?;
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

type Queued = (Instant, Job, Counted);

pub struct Batcher {
    codec: Arc<dyn Codec>,
    queued: Arc<AtomicUsize>,
    settings: Settings,
    encoders: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
    line: mpsc::Sender<Queued>,
    /// Calls hold it for reading; a shutdown waits to write.
    calls: Arc<RwLock<()>>,
    closed: watch::Sender<bool>,
    worker: Mutex<Option<AbortOnDropHandle<()>>>,
    abort: AbortHandle,
}

impl Batcher {
    pub fn new(model: Arc<dyn Model>, codec: Arc<dyn Codec>, settings: Settings) -> Self {
        let (line, waiting) = mpsc::channel(settings.max_queued.get());
        let closed = watch::Sender::new(false);
        let work = work(model, waiting, settings, closed.subscribe());
        let worker = AbortOnDropHandle::new(tokio::spawn(work));
        let abort = worker.abort_handle();
        Self {
            codec,
            queued: Arc::default(),
            settings,
            encoders: Arc::new(Semaphore::new(settings.workers.get())),
            decoders: Arc::new(Semaphore::new(settings.workers.get())),
            line,
            calls: Arc::default(),
            closed,
            worker: Mutex::new(Some(worker)),
            abort,
        }
    }

    pub async fn infer(&self, text: &str) -> Result<String, InferError> {
        if *self.closed.borrow() {
            return Err(InferError::Closed);
        }
        let call = Arc::clone(&self.calls).try_read_owned();
        let call = call.map_err(|_| InferError::Closed)?;
        let queued = Counted::below(&self.queued, self.settings.max_queued.get());
        let queued = queued.ok_or(InferError::Overloaded)?;
        let (codec, line, text) = (Arc::clone(&self.codec), self.line.clone(), text.to_owned());
        let (encoders, decoders) = (Arc::clone(&self.encoders), Arc::clone(&self.decoders));
        let way = tokio::spawn(async move {
            let _call = call;
            let encoder = encoders.acquire().await;
            let tokens = codec.encode(&text).await.map_err(InferError::Encode)?;
            drop(encoder);
            let (reply, replied) = oneshot::channel();
            let job = Job { tokens, reply };
            let _ = line.send((Instant::now(), job, queued)).await;
            let scores = replied.await.map_err(|_| InferError::Closed)?;
            let scores = scores.map_err(InferError::Model)?;
            let _decoder = decoders.acquire().await;
            codec.decode(scores).await.map_err(InferError::Decode)
        });
        AbortOnDropHandle::new(way).await.expect("no codec panics")
    }

    pub async fn shutdown(&self) {
        self.closed.send_replace(true);
        drop(self.calls.write().await);
        self.abort.abort();
        let mut worker = self.worker.lock().await;
        if let Some(handle) = worker.as_mut() {
            let _ = handle.await;
        }
        *worker = None;
    }
}

async fn work(
    model: Arc<dyn Model>,
    mut line: mpsc::Receiver<Queued>,
    settings: Settings,
    mut closed: watch::Receiver<bool>,
) {
    let max_batch = settings.max_batch.get();
    while let Some(first) = line.recv().await {
        let due = first.0 + settings.max_wait;
        let mut batch = vec![first];
        let gather = async {
            while batch.len() < max_batch {
                match line.recv().now_or_never() {
                    Some(next) => batch.extend(next),
                    None => match timeout_at(due, line.recv()).await {
                        Ok(next) => batch.extend(next),
                        Err(_elapsed) => break,
                    },
                }
            }
        };
        let closing = closed.wait_for(|closed| *closed);
        // Looks at its left side first.
        if let Either::Right((_, gather)) = select(pin!(gather), pin!(closing)).await {
            drop(gather);
        }
        let jobs = batch.into_iter().map(|(_, job, _queued)| job).collect();
        run_batch(&*model, jobs).await;
    }
}
