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
}

impl Work<'_> {
    /// Stages, builds, runs and judges; `unchanged` says that it is the stub.
    pub fn grade(&self, sources: &Sources, unchanged: bool) -> Result<Graded> {
        let out = self.folder();
        let graded = self.grade_in(&out, sources, unchanged);
        // Of hundreds of variants each is graded once; what they leave would fill a disk.
        if matches!(self.implementation, Implementation::File(_, name) if name != SOLUTION) {
            disk::remove_folder(&out)?;
        }
        graded
    }

    fn grade_in(&self, out: &Path, sources: &Sources, unchanged: bool) -> Result<Graded> {
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
        let mut slowest = Duration::ZERO;
        let evidence = match built {
            Built::DoesNotCompile(diagnostics) => Evidence::DoesNotCompile(diagnostics),
            Built::ContractChanged(diagnostics) => Evidence::ContractChanged(diagnostics),
            Built::Broken(reason) => Evidence::Broken(reason),
            Built::Program(warnings) => match self.run(&shop) {
                Ok(ran) => {
                    slowest = ran.slowest;
                    let Ran {
                        expected, checks, ..
                    } = ran;
                    Evidence::Ran {
                        warnings,
                        expected,
                        checks,
                        unchanged,
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
        })
    }

    fn run(&self, shop: &Shop<'_>) -> Result<Ran> {
        let folder = disk::temporary_folder()?;
        let program = Program {
            file: shop.program(),
            libraries: vec![self.deps.folder.clone(), self.grader.toolchain.lib()],
            folder: folder.path(),
            deadline: Duration::from_millis(self.exercise.about.deadline_ms),
            parallel: self.grader.parallel,
            arguments: Vec::new(),
        };
        let expected = program.list(self.cancel)?;
        let chosen: Vec<CheckInfo> = expected
            .iter()
            .filter(|info| self.selection.takes(&info.name))
            .cloned()
            .collect();
        let timed = program.run(&chosen, &self.selection.seeds, self.cancel, self.on)?;
        let slowest = timed
            .iter()
            .map(|(_, took)| *took)
            .max()
            .unwrap_or_default();
        let checks = timed.into_iter().map(|(check, _)| check).collect();
        Ok(Ran {
            expected,
            checks,
            slowest,
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
