//! wrong: the handles are awaited one after the other: the exits come in the order of spawning
//! fails: wait returns when the last worker has ended: failed
//! fails: a worker's panic is told and disturbs nobody else: failed
//! fails: shutdown asks, and waits for those who clean up: failed
//! fails: who is left at the end of the grace is aborted: failed
//! fails: the report has every worker once, early and late ones: failed
//! fails: run_until ends with the workers, or when it is told: failed
//! pitfall: wrong-result

mod given;

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::select;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

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
    crew: VecDeque<(Worker, AbortOnDropHandle<End>)>,
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
            crew: VecDeque::new(),
            exits: Vec::new(),
        }
    }

    pub fn spawn<F, W>(&mut self, name: &str, start: F)
    where
        F: Fn(CancellationToken) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let starts = Arc::new(AtomicU32::new(0));
        let keep = keep(start, self.restart, self.stop.clone(), Arc::clone(&starts));
        let task = AbortOnDropHandle::new(tokio::spawn(keep));
        let name = name.to_owned();
        self.crew.push_back((Worker { name, starts }, task));
    }

    pub async fn wait(mut self) -> Vec<Exit> {
        self.drain().await;
        self.exits
    }

    pub async fn shutdown(mut self, grace: Duration) -> Vec<Exit> {
        self.stop.cancel();
        if timeout(grace, self.drain()).await.is_err() {
            self.crew.iter().for_each(|(_, task)| task.abort());
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
        while let Some((_, task)) = self.crew.front_mut() {
            let end = task.await.unwrap_or(End::Aborted);
            if let Some((Worker { name, starts }, _)) = self.crew.pop_front() {
                let starts = starts.load(Ordering::Relaxed);
                self.exits.push(Exit { name, starts, end });
            }
        }
    }
}

async fn keep<F, W>(
    start: F,
    restart: Restart,
    stop: CancellationToken,
    starts: Arc<AtomicU32>,
) -> End
where
    F: Fn(CancellationToken) -> W,
    W: Future<Output = ()>,
{
    loop {
        let restarts = starts.fetch_add(1, Ordering::Relaxed);
        let token = stop.child_token();
        let worker = AssertUnwindSafe(async { start(token).await });
        let Err(payload) = worker.catch_unwind().await else {
            return End::Done;
        };
        let end = panicked(&*payload);
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
