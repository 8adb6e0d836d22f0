//! Doing what the machine says.

use anyhow::{Context, Result};

use super::{
    Watch,
    event::Event,
    machine::{Action, Question},
    pages,
};
use crate::{
    grade::{Contract, Graded},
    model::{
        exercise::Exercise,
        marker::Marker,
        progress::Marked,
        select::select,
        verdict::{Status, Verdict},
    },
    view,
    world::{backup, clock},
};

impl Watch {
    pub(super) fn act(&mut self, actions: Vec<Action>) -> Result<()> {
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
                let detected =
                    view::footer::phases(view::footer::Phase::Detected, &self.canvas.style);
                self.canvas.progress(&detected)?;
                let contract = Contract::of(self.desk.is_completed(&exercise.slug));
                self.runner.run(id, &exercise, fresh, contract);
            }
            Action::RunAll(id) => self.runner.run_all(id),
            Action::Open(word) => self.open(&word)?,
            Action::OpenNext => self.open_next()?,
            Action::ShowVerdict => self.show_new_verdict()?,
            Action::BackToVerdict => self.show_verdict()?,
            Action::Redraw => self.canvas.redraw()?,
            Action::ShowHint => self.show_hint()?,
            Action::ShowPitfall => self.show_pitfall()?,
            Action::ShowTimeline => self.show_timeline()?,
            Action::ShowList => self.show_list()?,
            Action::ShowSolution => self.show_solution()?,
            Action::MarkStuck => self.mark_stuck()?,
            Action::GiveUp => {
                self.mark(Marker::NeedHelp);
                self.show_solution()?;
            }
            Action::Reset => self.reset()?,
            Action::Ask(question) => self.ask(question)?,
            Action::Quit => {
                self.canvas.progress("")?;
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

    fn show(&mut self, page: &str) -> Result<()> {
        let solved = self
            .verdict()
            .is_some_and(|verdict| verdict.status == Status::Passed);
        Ok(self.canvas.show(page, solved)?)
    }

    // Opening days.

    fn open(&mut self, word: &str) -> Result<()> {
        let exercise = match select(&self.desk.grader.course.exercises, word) {
            Ok(exercise) => exercise.clone(),
            Err(error) => {
                let page = view::error::block(&error.to_string(), [], &self.canvas.style);
                return self.show(&page);
            }
        };
        self.graded = None;
        self.saved = None;
        self.edit(&exercise);
        let page = pages::opening(&exercise, &self.canvas.style);
        self.show(&page)?;
        if self.machine.current() != exercise.slug {
            let completed = self.desk.is_completed(&exercise.slug);
            let actions = self.machine.open(&exercise.slug, completed);
            self.act(actions)?;
        }
        Ok(())
    }

    /// Opens the day's file in the learner's editor, if there is one.
    fn edit(&mut self, exercise: &Exercise) {
        let Some(editor) = &self.editor else { return };
        let file = self.desk.grader.course.stub(exercise).join("src/lib.rs");
        let events = self.events.clone();
        let complain = move |words| {
            let _ = events.send(Event::Trouble(words));
        };
        if let Err(error) = editor.open(&file, None, complain) {
            self.canvas
                .remark(format!("The editor was not opened: {error:#}"));
        }
    }

    fn open_next(&mut self) -> Result<()> {
        let next = self
            .desk
            .next_after(self.machine.current())
            .map(|next| next.slug.clone());
        if let Some(slug) = next {
            return self.open(&slug);
        }
        let page = view::done::next(None, &self.canvas.style);
        self.show(&page)
    }

    // Verdicts.

    fn record(&mut self, graded: &Graded) {
        let result = self.desk.record(graded);
        self.take_notices();
        if let Err(error) = result {
            self.remark_error(&error.to_string());
        }
    }

    pub(super) fn take_notices(&mut self) {
        for notice in self.desk.take_notices() {
            if notice.is_error() {
                self.remark_error(&notice.to_string());
            } else {
                self.canvas.remark(notice.to_string());
            }
        }
    }

    fn remark_error(&mut self, message: &str) {
        let block = view::error::block(message, [], &self.canvas.style);
        self.canvas.remark(block);
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
        let style = &self.canvas.style;
        let Some(graded) = &self.graded else {
            let page = pages::opening(&exercise, style);
            return self.show(&page);
        };
        let page = pages::verdict(&self.desk, &exercise, graded, style);
        let status = pages::status(graded, self.saved.clone(), style);
        self.show(&page)?;
        Ok(self.canvas.status(&status)?)
    }

    pub(super) fn show_all(&mut self, results: &[(String, Graded)]) -> Result<()> {
        let mut page = String::new();
        for (slug, graded) in results {
            self.record(graded);
            let Some(exercise) = self.desk.exercise(slug) else {
                continue;
            };
            let entry = self.desk.progress().entry(slug);
            page += &view::verdict::line(exercise, &graded.verdict, entry, &self.canvas.style);
        }
        self.show(&page)
    }

    // Pages on demand.

    fn show_hint(&mut self) -> Result<()> {
        let slug = self.machine.current().to_owned();
        let page = match self.desk.hint(&slug, &self.canvas.style) {
            Ok(Some(page)) => page,
            Ok(None) => "There are no hints for this day.".to_owned(),
            Err(error) => view::error::block(&format!("{error:#}"), [], &self.canvas.style),
        };
        self.take_notices();
        self.show(&page)
    }

    fn show_pitfall(&mut self) -> Result<()> {
        let anchor = self
            .verdict()
            .and_then(Verdict::first_failure)
            .and_then(|check| check.failure.as_ref()?.pitfall.clone());
        let page = match anchor {
            None => "No check names a pitfall at the moment.".to_owned(),
            Some(anchor) => match self.desk.pitfall(&anchor, &self.canvas.style) {
                Ok(page) => page,
                Err(error) => view::error::block(&format!("{error:#}"), [], &self.canvas.style),
            },
        };
        self.show(&page)
    }

    fn show_timeline(&mut self) -> Result<()> {
        let exercise = self.current()?;
        let check = self.verdict().and_then(|verdict| {
            let ran = || verdict.checks.iter().find(|check| check.runs > 0);
            verdict.first_failure().or_else(ran)
        });
        let page = match check {
            Some(check) => view::timeline::page(&exercise, check, &self.canvas.style),
            None => "No check has run yet.".to_owned(),
        };
        self.show(&page)
    }

    fn show_list(&mut self) -> Result<()> {
        let exercises = &self.desk.grader.course.exercises;
        let page = view::progress::table(exercises, self.desk.progress(), &self.canvas.style);
        self.show(&page)
    }

    fn show_solution(&mut self) -> Result<()> {
        let exercise = self.current()?;
        let page = match self.desk.solution(&exercise) {
            Ok(source) => source,
            Err(error) => view::error::block(&format!("{error:#}"), [], &self.canvas.style),
        };
        self.show(&page)
    }

    // Changes.

    fn mark(&mut self, marker: Marker) -> Option<Marked> {
        let slug = self.machine.current().to_owned();
        let marked = self.desk.mark(&slug, marker);
        self.take_notices();
        marked
            .map_err(|error| self.remark_error(&error.to_string()))
            .ok()
    }

    fn mark_stuck(&mut self) -> Result<()> {
        if self.mark(Marker::NeedHelp) == Some(Marked::StaysCompleted) {
            self.canvas
                .remark("This day is completed, and stays so.".to_owned());
            return self.show_verdict();
        }
        // Whoever is stuck wants the next step, not only a marker.
        let words = self.canvas.style.marker_word(Marker::NeedHelp);
        self.canvas
            .remark(format!("{}: {words}", self.current()?.short()));
        self.show_hint()
    }

    fn reset(&mut self) -> Result<()> {
        let exercise = self.current()?;
        let course = &self.desk.grader.course;
        if backup::is_original(course, &exercise)? {
            self.canvas
                .remark(format!("{} is the stub already.", exercise.file()));
            return self.show_verdict();
        }
        // The watcher sees the restored stub and starts the run, whose page takes this one's place:
        // the way back is said below that, too.
        let page = match backup::reset(course, &exercise, &clock::now()) {
            Ok(backup) => {
                let page = view::reset::done(&exercise, &backup.shown_in(course));
                self.canvas.remark(page.clone());
                page
            }
            Err(error) => view::error::block(&format!("{error:#}"), [], &self.canvas.style),
        };
        self.show(&page)
    }

    fn ask(&mut self, question: Question) -> Result<()> {
        let exercise = self.current()?;
        let words = pages::question(question, &exercise, &self.canvas.style);
        Ok(self.canvas.status(&words)?)
    }
}
