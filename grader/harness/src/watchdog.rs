//! The watchdog: a thread that tells of a poll or a blocking job that never comes back.
//!
//! It goes by processor time and by threads' states, which a busy machine does not change,
//! never by a clock alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use kata_report::Finding;

use crate::place::{Frame, Ip, frames_at, innermost};
use crate::runtime;
use crate::world::World;
use crate::{blocked, interpose, names, threads};

pub(crate) const NAME: &str = "kata-watchdog";
/// How often it looks.
const GLANCE: Duration = Duration::from_millis(20);
/// A poll that took so much processor time does not end.
const LONGEST_POLL: Duration = Duration::from_secs(1);
/// A blocking job may take longer: that is what the pool is for.
const LONGEST_JOB: Duration = Duration::from_secs(2);
/// So many glances in a row at which every thread slept mean that nobody will wake.
const STILL: u32 = 75;
/// A loop is looked at so often to tell the function that loops from those that it calls.
const LOOKS: usize = 60;

static WATCHED: Mutex<Option<Arc<World>>> = Mutex::new(None);

fn watched() -> MutexGuard<'static, Option<Arc<World>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The run to watch from now on.
pub(crate) fn watch(world: Option<&Arc<World>>) {
    *watched() = world.cloned();
}

/// Starts the thread. It ends with the process.
pub(crate) fn start() {
    // A machine that has no thread left still grades: the grader has a deadline of its own.
    let _ = thread::Builder::new()
        .name(NAME.to_owned())
        .spawn(keep_watch);
}

/// What a glance saw.
#[derive(PartialEq, Eq)]
struct Glance {
    seed: u64,
    beats: u64,
    thread: i32,
}

/// Since when nothing got on.
struct Since {
    glance: Glance,
    poll_began: Option<Duration>,
    job_began: Option<Duration>,
    still: u32,
    cpu_of_all: Duration,
}

fn keep_watch() {
    let mut since: Option<Since> = None;
    loop {
        thread::sleep(GLANCE);
        let Some(world) = watched().clone() else {
            since = None;
            continue;
        };
        let pulse = &world.pulse;
        let glance = Glance {
            seed: world.seed,
            beats: pulse.beats(),
            thread: pulse.thread,
        };
        match &mut since {
            Some(since) if since.glance == glance => look_closer(&world, since),
            _ => {
                since = Some(Since {
                    glance,
                    poll_began: threads::cpu_time(pulse.thread),
                    job_began: threads::cpu_time(pulse.job_thread()),
                    still: 0,
                    cpu_of_all: Duration::ZERO,
                });
            }
        }
    }
}

/// Nothing got on since the last glance.
fn look_closer(world: &Arc<World>, since: &mut Since) {
    let (thread, job_thread) = (world.pulse.thread, world.pulse.job_thread());
    let is_parked = world.pulse.is_parked();
    let spent = |id, began: Option<Duration>| {
        threads::cpu_time(id)
            .zip(began)
            .map(|(now, began)| now.saturating_sub(began))
    };
    if since.job_began.is_none() {
        since.job_began = threads::cpu_time(job_thread);
    }
    if !is_parked && spent(thread, since.poll_began) > Some(LONGEST_POLL) {
        let (function, location) = loop_of(thread);
        bite(world, blocked::endless_poll(world, &function, location));
    }
    if is_parked && spent(job_thread, since.job_began) > Some(LONGEST_JOB) {
        let (function, location) = loop_of(job_thread);
        bite(
            world,
            blocked::endless_job(world, &function, location, false),
        );
    }
    since.still = if everybody_sleeps(&mut since.cpu_of_all) {
        since.still + 1
    } else {
        0
    };
    if since.still > STILL {
        let waiting = if is_parked { job_thread } else { thread };
        let frame = interpose::stack_of(waiting).and_then(|stack| learners_frame(&stack));
        let location = frame.as_ref().and_then(|frame| frame.location.clone());
        bite(
            world,
            if is_parked {
                let function = frame
                    .map(|frame| names::function(&frame.function))
                    .unwrap_or_default();
                blocked::endless_job(world, &function, location, true)
            } else {
                blocked::waiting(world, location)
            },
        );
    }
}

/// Reports and ends the process. An earlier finding of the run wins.
fn bite(world: &Arc<World>, finding: Finding) {
    world.fail(finding);
    runtime::end_now(world);
}

/// Whether every thread but this one sleeps and none got any time since the last look.
fn everybody_sleeps(cpu_of_all: &mut Duration) -> bool {
    let threads = threads::all();
    let others: Vec<_> = threads
        .iter()
        .filter(|thread| thread.name != NAME)
        .collect();
    let cpu = others
        .iter()
        .filter_map(|thread| threads::cpu_time(thread.id))
        .sum();
    let before = std::mem::replace(cpu_of_all, cpu);
    !others.is_empty() && cpu == before && others.iter().all(|thread| thread.asleep)
}

fn learners_frame(stack: &[Ip]) -> Option<Frame> {
    let frames: Vec<Frame> = stack.iter().flat_map(|word| frames_at(word.ip)).collect();
    innermost(&frames).map(|index| frames[index].clone())
}

/// The learner's function that loops: the innermost that every look saw. Its place is where it
/// begins, for which of its lines a look finds it at is left to chance.
fn loop_of(thread: i32) -> (String, Option<kata_report::Location>) {
    let mut common: Option<Vec<usize>> = None;
    for _ in 0..LOOKS {
        let Some(stack) = interpose::stack_of(thread) else {
            continue;
        };
        let outward_in = stack
            .iter()
            .rev()
            .filter(|word| opening(word.start).is_some());
        let starts: Vec<usize> = outward_in.map(|word| word.start).collect();
        common = Some(match common {
            None => starts,
            Some(common) => common
                .into_iter()
                .zip(starts)
                .take_while(|(one, other)| one == other)
                .map(|(one, _)| one)
                .collect(),
        });
        thread::sleep(Duration::from_millis(1));
    }
    let start = common.and_then(|common| common.last().copied());
    let frame = start.and_then(opening);
    match frame {
        Some(frame) => (names::function(&frame.function), frame.location),
        None => (String::new(), None),
    }
}

/// Where a function of the learner's begins; `None` for any other.
fn opening(start: usize) -> Option<Frame> {
    // An address is taken for a return address, so one more lies within the function.
    let mut frames = frames_at(start + 1).into_iter();
    frames.find(|frame| frame.location.is_some())
}
