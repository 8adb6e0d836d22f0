//! Pure: what the compiler and the test processes said in, a verdict out.

pub mod check;
pub mod diagnostics;

use kata_report::CheckInfo;

use crate::model::verdict::{CheckVerdict, Diagnostic, Status, Verdict};

/// What became of an exercise on its way through the grader.
#[derive(Debug)]
pub enum Evidence {
    /// The learner's folder holds what is never graded.
    Refused(String),
    /// The learner has not touched the stub; nothing was built.
    Untouched,
    /// The learner's library does not compile.
    DoesNotCompile(Vec<Diagnostic>),
    /// The library compiles, its public shapes do not fit.
    ContractChanged(Vec<Diagnostic>),
    /// The course or the grader is at fault.
    Broken(String),
    /// The checks ran.
    Ran {
        /// Warnings about the learner's library.
        warnings: Vec<Diagnostic>,
        /// What the suite offers.
        expected: Vec<CheckInfo>,
        /// One per check that ran.
        checks: Vec<CheckVerdict>,
        /// Whether the stub is unchanged.
        unchanged: bool,
    },
}

/// Turns evidence into a verdict.
pub fn judge(exercise: &str, evidence: Evidence) -> Verdict {
    let without_checks = |status, diagnostics| Verdict {
        exercise: exercise.to_owned(),
        status,
        points: 0,
        max_points: 0,
        checks: Vec::new(),
        diagnostics,
    };
    match evidence {
        Evidence::Refused(reason) => without_checks(Status::DoesNotCompile, vec![plain(&reason)]),
        Evidence::Untouched => without_checks(Status::NotStarted, Vec::new()),
        Evidence::DoesNotCompile(diagnostics) => {
            without_checks(Status::DoesNotCompile, diagnostics)
        }
        Evidence::ContractChanged(diagnostics) => {
            without_checks(Status::ContractChanged, diagnostics)
        }
        Evidence::Broken(reason) => without_checks(Status::GraderError, vec![plain(&reason)]),
        Evidence::Ran {
            warnings,
            expected,
            checks,
            unchanged,
        } => {
            let checks = in_order(&expected, checks);
            Verdict {
                exercise: exercise.to_owned(),
                status: status(&checks, unchanged),
                points: checks.iter().map(|check| check.points).sum(),
                max_points: checks.iter().map(|check| check.max_points).sum(),
                checks,
                diagnostics: warnings,
            }
        }
    }
}

/// Passed means that every expected check passed, and that there was one.
fn status(checks: &[CheckVerdict], unchanged: bool) -> Status {
    use crate::model::verdict::CheckStatus::Passed;
    if checks.is_empty() {
        Status::GraderError
    } else if checks.iter().all(|check| check.status == Passed) {
        Status::Passed
    } else if unchanged {
        Status::NotStarted
    } else {
        Status::Failed
    }
}

/// Every expected check exactly once, in the suite's order; nothing that was not expected.
fn in_order(expected: &[CheckInfo], checks: Vec<CheckVerdict>) -> Vec<CheckVerdict> {
    let mut checks: Vec<Option<CheckVerdict>> = checks.into_iter().map(Some).collect();
    expected
        .iter()
        .map(|info| {
            checks
                .iter_mut()
                .find(|check| check.as_ref().is_some_and(|check| check.name == info.name))
                .and_then(Option::take)
                .unwrap_or_else(|| check::not_run(info))
        })
        .collect()
}

/// A message of our own, in the form of a compiler's.
pub fn plain(message: &str) -> Diagnostic {
    Diagnostic {
        error: true,
        message: message.to_owned(),
        location: None,
        rendered: format!("error: {message}\n"),
    }
}

#[cfg(test)]
mod tests;
