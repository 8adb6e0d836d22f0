//! How reading or writing the progress file can fail.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::{Notice, ProgressFile};
use crate::model::progress::{ParseProblem, VERSION};

/// Why the progress file could not be read or written. On every one of these
/// the file is what it was, and the caller may try again. Each text says what
/// happened, to which file, what was kept and what to do.
#[derive(Debug, Error)]
pub enum ProgressError {
    /// A newer program wrote it.
    #[error(
        "{} has version {version}, and this kata knows version {VERSION}\n  \
         It was left untouched.\n  \
         Update kata (git pull), or move the file away for a fresh start.",
        name(file)
    )]
    Newer {
        /// The progress file, or what it is a link to.
        file: PathBuf,
        /// The version it names.
        version: String,
    },
    /// It is there, but its contents cannot be had.
    #[error(
        "{} cannot be read: {}\n  It was left untouched.\n  {}",
        name(file),
        reason(source),
        remedy(source, file, "read")
    )]
    Unreadable {
        /// The progress file, or what it is a link to.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The new state could not be written.
    #[error(
        "{}{} cannot be written: {}\n  \
         The file still holds the state before, and your code is untouched.\n  {}",
        told(notices),
        name(file),
        reason(source),
        remedy(source, file, "write to")
    )]
    NotWritten {
        /// The progress file, or what it is a link to.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
        /// What happened before, if anything did: a broken file may have
        /// been set aside, and then the text begins with that.
        notices: Vec<Notice>,
    },
    /// It is broken, and could not be set aside, so that nothing may be written.
    #[error(
        "{} cannot be read: {problem}\n  \
         It was left untouched, for it could not be set aside: {}\n  {}",
        name(file),
        reason(source),
        remedy(source, file, "write to")
    )]
    NotSetAside {
        /// The progress file, or what it is a link to.
        file: PathBuf,
        /// What is wrong with it.
        problem: ParseProblem,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another process held the lock all the time.
    #[error(
        "progress.json is locked: another kata has held {} for {} s\n  \
         Nothing was written; the file is untouched.\n  \
         Look for a stopped kata (jobs, ps) and let it go on (fg) or end it.",
        lock.display(), waited.as_secs()
    )]
    Busy {
        /// How long it was waited for.
        waited: Duration,
        /// The lock file.
        lock: PathBuf,
    },
}

/// `progress.json` is enough, unless that is a link to a file of another name.
fn name(file: &Path) -> String {
    if file.file_name() == Some(ProgressFile::NAME.as_ref()) {
        ProgressFile::NAME.to_owned()
    } else {
        file.display().to_string()
    }
}

/// The operating system's words without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn remedy(error: &io::Error, file: &Path, wish: &str) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "Make room on the disk, then save or run again.".to_owned()
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            let folder = file.parent().unwrap_or(file);
            format!(
                "Make sure that you may {wish} it and its folder (ls -ld {}), then save or run again.",
                folder.display()
            )
        }
        _ => "Put that right, then save or run again.".to_owned(),
    }
}

fn told(notices: &[Notice]) -> String {
    let mut told = String::new();
    for notice in notices.iter().filter(|notice| notice.is_error()) {
        told.push_str(&notice.to_string());
        told.push('\n');
    }
    told
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::ProgressError;
    use crate::{
        model::progress::ParseProblem,
        world::progress_file::{Notice, notice::Restored},
    };

    fn not_written(file: &str, kind: ErrorKind, notices: Vec<Notice>) -> String {
        let error = ProgressError::NotWritten {
            file: file.into(),
            source: Error::from(kind),
            notices,
        };
        error.to_string()
    }

    #[test]
    fn a_full_disk_says_what_was_kept_and_what_to_do() {
        assert_eq!(
            not_written("/w/progress.json", ErrorKind::StorageFull, Vec::new()),
            "progress.json cannot be written: no storage space\n  \
             The file still holds the state before, and your code is untouched.\n  \
             Make room on the disk, then save or run again."
        );
    }

    #[test]
    fn a_link_is_named_by_the_file_behind_it() {
        let text = not_written("/cloud/kata.json", ErrorKind::PermissionDenied, Vec::new());
        assert!(
            text.starts_with("/cloud/kata.json cannot be written: "),
            "{text}"
        );
        assert!(text.contains("(ls -ld /cloud)"), "{text}");
    }

    #[test]
    fn a_file_set_aside_before_the_failure_is_not_passed_over_in_silence() {
        let no_lock = Notice::NoLock {
            reason: "no".into(),
        };
        let broken = Notice::Broken {
            problem: ParseProblem::Empty,
            aside: "aside".into(),
            restored: Restored::BothSides,
        };
        let text = not_written(
            "progress.json",
            ErrorKind::StorageFull,
            vec![no_lock, broken],
        );
        assert!(
            text.starts_with("progress.json cannot be read: it is empty\n"),
            "{text}"
        );
        assert!(
            text.contains("\nprogress.json cannot be written: "),
            "{text}"
        );
        assert!(
            !text.contains("cannot be locked"),
            "it would say that progress is saved: {text}"
        );
    }
}
