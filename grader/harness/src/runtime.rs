//! One run: a fresh thread, a fresh runtime with a paused clock, and how it ended.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use kata_report::CheckRecord;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};

use crate::idle::MAX_IDLES;
use crate::lab::Lab;
use crate::outcome::{self, Outcome};
use crate::panics::Stop;
use crate::world::{World, mix};
use crate::{channel, interpose, watchdog};

/// A check's body.
pub(crate) type Body = dyn Fn(Lab) -> Root + Send + Sync;
/// What the runtime runs: a check's body at work.
pub(crate) type Root = Pin<Box<dyn Future<Output = ()>>>;

/// The learner's code recurses on this stack.
const STACK: usize = 8 << 20;

/// How a run's root ended.
pub(crate) enum End {
    /// It returned, or an expectation failed.
    Done,
    Panicked(Box<dyn Any + Send>),
    /// Every task waits and no timer is pending, since this instant.
    Deadlock(Duration),
    /// Only periodic timers fire.
    NeverEnds(Duration),
    /// Polls without end while time stands still.
    Busy(Duration),
}

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
    });
    let ending = Arc::clone(world);
    builder.on_task_terminate(move |task| {
        if let (Some(span), by_itself) = ending.tasks.ended(task.id()) {
            let end = if by_itself {
                SpanEnd::Done
            } else {
                SpanEnd::Cancelled
            };
            ending.spans.close(span, end, ending.now_ms());
        }
    });
    let polling = Arc::clone(world);
    builder.on_before_task_poll(move |task| {
        polling.pulse.beat();
        let count = polling.idle.about_to_poll();
        polling.tasks.polled(task.id(), count);
        interpose::set_in_poll(true);
    });
    let polled = Arc::clone(world);
    builder.on_after_task_poll(move |_| {
        interpose::set_in_poll(false);
        polled.tasks.poll_ended();
    });
}

/// Milliseconds from the start at which the sentinel wakes: 64⁴, 64⁵ and 60·64⁵. Each is the
/// start of a slot of tokio's timer wheel, so that no cascade of its own wakes it earlier.
const STEPS: [u64; 3] = [1 << 24, 1 << 30, 60 << 30];
/// An idle that old (about a year) was the last one.
const LONG_AGO: Duration = Duration::from_millis(30 << 30);

/// Polls the body until it ends, or until the sentinel proves that it never will.
///
/// The proof: the clock of a paused runtime moves only when nothing can run, to the next
/// timer, and not while a blocking job runs. So if the sentinel's last step is reached and
/// nobody was idle for a year before, no other timer was pending in that year.
fn drive(world: &World, run: &mut Run, body: impl FnOnce() -> Root) -> End {
    let Run {
        runtime,
        root,
        counted_polls,
    } = run;
    let mut body = Some(body);
    runtime.block_on(async {
        let begin = Instant::now();
        let at = |step: usize| Duration::from_millis(STEPS[step]);
        let mut sentinel = std::pin::pin!(sleep_until(begin + at(0)));
        let (mut step, mut mark) = (0, Duration::ZERO);
        poll_fn(|context| {
            world.idle.set_root(context.waker());
            if world.idle.about_to_poll() {
                *counted_polls += 1;
            }
            if let Some(end) = poll_root(world, root, &mut body, context) {
                return Poll::Ready(end);
            }
            if world.idle.is_busy() {
                return Poll::Ready(End::Busy(world.now()));
            }
            let last = world.idle.last();
            if world.idle.idles() > MAX_IDLES {
                return Poll::Ready(End::NeverEnds(last));
            }
            while sentinel.as_mut().poll(context).is_ready() {
                world.idle.moved_by_sentinel();
                if step == 0 || last > at(step - 1) {
                    mark = last; // an idle after our own re-arm: somebody else's timer ran
                }
                if step + 1 == STEPS.len() {
                    let silent = world.now().saturating_sub(mark) > LONG_AGO;
                    return Poll::Ready(if silent {
                        End::Deadlock(mark)
                    } else {
                        End::NeverEnds(mark)
                    });
                }
                step += 1;
                sentinel.as_mut().reset(begin + at(step));
            }
            Poll::Pending
        })
        .await
    })
}

/// Polls the learner's code once. `None`: it waits.
fn poll_root(
    world: &World,
    root: &mut Option<Root>,
    body: &mut Option<impl FnOnce() -> Root>,
    context: &mut Context<'_>,
) -> Option<End> {
    world.pulse.beat();
    interpose::set_in_poll(true);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        if let Some(body) = body.take() {
            *root = Some(body());
        }
        root.as_mut().map(|root| root.as_mut().poll(context))
    }));
    interpose::set_in_poll(false);
    match polled {
        Err(payload) if payload.is::<Stop>() => Some(End::Done),
        Err(payload) => Some(End::Panicked(payload)),
        Ok(Some(Poll::Pending)) if !world.has_failed() => None,
        Ok(_) => Some(End::Done),
    }
}

/// Sends the record as it stands and ends the process. Comes back only where no grader
/// listens, or another thread is about to do the same.
pub(crate) fn end_now(world: &World) {
    let known = world.written().outcome.clone();
    let outcome = known.unwrap_or_else(|| Outcome::now(world, None, world.now_ms()));
    channel::finish(outcome.record(world));
}
