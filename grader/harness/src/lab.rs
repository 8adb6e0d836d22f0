//! The lab: what a check's body holds in its hand.

use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::channel;
use crate::controlled::{self, Controlled, Handle};
use crate::interpose;
use crate::panics::Panic;
use crate::place::Place;
use crate::probe::Probe;
use crate::service::ServiceBuilder;
use crate::span::SpanGuard;
use crate::world::World;

/// `n` milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A handle to one run: virtual time, the seed, simulators, expectations. Cheap to clone.
#[derive(Clone)]
pub struct Lab {
    pub(crate) world: Arc<World>,
}

/// One call of [`Lab::heavy`].
#[derive(Debug, Clone)]
pub struct Heavy {
    /// What the work was.
    pub label: String,
    /// What it would have cost, in the check's own unit.
    pub cost: u64,
    /// Whether it ran on the runtime's thread, where it keeps everybody waiting.
    pub on_runtime: bool,
    /// Virtual milliseconds since the run began.
    pub at_ms: u64,
    /// Where the learner's code asked for it.
    pub location: Place,
}

impl Lab {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// The number that fixes every random choice of this run.
    pub fn seed(&self) -> u64 {
        self.world.seed
    }

    /// A generator that depends on the seed and on how many were made before it.
    pub fn rng(&self) -> Rng {
        Rng::with_seed(self.world.stream())
    }

    /// A number in `range` that depends on the seed and on how many were asked for before it.
    pub fn pick(&self, range: RangeInclusive<u64>) -> u64 {
        self.rng().u64(range)
    }

    /// Virtual time since the run began.
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// Virtual milliseconds since the run began.
    pub fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    /// The future's output and the virtual time it took.
    pub async fn timed<F: Future>(&self, future: F) -> (F::Output, Duration) {
        let begin = self.now();
        let output = future.await;
        (output, self.now().saturating_sub(begin))
    }

    /// Waits until everybody else is idle at this same instant; virtual time does not move.
    /// Blocking jobs are waited for, but not one that itself waits for the runtime.
    pub async fn settle(&self) {
        crate::idle::settle(&self.world).await;
    }

    /// How many spawned tasks have not ended. Call [`Lab::settle`] first: a task that is about
    /// to end counts until it did.
    pub fn tasks_alive(&self) -> usize {
        self.world
            .handle()
            .map_or(0, |handle| handle.metrics().num_alive_tasks())
    }

    /// Every panic so far, in order.
    pub fn panics(&self) -> Vec<Panic> {
        self.world.written().panics.clone()
    }

    /// Appends to the run's event log.
    pub fn log(&self, event: impl Into<String>) {
        let at_ms = self.now_ms();
        self.world.written().events.push((at_ms, event.into()));
    }

    /// The event log: virtual milliseconds and what was said.
    pub fn events(&self) -> Vec<(u64, String)> {
        self.world.written().events.clone()
    }

    /// Begins a span in the chart's row `lane`.
    pub fn span(&self, lane: impl Into<String>, label: impl Into<String>) -> SpanGuard {
        SpanGuard::new(Arc::clone(&self.world), lane.into(), label.into())
    }

    /// A simulated backend; its calls are drawn in rows named after it.
    pub fn service(&self, name: impl Into<String>) -> ServiceBuilder {
        ServiceBuilder::new(self.clone(), name.into())
    }

    /// A future to be polled by hand.
    pub fn probe<F: Future>(&self, future: F) -> Probe<F> {
        Probe::new(future)
    }

    /// An inner future that the check resolves by hand.
    pub fn controlled<T>(&self) -> (Handle<T>, Controlled<T>) {
        controlled::pair()
    }

    /// Whether the calling thread is the runtime's.
    pub fn on_runtime_thread(&self) -> bool {
        interpose::on_runtime()
    }

    /// Stands for CPU work of `cost` units: costs no time, but the thread it ran on is recorded.
    pub fn heavy(&self, label: impl Into<String>, cost: u64) {
        let heavy = Heavy {
            label: label.into(),
            cost,
            on_runtime: self.on_runtime_thread(),
            at_ms: self.now_ms(),
            location: Place::here(),
        };
        self.world.written().heavy.push(heavy);
    }

    /// Every call of [`Lab::heavy`], in order.
    pub fn heavy_calls(&self) -> Vec<Heavy> {
        self.world.written().heavy.clone()
    }

    /// How many lines of code the learner changed: blank lines and comments do not count, and of
    /// lines that took the place of others the greater number does. `None` under plain
    /// `cargo test`, where nobody compares with the stub.
    pub fn changed_lines(&self) -> Option<usize> {
        channel::changed_lines()
    }

    /// Allows so many polls without an idle moment before they count as a busy loop (20,000
    /// unless told otherwise).
    pub fn allow_polls(&self, polls: u64) {
        self.world.idle.allow_polls(polls);
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Lab")
            .field("seed", &self.seed())
            .finish_non_exhaustive()
    }
}
