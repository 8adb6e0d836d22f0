//! Grading the stub, the solution, every `right/` and every `wrong/`.

use std::{collections::BTreeSet, thread};

use anyhow::Result;

use super::Complaint;
use crate::{
    grade::{Contract, Graded, Grader, Implementation, Selection, difference},
    model::{
        exercise::Exercise,
        head::Head,
        verdict::{CheckStatus, CheckVerdict, Status, Verdict},
    },
    view::text::strip_escapes,
    world::{disk, load::Load, process::Cancel},
};

/// Everything that grading a variant of one exercise needs.
pub struct Bench<'a> {
    pub grader: &'a Grader,
    pub exercise: &'a Exercise,
    pub cancel: &'a Cancel,
}

impl Bench<'_> {
    /// The stub compiles without warnings, has gaps, and fails every check because of them.
    pub fn stub(&self) -> Result<Vec<Complaint>> {
        let file = format!("exercises/{}/src/lib.rs", self.exercise.slug);
        let verdict = self.prove(Implementation::Original, 0)?.verdict;
        let mut complaints = self.compiles(&file, &verdict);
        for warning in verdict.diagnostics.iter().filter(|found| !found.error) {
            let line = warning
                .location
                .as_ref()
                .map_or(0, |location| location.line);
            complaints.push(self.at(
                &file,
                line,
                format!("the stub has a warning: {}", warning.message),
                "a learner starts from a clean stub",
            ));
        }
        for check in &verdict.checks {
            let got = check
                .failure
                .as_ref()
                .map_or("", |failure| failure.got.as_str());
            if check.status == CheckStatus::Passed {
                complaints.push(self.at(
                    &file,
                    0,
                    format!("the stub passes \"{}\"", check.name),
                    "let the check ask for something that no empty implementation does",
                ));
            } else if !self.exercise.about.planted && !got.contains("not yet implemented") {
                complaints.push(self.at(
                    &file,
                    0,
                    format!(
                        "the stub fails \"{}\" not because of a `todo!`: {got}",
                        check.name
                    ),
                    "mark the gap with `todo!(\"what to do\")`, and let the check reach it",
                ));
            }
        }
        Ok(complaints)
    }

    /// The solution passes every check in good time; of `repeats` runs each gives the same report,
    /// also those (half of them if `load`) on a machine that is busy with something else.
    pub fn solution(&self, repeats: u32, load: bool) -> Result<Vec<Complaint>> {
        let file = format!("solutions/{}/src/lib.rs", self.exercise.slug);
        let path = self
            .grader
            .course
            .solution(self.exercise)
            .join("src/lib.rs");
        let implementation = Implementation::File(&path);
        let busy_runs = if load { repeats / 2 } else { 0 };
        let first = self.prove(implementation, repeats.saturating_sub(busy_runs + 1))?;
        let mut complaints = self.passes(&file, &first.verdict);
        let needed = first.slowest.as_millis();
        let deadline = u128::from(self.exercise.about.deadline_ms);
        if needed * 10 > deadline {
            complaints.push(self.at(
                &format!("grader/hidden/{}/kata.toml", self.exercise.slug),
                0,
                format!("the deadline is {deadline} ms, but the solution needs {needed} ms"),
                "set `deadline_ms` to at least ten times that",
            ));
        }
        complaints.extend(self.suite(&first.verdict));
        let mut differs = first.differs;
        if differs.is_none() && busy_runs > 0 {
            let cores = thread::available_parallelism().map_or(2, usize::from);
            let _load = Load::on(2 * cores);
            let busy = self.prove(implementation, busy_runs - 1)?;
            let other = difference(&first.verdict.checks, &busy.verdict.checks);
            differs = busy
                .differs
                .or(other)
                .map(|other| format!("on a busy machine {other}"));
        }
        if let Some(other) = differs {
            complaints.push(self.at(
                &file,
                0,
                format!("a run gave another report than the first: {other}"),
                "find what depends on real time, on addresses or on an order nobody promised",
            ));
        }
        Ok(complaints)
    }

    /// Another correct solution passes every check.
    pub fn right(&self, name: &str) -> Result<Vec<Complaint>> {
        let (file, path) = self.variant(name);
        let verdict = self.grade(Implementation::File(&path))?.verdict;
        Ok(self.passes(&file, &verdict))
    }

    /// A known mistake fails exactly the checks that its head names, as it names them.
    pub fn wrong(&self, name: &str) -> Result<Vec<Complaint>> {
        let (file, path) = self.variant(name);
        let source = disk::text(&path)?;
        let head = match Head::parse(&source) {
            Ok(head) => head,
            Err((line, what)) => {
                return Ok(vec![self.at(
                    &file,
                    line,
                    what,
                    "see CONTRIBUTING.md, wrong/",
                )]);
            }
        };
        let verdict = self.grade(Implementation::File(&path))?.verdict;
        let mut complaints = self.compiles(&file, &verdict);
        if !complaints.is_empty() {
            return Ok(complaints);
        }
        for (check, status) in &head.fails {
            if !verdict.checks.iter().any(|found| found.name == *check) {
                complaints.push(self.at(
                    &file,
                    0,
                    format!("there is no check \"{check}\" ({})", status.id()),
                    "copy the name from tests.rs",
                ));
            }
        }
        for check in &verdict.checks {
            let promised = head
                .fails
                .iter()
                .find(|(name, _)| *name == check.name)
                .map_or(CheckStatus::Passed, |(_, status)| *status);
            if check.status != promised {
                complaints.push(self.at(
                    &file,
                    0,
                    format!(
                        "\"{}\" is {}, the head says {}{}",
                        check.name,
                        check.status.id(),
                        promised.id(),
                        got(check)
                    ),
                    "mend the check, or the head: `//! fails: <check>: <status>`",
                ));
            }
        }
        complaints.extend(self.names_the_mistake(&file, &head, &verdict));
        Ok(complaints)
    }

    /// The first failing check names the head's pitfall and line, and every one says why.
    fn names_the_mistake(&self, file: &str, head: &Head, verdict: &Verdict) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        let first = verdict
            .first_failure()
            .and_then(|check| check.failure.as_ref());
        let Some(failure) = first else {
            return complaints;
        };
        if head.pitfall.is_some() && failure.pitfall != head.pitfall {
            complaints.push(self.at(
                file,
                0,
                format!(
                    "the first failing check names the pitfall {:?}",
                    failure.pitfall
                ),
                "mend `.pitfall(…)` in tests.rs, or the head",
            ));
        }
        let line = failure.location.as_ref().map(|location| location.line);
        if head.line.is_some() && line != head.line {
            complaints.push(self.at(
                file,
                head.line.unwrap_or(0),
                format!("the first failing check names line {line:?}"),
                "mend the head: `//! line: <line>`",
            ));
        }
        for check in &verdict.checks {
            if check
                .failure
                .as_ref()
                .is_some_and(|failure| failure.why.is_empty())
            {
                complaints.push(self.at(
                    file,
                    0,
                    format!("\"{}\" fails without a word on why", check.name),
                    "give its expectations a `.why(…)`",
                ));
            }
        }
        complaints
    }

    fn passes(&self, file: &str, verdict: &Verdict) -> Vec<Complaint> {
        let mut complaints = self.compiles(file, verdict);
        for check in verdict
            .checks
            .iter()
            .filter(|check| check.status != CheckStatus::Passed)
        {
            let failure = check.failure.as_ref();
            let line = failure
                .and_then(|f| f.location.as_ref())
                .map_or(0, |l| l.line);
            complaints.push(self.at(
                file,
                line,
                format!(
                    "fails \"{}\": {}{}",
                    check.name,
                    check.status.id(),
                    got(check)
                ),
                "a correct solution of any shape must pass: mend the check, or the solution",
            ));
        }
        complaints
    }

    fn compiles(&self, file: &str, verdict: &Verdict) -> Vec<Complaint> {
        let what = match verdict.status {
            Status::DoesNotCompile => "does not compile",
            Status::ContractChanged => "does not fit contract.rs",
            Status::GraderError => "cannot be graded",
            Status::Passed | Status::Failed | Status::NotStarted => return Vec::new(),
        };
        let first = verdict.diagnostics.iter().find(|found| found.error);
        let line = first
            .and_then(|found| found.location.as_ref())
            .map_or(0, |l| l.line);
        let message = first.map_or("", |found| found.message.as_str());
        if verdict.status == Status::ContractChanged {
            // The error stands in the contract, whoever does not fit it.
            return vec![self.at(
                &format!("grader/hidden/{}/contract.rs", self.exercise.slug),
                line,
                format!("{file} {what}: {message}"),
                "mend the contract, or what does not fit it",
            )];
        }
        vec![self.at(
            file,
            line,
            format!("{what}: {}", strip_escapes(message)),
            "put it in the place of the stub, and `kata check` shows all of rustc's words",
        )]
    }

    /// What must hold of the suite's own shape.
    fn suite(&self, verdict: &Verdict) -> Vec<Complaint> {
        let file = format!("grader/hidden/{}/tests.rs", self.exercise.slug);
        let mut complaints = Vec::new();
        let mut complain =
            |what: String, mend: &str| complaints.push(self.at(&file, 0, what, mend));
        let count = verdict.checks.len();
        let least = if self.exercise.about.draft { 1 } else { 8 };
        if count != 0 && !(least..=20).contains(&count) {
            complain(format!("{count} checks"), "a day has 8 to 20");
        }
        let mut names = BTreeSet::new();
        for check in &verdict.checks {
            let name = &check.name;
            if !names.insert(name) {
                complain(
                    format!("two checks are called \"{name}\""),
                    "a name is unique",
                );
            }
            if name.chars().count() > 68 {
                complain(
                    format!("\"{name}\" is too long"),
                    "at most 68 characters fit a line",
                );
            }
            if name.ends_with('.') || name.starts_with(char::is_whitespace) {
                complain(
                    format!("\"{name}\" is no bare sentence"),
                    "no full stop, no space before",
                );
            }
            if !(1..=3).contains(&check.max_points) {
                complain(
                    format!("\"{name}\": {} points", check.max_points),
                    "1 to 3 points",
                );
            }
        }
        let tasks: BTreeSet<u32> = verdict.checks.iter().map(|check| check.task).collect();
        let titles = u32::try_from(self.exercise.about.tasks.len()).unwrap_or(0);
        if count != 0 && !tasks.iter().copied().eq(1..=titles) {
            complain(
                format!("the checks belong to tasks {tasks:?}, kata.toml names {titles}"),
                "every task has checks of its own: `.task(n)`",
            );
        }
        complaints
    }

    /// Grades one implementation.
    pub fn grade(&self, implementation: Implementation<'_>) -> Result<Graded> {
        self.grade_as(implementation, &Selection::default())
    }

    /// The same for what must fit the contract, too, and must give one report however often it is
    /// run `again`.
    fn prove(&self, implementation: Implementation<'_>, again: u32) -> Result<Graded> {
        let selection = Selection {
            again,
            contract: Contract::Always,
            ..Selection::default()
        };
        self.grade_as(implementation, &selection)
    }

    fn grade_as(
        &self,
        implementation: Implementation<'_>,
        selection: &Selection,
    ) -> Result<Graded> {
        let Self {
            grader,
            exercise,
            cancel,
        } = self;
        grader.grade(exercise, implementation, selection, cancel, &|_| {})
    }

    fn variant(&self, name: &str) -> (String, std::path::PathBuf) {
        let path = self.grader.course.hidden(self.exercise).join(name);
        (format!("grader/hidden/{}/{name}", self.exercise.slug), path)
    }

    /// A complaint about a file of this exercise.
    pub fn at(&self, file: &str, line: u32, what: String, mend: &str) -> Complaint {
        Complaint {
            exercise: self.exercise.slug.clone(),
            file: file.to_owned(),
            line,
            what,
            mend: mend.to_owned(),
        }
    }
}

fn got(check: &CheckVerdict) -> String {
    check.failure.as_ref().map_or_else(String::new, |failure| {
        let place = failure
            .location
            .as_ref()
            .map_or_else(String::new, |l| format!(" at {l}"));
        format!(
            " (expected {}; got {}{place})",
            failure.expected, failure.got
        )
    })
}
