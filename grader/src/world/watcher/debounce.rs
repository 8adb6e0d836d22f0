//! When to look after a hint, and what to make of what is seen. Pure: the time is passed in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::digest::{Digest, Look};

/// After a writer closed its file: long enough for the next file of the same save.
const FINISHED: Duration = Duration::from_millis(2);
/// After a write whose writer still has the file open. Only inotify tells when that ends;
/// elsewhere there is nothing to wait for but quiet.
const WRITING: Duration = Duration::from_millis(if cfg!(target_os = "linux") { 60 } else { 10 });
/// How long a file may be missing or empty before that is taken for the learner's wish.
pub(super) const REPLACING: Duration = Duration::from_millis(200);
/// How soon to look again at a file that is being replaced, or at one without notifications.
const AGAIN: Duration = Duration::from_millis(20);
/// A file that never comes to rest is looked at this often.
const RESTLESS: Duration = Duration::from_secs(1);
/// How long to wait for git to let go of its lock.
const GIT: Duration = Duration::from_millis(500);

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// Something was written; the writer may go on.
    Writing,
    /// The writer closed the file, or a finished file was moved here.
    Finished,
    /// It was removed or moved away.
    Gone,
    /// Something that may be a folder came, or its permissions changed.
    Structure,
}

/// An exercise of which something is known to have happened, and whose content is not known yet.
#[derive(Debug)]
pub(super) struct Pending {
    first: Instant,
    last: Instant,
    due: Instant,
    writing: BTreeMap<PathBuf, Instant>,
    seen: Option<Digest>,
    /// No notification announced it.
    pub unannounced: bool,
}

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing changed after all.
    Nothing,
    /// Look again when [`Pending::due`] says.
    Wait,
    /// This is a save; first heard of at that time.
    Report(Instant),
}

/// What a look is judged by.
pub(super) struct Circumstances {
    /// Now.
    pub now: Instant,
    /// Without notifications two looks must agree.
    pub polling: bool,
    /// Git is changing the work tree.
    pub git: bool,
}

impl Pending {
    /// Something was noticed at `now`; look at `due`.
    pub fn new(now: Instant, due: Instant) -> Self {
        Self {
            first: now,
            last: now,
            due,
            writing: BTreeMap::new(),
            seen: None,
            unannounced: false,
        }
    }

    /// When to look.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Takes note of a notification.
    pub fn touch(&mut self, path: &Path, touch: Touch, now: Instant) {
        self.last = now;
        self.unannounced = false;
        match touch {
            Touch::Writing => {
                self.writing.insert(path.to_owned(), now + WRITING);
            }
            Touch::Finished | Touch::Gone => {
                self.writing.remove(path);
            }
            Touch::Structure => {}
        }
        let quiet = self.writing.values().max().copied();
        let quiet = quiet.unwrap_or(now).max(now + FINISHED);
        self.due = quiet.min(self.first + RESTLESS).max(now);
    }

    /// Judges `look`, taken when this was due, against `before`, the last one reported.
    pub fn judge(&mut self, look: &Look, before: &Look, circumstances: &Circumstances) -> Decision {
        let now = circumstances.now;
        if circumstances.git && now < self.first + GIT {
            self.due = now + FINISHED;
            return Decision::Wait;
        }
        if look.digest == before.digest {
            return Decision::Nothing;
        }
        let agreed = self.seen == Some(look.digest);
        if self.seen.is_some() && !agreed {
            self.last = now;
        }
        self.seen = Some(look.digest);
        let replaced = self.last + REPLACING;
        if look.is_fragile_after(before) && now < replaced {
            self.due = replaced.min(now + AGAIN);
            return Decision::Wait;
        }
        if circumstances.polling && !agreed && now < self.first + RESTLESS {
            self.due = now + AGAIN;
            return Decision::Wait;
        }
        Decision::Report(self.first)
    }
}

#[cfg(test)]
#[path = "debounce_tests.rs"]
mod tests;
