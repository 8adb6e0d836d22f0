//! The serde types that pass between the grader and a test process.
//!
//! The grader starts a hidden test with `--grader` and one end of a socket as
//! standard input. It writes one [`Request`] line; the process answers with
//! [`Message`] lines. Nothing a learner prints can reach that socket, and a
//! message counts only if it repeats the request's `nonce`.

use serde::{Deserialize, Serialize};

/// The argument that makes a hidden test speak this protocol on its standard input.
pub const GRADER_FLAG: &str = "--grader";

/// What the grader asks of a test process: one JSON object on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Name the checks; run nothing.
    List {
        /// Repeated in the answer.
        nonce: String,
    },
    /// Run one check under each of the seeds, in order, until one fails.
    Run {
        /// Repeated in the answer.
        nonce: String,
        /// The check's name, as [`CheckInfo::name`] gave it.
        check: String,
        /// The seeds; empty means the suite's own choice.
        seeds: Vec<u64>,
        /// Lines of code in which the implementation differs from the stub as the course gives it.
        changed_lines: Option<usize>,
    },
}

/// What a test process answers: one JSON object on one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "a process makes one of them, so what it takes is of no matter"
)]
pub enum Message {
    /// The answer to [`Request::List`].
    Checks {
        /// The request's nonce.
        nonce: String,
        /// Every check, in the order of the suite.
        checks: Vec<CheckInfo>,
    },
    /// The answer to [`Request::Run`], written after the check's body ended.
    Record {
        /// The request's nonce.
        nonce: String,
        /// What happened.
        record: CheckRecord,
    },
}

/// A check's name and worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckInfo {
    /// A sentence that says what must hold.
    pub name: String,
    /// What it is worth.
    pub points: u32,
    /// The task it belongs to, counted from 1.
    pub task: u32,
}

/// What one check did over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The check's name.
    pub name: String,
    /// How many seeds ran, the failing one included.
    pub runs: u32,
    /// Virtual time that passed, over all runs, in milliseconds.
    pub virtual_ms: u64,
    /// What went wrong under the first failing seed; `None` means the check passed.
    pub finding: Option<Finding>,
    /// The first failing seed, or the last one run.
    pub seed: u64,
    /// What happened in virtual time under `seed`.
    pub spans: Vec<Span>,
}

/// How a check went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// An expectation did not hold, or the code panicked.
    Failed,
    /// Every task waits and no timer is pending.
    Deadlock,
    /// Only periodic timers fire, without end.
    NeverEnds,
    /// The runtime's thread was blocked or kept: `thread::sleep`, a std lock, an endless poll.
    Blocked,
    /// Tasks wake themselves again and again while virtual time stands still.
    BusyLoop,
}

/// What went wrong in one run of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How.
    pub kind: FindingKind,
    /// What should have been, in words.
    pub expected: String,
    /// What was, in words.
    pub got: String,
    /// Why this comes about; may be empty.
    pub why: String,
    /// The anchor of a pitfall in the reference book.
    pub pitfall: Option<String>,
    /// The place in the learner's code.
    pub location: Option<Location>,
    /// Who waits for what, where (deadlocks), or where tasks were spawned (leaks).
    pub sites: Vec<Site>,
    /// Virtual time at which it showed, in milliseconds since the run began.
    pub at_ms: u64,
    /// Panics seen in this run that nobody reported: `message at file:line`.
    pub panics: Vec<String>,
}

/// One task in a [`Finding`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// `main`, or `task 3`.
    pub who: String,
    /// The learner's function, without crate and closures: `transfer`.
    pub function: String,
    /// Where it stands.
    pub location: Option<Location>,
    /// What it does there: `waits for Mutex::lock`, `spawned here, still running`.
    pub doing: String,
}

/// A place in the learner's code; the file as the learner knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// `exercises/day07_concurrent_execution/src/lib.rs`
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1.
    pub column: u32,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something that took virtual time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The row it is drawn in: `job 3`, `task 1`.
    pub lane: String,
    /// What it was: `fetch(7)`.
    pub label: String,
    /// Milliseconds of virtual time since the run began.
    pub start_ms: u64,
    /// When it ended; `None`: it was still running when the run ended.
    pub end_ms: Option<u64>,
    /// How it ended.
    pub end: SpanEnd,
}

/// How a [`Span`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanEnd {
    /// It ran to its end.
    Done,
    /// It ended with an error.
    Failed,
    /// It was dropped before its end.
    Cancelled,
    /// It was still running when the run ended.
    Running,
}
