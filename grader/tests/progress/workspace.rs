//! A workspace in a temporary folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kata::{
    model::{
        marker::Marker,
        progress::{Entry, Progress},
    },
    world::progress_file::{Loaded, Notice, ProgressFile, Updated},
};
use tempfile::TempDir;

pub struct Workspace {
    folder: TempDir,
    pub file: ProgressFile,
}

impl Workspace {
    /// Of a course of twenty days.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for day in 1..=20 {
            fs::create_dir_all(folder.path().join("exercises").join(slug(day))).unwrap();
        }
        let file = ProgressFile::at(folder.path());
        Self { folder, file }
    }

    /// With so many days completed, through the front door.
    #[must_use]
    pub fn with_completed(self, days: u32) -> Self {
        self.complete(1..=days);
        self
    }

    pub fn complete(&self, days: impl IntoIterator<Item = u32>) -> Vec<Notice> {
        let updated = self.update(|progress| {
            for day in days {
                progress.exercises.insert(slug(day), completed());
            }
        });
        updated.notices
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn load(&self) -> Loaded {
        self.file.load().unwrap()
    }

    /// Loads what must be sound.
    pub fn load_quietly(&self) -> Progress {
        let loaded = self.load();
        assert_eq!(loaded.notices, []);
        loaded.progress
    }

    pub fn update<T>(&self, apply: impl FnOnce(&mut Progress) -> T) -> Updated<T> {
        self.file.update(apply).unwrap()
    }

    /// The names of everything in the workspace's root, but for the course, sorted.
    pub fn names(&self) -> Vec<String> {
        names(self.root(), "")
    }

    /// The names in the root that begin like this.
    pub fn names_like(&self, prefix: &str) -> Vec<String> {
        names(self.root(), prefix)
    }
}

pub fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "exercises" && name.starts_with(prefix))
        .collect();
    names.sort();
    names
}

pub fn slug(day: u32) -> String {
    format!("day{day:02}_topic")
}

pub fn completed() -> Entry {
    Entry {
        marker: Marker::Completed,
        points: 14,
        max_points: 14,
        completed: Some("2026-11-03T14:02:07+01:00".into()),
        ..Entry::default()
    }
}
