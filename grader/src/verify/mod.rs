//! Whether the course is sound: what every exercise must hold, proved by running it.

mod empty;
pub mod mutants;
mod style;
mod texts;
mod variants;

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use serde::Serialize;

use crate::{
    grade::{Grader, clear_benches},
    model::exercise::Exercise,
    world::{
        disk,
        parallel::in_parallel,
        process::{Cancel, Cancelled},
    },
};

/// Something about an exercise that its author has to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Complaint {
    /// The exercise's slug.
    pub exercise: String,
    /// The file, relative to the course.
    pub file: String,
    /// Counted from 1; 0 means the whole file.
    pub line: u32,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub mend: String,
}

/// How thorough to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effort {
    /// How often the solution is run; every run must give the same report.
    pub repeats: u32,
    /// Whether half of these runs find the machine busy with something else.
    pub load: bool,
    /// How many variants are graded at a time.
    pub jobs: usize,
    /// Only the pieces of work whose title contains this; all, if `None`.
    pub only: Option<String>,
}

impl Effort {
    /// Whether a piece of work of this title is to be done.
    pub fn takes(&self, title: &str) -> bool {
        self.only.as_ref().is_none_or(|part| title.contains(part))
    }
}

/// What verifying says while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece of work ended: which one, how many are done, of how many.
    Done {
        /// `day07_x: wrong/in_sequence.rs`
        what: String,
        /// Pieces that ended.
        done: usize,
        /// Pieces in all.
        total: usize,
    },
}

/// One piece of work on one exercise.
struct Job<'a> {
    exercise: &'a Exercise,
    task: Task,
}

enum Task {
    Texts,
    Style,
    Stub,
    Empty,
    Solution,
    Right(String),
    Wrong(String),
}

impl Job<'_> {
    fn title(&self) -> String {
        let task = match &self.task {
            Task::Texts => "texts",
            Task::Style => "formatting and lints",
            Task::Stub => "stub",
            Task::Empty => "an empty implementation",
            Task::Solution => "solution",
            Task::Right(name) | Task::Wrong(name) => name,
        };
        format!("{}: {task}", self.exercise.slug)
    }
}

/// The titles of all pieces of work: what `only` can name a part of.
pub fn titles(grader: &Grader, exercises: &[&Exercise]) -> Vec<String> {
    let jobs = exercises
        .iter()
        .flat_map(|exercise| jobs_of(grader, exercise));
    jobs.map(|job| job.title()).collect()
}

/// Verifies these exercises; a broken one does not hide the others.
pub fn verify(
    grader: &Grader,
    exercises: &[&Exercise],
    effort: &Effort,
    cancel: &Cancel,
    on: &dyn Fn(Event),
) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut jobs = Vec::new();
    for exercise in exercises {
        match grader.prepare(exercise, cancel, &|_| {}) {
            Ok(_) => jobs.extend(
                jobs_of(grader, exercise)
                    .into_iter()
                    .filter(|job| effort.takes(&job.title())),
            ),
            Err(error) if error.is::<Cancelled>() => return Err(error),
            Err(error) => complaints.push(Complaint {
                exercise: exercise.slug.clone(),
                file: format!("grader/hidden/{}/Cargo.toml", exercise.slug),
                line: 0,
                what: format!("{error:#}"),
                mend: "mend the manifest; `cargo check` in that folder tells more".to_owned(),
            }),
        }
    }
    let total = jobs.len();
    let mut done = 0;
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for job in &jobs {
        *left.entry(job.exercise.slug.clone()).or_default() += 1;
    }
    in_parallel(
        jobs,
        effort.jobs,
        |job| {
            (
                job.exercise,
                job.title(),
                work(grader, &job, effort, cancel),
            )
        },
        |(exercise, what, found)| {
            complaints.extend(found?);
            done += 1;
            if let Some(left) = left.get_mut(&exercise.slug) {
                *left -= 1;
                if *left == 0 {
                    clear_benches(grader, exercise)?;
                }
            }
            on(Event::Done { what, done, total });
            Ok(())
        },
    )?;
    complaints.sort();
    Ok(complaints)
}

fn jobs_of<'a>(grader: &Grader, exercise: &'a Exercise) -> Vec<Job<'a>> {
    let hidden = grader.course.hidden(exercise);
    let names = |folder: &str| {
        let names = disk::names(&hidden.join(folder)).into_iter();
        let names = names.filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "rs")
        });
        names
            .map(|name| format!("{folder}/{name}"))
            .collect::<Vec<_>>()
    };
    let once = [
        Task::Texts,
        Task::Style,
        Task::Stub,
        Task::Empty,
        Task::Solution,
    ];
    once.into_iter()
        .chain(names("right").into_iter().map(Task::Right))
        .chain(names("wrong").into_iter().map(Task::Wrong))
        .map(|task| Job { exercise, task })
        .collect()
}

fn work(
    grader: &Grader,
    job: &Job<'_>,
    effort: &Effort,
    cancel: &Cancel,
) -> Result<Vec<Complaint>> {
    let bench = variants::Bench {
        grader,
        exercise: job.exercise,
        cancel,
    };
    match &job.task {
        Task::Texts => texts::verify(&grader.course, job.exercise),
        Task::Style => style::verify(grader, job.exercise, cancel),
        Task::Stub => bench.stub(),
        Task::Empty => bench.empty(),
        Task::Solution => bench.solution(effort.repeats, effort.load),
        Task::Right(name) => bench.right(name),
        Task::Wrong(name) => bench.wrong(name),
    }
}
