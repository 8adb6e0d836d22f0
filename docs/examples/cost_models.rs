//! What threads, processes and async tasks cost: the same load under each, as a simulation.
//!
//! A request waits (for a network, a disk) and then computes. A *thread* holds its request through
//! both, so that there are never more requests under way than threads. A *process* is the same
//! with a start that takes time. An *async task* holds nothing while it waits: all requests wait
//! at once, and queue for a core only when they compute. Cores are what nobody can add.
//!
//! It is a model and no measurement: no memory, no context switch, no cache.
//!
//! `cargo run --example cost_models` prints some loads under each.
//! `kata demo cost_models` draws one that you choose.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures::future::{join_all, join3};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// What is to be done, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Requests.
    pub tasks: usize,
    /// How long a request waits for others.
    pub io: Duration,
    /// How long it computes.
    pub cpu: Duration,
    /// Requests that can compute at the same time.
    pub cores: usize,
    /// Threads, and processes, that serve.
    pub workers: usize,
    /// How long a process takes to start.
    pub start: Duration,
}

/// Passes the time; a demo draws for whom and for what.
pub trait Clock {
    fn spend(&self, who: &str, what: &str, time: Duration) -> impl Future<Output = ()> {
        let _ = (who, what);
        sleep(time)
    }

    fn wait<T>(
        &self,
        _who: &str,
        _what: &str,
        waiting: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        waiting
    }
}

/// How long the load takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    pub threads: Duration,
    pub processes: Duration,
    pub tasks: Duration,
}

/// The load under each of the three at once, each with cores of its own.
pub async fn simulate(clock: &impl Clock, load: Load) -> Took {
    let begin = Instant::now();
    let threads = async {
        workers(clock, "thread", load, Duration::ZERO).await;
        begin.elapsed()
    };
    let processes = async {
        workers(clock, "process", load, load.start).await;
        begin.elapsed()
    };
    let tasks = async {
        tasks(clock, load).await;
        begin.elapsed()
    };
    let (threads, processes, tasks) = join3(threads, processes, tasks).await;
    Took {
        threads,
        processes,
        tasks,
    }
}

/// Each worker takes the next request when it is through with the last.
async fn workers(clock: &impl Clock, kind: &str, load: Load, start: Duration) {
    let (cores, next) = (Semaphore::new(load.cores), AtomicUsize::new(0));
    let (cores, next) = (&cores, &next);
    let workers = (0..load.workers.min(load.tasks)).map(|worker| async move {
        let who = format!("{kind} {worker}");
        if !start.is_zero() {
            clock.spend(&who, "start", start).await;
        }
        while next.fetch_add(1, SeqCst) < load.tasks {
            clock.wait(&who, "I/O", sleep(load.io)).await;
            compute(clock, &who, load, cores).await;
        }
    });
    join_all(workers).await;
}

/// All requests are under way at once.
async fn tasks(clock: &impl Clock, load: Load) {
    let cores = &Semaphore::new(load.cores);
    let tasks = (0..load.tasks).map(|task| async move {
        let who = format!("async {task}");
        clock.wait(&who, "I/O", sleep(load.io)).await;
        compute(clock, &who, load, cores).await;
    });
    join_all(tasks).await;
}

async fn compute(clock: &impl Clock, who: &str, load: Load, cores: &Semaphore) {
    if load.cpu.is_zero() {
        return;
    }
    let core = clock.wait(who, "a core", cores.acquire()).await;
    let _core = core.expect("nobody closes the semaphore");
    clock.spend(who, "compute", load.cpu).await;
}

struct Silent;

impl Clock for Silent {}

// The simulation needs no real time: with a paused clock its sleeps cost nothing.
#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    println!("requests   I/O   CPU    8 threads   8 processes   async on 2 cores");
    for (tasks, io, cpu) in [(1000, 100, 0), (1000, 100, 1), (16, 0, 100), (100, 10, 100)] {
        let ms = Duration::from_millis;
        let load = Load {
            tasks,
            io: ms(io),
            cpu: ms(cpu),
            cores: 2,
            workers: 8,
            start: ms(30),
        };
        let took = simulate(&Silent, load).await;
        let [threads, processes, all] =
            [took.threads, took.processes, took.tasks].map(|took| took.as_millis());
        println!("{tasks:>8} {io:>5} {cpu:>5} {threads:>9} ms {processes:>10} ms {all:>15} ms");
    }
}
