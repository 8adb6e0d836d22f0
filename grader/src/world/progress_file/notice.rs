//! What the learner has to be told about the progress file, though all is well by now.

use std::{fmt, path::PathBuf};

use crate::model::progress::ParseProblem;

/// Something that happened to the progress file. Its text has several lines:
/// what happened; then, indented, what was kept and what to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// It could not be read, and was set aside.
    Broken {
        /// What is wrong with it.
        problem: ParseProblem,
        /// Where it was kept.
        aside: PathBuf,
        /// What stands in its place.
        restored: Restored,
    },
    /// There is none, but there was one.
    Missing {
        /// The last good state.
        saved: Saved,
        /// Where that is.
        backup: PathBuf,
    },
    /// The last good state knew of completed exercises that are gone from the file.
    BackupKept {
        /// That state.
        saved: Saved,
        /// Where it was kept.
        kept: PathBuf,
    },
    /// Two terminals may overwrite each other's progress here.
    NoLock {
        /// Why.
        reason: String,
    },
    /// Progress is saved, but the last good state is not kept.
    NoBackup {
        /// Why.
        reason: String,
    },
    /// Progress is saved, but a power cut may bring the state before back.
    NotSynced {
        /// Why.
        reason: String,
    },
}

/// What stands in the place of a broken file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// The last good state.
    Backup {
        /// What that is.
        saved: Saved,
        /// Where it came from.
        backup: PathBuf,
    },
    /// The best of both sides of a git conflict.
    BothSides,
    /// A fresh start.
    Nothing,
}

/// A saved state in a few words: `9 of 20 days, 14:01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Completed exercises.
    pub completed: usize,
    /// Exercises in the course, if that can be told.
    pub of: Option<usize>,
    /// When it was saved, with the date if that was not today.
    pub time: Option<String>,
}

impl Notice {
    /// Whether something went wrong with the learner's data; else it is a warning or a remark.
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken {
                problem,
                aside,
                restored,
            } => {
                writeln!(f, "progress.json cannot be read: {problem}")?;
                writeln!(f, "  It was kept as {}.", aside.display())?;
                write!(f, "  {restored}")
            }
            Self::Missing { saved, backup } => write!(
                f,
                "progress.json is missing: this is a fresh start\n  \
                 The last good state ({saved}) is in {backup}.\n  \
                 To go on from there: cp {backup} progress.json",
                backup = backup.display()
            ),
            Self::BackupKept { saved, kept } => write!(
                f,
                "progress.json no longer holds days that were completed\n  \
                 The state that does ({saved}) was kept as {kept}.\n  \
                 To go back to it: cp {kept} progress.json",
                kept = kept.display()
            ),
            Self::NoLock { reason } => write!(
                f,
                "progress.json cannot be locked: {reason}\n  \
                 Progress is saved all the same.\n  \
                 Use one terminal at a time: two could overwrite each other's progress."
            ),
            Self::NoBackup { reason } => write!(
                f,
                "the last good state cannot be kept in .kata/progress.backup.json: {reason}\n  \
                 progress.json itself is saved.\n  \
                 Make sure that .kata is a folder you can write to."
            ),
            Self::NotSynced { reason } => write!(
                f,
                "the folder of progress.json cannot be synced: {reason}\n  \
                 progress.json is saved; a power cut in the next seconds could bring the state before back."
            ),
        }
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup { saved, backup } => write!(
                f,
                "The last good state ({saved}) was restored from {}.",
                backup.display()
            ),
            Self::BothSides => f.write_str(
                "Its two sides were merged: completed days and best points of both.\n  \
                 To tell git that this is settled: git add progress.json",
            ),
            Self::Nothing => f.write_str(
                "No last good state was found: this is a fresh start.\n  \
                 Mend the file that was kept, or delete it; your code is untouched.",
            ),
        }
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.completed)?;
        match self.of {
            Some(days) => write!(f, " of {days} days")?,
            None if self.completed == 1 => write!(f, " day completed")?,
            None => write!(f, " days completed")?,
        }
        match &self.time {
            Some(time) => write!(f, ", {time}"),
            None => Ok(()),
        }
    }
}
