//! The watcher's thread: hints in, saves out.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use super::{
    Mode, Notice,
    debounce::Touch,
    exercise::Exercise,
    git::Git,
    mount,
    notify::{Watches, explain},
};

/// With notifications, how often the file system is asked whether one was missed. Nothing is
/// opened for that; the answer costs some tens of microseconds.
const DOUBT: Duration = Duration::from_secs(2);
/// How long the notification of something already visible may take.
const OVERDUE: Duration = Duration::from_millis(500);
/// Without notifications, how often the file system is asked.
const POLL: Duration = Duration::from_millis(250);
/// Without notifications, every how many times everything is read: times and sizes may lie.
const READ_ALL: u32 = 4;

/// What reaches the thread.
#[derive(Debug)]
pub(super) enum Signal {
    /// Something happened to a path.
    Touched(PathBuf, Touch),
    /// Notifications were lost.
    Lost,
    /// There will be no more notifications, because of this.
    Failed(String),
    /// Watch these exercises from now on; answer when it is so.
    Retarget(Vec<PathBuf>, Sender<()>),
    /// End.
    Stop,
}

pub(super) struct Engine<F> {
    exercises: Vec<Exercise>,
    /// `None` when polling.
    watches: Option<Watches>,
    mode: super::SharedMode,
    git: Git,
    /// When to ask the file system next.
    next_round: Instant,
    rounds: u32,
    send: F,
}

impl<F: Fn(Notice)> Engine<F> {
    /// Takes the exercises as they are now for known. The watches must be armed already.
    pub fn new(
        folders: Vec<PathBuf>,
        watches: Option<Watches>,
        mode: super::SharedMode,
        send: F,
    ) -> Self {
        let period = if watches.is_some() { DOUBT } else { POLL };
        Self {
            git: Git::around(folders.first().map(PathBuf::as_path)),
            exercises: folders.into_iter().map(Exercise::new).collect(),
            watches,
            mode,
            next_round: Instant::now() + period,
            rounds: 0,
            send,
        }
    }

    /// Runs until it is told to stop, or nobody is left who could tell.
    pub fn run(mut self, signals: &Receiver<Signal>) {
        loop {
            let left = self.next_due().saturating_duration_since(Instant::now());
            let mut signal = match signals.recv_timeout(left) {
                Ok(signal) => Some(signal),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Everything that is known already counts before anything is looked at.
            while let Some(known) = signal {
                if matches!(known, Signal::Stop) {
                    return;
                }
                self.take(known);
                signal = signals.try_recv().ok();
            }
            self.look_where_due();
            if self.next_round <= Instant::now() {
                self.round();
            }
        }
    }

    fn next_due(&self) -> Instant {
        let due = self.exercises.iter().filter_map(Exercise::due).min();
        due.map_or(self.next_round, |due| due.min(self.next_round))
    }

    fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Touched(path, touch) => self.touched(&path, touch),
            Signal::Lost => {
                self.touch_all();
                self.arm();
            }
            Signal::Failed(why) => self.poll_from_now_on(why),
            Signal::Retarget(folders, answer) => {
                self.retarget(folders);
                // Whoever asked may have given up.
                let _ = answer.send(());
            }
            Signal::Stop => {}
        }
    }

    fn touched(&mut self, path: &Path, touch: Touch) {
        let exercises = self.exercises.iter_mut();
        for exercise in exercises.filter(|exercise| exercise.is_concerned(path)) {
            exercise.touch(path, touch);
        }
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if is_source {
            return;
        }
        if let Some(watches) = &mut self.watches
            && touch == Touch::Gone
        {
            watches.forget(path);
        }
        self.arm();
    }

    fn touch_all(&mut self) {
        for exercise in &mut self.exercises {
            exercise.touch_whole();
        }
    }

    /// Brings the watches up to date with the folders that there are.
    fn arm(&mut self) {
        let Some(watches) = &mut self.watches else {
            return;
        };
        let folders: Vec<&Path> = self.exercises.iter().map(Exercise::folder).collect();
        match watches.arm(&folders) {
            // What happened in a folder before it was watched can only be seen.
            Ok(true) => self.touch_all(),
            Ok(false) => {}
            Err(error) => self.poll_from_now_on(explain(&error)),
        }
    }

    fn poll_from_now_on(&mut self, why: String) {
        if self.watches.take().is_none() {
            return;
        }
        self.mode.set(Mode::Poll { why: why.clone() });
        self.next_round = Instant::now();
        (self.send)(Notice::Polling { why });
    }

    fn retarget(&mut self, folders: Vec<PathBuf>) {
        let mut known = mem::take(&mut self.exercises);
        self.git = Git::around(folders.first().map(PathBuf::as_path));
        if let Some(why) = folders.iter().find_map(|folder| mount::silent(folder)) {
            self.poll_from_now_on(why);
        }
        if let Some(watches) = &mut self.watches {
            let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
            if let Err(error) = watches.arm(&folders) {
                self.poll_from_now_on(explain(&error));
            }
        }
        let exercises = folders.into_iter().map(|folder| {
            let position = known
                .iter()
                .position(|exercise| exercise.folder() == folder);
            position.map_or_else(
                || Exercise::new(folder),
                |position| known.swap_remove(position),
            )
        });
        self.exercises = exercises.collect();
    }

    fn look_where_due(&mut self) {
        let polling = self.watches.is_none();
        let mut saves = Vec::new();
        let mut missed = false;
        for exercise in &mut self.exercises {
            let was_announced = exercise.is_announced();
            if let Some(saved) = exercise.look_if_due(polling, &self.git) {
                missed |= !was_announced;
                saves.push(saved);
            }
        }
        if missed {
            self.poll_from_now_on("a save was seen that the system had not announced".into());
        }
        for saved in saves {
            (self.send)(Notice::Saved(saved));
        }
    }

    /// Asks the file system instead of waiting for it to tell.
    fn round(&mut self) {
        self.rounds = self.rounds.wrapping_add(1);
        if let Some(watches) = &self.watches {
            if !watches.are_in_place() {
                self.arm();
            }
            self.doubt();
            self.next_round = Instant::now() + DOUBT;
        } else {
            self.poll();
            self.next_round = Instant::now() + POLL;
        }
    }

    fn doubt(&mut self) {
        let idle = self.exercises.iter_mut().filter(|e| e.due().is_none());
        for exercise in idle.filter(|exercise| exercise.is_stale()) {
            exercise.doubt(OVERDUE);
        }
    }

    fn poll(&mut self) {
        let read_all = self.rounds.is_multiple_of(READ_ALL);
        let idle = self.exercises.iter_mut().filter(|e| e.due().is_none());
        for exercise in idle.filter(|exercise| read_all || exercise.is_stale()) {
            exercise.ask();
        }
        self.look_where_due();
    }
}
