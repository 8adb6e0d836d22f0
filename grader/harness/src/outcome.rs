//! From a run's end to what it gave: its finding, the virtual time it took, its spans.

use std::any::Any;

use kata_report::{CheckRecord, Finding, FindingKind, Span};

use crate::panics::{self, Panic};
use crate::root::End;
use crate::runtime::Run;
use crate::world::{World, blank, in_ms};
use crate::{busy, deadlock};

/// More panics than this are counted, not listed.
const MAX_PANICS: usize = 10;

/// What one run gave.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub finding: Option<Finding>,
    pub virtual_ms: u64,
    pub spans: Vec<Span>,
}

impl Outcome {
    /// What is written down at the run's end, with `ended` if nothing was found before.
    pub fn now(world: &World, ended: Option<Finding>, virtual_ms: u64) -> Self {
        Self::with(world, ended, virtual_ms, true)
    }

    /// What is written down while the code under test goes on writing.
    pub fn meanwhile(world: &World) -> Self {
        Self::with(world, None, world.now_ms(), false)
    }

    fn with(world: &World, ended: Option<Finding>, virtual_ms: u64, count: bool) -> Self {
        let written = world.written();
        let mut finding = written.finding.clone().or(ended);
        if let Some(finding) = &mut finding {
            finding.panics = unreported(&written.panics, count);
        }
        Self {
            finding,
            virtual_ms,
            spans: world.spans.report(count),
        }
    }

    /// The check's record with this run in it.
    pub fn record(self, world: &World) -> CheckRecord {
        let so_far = world.so_far.clone();
        CheckRecord {
            runs: so_far.runs + 1,
            virtual_ms: so_far.virtual_ms.saturating_add(self.virtual_ms),
            finding: self.finding,
            seed: world.seed,
            spans: self.spans,
            ..so_far
        }
    }
}

/// What a run gave. A finding that was written down first wins over how the run ended.
pub(crate) fn judge(world: &World, run: &mut Run, end: End) -> Outcome {
    match end {
        End::Done => {
            world.end_of_time();
            Outcome::now(world, None, world.now_ms())
        }
        End::Panicked(payload) => {
            world.end_of_time();
            Outcome::now(world, Some(root_panic(world, &*payload)), world.now_ms())
        }
        End::Deadlock(at) => deadlock::look_into(world, run, in_ms(at)),
        End::NeverEnds(at) => deadlock::look_into_ticking(world, run, in_ms(at)),
        End::Busy(at) => busy::look_into(world, run, in_ms(at)),
    }
}

/// A panic of the root is a finding.
fn root_panic(world: &World, payload: &(dyn Any + Send)) -> Finding {
    let message = panics::message_of(payload);
    let seen = world
        .written()
        .panics
        .iter()
        .rev()
        .find(|panic| panic.message == message)
        .cloned();
    let unfinished = message.starts_with("not yet implemented");
    Finding {
        expected: "no panic".to_owned(),
        got: if unfinished {
            message
        } else {
            format!("panicked: {message}")
        },
        why: if unfinished {
            "This part of the exercise is still to be written."
        } else {
            "A panic ends the code where it stands: what it had still to do is not done."
        }
        .to_owned(),
        pitfall: (!unfinished).then(|| "panics".to_owned()),
        location: seen.and_then(|panic| panic.location.location()),
        ..blank(FindingKind::Failed, world.now_ms())
    }
}

/// Panics of tasks, in words.
fn unreported(panics: &[Panic], count: bool) -> Vec<String> {
    let in_tasks: Vec<&Panic> = panics.iter().filter(|panic| panic.in_task).collect();
    let mut lines: Vec<String> = in_tasks
        .iter()
        .take(MAX_PANICS)
        .map(ToString::to_string)
        .collect();
    if in_tasks.len() > MAX_PANICS {
        let more = in_tasks.len() - MAX_PANICS;
        lines.push(if count {
            format!("and {more} more")
        } else {
            "and more".to_owned()
        });
    }
    lines
}
