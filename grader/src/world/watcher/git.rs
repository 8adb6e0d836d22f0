//! Whether git is rewriting the work tree at this moment.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// An older lock was left behind by a git that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

/// The repository around the exercises, if there is one.
pub(super) struct Git {
    lock: Option<PathBuf>,
}

impl Git {
    /// Finds the repository around a folder.
    pub fn around(folder: Option<&Path>) -> Self {
        let ancestors = folder.into_iter().flat_map(Path::ancestors);
        let folder = ancestors
            .map(|around| around.join(".git"))
            .find_map(git_folder);
        Self {
            lock: folder.map(|folder| folder.join("index.lock")),
        }
    }

    /// Git holds this lock from before it writes the first file until after the last.
    pub fn is_at_work(&self) -> bool {
        let Some(lock) = &self.lock else { return false };
        let since = fs::metadata(lock).and_then(|metadata| metadata.modified());
        since.is_ok_and(|since| since.elapsed().is_ok_and(|age| age < LEFT_BEHIND))
    }
}

/// A work tree of its own has a file `.git` that names the folder.
fn git_folder(git: PathBuf) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    let folder = text.strip_prefix("gitdir:")?.trim();
    Some(git.parent()?.join(folder))
}
