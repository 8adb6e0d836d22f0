//! `progress.json` on disk: read with care, written so that nothing is lost.
//!
//! An update takes the lock, reads the file again, applies the change to what
//! it read, and replaces the file in one step. So two terminals never lose
//! each other's work, and a power cut leaves either the old state or the new.

use std::{
    collections::HashSet,
    fs, io,
    mem::{Discriminant, discriminant},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::progress::{ParseProblem, Progress};

mod backup;
mod error;
mod heal;
mod lock;
mod notice;
mod replace;

pub use error::ProgressError;
pub use notice::{Notice, Saved};

use backup::Backup;
use lock::Lock;

/// The learner's progress file, in the workspace's root.
#[derive(Debug)]
pub struct ProgressFile {
    root: PathBuf,
    patience: Duration,
    /// Standing conditions that were told already; nobody wants to read of a
    /// missing lock at every save.
    told: Mutex<HashSet<Discriminant<Notice>>>,
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The state.
    pub progress: Progress,
    /// What the learner has to be told.
    pub notices: Vec<Notice>,
}

/// What was written.
#[derive(Debug)]
pub struct Updated<T> {
    /// The state that the file holds now, the work of other terminals included.
    pub progress: Progress,
    /// What the change returned.
    pub value: T,
    /// What the learner has to be told.
    pub notices: Vec<Notice>,
}

/// What stands in the file.
enum Found {
    Nothing,
    Sound(Progress),
    Broken(ParseProblem),
}

impl ProgressFile {
    /// The file's name in the workspace.
    pub const NAME: &str = "progress.json";

    /// The progress file of the workspace at `root`; touches nothing yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            patience: PATIENCE,
            told: Mutex::default(),
        }
    }

    /// How long another `kata` may hold the lock before [`ProgressError::Busy`]; 10 s if not told.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.root.join(Self::NAME)
    }

    /// Reads the state. A missing file is a fresh start. A broken one is set
    /// aside and the last good state restored, and [`Loaded::notices`] say so.
    ///
    /// # Errors
    ///
    /// A newer version, a file that cannot be read, and a broken file that
    /// cannot be set aside are left untouched. [`ProgressError::Busy`] can
    /// only come about while a broken file is set aside.
    pub fn load(&self) -> Result<Loaded, ProgressError> {
        let mut notices = Vec::new();
        let progress = match self.read()? {
            Found::Sound(progress) => progress,
            Found::Nothing => self.fresh(&mut notices),
            Found::Broken(_) => {
                let lock = self.lock(&mut notices)?;
                self.read_locked(&lock, &mut notices)?
            }
        };
        Ok(Loaded { progress, notices })
    }

    /// Applies a change to what the file holds now, and writes it. Nothing is
    /// written if nothing changed.
    ///
    /// # Errors
    ///
    /// On any error the change is not in the file, and the file is what it
    /// was; the caller may keep the change and try again.
    pub fn update<T>(
        &self,
        apply: impl FnOnce(&mut Progress) -> T,
    ) -> Result<Updated<T>, ProgressError> {
        let mut notices = Vec::new();
        let lock = self.lock(&mut notices)?;
        let before = self.read_locked(&lock, &mut notices)?;
        let mut progress = before.clone();
        let value = apply(&mut progress);
        if progress != before
            && let Err(source) = self.write(&progress, &lock, &mut notices)
        {
            return Err(ProgressError::NotWritten {
                file: self.target(),
                source,
                notices,
            });
        }
        Ok(Updated {
            progress,
            value,
            notices,
        })
    }

    fn lock(&self, notices: &mut Vec<Notice>) -> Result<Lock, ProgressError> {
        let folder = self.state_folder();
        let lock =
            Lock::take(&folder, self.patience).map_err(|lock::Busy| ProgressError::Busy {
                waited: self.patience,
                lock: lock::path(&folder),
            })?;
        if let Some(reason) = lock.missing() {
            self.tell_once(
                Notice::NoLock {
                    reason: reason.to_owned(),
                },
                notices,
            );
        }
        Ok(lock)
    }

    fn read(&self) -> Result<Found, ProgressError> {
        let bytes = match fs::read(self.path()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(source) => {
                return Err(ProgressError::Unreadable {
                    file: self.target(),
                    source,
                });
            }
        };
        match Progress::parse_bytes(&bytes) {
            Ok(progress) => Ok(Found::Sound(progress)),
            Err(ParseProblem::Newer { version }) => Err(ProgressError::Newer {
                file: self.target(),
                version,
            }),
            Err(problem) => Ok(Found::Broken(problem)),
        }
    }

    /// Reads under the lock, where a broken file may be set aside.
    fn read_locked(
        &self,
        lock: &Lock,
        notices: &mut Vec<Notice>,
    ) -> Result<Progress, ProgressError> {
        match self.read()? {
            Found::Sound(progress) => Ok(progress),
            Found::Nothing => Ok(self.fresh(notices)),
            Found::Broken(problem) => self.heal(problem, lock, notices),
        }
    }

    /// The state to start from when there is no file.
    fn fresh(&self, notices: &mut Vec<Notice>) -> Progress {
        if let Some((_, saved)) = self.backup().load() {
            self.tell_once(
                Notice::Missing {
                    saved,
                    backup: self.shown(&self.backup().path()),
                },
                notices,
            );
        }
        Progress::default()
    }

    fn write(&self, progress: &Progress, lock: &Lock, notices: &mut Vec<Notice>) -> io::Result<()> {
        let folder_sync = replace::replace(&self.path(), &progress.to_json(), lock.held())?;
        if let Err(reason) = folder_sync {
            self.tell_once(
                Notice::NotSynced {
                    reason: reason.to_string(),
                },
                notices,
            );
        }
        self.back_up(progress, lock, notices);
        Ok(())
    }

    /// Keeps the state as the last good one. The progress itself is safe by
    /// now, so that a failure here is only told.
    fn back_up(&self, progress: &Progress, lock: &Lock, notices: &mut Vec<Notice>) {
        match self.backup().save(progress, lock.held()) {
            Ok(None) => {}
            Ok(Some((kept, saved))) => {
                notices.push(Notice::BackupKept {
                    saved,
                    kept: self.shown(&kept),
                });
            }
            Err(error) => {
                self.tell_once(
                    Notice::NoBackup {
                        reason: error.to_string(),
                    },
                    notices,
                );
            }
        }
    }

    fn tell_once(&self, notice: Notice, notices: &mut Vec<Notice>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(discriminant(&notice)) {
            notices.push(notice);
        }
    }

    /// The file itself, should [`ProgressFile::path`] be a link.
    fn target(&self) -> PathBuf {
        replace::follow(&self.path()).unwrap_or_else(|_| self.path())
    }

    fn backup(&self) -> Backup<'_> {
        Backup::in_workspace(&self.root)
    }

    fn state_folder(&self) -> PathBuf {
        self.root.join(STATE_FOLDER)
    }

    /// A path as the learner knows it: relative to the workspace if it is in there.
    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }
}

/// An update needs milliseconds; a `kata` stopped in the middle of one
/// (Ctrl-Z) may hold the lock for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the grader keeps what is not for the learner's eyes, in the workspace's root.
const STATE_FOLDER: &str = ".kata";
