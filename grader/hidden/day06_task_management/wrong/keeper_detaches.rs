//! wrong: each start is a task of its own, which the abort of its keeper does not reach
//! fails: a supervisor that is dropped aborts its workers: failed
//! fails: who is left at the end of the grace is aborted: failed
//! fails: when shutdown returns every worker is gone: failed
//! fails: a shutdown dropped at any pending aborts the rest: failed
//! fails: an aborted supervisor takes its workers with it: failed
//! pitfall: leaked-task
//! line: 148

mod given;

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::select;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use given::*;

pub fn end_of(result: Result<(), JoinError>) -> End {
    match result.map_err(JoinError::try_into_panic) {
        Ok(()) => End::Done,
        Err(Ok(payload)) => panicked(&*payload),
        Err(Err(_aborted)) => End::Aborted,
    }
}

fn panicked(payload: &(dyn Any + Send)) -> End {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    End::Panicked(text.unwrap_or(NO_MESSAGE).to_owned())
}

pub async fn run_all(jobs: Vec<(String, Job)>) -> Vec<(String, End)> {
    let mut tasks = JoinSet::new();
    let mut names: HashMap<Id, String> = jobs
        .into_iter()
        .map(|(name, job)| (tasks.spawn(job).id(), name))
        .collect();
    let mut ends = Vec::new();
    while let Some(joined) = tasks.join_next_with_id().await {
        let (id, result) = match joined {
            Ok((id, ())) => (id, Ok(())),
            Err(error) => (error.id(), Err(error)),
        };
        if let Some(name) = names.remove(&id) {
            ends.push((name, end_of(result)));
        }
    }
    ends
}

pub struct Supervisor {
    restart: Restart,
    stop: CancellationToken,
    crew: JoinSet<End>,
    workers: HashMap<Id, Worker>,
    exits: Vec<Exit>,
}

struct Worker {
    name: String,
    starts: Arc<AtomicU32>,
}

impl Supervisor {
    pub fn new(restart: Restart) -> Self {
        Self {
            restart,
            stop: CancellationToken::new(),
            crew: JoinSet::new(),
            workers: HashMap::new(),
            exits: Vec::new(),
        }
    }

    pub fn spawn<F, W>(&mut self, name: &str, start: F)
    where
        F: Fn(CancellationToken) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let starts = Arc::new(AtomicU32::new(0));
        let keep = keep(
            Arc::new(start),
            self.restart,
            self.stop.clone(),
            Arc::clone(&starts),
        );
        let id = self.crew.spawn(keep).id();
        let name = name.to_owned();
        self.workers.insert(id, Worker { name, starts });
    }

    pub async fn wait(mut self) -> Vec<Exit> {
        self.drain().await;
        self.exits
    }

    pub async fn shutdown(mut self, grace: Duration) -> Vec<Exit> {
        self.stop.cancel();
        if timeout(grace, self.drain()).await.is_err() {
            self.crew.abort_all();
            self.drain().await;
        }
        self.exits
    }

    pub async fn run_until(mut self, stop: CancellationToken, grace: Duration) -> Vec<Exit> {
        select! {
            () = self.drain() => self.exits,
            () = stop.cancelled() => self.shutdown(grace).await,
        }
    }

    async fn drain(&mut self) {
        while let Some(joined) = self.crew.join_next_with_id().await {
            let (id, end) = match joined {
                Ok(ended) => ended,
                Err(error) => (error.id(), end_of(Err(error))),
            };
            if let Some(Worker { name, starts }) = self.workers.remove(&id) {
                let starts = starts.load(Ordering::Relaxed);
                self.exits.push(Exit { name, starts, end });
            }
        }
    }
}

async fn keep<F, W>(
    start: Arc<F>,
    restart: Restart,
    stop: CancellationToken,
    starts: Arc<AtomicU32>,
) -> End
where
    F: Fn(CancellationToken) -> W + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    loop {
        let restarts = starts.fetch_add(1, Ordering::Relaxed);
        let token = stop.child_token();
        let start = Arc::clone(&start);
        let worker = tokio::spawn(async move { start(token).await });
        let end = match end_of(worker.await) {
            End::Panicked(message) => End::Panicked(message),
            end => return end,
        };
        if restarts == restart.most {
            return end;
        }
        select! {
            biased;
            () = stop.cancelled() => return end,
            () = sleep(restart.delay) => {}
        }
    }
}
