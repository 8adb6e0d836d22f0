//! right: a line that all share; whoever leaves takes himself out of it

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::BoxFuture;
use tokio::select;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub use given::*;

pub fn run_batch(model: &dyn Model, mut jobs: Vec<Job>) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        jobs.retain(|job| !job.reply.is_closed());
        let Some(first) = jobs.first() else { return };
        let mut inputs = vec![first.tokens.clone()];
        inputs.extend(jobs[1..].iter().map(|job| job.tokens.clone()));
        match model.run(inputs).await {
            Ok(outputs) => {
                for (output, job) in outputs.into_iter().zip(jobs) {
                    job.reply.send(Ok(output)).ok();
                }
            }
            Err(error) => {
                if jobs.len() == 1 {
                    let job = jobs.remove(0);
                    job.reply.send(Err(error)).ok();
                    return;
                }
                let rest = jobs.split_off(jobs.len() - jobs.len() / 2);
                run_batch(model, jobs).await;
                run_batch(model, rest).await;
            }
        }
    })
}

#[derive(Default)]
struct State {
    next_number: u64,
    line: VecDeque<(u64, Instant, Job)>,
    queued: usize,
    calls: usize,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    calls: watch::Sender<usize>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

pub struct Batcher {
    shared: Arc<Shared>,
    codec: Arc<dyn Codec>,
    encoders: Semaphore,
    decoders: Semaphore,
    max_queued: usize,
    worker: Mutex<JoinSet<()>>,
    worker_ended: watch::Receiver<()>,
}

/// A call that has begun. `queued`: it has a place that no batch took.
struct Call<'a> {
    shared: &'a Shared,
    number: Option<u64>,
    encoding: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if self.encoding {
            state.queued -= 1;
        } else if let Some(number) = self.number {
            let before = state.line.len();
            state.line.retain(|(other, _, _)| *other != number);
            state.queued -= before - state.line.len();
        }
        state.calls -= 1;
        let calls = state.calls;
        drop(state);
        self.shared.calls.send_replace(calls);
        self.shared.changed.notify_one();
    }
}

impl Batcher {
    pub fn new(model: Arc<dyn Model>, codec: Arc<dyn Codec>, settings: Settings) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            calls: watch::Sender::new(0),
        });
        let (ending, worker_ended) = watch::channel(());
        let mut worker = JoinSet::new();
        let line = Arc::clone(&shared);
        worker.spawn(async move {
            let _ending = ending;
            work(&*model, &line, settings).await;
        });
        Self {
            shared,
            codec,
            encoders: Semaphore::new(settings.workers.get()),
            decoders: Semaphore::new(settings.workers.get()),
            max_queued: settings.max_queued.get(),
            worker: Mutex::new(worker),
            worker_ended,
        }
    }

    pub async fn infer(&self, text: &str) -> Result<String, InferError> {
        let mut call = {
            let mut state = self.shared.state();
            if state.closed {
                return Err(InferError::Closed);
            }
            if state.queued == self.max_queued {
                return Err(InferError::Overloaded);
            }
            state.queued += 1;
            state.calls += 1;
            Call {
                shared: &self.shared,
                number: None,
                encoding: true,
            }
        };
        let tokens = {
            let _encoder = self.encoders.acquire().await;
            self.codec.encode(text).await.map_err(InferError::Encode)?
        };
        let (reply, replied) = oneshot::channel();
        {
            let mut state = self.shared.state();
            let number = state.next_number;
            state.next_number += 1;
            let job = Job { tokens, reply };
            state.line.push_back((number, Instant::now(), job));
            call.encoding = false;
            call.number = Some(number);
        }
        self.shared.changed.notify_one();
        let scores = replied
            .await
            .map_err(|_| InferError::Closed)?
            .map_err(InferError::Model)?;
        let _decoder = self.decoders.acquire().await;
        self.codec.decode(scores).await.map_err(InferError::Decode)
    }

    pub async fn shutdown(&self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
        let mut calls = self.shared.calls.subscribe();
        let shared = &self.shared;
        let _ = calls.wait_for(|_| shared.state().calls == 0).await;
        self.worker.lock().unwrap().abort_all();
        let mut worker_ended = self.worker_ended.clone();
        while worker_ended.changed().await.is_ok() {}
    }
}

/// What the worker does next.
enum Next {
    Run(Vec<Job>),
    WaitUntil(Option<Instant>),
}

fn next(shared: &Shared, settings: Settings) -> Next {
    let mut state = shared.state();
    let due = state
        .line
        .front()
        .map(|(_, since, _)| *since + settings.max_wait);
    let enough = state.line.len() >= settings.max_batch.get();
    let now = due.is_some_and(|due| due <= Instant::now());
    if !enough && !now && !(state.closed && due.is_some()) {
        return Next::WaitUntil(due);
    }
    let count = state.line.len().min(settings.max_batch.get());
    state.queued -= count;
    Next::Run(state.line.drain(..count).map(|(_, _, job)| job).collect())
}

async fn work(model: &dyn Model, shared: &Shared, settings: Settings) {
    loop {
        let due = match next(shared, settings) {
            Next::Run(jobs) => {
                run_batch(model, jobs).await;
                continue;
            }
            Next::WaitUntil(due) => due,
        };
        let clock = pin!(async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        });
        select! {
            () = shared.changed.notified() => {}
            () = clock => {}
        }
    }
}
