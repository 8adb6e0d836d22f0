//! How the program ends: four exit codes, and errors that know theirs.

use std::{fmt, process::ExitCode};

/// The exit codes; scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All passed; or there was nothing to pass.
    Passed = 0,
    /// Something is not passed yet.
    NotPassed = 1,
    /// The call, the course or the progress file is at fault.
    Call = 2,
    /// The grader itself failed.
    Grader = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that is the call's fault, or the course's, or the progress file's:
/// exit code 2. Every other error is the grader's: exit code 3.
#[derive(Debug)]
pub struct CallError(pub String);

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CallError {}

/// A [`CallError`] as an `anyhow` one.
pub fn call_error(message: impl Into<String>) -> anyhow::Error {
    CallError(message.into()).into()
}
