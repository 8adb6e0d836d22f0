//! Busy loops: polls without end while virtual time stands still, and whose they are.

use kata_report::{Finding, FindingKind, Site};

use crate::deadlock::{begin, look_around, ours, set_sites};
use crate::outcome::Outcome;
use crate::runtime::Run;
use crate::world::{World, blank};

/// Who has less than this part of the polls is kept awake by another.
const GUILTY: u64 = 20;

/// The run ended because there were too many polls at one instant.
pub(crate) fn look_into(world: &World, run: &mut Run, at_ms: u64) -> Outcome {
    let mut outcome = begin(world, busy(world, at_ms), at_ms);
    let counted = world.idle.allowed_polls() / 2;
    let tasks = world.tasks.alive().into_iter();
    let guilty: Vec<_> = tasks
        .filter(|(_, task)| task.counted_polls > counted / GUILTY)
        .collect();
    let root_is_guilty = run.counted_polls > counted / GUILTY;
    let (_, sites) = look_around(world, run);
    let is_guilty = |site: &Site| {
        let named = guilty
            .iter()
            .any(|(number, _)| site.who == format!("task {number}"));
        named || root_is_guilty && site.who == "main"
    };
    let mut sites: Vec<Site> = sites.into_iter().filter(is_guilty).collect();
    for site in &mut sites {
        if site.doing == "spawned here, still waits" {
            "spawned here, is polled again and again".clone_into(&mut site.doing);
        }
    }
    if let Some(finding) = ours(&mut outcome) {
        set_sites(finding, sites);
    }
    outcome
}

fn busy(world: &World, at_ms: u64) -> Finding {
    Finding {
        expected: "who has nothing to do waits until it is woken".to_owned(),
        got: format!(
            "{} polls at {at_ms} ms, and time stands still",
            world.idle.allowed_polls()
        ),
        why: "The code wakes itself again and again instead of waiting for something to happen."
            .to_owned(),
        pitfall: Some("busy-loop".to_owned()),
        ..blank(FindingKind::BusyLoop, at_ms)
    }
}
