//! right: handles that abort when dropped, ends through a channel, panics caught by hand

mod given;
pub use given::*;

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub fn end_of(result: Result<(), JoinError>) -> End {
    match result {
        Ok(()) => End::Done,
        Err(error) if error.is_panic() => panicked(error.into_panic()),
        Err(_) => End::Aborted,
    }
}

fn panicked(payload: Box<dyn Any + Send>) -> End {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        End::Panicked((*text).to_owned())
    } else if let Ok(text) = payload.downcast::<String>() {
        End::Panicked(*text)
    } else {
        End::Panicked(NO_MESSAGE.to_owned())
    }
}

pub async fn run_all(jobs: Vec<(String, Job)>) -> Vec<(String, End)> {
    let tasks: FuturesUnordered<_> = jobs
        .into_iter()
        .map(|(name, job)| {
            let task = AbortOnDropHandle::new(tokio::spawn(job));
            async move { (name, end_of(task.await)) }
        })
        .collect();
    tasks.collect().await
}

pub struct Supervisor {
    restart: Restart,
    stop: CancellationToken,
    crew: Vec<Member>,
    sender: mpsc::UnboundedSender<(usize, End)>,
    ends: mpsc::UnboundedReceiver<(usize, End)>,
    exits: Vec<Exit>,
}

struct Member {
    name: String,
    starts: Arc<AtomicU32>,
    task: Option<AbortOnDropHandle<()>>,
}

impl Supervisor {
    pub fn new(restart: Restart) -> Self {
        let (sender, ends) = mpsc::unbounded_channel();
        Self {
            restart,
            stop: CancellationToken::new(),
            crew: Vec::new(),
            sender,
            ends,
            exits: Vec::new(),
        }
    }

    pub fn spawn<F, W>(&mut self, name: &str, start: F)
    where
        F: Fn(CancellationToken) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let starts = Arc::new(AtomicU32::new(0));
        let (index, sender) = (self.crew.len(), self.sender.clone());
        let (restart, stop, count) = (self.restart, self.stop.clone(), Arc::clone(&starts));
        let task = tokio::spawn(async move {
            let end = keep(start, restart, stop, count).await;
            let _ = sender.send((index, end));
        });
        self.crew.push(Member {
            name: name.to_owned(),
            starts,
            task: Some(AbortOnDropHandle::new(task)),
        });
    }

    pub async fn wait(mut self) -> Vec<Exit> {
        self.drain().await;
        self.exits
    }

    pub async fn shutdown(mut self, grace: Duration) -> Vec<Exit> {
        let deadline = tokio::time::Instant::now() + grace;
        self.stop.cancel();
        if timeout_at(deadline, self.drain()).await.is_err() {
            for index in 0..self.crew.len() {
                let Some(task) = self.crew[index].task.take() else {
                    continue;
                };
                task.abort();
                if task.await.is_err() {
                    self.note(index, End::Aborted);
                }
            }
            while let Ok((index, end)) = self.ends.try_recv() {
                self.note(index, end);
            }
        }
        self.exits
    }

    pub async fn run_until(mut self, stop: CancellationToken, grace: Duration) -> Vec<Exit> {
        match stop.run_until_cancelled(self.drain()).await {
            Some(()) => self.exits,
            None => self.shutdown(grace).await,
        }
    }

    async fn drain(&mut self) {
        while self.exits.len() < self.crew.len() {
            let (index, end) = self.ends.recv().await.expect("we have a sender, too");
            self.note(index, end);
        }
    }

    fn note(&mut self, index: usize, end: End) {
        let member = &mut self.crew[index];
        member.task = None;
        self.exits.push(Exit {
            name: member.name.clone(),
            starts: member.starts.load(SeqCst),
            end,
        });
    }
}

async fn keep<F, W>(
    start: F,
    restart: Restart,
    stop: CancellationToken,
    count: Arc<AtomicU32>,
) -> End
where
    F: Fn(CancellationToken) -> W,
    W: Future<Output = ()>,
{
    let mut restarts = 0..restart.most;
    loop {
        count.fetch_add(1, SeqCst);
        let Err(payload) = caught(async { start(stop.child_token()).await }).await else {
            return End::Done;
        };
        let wait = stop.run_until_cancelled(sleep(restart.delay));
        if restarts.next().is_none() || stop.is_cancelled() || wait.await.is_none() {
            return panicked(payload);
        }
    }
}

async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let mut future: Pin<&mut F> = future.as_mut();
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(payload) => Poll::Ready(Err(payload)),
        }
    })
    .await
}
