//! One implementation on its way: staged, built, run, judged.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use kata_report::CheckInfo;

use super::{
    Graded, Grader, Implementation, Selection,
    build::{Built, build},
    deps::Deps,
    phase::Phase,
    run::Program,
    rustc::Shop,
    stage::Sources,
};
use crate::{
    judge::{Evidence, judge},
    model::{exercise::Exercise, verdict::CheckVerdict},
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

/// The variant that is graded again and again.
pub const SOLUTION: &str = "solution";

/// What the checks gave, and the real time that the slowest took.
struct Ran {
    expected: Vec<CheckInfo>,
    checks: Vec<CheckVerdict>,
    slowest: Duration,
    differs: Option<u32>,
}

impl Work<'_> {
    /// Stages, builds, runs and judges; `original` is the stub.
    pub fn grade(&self, sources: &Sources, original: &Sources) -> Result<Graded> {
        let out = self.folder();
        let graded = self.grade_in(&out, sources, original);
        // Of hundreds of variants each is graded once; what they leave would fill a disk.
        if matches!(self.implementation, Implementation::File(_, name) if name != SOLUTION) {
            disk::remove_folder(&out)?;
        }
        graded
    }

    fn grade_in(&self, out: &Path, sources: &Sources, original: &Sources) -> Result<Graded> {
        // Another terminal may grade the same implementation in the same folder.
        let _lock = Lock::take(&out.join("lock"))?;
        self.cancel.check()?;
        let shop = Shop {
            toolchain: &self.grader.toolchain,
            deps: self.deps,
            src: sources.write(&out.join("stage"))?,
            known_as: format!("exercises/{}/src", self.exercise.slug),
            out: out.to_path_buf(),
            incremental: self.implementation == Implementation::Learner,
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
                    Evidence::Ran {
                        warnings,
                        expected,
                        checks,
                        unchanged: sources == original,
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
            if run()?.0 != checks {
                differs = Some(round);
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

    fn folder(&self) -> PathBuf {
        let variant = match self.implementation {
            Implementation::Learner => "learner",
            Implementation::Original => "original",
            Implementation::File(_, name) => name,
        };
        self.grader
            .course
            .scratch()
            .join("build")
            .join(&self.exercise.slug)
            .join(variant)
    }
}
