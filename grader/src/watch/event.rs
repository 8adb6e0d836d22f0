//! Everything that the watch loop can hear of, on one channel.

use std::time::Duration;

use crate::{
    model::verdict::Verdict,
    world::{
        terminal::{Input, Key},
        watcher::{Digest, Notice, Saved},
    },
};

/// One thing that happened. Every source sends these to the loop's one `mpsc` channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The learner pressed a key.
    Key(Key),
    /// The learner wrote a line, where there are no single keys.
    Line(String),
    /// There will be no more lines.
    EndOfInput,
    /// The terminal has this size, in columns and rows; the page has to be painted again.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// An exercise has another content.
    Saved(Saved),
    /// Saves are found by polling from now on, or not at all; the text says why.
    WatcherFailed(String),
    /// Grading got this far.
    Phase {
        /// The exercise.
        slug: String,
        /// How far.
        phase: Phase,
    },
    /// Grading ended.
    Graded(Box<Graded>),
    /// What is compiled once, in the background, got this far.
    Progress(Progress),
    /// The editor could not be opened, or another thing beside the loop failed.
    Trouble(String),
    /// Ctrl-C, or a signal that asks the program to end.
    Quit,
}

/// What the grader is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The save was noticed.
    Detected,
    /// Somebody else builds in the grader's folder.
    Waiting,
    /// The learner's code, and then the checks, are compiled.
    Compiling,
    /// The checks run.
    Testing,
}

/// The end of one grading.
#[derive(Debug, Clone, PartialEq)]
pub struct Graded {
    /// What it gave.
    pub verdict: Verdict,
    /// The content it judged; a save with this digest needs no grading.
    pub digest: Option<Digest>,
    /// How long it took.
    pub timing: Timing,
}

/// Where the real time between a save and its verdict went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Compiling.
    pub compile: Duration,
    /// Running the checks.
    pub run: Duration,
    /// From the first sign of the save to the verdict.
    pub total: Duration,
}

/// How far a long build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is compiled now: `tokio`.
    pub what: String,
    /// How many are done.
    pub done: usize,
    /// Of how many; 0 while that is not known.
    pub total: usize,
}

impl From<Input> for Event {
    fn from(input: Input) -> Self {
        match input {
            Input::Key(key) => Self::Key(key),
            Input::Line(line) => Self::Line(line),
            Input::End => Self::EndOfInput,
            Input::Resize { width, height } => Self::Resize { width, height },
            Input::Quit => Self::Quit,
        }
    }
}

impl From<Notice> for Event {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::Saved(saved) => Self::Saved(saved),
            Notice::Polling { why } | Notice::Failed { why } => Self::WatcherFailed(why),
        }
    }
}
