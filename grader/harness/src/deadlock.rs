//! Deadlocks, missed wake-ups and endless ticking: who waits where, in the learner's code.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use kata_report::{Finding, FindingKind, Site};

use crate::outcome::Outcome;
use crate::runtime::Run;
use crate::world::{World, blank};
use crate::{idle, sites};

/// The run ended because every task waits and no timer is pending.
pub(crate) fn look_into(world: &World, run: &mut Run, at_ms: u64) -> Outcome {
    let mut outcome = begin(world, deadlock(at_ms), at_ms);
    let alive = world.tasks.alive().len();
    let (root_ended, mut sites) = look_around(world, run);
    let on_its_own = root_ended || goes_on(world, run) || world.tasks.alive().len() < alive;
    if let Some(finding) = ours(&mut outcome) {
        let threads = sites::of_threads(world);
        if on_its_own {
            *finding = missed_wake_up(at_ms);
        } else if !threads.is_empty() {
            finding.got.push_str("; the code started an OS thread");
            "Virtual time cannot see an OS thread: as far as the runtime knows, nobody is left who \
             could wake a task. Use `tokio::spawn` or `spawn_blocking`."
                .clone_into(&mut finding.why);
            sites.extend(threads);
        } else if let Some(why) = explain(&sites) {
            why.clone_into(&mut finding.why);
        }
        set_sites(finding, sites);
    }
    outcome
}

/// The run ended because only periodic timers fire.
pub(crate) fn look_into_ticking(world: &World, run: &mut Run, at_ms: u64) -> Outcome {
    let mut outcome = begin(world, never_ends(at_ms), at_ms);
    let (_, sites) = look_around(world, run);
    if let Some(finding) = ours(&mut outcome) {
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
pub(crate) fn ours(outcome: &mut Outcome) -> Option<&mut Finding> {
    use FindingKind::{BusyLoop, Deadlock, NeverEnds};
    let finding = outcome.finding.as_mut();
    finding.filter(|finding| matches!(finding.kind, Deadlock | NeverEnds | BusyLoop))
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

/// Fills in who waits where. The place of the finding is that of the first who waits for
/// something other than a task's end: the cause lies in the task.
pub(crate) fn set_sites(finding: &mut Finding, sites: Vec<Site>) {
    let place = |joins: bool| {
        let mut sites = sites
            .iter()
            .filter(|site| joins || !site.doing.contains("Join"));
        sites.find_map(|site| site.location.clone())
    };
    finding.location = place(false).or_else(|| place(true));
    finding.sites = sites;
}

/// What such waits have in common, from which the learner can mend the code.
fn explain(sites: &[Site]) -> Option<&'static str> {
    let waiting = |what: &str| {
        sites
            .iter()
            .filter(|site| site.doing.contains(what))
            .count()
    };
    if waiting("Mutex::lock") + waiting("RwLock::") >= 2 {
        return Some(
            "They wait for locks that are never given back. Take locks in one order everywhere, \
             and give one back before you wait for something else.",
        );
    }
    let known = [
        (
            "Receiver::recv",
            "`recv` says that it is over when every sender was dropped. One is still alive, \
             perhaps in the very scope that waits.",
        ),
        (
            "oneshot::Receiver",
            "Whoever holds the sender neither sends nor drops it.",
        ),
        (
            "Semaphore::acquire",
            "Somebody holds a permit and never gives it back, or waits for the next while it holds one.",
        ),
        (
            "Notified",
            "A notification reaches those who wait already; `notify_one` alone is kept for one who comes later.",
        ),
    ];
    known
        .iter()
        .find(|(what, _)| waiting(what) > 0)
        .map(|(_, why)| *why)
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

#[cfg(test)]
mod tests {
    use kata_report::{FindingKind, Location, Site};

    use super::{blank, explain, set_sites};

    fn site(doing: &str, line: u32) -> Site {
        let file = "exercises/a/src/lib.rs".to_owned();
        Site {
            who: "main".to_owned(),
            function: "serve".to_owned(),
            location: Some(Location {
                file,
                line,
                column: 1,
            }),
            doing: doing.to_owned(),
        }
    }

    #[test]
    fn the_place_is_where_somebody_waits_for_more_than_a_tasks_end() {
        let mut finding = blank(FindingKind::Deadlock, 0);
        set_sites(
            &mut finding,
            vec![
                site("waits for JoinHandle", 3),
                site("waits for Mutex::lock", 9),
            ],
        );
        assert_eq!(finding.location.unwrap().line, 9);
    }

    #[test]
    fn who_waits_for_a_tasks_end_alone_is_the_place() {
        let mut finding = blank(FindingKind::Deadlock, 0);
        set_sites(&mut finding, vec![site("waits for JoinSet::join_next", 3)]);
        assert_eq!(finding.location.unwrap().line, 3);
    }

    #[test]
    fn two_who_want_locks_are_told_of_their_order_and_one_is_not() {
        let lock = site("waits for Mutex::lock", 9);
        assert!(
            explain(&[lock.clone(), lock.clone()])
                .unwrap()
                .contains("one order")
        );
        assert_eq!(explain(&[lock]), None);
    }

    #[test]
    fn who_receives_is_told_of_the_senders() {
        assert!(
            explain(&[site("waits for mpsc::Receiver::recv", 1)])
                .unwrap()
                .contains("sender")
        );
    }
}
