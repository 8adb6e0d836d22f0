//! One run: a fresh thread, a fresh runtime with a paused clock, and how it ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use kata_report::CheckRecord;
use tokio::runtime::{Builder, Runtime};

use crate::lab::Lab;
use crate::outcome::{self, Outcome};
use crate::root::drive;
use crate::world::{World, mix};
use crate::{channel, interpose, watchdog};

/// A check's body.
pub(crate) type Body = dyn Fn(Lab) -> Root + Send + Sync;
/// What the runtime runs: a check's body at work.
pub(crate) type Root = Pin<Box<dyn Future<Output = ()>>>;

/// The learner's code recurses on this stack.
const STACK: usize = 8 << 20;

/// A run's runtime and root.
pub(crate) struct Run {
    pub runtime: Runtime,
    /// `None`: not begun, or it ended.
    pub root: Option<Root>,
    /// Polls of the root that were counted because there were very many at one instant.
    pub counted_polls: u64,
}

/// Runs the body under one seed and gives the record with this run in it. The thread is the
/// run's own, for std keeps the keys of hash maps by thread.
pub(crate) fn run(body: &Body, seed: u64, so_far: CheckRecord) -> CheckRecord {
    thread::scope(|scope| {
        let run = thread::Builder::new()
            .name("kata-run".to_owned())
            .stack_size(STACK);
        let run = run.spawn_scoped(scope, || on_thread(body, seed, so_far));
        run.expect("the system gives a thread")
            .join()
            .expect("a run catches its panics")
    })
}

fn on_thread(body: &Body, seed: u64, so_far: CheckRecord) -> CheckRecord {
    let world = World::new(seed, so_far);
    world.enter();
    seed_thread(mix(seed, 0));
    let mut run = Run {
        runtime: build(&world),
        root: None,
        counted_polls: 0,
    };
    world.start(run.runtime.handle().clone());
    let lab = Lab::new(Arc::clone(&world));
    watchdog::watch(Some(&world));
    interpose::set_on_runtime(true);
    let end = drive(&world, &mut run, || body(lab));
    let outcome = outcome::judge(&world, &mut run, end);
    interpose::set_on_runtime(false);
    watchdog::watch(None);
    World::leave();
    // The process is about to end: what still waits is not torn down, for a `Drop` of the
    // learner's that panics or blocks there would say nothing about the check.
    std::mem::forget(run);
    outcome.record(&world)
}

fn seed_thread(seed: u64) {
    interpose::seed_thread(seed);
    // This crate's own generator would take the time and the thread's number for a seed.
    fastrand::seed(seed);
}

fn build(world: &Arc<World>) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .thread_name("kata-blocking");
    let parking = Arc::clone(world);
    builder.on_thread_park(move || parking.about_to_park());
    let unparking = Arc::clone(world);
    builder.on_thread_unpark(move || unparking.pulse.unpark());
    let blocking = Arc::clone(world);
    let threads = AtomicU64::new(1);
    builder.on_thread_start(move || {
        blocking.enter();
        blocking.pulse.set_job_thread();
        seed_thread(mix(blocking.seed, threads.fetch_add(1, SeqCst)));
    });
    #[cfg(task_hooks)]
    hook_tasks(&mut builder, world);
    builder
        .build()
        .expect("a runtime without I/O needs nothing from the system")
}

#[cfg(task_hooks)]
fn hook_tasks(builder: &mut Builder, world: &Arc<World>) {
    use kata_report::SpanEnd;
    use tokio::runtime::RngSeed;

    builder.rng_seed(RngSeed::from_bytes(&world.seed.to_le_bytes()));
    let spawning = Arc::clone(world);
    builder.on_task_spawn(move |task| {
        let number = spawning.tasks.spawned(task.id(), task.spawned_at());
        let place = crate::place::of_source(task.spawned_at());
        let file = place.file.rsplit('/').next().unwrap_or_default();
        let label = format!("spawned at {file}:{}", place.line);
        let span = spawning
            .spans
            .begin(format!("task {number}"), label, spawning.now_ms());
        spawning.tasks.set_span(number, span);
        spawning.idle.allow_for_tasks(number);
    });
    let ending = Arc::clone(world);
    builder.on_task_terminate(move |task| {
        if let Some(span) = ending.tasks.ended(task.id()) {
            ending.spans.close(span, SpanEnd::Done, ending.now_ms());
        }
    });
    let polling = Arc::clone(world);
    builder.on_before_task_poll(move |task| {
        polling.pulse.beat();
        if polling.idle.about_to_poll() {
            polling.tasks.count_poll(task.id());
        }
        interpose::set_in_poll(true);
    });
    builder.on_after_task_poll(|_| interpose::set_in_poll(false));
}

/// Sends the record as it stands and ends the process. Comes back only where no grader
/// listens, or another thread is about to do the same.
pub(crate) fn end_now(world: &World) {
    let known = world.written().outcome.clone();
    let outcome = known.unwrap_or_else(|| Outcome::meanwhile(world));
    channel::finish(outcome.record(world));
}
