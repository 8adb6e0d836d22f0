//! From a run's end to its finding: deadlock, no end, busy loop, panic.

use std::time::Duration;

use kata_report::{Finding, FindingKind};

use crate::runtime::{End, Outcome, root_panic};
use crate::world::{World, blank};

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a run gave. A finding that was written down first wins over how the run ended.
pub(crate) fn judge(world: &World, end: End) -> Outcome {
    let (ended, virtual_ms) = match end {
        End::Done => (None, world.now_ms()),
        End::Panicked(payload) => (Some(root_panic(world, &*payload)), world.now_ms()),
        End::Deadlock(at) => (Some(deadlock(world, ms(at))), ms(at)),
        End::NeverEnds(at) => (Some(never_ends(ms(at))), ms(at)),
        End::Busy(at) => (Some(busy(world, ms(at))), ms(at)),
    };
    let mut written = world.written();
    let mut finding = written.finding.take().or(ended);
    if let Some(finding) = &mut finding {
        finding.panics = written
            .panics
            .iter()
            .filter(|panic| panic.in_task)
            .map(ToString::to_string)
            .collect();
    }
    Outcome {
        finding,
        virtual_ms,
        spans: world.spans.report(),
    }
}

fn deadlock(world: &World, at_ms: u64) -> Finding {
    let sites = world
        .tasks
        .alive()
        .iter()
        .map(|(number, task)| task.site(*number, "spawned here, still waits"))
        .collect();
    Finding {
        expected: "the run ends".to_owned(),
        got: format!("deadlock at {at_ms} ms: every task waits and no timer is pending"),
        why: "Nobody is left who could wake a waiting task.".to_owned(),
        pitfall: Some("deadlock".to_owned()),
        sites,
        ..blank(FindingKind::Deadlock, at_ms)
    }
}

fn never_ends(at_ms: u64) -> Finding {
    Finding {
        expected: "the run ends".to_owned(),
        got: "only periodic timers fire, without end".to_owned(),
        why: "A loop of timers goes on, but nothing ends the code that the check waits for."
            .to_owned(),
        pitfall: Some("never-ends".to_owned()),
        ..blank(FindingKind::NeverEnds, at_ms)
    }
}

fn busy(world: &World, at_ms: u64) -> Finding {
    Finding {
        expected: "a task that has nothing to do waits to be woken".to_owned(),
        got: format!(
            "{} polls at {at_ms} ms while time stood still",
            world.idle.polls().saturating_sub(1)
        ),
        why: "A task wakes itself, or is woken, again and again without getting on.".to_owned(),
        pitfall: Some("busy-loop".to_owned()),
        ..blank(FindingKind::BusyLoop, at_ms)
    }
}
