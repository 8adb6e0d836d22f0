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

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(git_folder: &Path, age: Duration) {
        fs::create_dir_all(git_folder).unwrap();
        let lock = fs::File::create(git_folder.join("index.lock")).unwrap();
        let now = lock.metadata().unwrap().modified().unwrap();
        lock.set_modified(now - age).unwrap();
    }

    #[test]
    fn a_lock_of_the_repository_around_means_work() {
        let root = tempfile::tempdir().unwrap();
        let exercise = root.path().join("exercises/day01_first");
        fs::create_dir_all(&exercise).unwrap();
        fs::create_dir(root.path().join(".git")).unwrap();
        let git = Git::around(Some(&exercise));
        assert!(!git.is_at_work());
        lock(&root.path().join(".git"), Duration::ZERO);
        assert!(git.is_at_work());
        lock(&root.path().join(".git"), LEFT_BEHIND * 2);
        assert!(!git.is_at_work(), "nobody holds a lock that old");
    }

    #[test]
    fn a_work_tree_of_its_own_names_the_place_of_its_lock() {
        let root = tempfile::tempdir().unwrap();
        let exercise = root.path().join("tree/exercises");
        fs::create_dir_all(&exercise).unwrap();
        fs::write(
            root.path().join("tree/.git"),
            "gitdir: ../main/.git/worktrees/tree\n",
        )
        .unwrap();
        let git = Git::around(Some(&exercise));
        assert!(!git.is_at_work());
        lock(
            &root.path().join("main/.git/worktrees/tree"),
            Duration::ZERO,
        );
        assert!(git.is_at_work());
    }

    #[test]
    fn outside_of_a_repository_nobody_is_at_work() {
        assert!(!Git { lock: None }.is_at_work());
        assert!(!Git::around(None).is_at_work());
    }
}
