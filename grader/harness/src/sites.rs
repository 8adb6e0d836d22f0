//! Who waits where: the places at which the root and the tasks stand.

use std::future::Future;
#[cfg(task_dumps)]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use kata_report::Site;

use crate::interpose::waker::{Tracer, Use};
use crate::names;
use crate::place::{Frame, innermost};
use crate::world::World;

/// More sites than this do not help anybody.
pub(crate) const MAX_SITES: usize = 24;

/// Polls the root once more, as any future may be, and tells where it keeps a waker.
pub(crate) fn of_root(root: &mut Pin<Box<dyn Future<Output = ()>>>) -> (Poll<()>, Vec<Site>) {
    let tracer = Tracer::new(Waker::noop().clone());
    let waker = tracer.waker();
    let poll = root.as_mut().poll(&mut Context::from_waker(&waker));
    let mut sites = Vec::new();
    for used in tracer.uses() {
        let (stack, wakes) = match used {
            Use::Kept(stack) => (stack, false),
            Use::Woken(stack) => (stack, true),
        };
        let mut site = site("main", &stack.frames());
        if wakes {
            "wakes itself".clone_into(&mut site.doing);
        }
        push(&mut sites, site);
    }
    (poll, sites)
}

/// Where the learner's code started threads of the operating system.
pub(crate) fn of_threads(world: &World) -> Vec<Site> {
    let mut sites = Vec::new();
    let stacks = world.written().threads.clone();
    for stack in stacks.iter().take(MAX_SITES) {
        let frames = stack.frames();
        // Tokio's pool starts its threads through tokio, the learner through std alone.
        if let Some(learners) = innermost(&frames)
            && called(&frames[..learners]).is_none()
        {
            let mut site = site("main", &frames);
            "an OS thread".clone_into(&mut site.who);
            "started here".clone_into(&mut site.doing);
            push(&mut sites, site);
        }
    }
    sites
}

/// Where each of the tasks stands; those that tokio cannot look into, by where they were spawned.
pub(crate) fn of_tasks(world: &World, traces: &[(tokio::task::Id, Vec<Vec<Frame>>)]) -> Vec<Site> {
    let mut sites = Vec::new();
    let alive = world.tasks.alive();
    let more = alive.len().saturating_sub(MAX_SITES);
    for (number, task) in alive.into_iter().take(MAX_SITES) {
        let who = format!("task {number}");
        let traced = traces
            .iter()
            .filter(|(id, _)| *id == task.id)
            .flat_map(|(_, stacks)| stacks);
        let before = sites.len();
        for frames in traced {
            let site = site(&who, frames);
            if site.location.is_some() {
                push(&mut sites, site);
            }
        }
        if sites.len() == before {
            sites.push(task.site(number, "spawned here, still waits"));
        }
    }
    sites.truncate(MAX_SITES);
    if let Some(last) = sites.last_mut()
        && more > 0
    {
        last.doing = format!("{}; and {more} more tasks", last.doing);
    }
    sites
}

fn push(sites: &mut Vec<Site>, site: Site) {
    if !sites.contains(&site) {
        sites.push(site);
    }
}

/// The learner's innermost frame, and the call beneath it.
fn site(who: &str, frames: &[Frame]) -> Site {
    let learners = innermost(frames);
    let deeper = &frames[..learners.unwrap_or(frames.len())];
    Site {
        who: who.to_owned(),
        function: learners
            .map(|index| names::function(&frames[index].function))
            .unwrap_or_default(),
        location: learners.and_then(|index| frames[index].location.clone()),
        doing: called(deeper).map_or_else(
            || "waits to be woken".to_owned(),
            |name| format!("waits for {name}"),
        ),
    }
}

/// What the learner's code called, of the frames beneath it.
fn called(deeper: &[Frame]) -> Option<String> {
    let called = deeper
        .iter()
        .rev()
        .find(|frame| !is_plumbing(&frame.function))?;
    Some(names::callee(&called.function)).filter(|name| !name.is_empty())
}

/// Frames between the learner's code and what it called.
fn is_plumbing(function: &str) -> bool {
    // And the check itself, of which the learner knows nothing: the grader calls its crate so.
    const CRATES: [&str; 6] = [
        "core",
        "std",
        "alloc",
        "backtrace",
        "kata_harness",
        "hidden",
    ];
    let Some(name) = names::crate_of(function) else {
        return true; // a C function, or one that the compiler inlined: a name without a path
    };
    CRATES.contains(&name.as_str()) && !function.contains("Service::call")
}

/// The stacks of every task of the runtime, from tokio's own task dump.
#[cfg(task_dumps)]
pub(crate) fn dump(runtime: &tokio::runtime::Runtime) -> Vec<(tokio::task::Id, Vec<Vec<Frame>>)> {
    let handle = runtime.handle().clone();
    // A dump polls every task; tokio panics if one of them wakes a task meanwhile.
    let dump = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async move { handle.dump().await })
    }));
    let Ok(dump) = dump else { return Vec::new() };
    let tasks = dump.tasks().iter().take(MAX_SITES);
    tasks
        .map(|task| (task.id(), stacks(task.trace())))
        .collect()
}

/// Without task dumps a task is known by where it was spawned.
#[cfg(not(task_dumps))]
pub(crate) fn dump(_: &tokio::runtime::Runtime) -> Vec<(tokio::task::Id, Vec<Vec<Frame>>)> {
    Vec::new()
}

#[cfg(task_dumps)]
fn stacks(trace: &tokio::runtime::dump::Trace) -> Vec<Vec<Frame>> {
    let backtraces = trace.resolve_backtraces();
    let stacks = backtraces.iter().map(|backtrace| {
        let ips = backtrace.frames().map(|frame| frame.ip() as usize);
        ips.flat_map(crate::place::frames_at).collect()
    });
    stacks.collect()
}
