//! What grading one exercise gave.

use kata_report::{Location, Site, Span};
use serde::{Deserialize, Serialize};

/// What grading one exercise gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The exercise's slug.
    pub exercise: String,
    /// The whole, in one word.
    pub status: Status,
    /// What the passed checks are worth.
    pub points: u32,
    /// What all checks are worth; 0 when the checks are not known.
    pub max_points: u32,
    /// One per check, in the order of the suite.
    pub checks: Vec<CheckVerdict>,
    /// What the compiler or the grader had to say.
    pub diagnostics: Vec<Diagnostic>,
}

/// The whole of a [`Verdict`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every check passed.
    Passed,
    /// It compiles, and a check fails.
    Failed,
    /// The learner's crate does not compile, or does what no exercise may do.
    DoesNotCompile,
    /// It compiles, but its public items no longer have the promised shapes.
    ContractChanged,
    /// The stub is unchanged.
    NotStarted,
    /// The grader or the course is at fault, not the learner.
    GraderError,
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckVerdict {
    /// A sentence that says what must hold.
    pub name: String,
    /// The task it belongs to, counted from 1.
    pub task: u32,
    /// In one word.
    pub status: CheckStatus,
    /// What it gave.
    pub points: u32,
    /// What it is worth.
    pub max_points: u32,
    /// How many seeds ran.
    pub runs: u32,
    /// Virtual time over all runs, in milliseconds.
    pub virtual_ms: u64,
    /// The first failing seed.
    pub seed: Option<u64>,
    /// What went wrong; `None` for a passed check and for one that was not run.
    pub failure: Option<Failure>,
    /// What happened in virtual time under that seed (or the last one).
    pub spans: Vec<Span>,
    /// The end of what the code printed.
    pub output: String,
}

/// One word for one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It holds.
    Passed,
    /// An expectation did not hold, or the code panicked.
    Failed,
    /// Every task waits and no timer is pending.
    Deadlock,
    /// Only periodic timers fire, without end.
    NeverEnds,
    /// The runtime's thread was blocked.
    Blocked,
    /// Tasks wake themselves while virtual time stands still.
    BusyLoop,
    /// It was still running at the deadline, in real time.
    TimedOut,
    /// The process ended before the check did: `std::process::exit`.
    ExitedEarly,
    /// A signal ended the process: a stack overflow, an abort, no memory.
    Crashed,
    /// It printed more than is kept.
    OutputFlood,
    /// It was not run.
    NotRun,
}

/// Why a check did not pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What should have been.
    pub expected: String,
    /// What was.
    pub got: String,
    /// Why this comes about; may be empty.
    pub why: String,
    /// The anchor of a pitfall in the reference book.
    pub pitfall: Option<String>,
    /// The place in the learner's code.
    pub location: Option<Location>,
    /// Who waits for what; which tasks were left.
    pub sites: Vec<Site>,
    /// Virtual time at which it showed, in milliseconds.
    pub at_ms: u64,
    /// Panics that nobody looked at.
    pub panics: Vec<String>,
}

/// A message of the compiler, or of the grader about the learner's crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether it is an error; else a warning.
    pub error: bool,
    /// The message without decoration.
    pub message: String,
    /// Where.
    pub location: Option<Location>,
    /// As rustc renders it, with ANSI colours.
    pub rendered: String,
}

impl Verdict {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.status == Status::Passed
    }

    /// The checks that passed.
    pub fn passed_checks(&self) -> impl Iterator<Item = &CheckVerdict> {
        self.checks
            .iter()
            .filter(|check| check.status == CheckStatus::Passed)
    }

    /// The checks that ran and did not pass.
    pub fn failures(&self) -> impl Iterator<Item = &CheckVerdict> {
        let checks = self.checks.iter();
        checks.filter(|check| !matches!(check.status, CheckStatus::Passed | CheckStatus::NotRun))
    }

    /// The first check that ran and did not pass.
    pub fn first_failure(&self) -> Option<&CheckVerdict> {
        self.failures().next()
    }

    /// Errors among the diagnostics.
    pub fn errors(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.error)
            .count()
    }
}

impl CheckStatus {
    /// Every status.
    pub const ALL: [Self; 11] = [
        Self::Passed,
        Self::Failed,
        Self::Deadlock,
        Self::NeverEnds,
        Self::Blocked,
        Self::BusyLoop,
        Self::TimedOut,
        Self::ExitedEarly,
        Self::Crashed,
        Self::OutputFlood,
        Self::NotRun,
    ];

    /// The status that `--json` spells so.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.id() == id)
    }

    /// As `--json` spells it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Deadlock => "deadlock",
            Self::NeverEnds => "never_ends",
            Self::Blocked => "blocked",
            Self::BusyLoop => "busy_loop",
            Self::TimedOut => "timed_out",
            Self::ExitedEarly => "exited_early",
            Self::Crashed => "crashed",
            Self::OutputFlood => "output_flood",
            Self::NotRun => "not_run",
        }
    }
}
