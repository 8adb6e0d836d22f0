//! The loop: saves and keys in, verdicts out.
//!
//! Threads (terminal, watcher, one run) send events into one channel; the
//! machine says what each event makes to do; this file does it.

mod event;
mod intent;
mod machine;
mod pages;
mod runner;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
};

use anyhow::{Context, Error, Result};

use self::{
    event::Event,
    intent::Intent,
    machine::{Action, Input, Machine, Question, RunId},
    runner::Runner,
};
use crate::{
    desk::Desk,
    grade::Graded,
    model::{
        exercise::Exercise,
        marker::Marker,
        progress::Marked,
        select::select,
        verdict::{Status, Verdict},
    },
    view::{self, style::Style},
    world::{
        backup, clock,
        editor::Editor,
        terminal::{self, Keys, Screen},
        watcher::{self, Mode, Notice, Watcher},
    },
};

/// How to watch.
#[derive(Debug)]
pub struct Options {
    /// The exercise to begin with; where the learner stopped, if `None`.
    pub exercise: Option<String>,
    /// Look at the files a few times a second instead of being told.
    pub poll: bool,
    /// Whether single keys can be read; else lines.
    pub keys: bool,
    /// Opens the day's file.
    pub editor: Option<Editor>,
    /// Where pages go.
    pub screen: Screen,
    /// How pages look.
    pub style: Style,
}

/// Watches until the learner leaves. Returns whether the current day is passed.
pub fn run(desk: Desk, options: Options) -> Result<bool> {
    let (sender, events) = mpsc::channel();
    let folders: Vec<PathBuf> = {
        let course = &desk.grader.course;
        course
            .exercises
            .iter()
            .map(|exercise| course.stub(exercise))
            .collect()
    };
    let watch = watcher::Options { poll: options.poll };
    let to_loop = sender.clone();
    // Before the first run, so that no save falls between the two.
    let watcher = Watcher::start(&folders, watch, move |notice| {
        let _ = to_loop.send(Event::Watcher(notice));
    })?;
    let to_loop = sender.clone();
    let _keys = Keys::start(options.keys, move |input| {
        to_loop.send(Event::Terminal(input)).is_ok()
    });
    let mut watch = Watch {
        runner: Runner::new(Arc::clone(&desk.grader), sender),
        desk,
        machine: Machine::default(),
        graded: None,
        below: Vec::new(),
        page: String::new(),
        status: String::new(),
        screen: options.screen,
        style: options.style,
        editor: options.editor,
        leaving: false,
    };
    if let Mode::Poll { why } = watcher.mode() {
        watch.note_polling(&why);
    }
    watch.take_notices();
    let first = options
        .exercise
        .unwrap_or_else(|| watch.desk.resume().slug.clone());
    let completed = watch.desk.is_completed(&first);
    let actions = watch.machine.start(&first, completed);
    watch.act(actions)?;
    watch.listen(&events)?;
    Ok(watch.graded.is_some_and(|graded| graded.verdict.passed()))
}

struct Watch {
    desk: Desk,
    runner: Runner,
    machine: Machine,
    /// The verdict on the current exercise, once it is known.
    graded: Option<Graded>,
    /// Remarks below the next page.
    below: Vec<String>,
    page: String,
    status: String,
    screen: Screen,
    style: Style,
    editor: Option<Editor>,
    leaving: bool,
}

impl Watch {
    fn listen(&mut self, events: &Receiver<Event>) -> Result<()> {
        while !self.leaving {
            let event = events.recv().context("every source of events has ended")?;
            self.on(event)?;
        }
        Ok(())
    }

    fn on(&mut self, event: Event) -> Result<()> {
        let input = match event {
            Event::Terminal(terminal::Input::Key(key)) => Input::Intent(Intent::of_key(key)),
            Event::Terminal(terminal::Input::Line(line)) => Input::Intent(Intent::of_line(&line)),
            Event::Terminal(terminal::Input::Interrupt) => Input::Intent(Intent::Quit),
            // Whoever feeds lines may be done while the learner still saves.
            Event::Terminal(terminal::Input::End) => return Ok(()),
            Event::Terminal(terminal::Input::Resize(width, height)) => {
                self.style.width = width.into();
                self.screen.height = height;
                Input::Resized
            }
            Event::Watcher(Notice::Saved(saved)) => Input::Saved(saved.slug),
            Event::Watcher(Notice::Polling { why }) => {
                self.note_polling(&why);
                Input::Resized
            }
            Event::Watcher(Notice::Failed { why }) => {
                self.below.push(format!(
                    "Saves are no longer noticed: {why}\n  r grades now.\n"
                ));
                Input::Resized
            }
            Event::Phase(id, phase) => {
                if self.machine.is_current_run(id) {
                    let status = view_phase(&phase, &self.style);
                    self.show_status(status);
                }
                return Ok(());
            }
            Event::Graded(id, result) => return self.graded(id, result),
            Event::AllGraded(id, result) => return self.all_graded(id, result),
        };
        let actions = self.machine.on(input);
        self.act(actions)
    }

    fn graded(&mut self, id: RunId, result: Result<Box<Graded>, Error>) -> Result<()> {
        if !self.machine.is_current_run(id) {
            return Ok(());
        }
        let input = match result {
            Ok(graded) => {
                let passed = graded.verdict.passed();
                self.graded = Some(*graded);
                Input::Graded(id, passed)
            }
            Err(error) => {
                let page = view::error::block(&format!("{error:#}"), [], &self.style);
                self.show(page + "\n");
                Input::RunFailed(id)
            }
        };
        let actions = self.machine.on(input);
        self.act(actions)?;
        if !self.machine.is_running() {
            self.runner.prepare_others();
        }
        Ok(())
    }

    fn all_graded(
        &mut self,
        id: RunId,
        result: Result<Vec<(String, Graded)>, Error>,
    ) -> Result<()> {
        if !self.machine.is_current_run(id) {
            return Ok(());
        }
        let mut page = String::new();
        match result {
            Ok(results) => {
                for (slug, graded) in &results {
                    self.record(graded);
                    let Some(exercise) = self.desk.exercise(slug) else {
                        continue;
                    };
                    let entry = self.desk.progress().entry(slug);
                    page += &view::verdict::line(exercise, &graded.verdict, entry, &self.style);
                }
            }
            Err(error) => page = view::error::block(&format!("{error:#}"), [], &self.style),
        }
        self.show(page + "\n");
        let actions = self.machine.on(Input::AllGraded(id));
        self.act(actions)
    }

    fn act(&mut self, actions: Vec<Action>) -> Result<()> {
        for action in actions {
            self.act_once(action)?;
        }
        Ok(())
    }

    fn act_once(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Cancel => self.runner.cancel(),
            Action::Run { id, fresh } => {
                let exercise = self.current()?;
                let detected = view::footer::phases(view::footer::Phase::Detected, &self.style);
                self.show_status(detected);
                self.runner.run(id, &exercise, fresh);
            }
            Action::RunAll(id) => self.runner.run_all(id),
            Action::Open(word) => self.open(&word)?,
            Action::OpenNext => self.open_next()?,
            Action::ShowVerdict => self.show_new_verdict()?,
            Action::BackToVerdict => self.show_verdict()?,
            Action::Redraw => self.redraw(),
            Action::ShowHint => self.show_hint()?,
            Action::ShowPitfall => self.show_pitfall(),
            Action::ShowTimeline => self.show_timeline()?,
            Action::ShowList => self.show_list(),
            Action::ShowSolution => self.show_solution()?,
            Action::MarkStuck => self.mark_stuck()?,
            Action::GiveUp => {
                self.mark(Marker::NeedHelp);
                self.show_solution()?;
            }
            Action::Reset => self.reset()?,
            Action::Ask(question) => self.ask(question)?,
            Action::Quit => {
                self.show_status(String::new());
                self.leaving = true;
            }
        }
        Ok(())
    }

    fn current(&self) -> Result<Exercise> {
        let slug = self.machine.current();
        self.desk
            .exercise(slug)
            .cloned()
            .with_context(|| format!("{slug} is gone"))
    }

    fn verdict(&self) -> Option<&Verdict> {
        self.graded.as_ref().map(|graded| &graded.verdict)
    }

    // Opening days.

    fn open(&mut self, word: &str) -> Result<()> {
        let exercise = match select(&self.desk.grader.course.exercises, word) {
            Ok(exercise) => exercise.clone(),
            Err(error) => {
                let page = view::error::block(&error.to_string(), [], &self.style);
                self.show(page + "\n");
                return Ok(());
            }
        };
        self.graded = None;
        self.show(pages::opening(&exercise, &self.style));
        if let Some(editor) = &self.editor {
            let file = self.desk.grader.course.stub(&exercise).join("src/lib.rs");
            if let Err(error) = editor.open(&file, 1) {
                self.below
                    .push(format!("The editor did not start: {error:#}\n"));
            }
        }
        if self.machine.current() != exercise.slug {
            let completed = self.desk.is_completed(&exercise.slug);
            let actions = self.machine.open(&exercise.slug, completed);
            self.act(actions)?;
        }
        Ok(())
    }

    fn open_next(&mut self) -> Result<()> {
        let next = self
            .desk
            .next_after(self.machine.current())
            .map(|next| next.slug.clone());
        match next {
            Some(slug) => self.open(&slug),
            None => {
                let page = view::done::next(None, &self.style);
                self.show(page);
                Ok(())
            }
        }
    }

    // Verdicts.

    fn record(&mut self, graded: &Graded) {
        let result = self.desk.record(graded);
        self.take_notices();
        if let Err(error) = result {
            self.below
                .push(view::error::block(&error.to_string(), [], &self.style));
        }
    }

    fn take_notices(&mut self) {
        for notice in self.desk.take_notices() {
            self.below.push(if notice.is_error() {
                view::error::block(&notice.to_string(), [], &self.style)
            } else {
                format!("{notice}\n")
            });
        }
    }

    fn show_new_verdict(&mut self) -> Result<()> {
        if let Some(graded) = self.graded.take() {
            self.record(&graded);
            self.graded = Some(graded);
        }
        self.show_verdict()
    }

    fn show_verdict(&mut self) -> Result<()> {
        let exercise = self.current()?;
        let Some(graded) = &self.graded else {
            self.show(pages::opening(&exercise, &self.style));
            return Ok(());
        };
        let page = pages::verdict(&self.desk, &exercise, graded, &self.style);
        let status = pages::status(graded, &self.style);
        self.show(page);
        self.show_status(status);
        Ok(())
    }

    // Pages on demand.

    fn show_hint(&mut self) -> Result<()> {
        let slug = self.machine.current().to_owned();
        let page = match self.desk.hint(&slug, &self.style) {
            Ok(Some(page)) => page,
            Ok(None) => "There are no hints for this day.\n".to_owned(),
            Err(error) => view::error::block(&format!("{error:#}"), [], &self.style),
        };
        self.take_notices();
        self.show(page + "\n");
        Ok(())
    }

    fn show_pitfall(&mut self) {
        let anchor = self
            .verdict()
            .and_then(Verdict::first_failure)
            .and_then(|check| check.failure.as_ref()?.pitfall.clone());
        let page = match anchor {
            None => "No check names a pitfall at the moment.\n".to_owned(),
            Some(anchor) => match self.desk.pitfall(&anchor, &self.style) {
                Ok(page) => page,
                Err(error) => view::error::block(&format!("{error:#}"), [], &self.style),
            },
        };
        self.show(page + "\n");
    }

    fn show_timeline(&mut self) -> Result<()> {
        let exercise = self.current()?;
        let page = self
            .verdict()
            .and_then(|verdict| {
                verdict
                    .first_failure()
                    .or_else(|| verdict.checks.iter().find(|c| c.runs > 0))
            })
            .map_or_else(
                || "No check has run yet.\n".to_owned(),
                |check| view::timeline::page(&exercise, check, &self.style),
            );
        self.show(page + "\n");
        Ok(())
    }

    fn show_list(&mut self) {
        let exercises = &self.desk.grader.course.exercises;
        let page = view::progress::table(exercises, self.desk.progress(), &self.style);
        self.show(page + "\n");
    }

    fn show_solution(&mut self) -> Result<()> {
        let exercise = self.current()?;
        let page = match self.desk.solution(&exercise) {
            Ok(source) => source,
            Err(error) => view::error::block(&format!("{error:#}"), [], &self.style),
        };
        self.show(page + "\n");
        Ok(())
    }

    // Changes.

    fn mark(&mut self, marker: Marker) -> Option<Marked> {
        let slug = self.machine.current().to_owned();
        let marked = match self.desk.mark(&slug, marker) {
            Ok(marked) => Some(marked),
            Err(error) => {
                self.below
                    .push(view::error::block(&error.to_string(), [], &self.style));
                None
            }
        };
        self.take_notices();
        marked
    }

    fn mark_stuck(&mut self) -> Result<()> {
        if self.mark(Marker::NeedHelp) == Some(Marked::StaysCompleted) {
            self.below
                .push("This day is completed, and stays so.\n".to_owned());
            return self.show_verdict();
        }
        // Whoever is stuck wants the next step, not only a marker.
        self.show_hint()
    }

    fn reset(&mut self) -> Result<()> {
        let exercise = self.current()?;
        let course = &self.desk.grader.course;
        let page = match backup::reset(course, &exercise, &clock::now()) {
            Ok(backup) => {
                let folder = backup.folder.strip_prefix(&course.workspace);
                let folder = folder.unwrap_or(&backup.folder).display().to_string();
                view::reset::done(&exercise, &folder)
            }
            Err(error) => view::error::block(&format!("{error:#}"), [], &self.style),
        };
        // The watcher sees the restored stub and starts the run.
        self.show(page + "\n");
        Ok(())
    }

    fn ask(&mut self, question: Question) -> Result<()> {
        let exercise = self.current()?;
        let words = pages::question(question, &exercise, &self.style);
        self.show_status(words);
        Ok(())
    }

    // The screen.

    fn note_polling(&mut self, why: &str) {
        self.below.push(format!(
            "Files are looked at a few times a second: {why}\n  r grades now.\n"
        ));
    }

    /// Shows a page: the remarks, the keys, and an empty status below it.
    fn show(&mut self, mut page: String) {
        for remark in self.below.drain(..) {
            page.push_str(&remark);
            page.push('\n');
        }
        let solved = self
            .graded
            .as_ref()
            .is_some_and(|g| g.verdict.status == Status::Passed);
        page.push_str(&pages::keys(solved, &self.style));
        self.page = page;
        self.status.clear();
        self.screen.page(&self.page);
    }

    fn show_status(&mut self, status: String) {
        self.status = status;
        self.screen.status(&self.status);
    }

    fn redraw(&mut self) {
        if self.below.is_empty() && self.machine.is_running() {
            self.screen.page(&self.page);
            self.screen.status(&self.status);
        } else if self.show_verdict().is_err() {
            self.screen.page(&self.page);
        }
    }
}

fn view_phase(phase: &crate::grade::phase::Phase, style: &Style) -> String {
    pages::phase(phase, style)
}
