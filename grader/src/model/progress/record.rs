//! What one verdict changes.

use super::{Entry, Progress, time};
use crate::model::{
    marker::Marker,
    verdict::{CheckStatus, Status, Verdict},
};

/// So many different failing saves in a row without a new passed check mean: stuck.
pub const STUCK_AFTER: u32 = 5;

/// How much of a digest is kept of the saves that count towards being stuck;
/// five of them need no more to be told apart.
const DIGEST_KEPT: usize = 16;

/// What one verdict changed, and what there is to tell about the exercise now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The marker before the verdict.
    pub before: Marker,
    /// The marker now.
    pub after: Marker,
    /// Every check passed, for the first time.
    pub first_completion: bool,
    /// The source differs from the one judged before.
    pub new_save: bool,
    /// Checks that never passed before, in the order of the suite.
    pub new_checks: Vec<String>,
    /// Points above the best so far.
    pub points_gained: u32,
    /// Saves graded so far.
    pub saves: u64,
    /// Minutes from the first verdict on an edited stub to the completion,
    /// or to now if it is not completed.
    pub minutes: u64,
    /// Hints seen so far.
    pub hints: u32,
}

impl Step {
    /// This was the [`STUCK_AFTER`]th failing save in a row.
    pub fn became_stuck(&self) -> bool {
        self.before != Marker::NeedHelp && self.after == Marker::NeedHelp
    }

    /// ❌ went away.
    pub fn cleared_help(&self) -> bool {
        self.before == Marker::NeedHelp && self.after != Marker::NeedHelp
    }
}

impl Progress {
    /// Takes one verdict into account; `now` is RFC 3339 with the local offset.
    ///
    /// A verdict of [`Status::GraderError`] changes nothing, and one of
    /// [`Status::NotStarted`] never demotes. A source judged again, be it from
    /// a cache or by a new run, is no new save and adds no checks run.
    pub fn record(&mut self, verdict: &Verdict, source_digest: &str, now: &str) -> Step {
        let known = self.exercises.contains_key(&verdict.exercise);
        let nothing_to_record = match verdict.status {
            Status::GraderError => true,
            Status::NotStarted => !known,
            _ => false,
        };
        if nothing_to_record {
            let entry = self.exercises.get(&verdict.exercise);
            return entry.cloned().unwrap_or_default().unchanged(now);
        }
        let entry = self.exercises.entry(verdict.exercise.clone()).or_default();
        entry.record(verdict, source_digest, now)
    }
}

impl Entry {
    fn record(&mut self, verdict: &Verdict, source_digest: &str, now: &str) -> Step {
        let mut step = self.unchanged(now);
        let new_source = self.source.as_deref() != Some(source_digest);
        self.status = Some(verdict.status);
        self.last = Some(now.to_owned());
        self.source = Some(source_digest.to_owned());
        if verdict.status == Status::NotStarted {
            return step;
        }

        self.first.get_or_insert_with(|| now.to_owned());
        if new_source {
            // What it took to complete the day; experiments after that don't count.
            self.saves += u64::from(self.completed.is_none());
            self.checks_run += ran(verdict);
        }
        step.new_save = new_source;
        step.points_gained = self.take_points(verdict);
        step.new_checks = self.take_passed(verdict);

        if every_check_passed(verdict) {
            step.first_completion = step.before != Marker::Completed && self.completed.is_none();
            self.completed.get_or_insert_with(|| now.to_owned());
            self.marker = Marker::Completed;
            self.clear_streak();
        } else if self.marker != Marker::Completed {
            self.take_failure(verdict, source_digest, &step);
        }
        step.after = self.marker;
        step.saves = self.saves;
        step.minutes = self.minutes(now);
        step
    }

    /// The step of a verdict that changes nothing.
    fn unchanged(&self, now: &str) -> Step {
        Step {
            before: self.marker,
            after: self.marker,
            first_completion: false,
            new_save: false,
            new_checks: Vec::new(),
            points_gained: 0,
            saves: self.saves,
            minutes: self.minutes(now),
            hints: self.hints,
        }
    }

    /// Minutes spent: from the first verdict on an edited stub to the completion, or to `now`.
    pub fn minutes(&self, now: &str) -> u64 {
        let end = self.completed.as_deref().unwrap_or(now);
        self.first
            .as_deref()
            .map_or(0, |first| time::minutes_between(first, end))
    }

    /// Forgets the failing saves in a row.
    pub(super) fn clear_streak(&mut self) {
        self.stuck = 0;
        self.tried.clear();
    }

    /// Keeps the best points, and says how many were gained.
    fn take_points(&mut self, verdict: &Verdict) -> u32 {
        let gained = verdict.points.saturating_sub(self.points);
        // With equal points the newer course says of how many, unless the
        // exercise is completed: a longer course must not make 14 of 14 look poor.
        let same = verdict.points == self.points && self.marker != Marker::Completed;
        if gained > 0 || (same && verdict.max_points > 0) {
            self.points = verdict.points;
            self.max_points = verdict.max_points;
        }
        gained
    }

    /// Adds the checks that passed, and names the new ones.
    fn take_passed(&mut self, verdict: &Verdict) -> Vec<String> {
        let new_checks: Vec<String> = verdict
            .passed_checks()
            .map(|check| check.name.clone())
            .filter(|name| !self.passed.contains(name))
            .collect();
        self.passed.extend(new_checks.iter().cloned());
        self.passed.sort();
        self.passed.dedup();
        new_checks
    }

    /// Sets the marker of an exercise that is not completed.
    fn take_failure(&mut self, verdict: &Verdict, source_digest: &str, step: &Step) {
        if !step.new_checks.is_empty() {
            self.clear_streak();
            self.marker = Marker::InProgress;
            return;
        }
        if self.marker == Marker::NotStarted {
            self.marker = Marker::InProgress;
        }
        // A chosen check that passed by itself is neither progress nor a failure.
        if step.new_save && verdict.status != Status::Passed {
            self.count_failing_save(source_digest);
        }
        if self.stuck >= STUCK_AFTER {
            self.marker = Marker::NeedHelp;
        }
    }

    fn count_failing_save(&mut self, source_digest: &str) {
        let beginning: String = source_digest.chars().take(DIGEST_KEPT).collect();
        if self.stuck < STUCK_AFTER && !self.tried.contains(&beginning) {
            self.stuck += 1;
            self.tried.push(beginning);
        }
    }
}

/// How many checks really ran.
fn ran(verdict: &Verdict) -> u64 {
    verdict
        .checks
        .iter()
        .map(|check| u64::from(check.status != CheckStatus::NotRun))
        .sum()
}

/// The status alone is not enough: when one check was chosen, the others did not run.
fn every_check_passed(verdict: &Verdict) -> bool {
    verdict.passed()
        && !verdict.checks.is_empty()
        && verdict.passed_checks().count() == verdict.checks.len()
}
