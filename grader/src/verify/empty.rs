//! An implementation that does nothing: no check may pass on it.

use anyhow::Result;

use super::{Complaint, variants::Bench};
use crate::{
    grade::Implementation,
    model::{
        gaps::Filled,
        verdict::{CheckStatus, Status, Verdict},
    },
    world::disk,
};

/// So many fillings are tried until the compiler is content.
const ROUNDS: usize = 40;

impl Bench<'_> {
    /// The stub with every gap filled by as little as compiles passes no check.
    pub fn empty(&self) -> Result<Vec<Complaint>> {
        let stub = self.grader.course.original(self.exercise).join("lib.rs");
        let stub = disk::text(&stub)?;
        let mut filled = Filled::new(&stub);
        let folder = disk::temporary_folder()?;
        let file = folder.path().join("lib.rs");
        let mut verdict = None;
        for _ in 0..ROUNDS {
            disk::write(&file, filled.source().as_bytes())?;
            let graded = self.grade(Implementation::File(&file))?.verdict;
            if graded.status != Status::DoesNotCompile {
                verdict = Some(graded);
                break;
            }
            let lines = error_lines(&graded);
            // Each error may belong to another gap; from below, for a retry moves none of them.
            let tried = lines.iter().rev().filter(|line| filled.retry(**line));
            if tried.count() == 0 {
                break;
            }
        }
        // Where nothing but the gaps themselves compiles, the stub's own verdict has said it all.
        let verdict = verdict.filter(|_| filled.is_filled());
        Ok(self.passes_nothing(verdict.as_ref()))
    }

    fn passes_nothing(&self, verdict: Option<&Verdict>) -> Vec<Complaint> {
        let passed = verdict
            .iter()
            .flat_map(|verdict| &verdict.checks)
            .filter(|check| check.status == CheckStatus::Passed);
        passed
            .map(|check| {
                self.at(
                    &format!("grader/hidden/{}/tests.rs", self.exercise.slug),
                    0,
                    format!(
                        "\"{}\" passes on an implementation that does nothing",
                        check.name
                    ),
                    "let it ask for something that must be done, too",
                )
            })
            .collect()
    }
}

/// The lines of all errors, each once.
fn error_lines(verdict: &Verdict) -> Vec<usize> {
    let errors = verdict.diagnostics.iter().filter(|found| found.error);
    let mut lines: Vec<usize> = errors
        .filter_map(|error| usize::try_from(error.location.as_ref()?.line).ok())
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}
