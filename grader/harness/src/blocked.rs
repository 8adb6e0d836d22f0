//! Findings about code that keeps a thread: what it did, told with its line.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kata_report::{Finding, FindingKind, Location};

use crate::place::Place;
use crate::runtime;
use crate::world::{World, blank};

/// A poll that sleeps so often spins, and would do so until the watchdog bites.
const MANY_SLEEPS: u32 = 1_000;

/// `thread::sleep` was called on the runtime's thread.
pub(crate) fn slept() {
    static SLEEPS: AtomicU32 = AtomicU32::new(0);
    let Some(world) = World::current() else {
        return;
    };
    if world.has_failed() {
        if SLEEPS.fetch_add(1, SeqCst) > MANY_SLEEPS {
            runtime::end_now(&world);
        }
        return;
    }
    world.fail(Finding {
        expected: "the runtime's thread is never put to sleep".to_owned(),
        got: "std::thread::sleep on the runtime's thread".to_owned(),
        why: "While this thread sleeps, no other task and no timer can run. \
              `tokio::time::sleep(…).await` gives the thread back meanwhile."
            .to_owned(),
        location: Place::here().location(),
        ..blocking(&world)
    });
}

/// A wait of the operating system began inside a poll, and nobody is left to end it, or it
/// ends in real time only.
pub(crate) fn waited() {
    let Some(world) = World::current() else {
        return;
    };
    let location = Place::here().location();
    world.fail(waiting(&world, location));
    runtime::end_now(&world);
}

/// The runtime's thread sleeps in a wait of the operating system.
pub(crate) fn waiting(world: &World, location: Option<Location>) -> Finding {
    Finding {
        expected: "a task that waits gives the runtime's thread back".to_owned(),
        got: "a blocking wait on the runtime's thread: a std lock, a std channel or a join"
            .to_owned(),
        why: "This wait puts the whole thread to sleep. Whoever should end it runs on the same \
              thread and never gets its turn. Await a tokio primitive instead, or give a std \
              lock back before the next `.await`."
            .to_owned(),
        location,
        ..blocking(world)
    }
}

/// A poll went on and on.
pub(crate) fn endless_poll(world: &World, function: &str, location: Option<Location>) -> Finding {
    Finding {
        expected: "every poll returns soon".to_owned(),
        got: match function {
            "" => "a poll that does not return".to_owned(),
            function => {
                format!("`{function}` loops without end and never awaits anything that is pending")
            }
        },
        why: "Tasks take turns at `.await`. A loop that gets to none which has to wait keeps the \
              thread for itself: no other task and no timer can run."
            .to_owned(),
        location,
        ..blocking(world)
    }
}

/// A job on the blocking pool went on and on, or sleeps for good.
pub(crate) fn endless_job(
    world: &World,
    function: &str,
    location: Option<Location>,
    asleep: bool,
) -> Finding {
    let does = if asleep {
        "waits for ever"
    } else {
        "does not end"
    };
    Finding {
        kind: FindingKind::NeverEnds,
        expected: "every blocking job ends".to_owned(),
        got: match function {
            "" => format!("a job of `spawn_blocking` {does}"),
            function => format!("a job of `spawn_blocking` {does}, in `{function}`"),
        },
        why: "Nobody can cancel a blocking job from outside: it has to come to its end by itself. \
              Until then virtual time stands still."
            .to_owned(),
        location,
        ..blocking(world)
    }
}

/// The code tried to start a process. Called on any thread.
pub(crate) fn started_process() {
    let Some(world) = World::current() else {
        return;
    };
    world.fail(Finding {
        kind: FindingKind::Failed,
        expected: "no process is started".to_owned(),
        got: "the code tried to start a process".to_owned(),
        why: "Exercises run in memory and in virtual time; a process lives in real time."
            .to_owned(),
        pitfall: None,
        location: Place::here().location(),
        ..blocking(&world)
    });
}

fn blocking(world: &World) -> Finding {
    Finding {
        pitfall: Some("blocking-the-runtime".to_owned()),
        ..blank(FindingKind::Blocked, world.now_ms())
    }
}
