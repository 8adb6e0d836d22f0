//! The rules of progress, as sentences; and the verdicts they are tried with.

use crate::model::verdict::{CheckStatus, CheckVerdict, Status, Verdict};

mod any_sequence;
mod course;
mod marking;
mod merging;
mod reading;
mod recording;
mod times;
mod writing;

const SLUG: &str = "day07_concurrent_execution";

/// A minute of the afternoon of 3 November.
fn at(minute: u32) -> String {
    format!(
        "2026-11-03T{:02}:{:02}:00+01:00",
        14 + minute / 60,
        minute % 60
    )
}

fn check(name: &str, status: CheckStatus) -> CheckVerdict {
    CheckVerdict {
        name: name.to_owned(),
        task: 1,
        status,
        points: if status == CheckStatus::Passed { 2 } else { 0 },
        max_points: 2,
        runs: 1,
        virtual_ms: 0,
        seed: None,
        failure: None,
        spans: Vec::new(),
        output: String::new(),
    }
}

/// A verdict on an edited stub with one check per letter of `a`, `b`, `c`:
/// in upper case it passed, in lower case it failed, `.` was not run.
fn verdict(checks: &str) -> Verdict {
    let checks: Vec<CheckVerdict> = ["a", "b", "c"]
        .into_iter()
        .zip(checks.chars())
        .map(|(name, letter)| match letter {
            '.' => check(name, CheckStatus::NotRun),
            letter if letter.is_uppercase() => check(name, CheckStatus::Passed),
            _ => check(name, CheckStatus::Failed),
        })
        .collect();
    let failed = checks
        .iter()
        .any(|check| check.status == CheckStatus::Failed);
    Verdict {
        exercise: SLUG.to_owned(),
        status: if failed {
            Status::Failed
        } else {
            Status::Passed
        },
        points: checks.iter().map(|check| check.points).sum(),
        max_points: checks.iter().map(|check| check.max_points).sum(),
        checks,
        diagnostics: Vec::new(),
    }
}

/// A verdict that came about without running a check.
fn unchecked(status: Status) -> Verdict {
    Verdict {
        exercise: SLUG.to_owned(),
        status,
        points: 0,
        max_points: 0,
        checks: Vec::new(),
        diagnostics: Vec::new(),
    }
}
