//! One run: a fresh thread, a fresh runtime with a paused clock, and how it ended.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use kata_report::{Finding, FindingKind, Span};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};

use crate::idle::MAX_IDLES;
use crate::lab::Lab;
use crate::panics::Stop;
use crate::place::Place;
use crate::world::{World, blank, mix};
use crate::{deadlock, interpose, panics};

/// A check's body.
pub(crate) type Body = dyn Fn(Lab) -> Pin<Box<dyn Future<Output = ()>>> + Send + Sync;

/// What one run gave.
pub(crate) struct Outcome {
    pub finding: Option<Finding>,
    pub virtual_ms: u64,
    pub spans: Vec<Span>,
}

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

/// Runs the body under one seed, on a thread of its own: std keeps the keys of hash maps by thread.
pub(crate) fn run(body: &Body, seed: u64) -> Outcome {
    thread::scope(|scope| {
        let run = thread::Builder::new()
            .name("kata-run".to_owned())
            .spawn_scoped(scope, || on_thread(body, seed));
        let run = run.expect("the system gives a thread");
        run.join().expect("a run catches its panics")
    })
}

fn on_thread(body: &Body, seed: u64) -> Outcome {
    let world = World::new(seed);
    world.enter();
    interpose::seed_thread(mix(seed, 0));
    let runtime = build(&world);
    world.start(runtime.handle().clone());
    let lab = Lab::new(Arc::clone(&world));
    interpose::set_on_runtime(true);
    let mut root = None;
    let end = drive(&world, &runtime, &mut root, || body(lab));
    interpose::set_on_runtime(false);
    let outcome = deadlock::judge(&world, end);
    World::leave();
    // The process is about to end: what still waits is not torn down, for a `Drop` of the
    // learner's that panics or blocks there would say nothing about the check.
    std::mem::forget(root);
    std::mem::forget(runtime);
    outcome
}

fn build(world: &Arc<World>) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .thread_name("kata-blocking");
    let parking = Arc::clone(world);
    builder.on_thread_park(move || parking.idle.about_to_park());
    let blocking = Arc::clone(world);
    let threads = AtomicU64::new(1);
    builder.on_thread_start(move || {
        blocking.enter();
        interpose::seed_thread(mix(blocking.seed, threads.fetch_add(1, SeqCst)));
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
        let label = format!("spawned at {}", crate::place::of_source(task.spawned_at()));
        let span = spawning
            .spans
            .begin(format!("task {number}"), label, spawning.now_ms());
        spawning.tasks.set_span(number, span);
    });
    let ending = Arc::clone(world);
    builder.on_task_terminate(move |task| {
        if let Some(span) = ending.tasks.ended(task.id()) {
            ending.spans.end(span, SpanEnd::Done, ending.now_ms());
        }
    });
    let polling = Arc::clone(world);
    builder.on_before_task_poll(move |_| polling.idle.about_to_poll());
}

/// Milliseconds from the start at which the sentinel wakes: 64⁴, 64⁵ and 60·64⁵. Each is the
/// start of a slot of tokio's timer wheel, so that no cascade of its own wakes it earlier.
const STEPS: [u64; 3] = [1 << 24, 1 << 30, 60 << 30];
/// An idle that old (about a year) was the last one.
const LONG_AGO: Duration = Duration::from_millis(30 << 30);

/// Polls the body until it ends, or until the sentinel proves that it never will.
fn drive(
    world: &Arc<World>,
    runtime: &Runtime,
    root: &mut Option<Pin<Box<dyn Future<Output = ()>>>>,
    body: impl FnOnce() -> Pin<Box<dyn Future<Output = ()>>>,
) -> End {
    let mut body = Some(body);
    runtime.block_on(async {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let sentinel = sleep_until(at(STEPS[0]));
        tokio::pin!(sentinel);
        let (mut step, mut mark) = (0, begin);
        poll_fn(|context| {
            world.idle.set_root(context.waker());
            world.idle.about_to_poll();
            let polled = catch_unwind(AssertUnwindSafe(|| {
                let root =
                    root.get_or_insert_with(|| body.take().expect("the body is made once")());
                root.as_mut().poll(context)
            }));
            match polled {
                Err(payload) => {
                    return Poll::Ready(if payload.is::<Stop>() {
                        End::Done
                    } else {
                        End::Panicked(payload)
                    });
                }
                Ok(Poll::Ready(())) => return Poll::Ready(End::Done),
                Ok(Poll::Pending) if world.has_failed() => return Poll::Ready(End::Done),
                Ok(Poll::Pending) => {}
            }
            if world.idle.is_busy() {
                return Poll::Ready(End::Busy(Instant::now() - begin));
            }
            let last = world.idle.last().unwrap_or(begin);
            if world.idle.idles() > MAX_IDLES {
                return Poll::Ready(End::NeverEnds(last - begin));
            }
            while sentinel.as_mut().poll(context).is_ready() {
                if step == 0 || last > at(STEPS[step - 1]) {
                    mark = last; // an idle after our own re-arm: somebody else's timer ran
                }
                if step + 1 == STEPS.len() {
                    let silent = Instant::now() - mark > LONG_AGO;
                    return Poll::Ready(if silent {
                        End::Deadlock(mark - begin)
                    } else {
                        End::NeverEnds(mark - begin)
                    });
                }
                step += 1;
                sentinel.as_mut().reset(at(STEPS[step]));
            }
            Poll::Pending
        })
        .await
    })
}

/// The interposed sleep was called on the runtime's thread.
pub(crate) fn slept() {
    let Some(world) = World::current() else {
        return;
    };
    let location = Place::here().location();
    world.fail(Finding {
        expected: "the runtime's thread is never put to sleep".to_owned(),
        got: "std::thread::sleep on the runtime's thread".to_owned(),
        why: "While this thread sleeps, no other task and no timer can run. \
              `tokio::time::sleep(…).await` gives the thread back meanwhile."
            .to_owned(),
        pitfall: Some("blocking-the-runtime".to_owned()),
        location,
        ..blank(FindingKind::Blocked, world.now_ms())
    });
}

/// A panic of the root is a finding.
pub(crate) fn root_panic(world: &World, payload: &(dyn Any + Send)) -> Finding {
    let message = panics::message_of(payload);
    let location = world
        .written()
        .panics
        .iter()
        .rev()
        .find(|panic| panic.message == message)
        .and_then(|panic| panic.location.clone());
    let got = if message.starts_with("not yet implemented") {
        message
    } else {
        format!("panicked: {message}")
    };
    Finding {
        expected: "no panic".to_owned(),
        got,
        pitfall: Some("panics".to_owned()),
        location,
        ..blank(FindingKind::Failed, world.now_ms())
    }
}
