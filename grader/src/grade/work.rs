//! One implementation on its way: staged, built, run, judged.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use kata_report::CheckInfo;
use serde_json::{Map, Value};

use super::{
    Contract, Graded, Grader, Implementation, Selection,
    build::{Built, build, contract_errors},
    deps::Deps,
    phase::Phase,
    run::Program,
    rustc::Shop,
    stage::Sources,
    stand_in,
};
use crate::{
    judge::{Evidence, judge},
    model::{
        exercise::Exercise,
        verdict::{CheckStatus, CheckVerdict},
    },
    world::{
        clock::Stopwatch,
        disk,
        lock::Lock,
        process::{Cancel, Cancelled},
    },
};

/// One implementation of one exercise on its way.
pub struct Work<'a> {
    /// The grader at work.
    pub grader: &'a Grader,
    /// The exercise.
    pub exercise: &'a Exercise,
    /// What of it is graded.
    pub implementation: Implementation<'a>,
    /// What it links.
    pub deps: &'a Deps,
    /// Which part of the suite.
    pub selection: &'a Selection,
    /// Stops it.
    pub cancel: &'a Cancel,
    /// Hears of its phases.
    pub on: &'a (dyn Fn(Phase) + Sync),
}

/// The file in a folder that says that somebody builds there.
const LOCK: &str = "lock";

/// What the folders are called in which one variant after the other is built.
const BENCH: &str = "bench-";

/// Removes what grading files of this exercise has left: of hundreds it would fill a disk.
pub fn clear_benches(grader: &Grader, exercise: &Exercise) -> Result<()> {
    let folder = build_folder(grader, exercise);
    for name in disk::names(&folder) {
        let bench = folder.join(&name);
        if name.starts_with(BENCH) && Lock::try_take(&bench.join(LOCK))?.is_some() {
            disk::remove_folder(&bench)?;
        }
    }
    Ok(())
}

fn build_folder(grader: &Grader, exercise: &Exercise) -> PathBuf {
    let build = grader.course.scratch().join("build");
    build.join(&exercise.slug)
}

/// What the checks gave, and the real time that the slowest took.
struct Ran {
    expected: Vec<CheckInfo>,
    checks: Vec<CheckVerdict>,
    slowest: Duration,
    differs: Option<String>,
}

impl Work<'_> {
    /// Stages, builds, runs and judges; `original` is the stub.
    pub fn grade(&self, sources: &Sources, original: &Sources) -> Result<Graded> {
        let (out, _lock) = self.place()?;
        self.cancel.check()?;
        let scratch = self.grader.course.scratch();
        for part in ["stage/src", "linked", "incremental"] {
            disk::refuse_links(&scratch, &out.join(part))?;
        }
        let shop = Shop {
            toolchain: &self.grader.toolchain,
            deps: self.deps,
            src: sources.write(&out.join("stage"))?,
            known_as: format!("exercises/{}/src", self.exercise.slug),
            out,
            prove_contract: self.selection.contract == Contract::Always,
            linker: stand_in::linker(&scratch)?,
            width: self.grader.width,
        };
        let watch = Stopwatch::start();
        let hidden = self.grader.course.hidden(self.exercise);
        let built = build(&shop, &hidden, self.cancel, self.on)?;
        let compile = watch.elapsed();
        let watch = Stopwatch::start();
        let (mut slowest, mut differs) = (Duration::ZERO, None);
        let evidence = match built {
            Built::DoesNotCompile(diagnostics) => Evidence::DoesNotCompile(diagnostics),
            Built::ContractChanged(diagnostics) => Evidence::ContractChanged(diagnostics),
            Built::Broken(reason) => Evidence::Broken(reason),
            Built::Program(warnings) => match self.run(&shop, sources.changed_lines(original)) {
                Ok(ran) => {
                    (slowest, differs) = (ran.slowest, ran.differs);
                    let Ran {
                        expected, checks, ..
                    } = ran;
                    let passed = |check: &CheckVerdict| check.status == CheckStatus::Passed;
                    let asked = self.selection.contract == Contract::IfPassed;
                    let errors = if asked && checks.iter().all(passed) {
                        contract_errors(&shop, &hidden, self.cancel)?
                    } else {
                        Vec::new()
                    };
                    if errors.is_empty() {
                        Evidence::Ran {
                            warnings,
                            expected,
                            checks,
                            unchanged: sources == original,
                        }
                    } else {
                        Evidence::ContractChanged(errors)
                    }
                }
                Err(error) if error.is::<Cancelled>() => return Err(error),
                Err(error) => Evidence::Broken(format!("{error:#}")),
            },
        };
        Ok(Graded {
            verdict: judge(&self.exercise.slug, evidence),
            source: sources.digest(),
            compile,
            test: watch.elapsed(),
            slowest,
            cached: false,
            differs,
        })
    }

    fn run(&self, shop: &Shop<'_>, changed_lines: usize) -> Result<Ran> {
        let folder = disk::temporary_folder()?;
        let program = Program {
            file: shop.program(),
            libraries: vec![self.deps.folder.clone(), self.grader.toolchain.lib()],
            folder: folder.path(),
            deadline: Duration::from_millis(self.exercise.about.deadline_ms),
            parallel: self.grader.parallel,
            arguments: Vec::new(),
            changed_lines,
        };
        let expected = program.list(self.cancel)?;
        let chosen: Vec<CheckInfo> = expected
            .iter()
            .filter(|info| self.selection.takes(&info.name))
            .cloned()
            .collect();
        let run = || -> Result<(Vec<CheckVerdict>, Duration)> {
            let timed = program.run(&chosen, &self.selection.seeds, self.cancel, self.on)?;
            let slowest = timed.iter().map(|(_, took)| *took).max();
            let mut checks: Vec<_> = timed.into_iter().map(|(check, _)| check).collect();
            checks.sort_by(|one, other| one.name.cmp(&other.name));
            Ok((checks, slowest.unwrap_or_default()))
        };
        let (checks, slowest) = run()?;
        let mut differs = None;
        for round in 2..self.selection.again + 2 {
            if let Some(other) = difference(&checks, &run()?.0) {
                differs = Some(format!("run {round}: {other}"));
                break;
            }
        }
        Ok(Ran {
            expected,
            checks,
            slowest,
            differs,
        })
    }

    /// A folder to build in, and the lock on it: another terminal may grade at the same time.
    fn place(&self) -> Result<(PathBuf, Lock)> {
        let folder = build_folder(self.grader, self.exercise);
        let alone = |name: &str| -> Result<(PathBuf, Lock)> {
            let folder = folder.join(name);
            let lock = Lock::take(&folder.join(LOCK))?;
            Ok((folder, lock))
        };
        match self.implementation {
            Implementation::Learner => alone("learner"),
            Implementation::Original => alone("original"),
            // One variant is much like another: what was compiled for the last one in a folder
            // serves the next one there.
            Implementation::File(_) => {
                for number in 1.. {
                    let folder = folder.join(format!("{BENCH}{number}"));
                    if let Some(lock) = Lock::try_take(&folder.join(LOCK))? {
                        return Ok((folder, lock));
                    }
                }
                unreachable!("there are more numbers than graders")
            }
        }
    }
}

/// The first check of which two runs say something else, and what: `"it ends": status passed,
/// then timed_out`.
pub fn difference(one: &[CheckVerdict], other: &[CheckVerdict]) -> Option<String> {
    let (one, other) = one.iter().zip(other).find(|(one, other)| one != other)?;
    let fields = |check: &CheckVerdict| match serde_json::to_value(check) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (fields(one), fields(other));
    let field = before
        .iter()
        .find(|(name, value)| after.get(*name) != Some(value));
    let words = field.map_or_else(String::new, |(name, value)| {
        let after = after.get(name).map(ToString::to_string);
        format!("{name} {value}, then {}", after.unwrap_or_default())
    });
    Some(format!("\"{}\": {words}", one.name))
}

#[cfg(test)]
mod tests {
    use super::difference;
    use crate::model::verdict::{CheckStatus, CheckVerdict};

    fn check(name: &str) -> CheckVerdict {
        CheckVerdict {
            name: name.to_owned(),
            task: 1,
            status: CheckStatus::Passed,
            points: 1,
            max_points: 1,
            runs: 16,
            virtual_ms: 100,
            seed: None,
            failure: None,
            spans: Vec::new(),
            output: String::new(),
        }
    }

    #[test]
    fn what_two_runs_say_otherwise_is_named() {
        let checks = ["it ends", "it overlaps"].map(check);
        assert_eq!(difference(&checks, &checks), None);
        let mut other = checks.clone();
        other[1].status = CheckStatus::TimedOut;
        let said = "\"it overlaps\": status \"passed\", then \"timed_out\"";
        assert_eq!(difference(&checks, &other).as_deref(), Some(said));
    }
}
