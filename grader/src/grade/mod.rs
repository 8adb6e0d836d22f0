//! From source to verdict: stage, build, run, judge.

mod build;
mod cache;
mod cargo;
pub mod demo;
pub mod deps;
mod manifest;
pub mod phase;
mod run;
mod rustc;
pub mod stage;
mod stand_in;
mod work;

use std::{path::Path, thread, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub use self::work::{clear_benches, difference};
use self::{
    cache::Cache,
    deps::{Deps, Recipe},
    phase::Phase,
    stage::Sources,
    work::Work,
};
use crate::{
    judge::{Evidence, judge},
    model::{
        exercise::Exercise,
        verdict::{CheckStatus, Verdict},
    },
    view::footer::Timing,
    world::{
        course::Course,
        disk,
        process::Cancel,
        toolchain::{self, Toolchain},
    },
};

/// Grades implementations of the course's exercises.
#[derive(Debug, Clone)]
pub struct Grader {
    /// The course.
    pub course: Course,
    /// The compiler.
    pub toolchain: Toolchain,
    /// Columns for rustc's rendering.
    pub width: usize,
    /// How many checks run at a time.
    pub parallel: usize,
}

/// What is to be graded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation<'a> {
    /// What lies in the learner's folder.
    Learner,
    /// The stub as the course gives it.
    Original,
    /// A file that stands for the whole library.
    File(&'a Path),
}

/// Which part of the suite is to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Checks whose name contains this; all, if `None`.
    pub check: Option<String>,
    /// These seeds; the suite's own, if empty.
    pub seeds: Vec<u64>,
    /// Find the verdict anew even if it is known.
    pub fresh: bool,
    /// When to ask whether the code fits the contract, besides when the hidden test does not
    /// compile against it.
    pub contract: Contract,
    /// Run it so often more, and see whether the verdict is always the same.
    pub again: u32,
}

/// When to compile the contract though the hidden test compiles. Some promises no check can feel,
/// such as `Send`; but it takes a tenth of a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Contract {
    /// It was asked before.
    #[default]
    Never,
    /// When every check passed, before the day counts as completed.
    IfPassed,
    /// In any case: an author wants to know.
    Always,
}

impl Contract {
    /// What a learner's verdict needs.
    pub const fn of(completed: bool) -> Self {
        if completed {
            Self::Never
        } else {
            Self::IfPassed
        }
    }
}

impl Selection {
    /// Whether a check of this name belongs to it.
    fn takes(&self, name: &str) -> bool {
        self.check.as_ref().is_none_or(|part| name.contains(part))
    }

    /// Whether it leaves nothing out.
    pub fn is_whole(&self) -> bool {
        self.check.is_none() && self.seeds.is_empty()
    }
}

/// A verdict and how it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    /// The verdict.
    pub verdict: Verdict,
    /// A digest of the learner's sources.
    pub source: String,
    /// Real time spent in the compiler.
    pub compile: Duration,
    /// Real time spent in the checks.
    pub test: Duration,
    /// Real time of the check that took longest.
    #[serde(default)]
    pub slowest: Duration,
    /// Whether it was known already.
    pub cached: bool,
    /// Of several runs the first that gave another verdict, and what was other in it.
    #[serde(default)]
    pub differs: Option<String>,
}

impl Grader {
    /// A grader for the course with the toolchain of its workspace.
    pub fn new(course: Course, width: usize) -> Result<Self> {
        let toolchain = toolchain::find(&course.owner, &course.store())?;
        let parallel = thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            course,
            toolchain,
            width,
            parallel,
        })
    }

    /// Builds a day's dependencies if that was not done yet.
    pub fn prepare(
        &self,
        exercise: &Exercise,
        cancel: &Cancel,
        on: &dyn Fn(Phase),
    ) -> Result<Deps> {
        Recipe::read(&self.course, exercise, &self.toolchain)?.build(&self.toolchain, cancel, on)
    }

    /// The same at low priority, for days that nobody waits for.
    pub fn prepare_quietly(&self, exercise: &Exercise, cancel: &Cancel) -> Result<Deps> {
        let recipe = Recipe::read(&self.course, exercise, &self.toolchain)?.quietly();
        recipe.build(&self.toolchain, cancel, &|_| {})
    }

    /// Whether a day's dependencies are built.
    pub fn is_prepared(&self, exercise: &Exercise) -> bool {
        Recipe::read(&self.course, exercise, &self.toolchain)
            .is_ok_and(|recipe| recipe.built().is_some())
    }

    /// Grades one implementation of one exercise.
    ///
    /// Whatever the learner did gives a verdict; an error means that the
    /// grader, the course or the machine is at fault, or [`Cancelled`].
    pub fn grade(
        &self,
        exercise: &Exercise,
        implementation: Implementation<'_>,
        selection: &Selection,
        cancel: &Cancel,
        on: &(dyn Fn(Phase) + Sync),
    ) -> Result<Graded> {
        let sources = match self.sources(exercise, implementation)? {
            Ok(sources) => sources,
            Err(reason) => return Ok(refused(exercise, reason)),
        };
        let source = sources.digest();
        let recipe = Recipe::read(&self.course, exercise, &self.toolchain)?;
        let key = self.key(exercise, &source, &recipe)?;
        let cache = self.cache();
        let cacheable = implementation == Implementation::Learner && selection.is_whole();
        if cacheable
            && !selection.fresh
            && let Some(graded) = cache.get(&exercise.slug, &key)
        {
            return Ok(Graded {
                cached: true,
                ..graded
            });
        }
        let deps = recipe.build(&self.toolchain, cancel, on)?;
        let original = Sources::original(&self.course.original(exercise))?;
        let work = Work {
            grader: self,
            exercise,
            implementation,
            deps: &deps,
            selection,
            cancel,
            on,
        };
        let graded = work.grade(&sources, &original)?;
        if cacheable && graded.is_reproducible() {
            cache.put(&exercise.slug, &key, &graded)?;
        }
        Ok(graded)
    }

    /// The verdict on an exercise that the learner has not touched, without a
    /// build; `None` if it was touched.
    pub fn untouched(&self, exercise: &Exercise) -> Result<Option<Graded>> {
        let Ok(sources) = self.sources(exercise, Implementation::Learner)? else {
            return Ok(None);
        };
        if sources != Sources::original(&self.course.original(exercise))? {
            return Ok(None);
        }
        Ok(Some(Graded {
            source: sources.digest(),
            verdict: judge(&exercise.slug, Evidence::Untouched),
            compile: Duration::ZERO,
            test: Duration::ZERO,
            slowest: Duration::ZERO,
            cached: true,
            differs: None,
        }))
    }

    /// The verdict on what the learner has written, if it is known already.
    pub fn known(&self, exercise: &Exercise) -> Result<Option<Graded>> {
        let Ok(sources) = self.sources(exercise, Implementation::Learner)? else {
            return Ok(None);
        };
        let recipe = Recipe::read(&self.course, exercise, &self.toolchain)?;
        let key = self.key(exercise, &sources.digest(), &recipe)?;
        Ok(self.cache().get(&exercise.slug, &key))
    }

    fn cache(&self) -> Cache {
        Cache::new(self.course.scratch().join("verdicts"))
    }

    fn sources(
        &self,
        exercise: &Exercise,
        implementation: Implementation<'_>,
    ) -> Result<Result<Sources, String>> {
        let original = self.course.original(exercise);
        Ok(match implementation {
            Implementation::Learner => Sources::learner(&self.course.stub(exercise), &original)?
                .map_err(|refusal| refusal.to_string()),
            Implementation::Original => Ok(Sources::original(&original)?),
            Implementation::File(file) => Ok(Sources::single(file, &original)?),
        })
    }

    /// A digest of all that a verdict depends on.
    fn key(&self, exercise: &Exercise, source: &str, recipe: &Recipe) -> Result<String> {
        let hidden = self.course.hidden(exercise);
        let read = |name: &str| disk::read(&hidden.join(name));
        let parts = [
            source.as_bytes().to_vec(),
            recipe.fingerprint().as_bytes().to_vec(),
            env!("CARGO_PKG_VERSION").as_bytes().to_vec(),
            self.width.to_le_bytes().to_vec(),
            read("tests.rs")?,
            read("contract.rs")?,
            read("kata.toml")?,
        ];
        Ok(disk::digest(parts.iter().map(Vec::as_slice)))
    }
}

impl Graded {
    /// What to say below a page of how long it took.
    pub fn timing(&self, saved: Option<String>) -> Timing {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Timing {
            saved,
            compiled_ms: ms(self.compile),
            tested_ms: ms(self.test),
            ..Timing::of(&self.verdict)
        }
    }

    /// Whether the same source would give the same verdict again: what depends
    /// on real time or on this machine's state would not.
    fn is_reproducible(&self) -> bool {
        use crate::model::verdict::Status;
        self.verdict.status != Status::GraderError
            && !self
                .verdict
                .checks
                .iter()
                .any(|check| check.status == CheckStatus::TimedOut)
    }
}

fn refused(exercise: &Exercise, reason: String) -> Graded {
    Graded {
        source: disk::digest([reason.as_bytes()]),
        verdict: judge(&exercise.slug, Evidence::Refused(reason)),
        compile: Duration::ZERO,
        test: Duration::ZERO,
        slowest: Duration::ZERO,
        cached: false,
        differs: None,
    }
}
