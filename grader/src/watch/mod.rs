//! The loop: saves and keys in, verdicts out.
//!
//! Threads (terminal, watcher, one run) send events into one channel; the
//! machine says what each event makes to do; `act` does it.

mod act;
mod canvas;
mod event;
mod intent;
mod machine;
mod pages;
mod runner;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use anyhow::{Context, Error, Result};

use self::{
    canvas::Canvas,
    event::Event,
    intent::Intent,
    machine::{Input, Machine, RunId},
    runner::Runner,
};
use crate::{
    desk::Desk,
    grade::Graded,
    view::{self, style::Style},
    world::{
        clock,
        editor::Editor,
        terminal::{self, Capabilities, Key, Screen},
        watcher::{self, Mode, Notice, Watcher},
    },
};

/// How long a size must last before a page is drawn for it.
const RESIZE_PAUSE: Duration = Duration::from_millis(50);

/// How to watch.
#[derive(Debug)]
pub struct Options {
    /// The exercise to begin with; where the learner stopped, if `None`.
    pub exercise: Option<String>,
    /// Look at the files a few times a second instead of being told.
    pub poll: bool,
    /// What the terminal can do.
    pub terminal: Capabilities,
    /// Opens the day's file.
    pub editor: Option<Editor>,
    /// Where pages go.
    pub screen: Screen,
    /// How pages look.
    pub style: Style,
}

/// Watches until the learner leaves.
pub fn run(desk: Desk, options: Options) -> Result<()> {
    let (sender, events) = mpsc::channel();
    let course = &desk.grader.course;
    let folders: Vec<PathBuf> = course
        .exercises
        .iter()
        .map(|exercise| course.stub(exercise))
        .collect();
    // Before the first run, so that no save falls between the two.
    let watcher = Watcher::start(
        &folders,
        watcher::Options { poll: options.poll },
        into(&sender, Event::Watcher),
    )?;
    let _listener = terminal::listen(&options.terminal, into(&sender, Event::Terminal))?;
    let first = options
        .exercise
        .unwrap_or_else(|| desk.resume().slug.clone());
    let mut watch = Watch {
        runner: Runner::new(Arc::clone(&desk.grader), sender.clone()),
        desk,
        machine: Machine::default(),
        graded: None,
        canvas: Canvas::new(options.screen, options.style),
        editor: options.editor,
        events: sender,
        leaving: false,
        saved: None,
        resized: false,
    };
    if let Mode::Poll { why } = watcher.mode() {
        watch.canvas.remark(pages::polling(&why));
    }
    watch.take_notices();
    let completed = watch.desk.is_completed(&first);
    let actions = watch.machine.start(&first, completed);
    watch.act(actions)?;
    let ended = watch.listen(&events);
    watch.canvas.finish()?;
    ended
}

/// Sends what a source tells as an event.
fn into<T: 'static>(
    sender: &Sender<Event>,
    event: fn(T) -> Event,
) -> impl Fn(T) + Clone + Send + 'static {
    let sender = sender.clone();
    move |news| {
        // The loop has ended; nobody wants to know any more.
        let _ = sender.send(event(news));
    }
}

/// What the loop works with.
struct Watch {
    desk: Desk,
    runner: Runner,
    machine: Machine,
    /// The verdict on the current exercise, once it is known.
    graded: Option<Graded>,
    canvas: Canvas,
    editor: Option<Editor>,
    events: Sender<Event>,
    leaving: bool,
    /// When the learner saved what the verdict judges; nothing if it lay there before.
    saved: Option<String>,
    /// The terminal has another size than the page on it.
    resized: bool,
}

impl Watch {
    fn listen(&mut self, events: &Receiver<Event>) -> Result<()> {
        while !self.leaving {
            let event = events.recv().context("every source of events has ended")?;
            self.on(event)?;
            if self.resized {
                self.settle_size(events)?;
            }
        }
        Ok(())
    }

    /// Dragging a corner gives many sizes: the page is drawn for the last one.
    fn settle_size(&mut self, events: &Receiver<Event>) -> Result<()> {
        while let Ok(event) = events.recv_timeout(RESIZE_PAUSE) {
            self.on(event)?;
        }
        self.resized = false;
        let actions = self.machine.on(Input::Resized);
        self.act(actions)
    }

    fn on(&mut self, event: Event) -> Result<()> {
        let input = match event {
            Event::Terminal(input) => match self.on_terminal(input) {
                Some(input) => input,
                None => return Ok(()),
            },
            Event::Watcher(Notice::Saved(saved)) => {
                self.saved = clock::now().get(11..19).map(str::to_owned);
                Input::Saved(saved.slug)
            }
            Event::Watcher(Notice::Polling { why }) => {
                self.canvas.remark(pages::polling(&why));
                Input::Remark
            }
            Event::Watcher(Notice::Failed { why }) => {
                self.canvas.remark(format!(
                    "Saves are no longer noticed: {why}\n  r grades now."
                ));
                Input::Remark
            }
            Event::Trouble(words) => {
                self.canvas.remark(words);
                Input::Remark
            }
            Event::Phase(id, phase) => {
                if self.machine.is_current_run(id) {
                    let status = pages::phase(&phase, &self.canvas.style);
                    self.canvas.progress(&status)?;
                }
                return Ok(());
            }
            Event::Graded(id, result) => return self.on_graded(id, result),
            Event::AllGraded(id, result) => return self.on_all_graded(id, result),
        };
        let actions = self.machine.on(input);
        self.act(actions)
    }

    fn on_terminal(&mut self, input: terminal::Input) -> Option<Input> {
        Some(match input {
            terminal::Input::Key(Key::Char(key)) => Input::Intent(Intent::of_key(key)),
            terminal::Input::Key(_) => Input::Intent(Intent::Back),
            terminal::Input::Line(line) => Input::Intent(Intent::of_line(&line)),
            terminal::Input::Quit => Input::Intent(Intent::Quit),
            terminal::Input::Resize { width, height } => {
                self.canvas.resize(width, height);
                self.resized = true;
                return None;
            }
            // Whoever feeds lines may be done while the learner still saves.
            terminal::Input::End => return None,
        })
    }

    fn on_graded(&mut self, id: RunId, result: Result<Box<Graded>, Error>) -> Result<()> {
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
                self.graded = None;
                self.show_error(&error)?;
                Input::RunFailed(id)
            }
        };
        let actions = self.machine.on(input);
        self.act(actions)?;
        self.runner.prepare_others();
        Ok(())
    }

    fn on_all_graded(
        &mut self,
        id: RunId,
        result: Result<Vec<(String, Graded)>, Error>,
    ) -> Result<()> {
        if !self.machine.is_current_run(id) {
            return Ok(());
        }
        match result {
            Ok(results) => self.show_all(&results)?,
            Err(error) => self.show_error(&error)?,
        }
        let actions = self.machine.on(Input::AllGraded(id));
        self.act(actions)
    }

    fn show_error(&mut self, error: &Error) -> Result<()> {
        let page = view::error::block(&format!("{error:#}"), [], &self.canvas.style);
        Ok(self.canvas.show(&page, false)?)
    }
}
