//! Deadlocks, missed wake-ups and endless ticking: who waits where, in the learner's code.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use kata_report::{Finding, FindingKind, Site};

use crate::outcome::Outcome;
use crate::runtime::Run;
use crate::world::{World, blank};
use crate::{idle, sites, threads};

/// The run ended because every task waits and no timer is pending.
pub(crate) fn look_into(world: &World, run: &mut Run, at_ms: u64) -> Outcome {
    let mut outcome = begin(world, deadlock(at_ms), at_ms);
    let alive = world.tasks.alive().len();
    let (root_ended, sites) = look_around(world, run);
    let on_its_own = root_ended || goes_on(world, run) || world.tasks.alive().len() < alive;
    if let Some(finding) = ours(world, &mut outcome) {
        if on_its_own {
            *finding = missed_wake_up(at_ms);
        } else if threads::foreign() > 0 {
            "The code started an OS thread. Virtual time cannot see it: as far as the \
                           runtime knows, nobody is left who could wake a task."
                .clone_into(&mut finding.why);
        }
        set_sites(finding, sites);
    }
    outcome
}

/// The run ended because only periodic timers fire.
pub(crate) fn look_into_ticking(world: &World, run: &mut Run, at_ms: u64) -> Outcome {
    let mut outcome = begin(world, never_ends(at_ms), at_ms);
    let (_, sites) = look_around(world, run);
    if let Some(finding) = ours(world, &mut outcome) {
        set_sites(finding, sites);
    }
    outcome
}

/// What is known before anybody is polled again for the sake of looking: if that goes wrong,
/// the watchdog reports it.
pub(crate) fn begin(world: &World, finding: Finding, at_ms: u64) -> Outcome {
    let outcome = Outcome::now(world, Some(finding), at_ms);
    world.written().outcome = Some(outcome.clone());
    outcome
}

/// The finding to fill in, unless an earlier one won.
pub(crate) fn ours<'outcome>(
    world: &World,
    outcome: &'outcome mut Outcome,
) -> Option<&'outcome mut Finding> {
    let first = world
        .written()
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.finding.clone());
    outcome
        .finding
        .as_mut()
        .filter(|finding| finding.kind != FindingKind::Failed && Some(&**finding) == first.as_ref())
}

/// Whether the root ended while it was looked at, and the places of all.
pub(crate) fn look_around(world: &World, run: &mut Run) -> (bool, Vec<Site>) {
    let mut all = Vec::new();
    let mut ended = false;
    if let Some(root) = &mut run.root {
        let looked = run.runtime.block_on(poll_fn(|_| {
            Poll::Ready(catch_unwind(AssertUnwindSafe(|| sites::of_root(root))))
        }));
        if let Ok((poll, sites)) = looked {
            ended = poll.is_ready();
            all = sites;
        }
    }
    if ended {
        run.root = None;
    }
    let traces = sites::dump(&run.runtime);
    all.extend(sites::of_tasks(world, &traces));
    (ended, all)
}

/// Whether the root comes to its end now that it and every task were polled once more.
fn goes_on(world: &World, run: &mut Run) -> bool {
    let Some(root) = &mut run.root else {
        return false;
    };
    let ended = run.runtime.block_on(async {
        let mut settled = pin!(idle::settle(world));
        poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| root.as_mut().poll(context))) {
                Ok(Poll::Ready(())) => return Poll::Ready(true),
                Ok(Poll::Pending) if !world.idle.is_busy() => {}
                _ => return Poll::Ready(false),
            }
            settled.as_mut().poll(context).map(|()| false)
        })
        .await
    });
    if ended {
        run.root = None;
    }
    ended
}

pub(crate) fn set_sites(finding: &mut Finding, sites: Vec<Site>) {
    finding.location = sites.iter().find_map(|site| site.location.clone());
    finding.sites = sites;
}

fn deadlock(at_ms: u64) -> Finding {
    Finding {
        expected: "the run ends".to_owned(),
        got: format!("deadlock at {at_ms} ms: every task waits and no timer is pending"),
        why: "Each of them waits for something that only another one of them, or nobody, could do."
            .to_owned(),
        pitfall: Some("deadlock".to_owned()),
        ..blank(FindingKind::Deadlock, at_ms)
    }
}

fn missed_wake_up(at_ms: u64) -> Finding {
    Finding {
        got: format!("asleep since {at_ms} ms, although it could go on: nobody woke it"),
        why: "Polled once more, the code went on. A future that returns `Pending` must see to it that \
              the waker of its *latest* poll is called when it can go on."
            .to_owned(),
        pitfall: Some("lost-wakeup".to_owned()),
        ..deadlock(at_ms)
    }
}

fn never_ends(at_ms: u64) -> Finding {
    Finding {
        expected: "the run ends".to_owned(),
        got: format!(
            "still going after {} s of virtual time, and only periodic timers fire",
            at_ms / 1000
        ),
        why: "A loop of timers goes on, but nothing ends the code that the check waits for."
            .to_owned(),
        pitfall: Some("never-ends".to_owned()),
        ..blank(FindingKind::NeverEnds, at_ms)
    }
}
