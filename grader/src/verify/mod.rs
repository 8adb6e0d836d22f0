//! Whether the course is sound: what every exercise must hold, proved by running it.

mod style;
mod texts;
mod variants;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    grade::Grader,
    model::exercise::Exercise,
    world::{
        disk,
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
    /// How many variants are graded at a time.
    pub jobs: usize,
    /// Only the pieces of work whose title contains this; all, if `None`.
    pub only: Option<String>,
}

impl Effort {
    fn takes(&self, job: &Job<'_>) -> bool {
        let title = job.title();
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
            Task::Solution => "solution",
            Task::Right(name) | Task::Wrong(name) => name,
        };
        format!("{}: {task}", self.exercise.slug)
    }
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
    let mut jobs = VecDeque::new();
    for exercise in exercises {
        match grader.prepare(exercise, cancel, &|_| {}) {
            Ok(_) => jobs.extend(
                jobs_of(grader, exercise)
                    .into_iter()
                    .filter(|job| effort.takes(job)),
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
    let queue = Mutex::new(jobs);
    let (sender, ended) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..effort.jobs.max(1) {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                let next = || {
                    queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front()
                };
                while let Some(job) = next() {
                    let title = job.title();
                    if sender
                        .send((title, work(grader, &job, effort, cancel)))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (done, (what, found)) in (1..).zip(ended) {
            complaints.extend(found?);
            on(Event::Done { what, done, total });
        }
        complaints.sort();
        Ok(complaints)
    })
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
    [Task::Texts, Task::Style, Task::Stub, Task::Solution]
        .into_iter()
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
        Task::Solution => bench.solution(effort.repeats),
        Task::Right(name) => bench.right(name),
        Task::Wrong(name) => bench.wrong(name),
    }
}
