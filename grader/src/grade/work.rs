//! One implementation on its way: staged, built, run, judged.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;

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
    model::{exercise::Exercise, verdict::Diagnostic},
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
}

impl Work<'_> {
    /// Stages, builds, runs and judges.
    pub fn grade(
        &self,
        sources: &Sources,
        source: String,
        unchanged: bool,
        selection: &Selection,
        cancel: &Cancel,
        on: &(dyn Fn(Phase) + Sync),
    ) -> Result<Graded> {
        let out = self.folder();
        // Another terminal may grade the same implementation in the same folder.
        let _lock = Lock::take(&out.join("lock"))?;
        cancel.check()?;
        let hidden = self.grader.course.hidden(self.exercise);
        let shop = Shop {
            toolchain: &self.grader.toolchain,
            deps: self.deps,
            src: sources.write(&out.join("stage"))?,
            known_as: format!("exercises/{}/src", self.exercise.slug),
            out,
            width: self.grader.width,
        };
        let start = Stopwatch::start();
        let built = build(&shop, &hidden, cancel, on)?;
        let compile = start.elapsed();
        let start = Stopwatch::start();
        let mut slowest = Duration::ZERO;
        let evidence = match built {
            Built::DoesNotCompile(diagnostics) => Evidence::DoesNotCompile(diagnostics),
            Built::ContractChanged(diagnostics) => Evidence::ContractChanged(diagnostics),
            Built::Broken(reason) => Evidence::Broken(reason),
            Built::Program(warnings) => self.run(
                &shop,
                warnings,
                unchanged,
                selection,
                &mut slowest,
                cancel,
                on,
            )?,
        };
        let verdict = judge(&self.exercise.slug, evidence);
        Ok(Graded {
            verdict,
            source,
            compile,
            test: start.elapsed(),
            slowest,
            cached: false,
        })
    }

    fn run(
        &self,
        shop: &Shop<'_>,
        warnings: Vec<Diagnostic>,
        unchanged: bool,
        selection: &Selection,
        slowest: &mut Duration,
        cancel: &Cancel,
        on: &(dyn Fn(Phase) + Sync),
    ) -> Result<Evidence> {
        let folder = disk::temporary_folder()?;
        let program = Program {
            file: shop.program(),
            libraries: vec![self.deps.folder.clone(), self.grader.toolchain.lib()],
            folder: folder.path(),
            deadline: Duration::from_millis(self.exercise.about.deadline_ms),
            parallel: self.grader.parallel,
        };
        let expected = match program.list(cancel) {
            Ok(expected) => expected,
            Err(error) if error.is::<Cancelled>() => return Err(error),
            Err(error) => return Ok(Evidence::Broken(format!("{error:#}"))),
        };
        let chosen: Vec<_> = expected
            .iter()
            .filter(|info| {
                selection
                    .check
                    .as_ref()
                    .is_none_or(|part| info.name.contains(part))
            })
            .cloned()
            .collect();
        let timed = program.run(&chosen, &selection.seeds, cancel, on)?;
        *slowest = timed
            .iter()
            .map(|(_, took)| *took)
            .max()
            .unwrap_or_default();
        let checks = timed.into_iter().map(|(check, _)| check).collect();
        Ok(Evidence::Ran {
            warnings,
            expected,
            checks,
            unchanged,
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
