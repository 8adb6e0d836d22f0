//! Learns of saves, whatever the editor and the file system do, and tells each once.
//!
//! A notification is only a hint to look; what counts is the content. Folders are watched,
//! never files, because most editors replace a file by another of the same name. Where
//! notifications cannot be had or trusted, the file system is asked a few times a second.
//!
//! | file | what it knows |
//! |---|---|
//! | `digest` | the content of an exercise |
//! | `debounce` | when to look after a hint, and when to wait for the rest |
//! | `notify` | which folders to watch, what an event means |
//! | `mount`, `selftest` | where notifications are not to be trusted |
//! | `git` | whether a checkout is under way |
//! | `exercise` | what was seen of one exercise, and what happened since |
//! | `engine` | the thread |

mod debounce;
mod digest;
mod engine;
mod exercise;
mod git;
mod mount;
mod notify;
mod selftest;

use std::{
    panic::{self, AssertUnwindSafe},
    path::{self, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use ::notify::{RecommendedWatcher, Watcher as Backend};
use anyhow::{Context, Result};

use self::{
    engine::{Engine, Signal},
    notify::{Watches, explain},
};

pub use self::digest::{Digest, digest};

/// One save: the content of an exercise's sources became another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The name of the exercise's folder.
    pub slug: String,
    /// The exercise's folder, absolute.
    pub folder: PathBuf,
    /// The same that [`digest`] gives; if the sources are refused, one that stands for that.
    pub digest: Digest,
    /// What differs from the last save, beneath the folder: `src/lib.rs`. Empty if the sources
    /// were refused before or are now.
    pub files: Vec<String>,
    /// When the first sign of it came.
    pub at: Instant,
}

/// What a watcher has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The learner saved.
    Saved(Saved),
    /// Notifications stopped working; it polls from now on.
    Polling {
        /// For the learner: why, and what would help.
        why: String,
    },
    /// The watcher broke; no more saves will be told.
    Failed {
        /// What happened.
        why: String,
    },
}

/// How a watcher learns of saves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The system announces them.
    Notify,
    /// The files are looked at a few times a second.
    Poll {
        /// For the learner: why, and what would help.
        why: String,
    },
}

/// How to watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Never ask for notifications.
    pub poll: bool,
}

/// Watches exercises until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    signals: Sender<Signal>,
    mode: SharedMode,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches the folders of exercises (`exercises/day01_…`), which need not exist yet.
    ///
    /// What they hold when this returns is not told as a save: start before the first grading,
    /// and no save can fall in between. `send` is called on a thread of the watcher's own.
    ///
    /// # Errors
    /// If a path cannot be made absolute or no thread can be started. That notifications
    /// cannot be had is no error: see [`Self::mode`].
    pub fn start(
        folders: &[PathBuf],
        options: Options,
        send: impl Fn(Notice) + Send + 'static,
    ) -> Result<Self> {
        Self::start_on::<RecommendedWatcher>(folders, options, send)
    }

    /// As [`Self::start`], on another backend of the `notify` crate than the system's usual one.
    pub fn start_on<W: Backend + Send + 'static>(
        folders: &[PathBuf],
        options: Options,
        send: impl Fn(Notice) + Send + 'static,
    ) -> Result<Self> {
        let folders = absolute(folders)?;
        let (sender, signals) = mpsc::channel();
        let (watches, mode) = match listen::<W>(&folders, options, &sender, &signals) {
            Ok(watches) => (Some(watches), Mode::Notify),
            Err(why) => (None, Mode::Poll { why }),
        };
        let mode = SharedMode::new(mode);
        let engine_mode = mode.clone();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("watcher".into())
            .spawn(move || {
                let run = || {
                    let engine = Engine::new(folders, watches, engine_mode, &send);
                    // Whoever waits for it may have given up.
                    let _ = ready.send(());
                    engine.run(&signals);
                };
                if panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
                    let why = "the watcher stopped through a fault of its own".into();
                    send(Notice::Failed { why });
                }
            })
            .context("cannot start the watcher's thread")?;
        // An error means that the thread has failed and has said so.
        let _ = is_ready.recv();
        Ok(Self {
            signals: sender,
            mode,
            thread: Some(thread),
        })
    }

    /// How it learns of saves at this moment.
    pub fn mode(&self) -> Mode {
        self.mode.get()
    }

    /// Watches these folders instead, when this returns. What is known of folders that stay
    /// is kept: a save of theirs is told even if it came in between.
    pub fn retarget(&self, folders: &[PathBuf]) -> Result<()> {
        let (answer, is_done) = mpsc::channel();
        let signal = Signal::Retarget(absolute(folders)?, answer);
        self.signals.send(signal).context("the watcher has ended")?;
        is_done.recv().context("the watcher has ended")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Both fail only if the thread has ended already.
        drop(self.signals.send(Signal::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Everything that notifications need, or why they cannot be had.
fn listen<W: Backend + Send + 'static>(
    folders: &[PathBuf],
    options: Options,
    sender: &Sender<Signal>,
    signals: &Receiver<Signal>,
) -> Result<Watches, String> {
    if options.poll {
        return Err("it was asked for".into());
    }
    if let Some(why) = folders.iter().find_map(|folder| mount::silent(folder)) {
        return Err(why);
    }
    let explained = |error: ::notify::Error| explain(&error);
    let mut watches = Watches::start::<W>(sender.clone()).map_err(explained)?;
    if let Some(folder) = folders.first() {
        selftest::passes(&mut watches, signals, folder)?;
    }
    let folders: Vec<_> = folders.iter().map(PathBuf::as_path).collect();
    watches.arm(&folders).map_err(explained)?;
    Ok(watches)
}

fn absolute(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let absolute = folders.iter().map(|folder| {
        path::absolute(folder).with_context(|| format!("cannot resolve {}", folder.display()))
    });
    absolute.collect()
}

#[derive(Debug, Clone)]
struct SharedMode(Arc<Mutex<Mode>>);

impl SharedMode {
    fn new(mode: Mode) -> Self {
        Self(Arc::new(Mutex::new(mode)))
    }

    fn get(&self) -> Mode {
        locked(&self.0).clone()
    }

    fn set(&self, mode: Mode) {
        *locked(&self.0) = mode;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
