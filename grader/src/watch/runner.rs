//! Grading on a thread of its own, so that keys stay live.

use std::{
    sync::{Arc, mpsc::Sender},
    thread::{self, JoinHandle},
};

use anyhow::Result;

use super::{event::Event, machine::RunId};
use crate::{
    grade::{Contract, Graded, Grader, Implementation, Selection},
    model::exercise::Exercise,
    world::process::Cancel,
};

/// Starts runs and tells how they end. A stopped run tells nothing.
#[derive(Debug)]
pub struct Runner {
    grader: Arc<Grader>,
    events: Sender<Event>,
    running: Option<Cancel>,
    background: Option<Background>,
}

/// The build of what later days need.
#[derive(Debug)]
struct Background {
    cancel: Cancel,
    thread: JoinHandle<()>,
}

impl Runner {
    /// A runner at rest.
    pub const fn new(grader: Arc<Grader>, events: Sender<Event>) -> Self {
        Self {
            grader,
            events,
            running: None,
            background: None,
        }
    }

    /// Grades an exercise.
    pub fn run(&mut self, id: RunId, exercise: &Exercise, fresh: bool, contract: Contract) {
        self.yield_to(exercise);
        let (grader, events) = (Arc::clone(&self.grader), self.events.clone());
        let (exercise, cancel) = (exercise.clone(), self.start());
        thread::spawn(move || {
            let selection = Selection {
                fresh,
                contract,
                ..Selection::default()
            };
            let result = grade(&grader, &exercise, &selection, &cancel, id, &events);
            if !cancel.is_cancelled() {
                let _ = events.send(Event::Graded(id, result.map(Box::new)));
            }
        });
    }

    /// Grades every exercise; untouched ones are not built.
    pub fn run_all(&mut self, id: RunId) {
        self.stop_background();
        let (grader, events) = (Arc::clone(&self.grader), self.events.clone());
        let cancel = self.start();
        thread::spawn(move || {
            let all = || -> Result<Vec<(String, Graded)>> {
                let mut results = Vec::new();
                for exercise in &grader.course.exercises {
                    let graded = match grader.untouched(exercise)? {
                        Some(graded) => graded,
                        None => grade(
                            &grader,
                            exercise,
                            &Selection {
                                contract: Contract::IfPassed,
                                ..Selection::default()
                            },
                            &cancel,
                            id,
                            &events,
                        )?,
                    };
                    results.push((exercise.slug.clone(), graded));
                }
                Ok(results)
            };
            let result = all();
            if !cancel.is_cancelled() {
                let _ = events.send(Event::AllGraded(id, result));
            }
        });
    }

    /// Builds what later days need, at low priority, until something else is to be built.
    pub fn prepare_others(&mut self) {
        if self.background.is_some() {
            return;
        }
        let cancel = Cancel::default();
        let (grader, stop) = (Arc::clone(&self.grader), cancel.clone());
        let thread = thread::spawn(move || {
            for exercise in &grader.course.exercises {
                if stop.is_cancelled() {
                    return;
                }
                // What fails here fails again, with a report, when the day is opened.
                let _ = grader.prepare_quietly(exercise, &stop);
            }
        });
        self.background = Some(Background { cancel, thread });
    }

    /// Stops the run that goes on, if one does.
    pub fn cancel(&mut self) {
        if let Some(cancel) = self.running.take() {
            cancel.cancel();
        }
    }

    fn start(&mut self) -> Cancel {
        self.cancel();
        let cancel = Cancel::default();
        self.running = Some(cancel.clone());
        cancel
    }

    /// Two cargos in one target folder wait for each other: the one in front goes first.
    fn yield_to(&mut self, exercise: &Exercise) {
        let builds = |background: &Background| !background.thread.is_finished();
        if self.background.as_ref().is_some_and(builds) && !self.grader.is_prepared(exercise) {
            self.stop_background();
        }
    }

    fn stop_background(&mut self) {
        if let Some(background) = self.background.take() {
            background.cancel.cancel();
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.cancel();
        self.stop_background();
    }
}

fn grade(
    grader: &Grader,
    exercise: &Exercise,
    selection: &Selection,
    cancel: &Cancel,
    id: RunId,
    events: &Sender<Event>,
) -> Result<Graded> {
    cancel.check()?;
    grader.grade(
        exercise,
        Implementation::Learner,
        selection,
        cancel,
        &|phase| {
            let _ = events.send(Event::Phase(id, phase));
        },
    )
}
