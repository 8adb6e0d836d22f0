//! One watched exercise: what was last seen of it, and what is known to have happened since.

use std::{
    mem,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    Saved,
    debounce::{Circumstances, Decision, Pending, Touch},
    digest::Look,
    git::Git,
};

pub(super) struct Exercise {
    folder: PathBuf,
    /// Without links, as some systems report it.
    real: PathBuf,
    /// What was last reported, or was there at the start.
    seen: Look,
    pending: Option<Pending>,
}

impl Exercise {
    /// Takes what is there for known.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            real: folder.canonicalize().unwrap_or_else(|_| folder.clone()),
            seen: Look::at(&folder),
            folder,
            pending: None,
        }
    }

    /// As it was given to the watcher.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the path is the exercise's, or that of a folder around it.
    pub fn is_concerned(&self, path: &Path) -> bool {
        let within = |folder: &Path| path.starts_with(folder) || folder.starts_with(path);
        within(&self.folder) || within(&self.real)
    }

    /// When to look at it; `None` if nothing happened.
    pub fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(Pending::due)
    }

    /// Whether the file system says that something was touched since it was seen.
    pub fn is_stale(&self) -> bool {
        self.seen.is_stale()
    }

    /// Whether what is pending, if anything, was announced.
    pub fn is_announced(&self) -> bool {
        !self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.unannounced)
    }

    /// Something happened to a path of it.
    pub fn touch(&mut self, path: &Path, touch: Touch) {
        let now = Instant::now();
        let pending = self.pending.get_or_insert_with(|| Pending::new(now, now));
        pending.touch(path, touch, now);
    }

    /// Anything may have happened to it.
    pub fn touch_whole(&mut self) {
        let folder = self.folder.clone();
        self.touch(&folder, Touch::Structure);
    }

    /// Look at it now.
    pub fn ask(&mut self) {
        let now = Instant::now();
        self.pending = Some(Pending::new(now, now));
    }

    /// Something happened that should be announced within this time.
    pub fn doubt(&mut self, overdue: Duration) {
        let now = Instant::now();
        let mut pending = Pending::new(now, now + overdue);
        pending.unannounced = true;
        self.pending = Some(pending);
    }

    /// Looks, if it is time, and tells what is new.
    pub fn look_if_due(&mut self, polling: bool, git: &Git) -> Option<Saved> {
        let now = Instant::now();
        let pending = self
            .pending
            .as_mut()
            .filter(|pending| pending.due() <= now)?;
        let look = Look::at(&self.folder);
        // Asked after the look: git that began in between may have been seen half-way.
        let circumstances = Circumstances {
            now,
            polling,
            git: git.is_at_work(),
        };
        let at = match pending.judge(&look, &self.seen, &circumstances) {
            Decision::Wait => return None,
            Decision::Nothing => None,
            Decision::Report(at) => Some(at),
        };
        self.pending = None;
        let before = mem::replace(&mut self.seen, look);
        at.map(|at| Saved {
            slug: slug(&self.folder),
            folder: self.folder.clone(),
            digest: self.seen.digest,
            files: self.seen.changed_since(&before),
            at,
        })
    }
}

fn slug(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
