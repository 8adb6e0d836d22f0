//! What a check's status means, in one sentence.

use crate::model::{
    exercise::Exercise,
    verdict::{CheckStatus, CheckVerdict},
};

use super::duration::words;

/// The sentence below a failed check's name; nothing where *expected* and *got* say it all.
pub fn of(exercise: &Exercise, check: &CheckVerdict) -> Option<String> {
    let at = words(check.failure.as_ref().map_or(0, |failure| failure.at_ms));
    let deadline = words(exercise.about.deadline_ms);
    Some(match check.status {
        CheckStatus::Passed | CheckStatus::Failed => return None,
        CheckStatus::Deadlock => {
            format!("deadlock at {at}: every task waits and no timer is pending")
        }
        CheckStatus::NeverEnds => {
            format!("never ends: after {at} of virtual time only periodic timers still fire")
        }
        CheckStatus::Blocked => {
            format!("blocked at {at}: the runtime's thread is held, so no other task can run")
        }
        CheckStatus::BusyLoop => {
            format!("busy loop at {at}: tasks wake themselves and virtual time stands still")
        }
        CheckStatus::TimedOut => format!("still running after {deadline} of real time"),
        CheckStatus::ExitedEarly => {
            "exited early: the process ended before the check did".to_owned()
        }
        CheckStatus::Crashed => "crashed: a signal ended the process".to_owned(),
        CheckStatus::OutputFlood => {
            "output flood: it printed more than is kept, so it was stopped".to_owned()
        }
        CheckStatus::NotRun => "not run yet".to_owned(),
    })
}

/// The status in two words at most.
pub const fn word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Passed => "passed",
        CheckStatus::Failed => "failed",
        CheckStatus::Deadlock => "deadlock",
        CheckStatus::NeverEnds => "never ends",
        CheckStatus::Blocked => "blocked",
        CheckStatus::BusyLoop => "busy loop",
        CheckStatus::TimedOut => "timed out",
        CheckStatus::ExitedEarly => "exited early",
        CheckStatus::Crashed => "crashed",
        CheckStatus::OutputFlood => "output flood",
        CheckStatus::NotRun => "not run",
    }
}
