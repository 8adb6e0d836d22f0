//! wrong: a panic is noticed, and the worker restarted, only while somebody awaits the supervisor
//! fails: after the last restart a panic is the worker's end: failed
//! pitfall: forgotten-await

mod given;

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
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
    crew: JoinSet<bool>,
    workers: HashMap<Id, Worker>,
    exits: Vec<Exit>,
}

type Start = Arc<dyn Fn(CancellationToken) -> Job + Send + Sync>;

struct Worker {
    name: String,
    start: Start,
    starts: u32,
    last: End,
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
        self.start(Worker {
            name: name.to_owned(),
            start: Arc::new(move |token| Box::pin(start(token))),
            starts: 0,
            last: End::Aborted,
        });
    }

    fn start(&mut self, mut worker: Worker) {
        worker.starts += 1;
        let delay = if worker.starts == 1 {
            Duration::ZERO
        } else {
            self.restart.delay
        };
        let (stop, start) = (self.stop.clone(), Arc::clone(&worker.start));
        let id = self
            .crew
            .spawn(async move {
                if !delay.is_zero() && stop.run_until_cancelled(sleep(delay)).await.is_none() {
                    return false;
                }
                start(stop.child_token()).await;
                true
            })
            .id();
        self.workers.insert(id, worker);
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
                Ok((id, ran)) => (id, ran.then_some(End::Done)),
                Err(error) => (error.id(), Some(end_of(Err(error)))),
            };
            let Some(mut worker) = self.workers.remove(&id) else {
                continue;
            };
            match end {
                Some(end @ End::Panicked(_))
                    if worker.starts <= self.restart.most && !self.stop.is_cancelled() =>
                {
                    worker.last = end;
                    self.start(worker);
                    continue;
                }
                Some(end) => worker.last = end,
                None => worker.starts -= 1,
            }
            self.exits.push(Exit {
                name: worker.name,
                starts: worker.starts,
                end: worker.last,
            });
        }
    }
}
