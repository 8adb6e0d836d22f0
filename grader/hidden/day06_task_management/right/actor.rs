//! right: one task owns the crew and takes orders through a channel

mod given;
pub use given::*;

use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub fn end_of(result: Result<(), JoinError>) -> End {
    let Err(error) = result else {
        return End::Done;
    };
    if error.is_cancelled() {
        return End::Aborted;
    }
    let payload = error.into_panic();
    End::Panicked(match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or(NO_MESSAGE, |text| text)
            .to_owned(),
    })
}

pub async fn run_all(jobs: Vec<(String, Job)>) -> Vec<(String, End)> {
    let mut supervisor = JoinSet::new();
    for (name, job) in jobs {
        supervisor.spawn(async move {
            let job = AbortOnDropHandle::new(tokio::spawn(job));
            (name, end_of(job.await))
        });
    }
    supervisor.join_all().await
}

type Start = Box<dyn Fn(CancellationToken) -> Job + Send + Sync>;

enum Order {
    Start(String, Start),
    /// Ends with the last worker; or first shuts down when told so.
    Finish(Option<(CancellationToken, Duration)>),
}

/// What is at the other end: drops with this, and the crew with it.
pub struct Supervisor {
    orders: mpsc::UnboundedSender<Order>,
    boss: AbortOnDropHandle<Vec<Exit>>,
}

impl Supervisor {
    pub fn new(restart: Restart) -> Self {
        let (orders, receiver) = mpsc::unbounded_channel();
        let boss = AbortOnDropHandle::new(tokio::spawn(Boss::new(restart).rule(receiver)));
        Self { orders, boss }
    }

    pub fn spawn<F, W>(&mut self, name: &str, start: F)
    where
        F: Fn(CancellationToken) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let start: Start = Box::new(move |token| Box::pin(start(token)));
        self.order(Order::Start(name.to_owned(), start));
    }

    pub async fn wait(self) -> Vec<Exit> {
        self.finish(None).await
    }

    pub async fn shutdown(self, grace: Duration) -> Vec<Exit> {
        let now = CancellationToken::new();
        now.cancel();
        self.run_until(now, grace).await
    }

    pub async fn run_until(self, stop: CancellationToken, grace: Duration) -> Vec<Exit> {
        self.finish(Some((stop, grace))).await
    }

    async fn finish(self, until: Option<(CancellationToken, Duration)>) -> Vec<Exit> {
        self.order(Order::Finish(until));
        self.boss.await.expect("the boss neither panics nor leaves")
    }

    fn order(&self, order: Order) {
        let sent = self.orders.send(order);
        assert!(sent.is_ok(), "the boss listens until it is dropped");
    }
}

struct Boss {
    restart: Restart,
    stop: CancellationToken,
    tasks: JoinSet<bool>,
    workers: HashMap<Id, Worker>,
    exits: Vec<Exit>,
}

struct Worker {
    name: String,
    start: std::sync::Arc<Start>,
    starts: u32,
    last: End,
}

impl Boss {
    fn new(restart: Restart) -> Self {
        Self {
            restart,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            workers: HashMap::new(),
            exits: Vec::new(),
        }
    }

    async fn rule(mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> Vec<Exit> {
        let mut until: Option<(CancellationToken, Duration)> = None;
        let mut finishing = false;
        let mut deadline = None;
        while !(finishing && self.tasks.is_empty()) {
            tokio::select! {
                Some(order) = orders.recv() => match order {
                    Order::Start(name, start) => {
                        let start = std::sync::Arc::new(start);
                        let worker = Worker { name, start, starts: 0, last: End::Aborted };
                        self.start(worker, Duration::ZERO);
                    }
                    Order::Finish(told) => (finishing, until) = (true, told),
                },
                Some(joined) = self.tasks.join_next_with_id() => match joined {
                    Ok((id, ran)) => self.ended(id, ran.then_some(End::Done)),
                    Err(error) => self.ended(error.id(), Some(end_of(Err(error)))),
                },
                grace = told(until.clone()), if deadline.is_none() => {
                    self.stop.cancel();
                    deadline = Some(Instant::now() + grace);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.tasks.abort_all();
                    deadline = Some(Instant::now() + Duration::from_secs(3600));
                }
            }
        }
        self.exits
    }

    /// The task's output: whether the worker was started at all.
    fn start(&mut self, mut worker: Worker, delay: Duration) {
        let (stop, start) = (self.stop.clone(), std::sync::Arc::clone(&worker.start));
        let first = worker.starts == 0;
        let id = self
            .tasks
            .spawn(async move {
                if !first {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return false,
                        () = sleep(delay) => {}
                    }
                }
                start(stop.child_token()).await;
                true
            })
            .id();
        worker.starts += 1;
        self.workers.insert(id, worker);
    }

    /// `None`: it waited for a restart that will not come.
    fn ended(&mut self, id: Id, end: Option<End>) {
        let mut worker = self.workers.remove(&id).expect("every task is a worker's");
        match end {
            Some(End::Panicked(text))
                if worker.starts <= self.restart.most && !self.stop.is_cancelled() =>
            {
                worker.last = End::Panicked(text);
                self.start(worker, self.restart.delay);
                return;
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

/// The grace, once somebody says stop.
async fn told(until: Option<(CancellationToken, Duration)>) -> Duration {
    let Some((stop, grace)) = until else {
        return pending().await;
    };
    stop.cancelled().await;
    grace
}
