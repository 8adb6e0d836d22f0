//! What a learner can ask for, whether by a command or by a key: verdicts
//! recorded, hints, help, the solution, a fresh start.

use std::sync::Arc;

use anyhow::{Context, Result};

use crate::{
    grade::{Graded, Grader},
    model::{
        self,
        exercise::Exercise,
        hints,
        marker::Marker,
        progress::{Marked, Progress, Step},
        verdict::Verdict,
    },
    view::{self, style::Style},
    world::{
        clock, disk,
        progress_file::{Notice, ProgressError, ProgressFile},
    },
};

/// A learner's place: the course, and progress through it.
#[derive(Debug)]
pub struct Desk {
    /// Grades.
    pub grader: Arc<Grader>,
    file: ProgressFile,
    progress: Progress,
    /// Verdicts that could not be written yet.
    pending: Vec<Pending>,
    notices: Vec<Notice>,
}

#[derive(Debug)]
struct Pending {
    verdict: Verdict,
    source: String,
    now: String,
}

impl Desk {
    /// Reads the learner's progress.
    pub fn open(grader: Grader) -> Result<Self, ProgressError> {
        let file = ProgressFile::at(&grader.course.workspace);
        let loaded = file.load()?;
        Ok(Self {
            grader: Arc::new(grader),
            file,
            progress: loaded.progress,
            pending: Vec::new(),
            notices: loaded.notices,
        })
    }

    /// The progress as far as it is known here.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What the learner has to be told about the progress file; each once.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whether an exercise is completed.
    pub fn is_completed(&self, slug: &str) -> bool {
        self.progress.marker(slug) == Marker::Completed
    }

    /// An exercise by its slug.
    pub fn exercise(&self, slug: &str) -> Option<&Exercise> {
        self.grader
            .course
            .exercises
            .iter()
            .find(|exercise| exercise.slug == slug)
    }

    /// Where the learner goes on; the last day if all is done.
    pub fn resume(&self) -> &Exercise {
        let exercises = &self.grader.course.exercises;
        self.progress
            .resume(&self.slugs())
            .and_then(|slug| self.exercise(slug))
            .unwrap_or_else(|| &exercises[exercises.len() - 1])
    }

    /// The next day that is not completed.
    pub fn next_after(&self, slug: &str) -> Option<&Exercise> {
        self.progress
            .next_after(slug, &self.slugs())
            .and_then(|slug| self.exercise(slug))
    }

    fn slugs(&self) -> Vec<&str> {
        self.grader
            .course
            .exercises
            .iter()
            .map(|exercise| exercise.slug.as_str())
            .collect()
    }

    /// Records a verdict. If the file cannot be written, the verdict is kept
    /// here and written with the next one.
    pub fn record(&mut self, graded: &Graded) -> Result<Step, ProgressError> {
        let now = clock::now();
        self.pending.push(Pending {
            verdict: graded.verdict.clone(),
            source: graded.source.clone(),
            now: now.clone(),
        });
        let before = self.progress.clone();
        let step = self.progress.record(&graded.verdict, &graded.source, &now);
        match self.write() {
            Ok(Some(step)) => Ok(step),
            Ok(None) => Ok(step),
            Err(error) => {
                // What is shown must agree with the verdict even if it is not written yet.
                self.progress = before;
                self.progress.record(&graded.verdict, &graded.source, &now);
                Err(error)
            }
        }
    }

    /// Writes what is pending; the step of the last verdict.
    fn write(&mut self) -> Result<Option<Step>, ProgressError> {
        let pending = &self.pending;
        let updated = self.file.update(|progress| {
            let mut last = None;
            for item in pending {
                last = Some(progress.record(&item.verdict, &item.source, &item.now));
            }
            last
        })?;
        self.pending.clear();
        self.progress = updated.progress;
        self.notices.extend(updated.notices);
        Ok(updated.value)
    }

    /// Changes the progress by hand.
    pub fn update<T>(
        &mut self,
        apply: impl FnOnce(&mut Progress) -> T,
    ) -> Result<T, ProgressError> {
        let updated = self.file.update(apply)?;
        self.progress = updated.progress;
        self.notices.extend(updated.notices);
        Ok(updated.value)
    }

    /// Marks an exercise by hand.
    pub fn mark(&mut self, slug: &str, marker: Marker) -> Result<Marked, ProgressError> {
        self.update(|progress| progress.mark(slug, marker, &clock::now()))
    }

    /// The page of the next hint, which counts as seen from now on. `None`: there are no hints.
    pub fn hint(&mut self, slug: &str, style: &Style) -> Result<Option<String>> {
        let exercise = self
            .exercise(slug)
            .context("there is no such exercise")?
            .clone();
        let file = self.grader.course.hidden(&exercise).join("hints.md");
        let text = disk::text(&file)?;
        let tasks = hints::parse(&text);
        // Hints are for the task at hand: the first one that is not passed.
        let task = self
            .grader
            .known(&exercise)?
            .and_then(|graded| graded.verdict.first_failure().map(|check| check.task))
            .unwrap_or(1);
        let next = self.update(|progress| {
            let seen = progress.entry(slug).map_or(0, |entry| entry.hints);
            let next = hints::next(&tasks, task, seen)?;
            progress.hint_seen(slug, next.seen);
            Some(next)
        })?;
        Ok(next.map(|next| view::hints::page(&exercise, next.task, next.number, style)))
    }

    /// The page of a pitfall, by its anchor.
    pub fn pitfall(&self, anchor: &str, style: &Style) -> Result<String> {
        let file = self.grader.course.trusted.join("docs/pitfalls.md");
        let text = disk::text(&file)?;
        let section = model::book::section(&text, anchor)
            .with_context(|| format!("{} has no section {anchor}", file.display()))?;
        let section = model::book::name_own_links(&section, "pitfalls");
        Ok(view::markdown::render(&section, 0, style))
    }

    /// The reference solution's source.
    pub fn solution(&self, exercise: &Exercise) -> Result<String> {
        let file = self.grader.course.solution(exercise).join("src/lib.rs");
        disk::text(&file)
    }
}
