//! Finding the workspace and its exercises on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{disk, workspace::is_workspace};
use crate::model::{
    demo::{self, Demo},
    exercise::{About, Exercise},
};

/// Where everything lies.
///
/// In a clone the learner's workspace and the course are one folder. In a
/// workspace made by `kata init` the course lies under `target/kata`.
#[derive(Debug, Clone)]
pub struct Course {
    /// The learner's folder: `exercises`, `progress.json`, `target`.
    pub workspace: PathBuf,
    /// The trusted folder: `grader/hidden`, `grader/harness`, `solutions`.
    pub trusted: PathBuf,
    /// Whose word counts on which compiler is used: where somebody else's workspace is graded by a
    /// course that lies elsewhere, the course's.
    pub owner: PathBuf,
    /// Where compiled dependencies lie; workspaces that name the same course share them.
    pub deps: PathBuf,
    /// The exercises that could be read, in the order of their days.
    pub exercises: Vec<Exercise>,
    /// What is wrong with those that could not: `slug: reason`.
    pub broken: Vec<String>,
}

impl Course {
    /// Reads the course; one broken exercise does not hide the others.
    pub fn open(workspace: PathBuf, trusted: PathBuf) -> Result<Self> {
        let hidden = trusted.join("grader/hidden");
        let folders = fs::read_dir(&hidden)
            .with_context(|| format!("the exercises cannot be read: {}", hidden.display()))?;
        let (mut exercises, mut broken) = (Vec::new(), Vec::new());
        for folder in folders {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            let slug = folder.file_name().to_string_lossy().into_owned();
            match read_exercise(&folder.path(), &slug) {
                Ok(exercise) => exercises.push(exercise),
                Err(error) => broken.push(format!("{slug}: {error:#}")),
            }
        }
        exercises.sort_by(|one, other| (one.day, &one.slug).cmp(&(other.day, &other.slug)));
        broken.sort();
        let owner = if is_clone(&trusted) {
            trusted.clone()
        } else {
            workspace.clone()
        };
        Ok(Self {
            workspace,
            trusted,
            deps: store(&owner).join("deps"),
            owner,
            exercises,
            broken,
        })
    }

    /// Where it is remembered which compiler is used.
    pub fn store(&self) -> PathBuf {
        store(&self.owner)
    }

    /// The learner's folder for an exercise.
    pub fn stub(&self, exercise: &Exercise) -> PathBuf {
        self.workspace.join("exercises").join(&exercise.slug)
    }

    /// The hidden test's folder.
    pub fn hidden(&self, exercise: &Exercise) -> PathBuf {
        self.trusted.join("grader/hidden").join(&exercise.slug)
    }

    /// The stub as the course gives it: `lib.rs`, `given.rs`.
    pub fn original(&self, exercise: &Exercise) -> PathBuf {
        self.hidden(exercise).join("original")
    }

    /// The reference solution's folder.
    pub fn solution(&self, exercise: &Exercise) -> PathBuf {
        self.trusted.join("solutions").join(&exercise.slug)
    }

    /// The names of the reference book's pages, sorted.
    pub fn pages(&self) -> Vec<String> {
        let names = disk::names(&self.trusted.join("docs")).into_iter();
        names
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .collect()
    }

    /// A page of the reference book.
    pub fn page(&self, name: &str) -> PathBuf {
        self.trusted.join("docs").join(format!("{name}.md"))
    }

    /// The demos, by name; those that cannot be read are told apart: `name: reason`.
    pub fn demos(&self) -> (Vec<Demo>, Vec<String>) {
        let folder = self.trusted.join("docs/demos");
        let (mut demos, mut broken) = (Vec::new(), Vec::new());
        for file in disk::names(&folder) {
            let Some(name) = file.strip_suffix(".toml") else {
                continue;
            };
            match read_demo(&folder.join(&file)) {
                Ok(about) => demos.push(Demo {
                    name: name.to_owned(),
                    about,
                }),
                Err(error) => broken.push(format!("{name}: {error:#}")),
            }
        }
        (demos, broken)
    }

    /// A demo's driver.
    pub fn driver(&self, demo: &str) -> PathBuf {
        self.trusted.join("docs/demos").join(format!("{demo}.rs"))
    }

    /// An example: the workspace's copy, which the reader may have changed, or else the course's.
    pub fn example(&self, name: &str) -> PathBuf {
        let file = format!("docs/examples/{name}.rs");
        let own = self.workspace.join(&file);
        if own.is_file() {
            own
        } else {
            self.trusted.join(file)
        }
    }

    /// A day's text: the workspace's copy, or else the course's.
    pub fn readme(&self, exercise: &Exercise) -> PathBuf {
        let own = self.stub(exercise).join("README.md");
        if own.is_file() {
            return own;
        }
        let folder = self.trusted.join("exercises").join(&exercise.slug);
        folder.join("README.md")
    }

    /// The grader's own folder, made when needed and free to be deleted.
    pub fn scratch(&self) -> PathBuf {
        store(&self.workspace)
    }
}

/// The nearest folder upwards from `start` that holds a course or a learner's workspace.
pub fn find_workspace(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .find(|folder| {
            folder.join("exercises").is_dir() && (is_clone(folder) || is_workspace(folder))
        })
        .map(Path::to_path_buf)
}

/// Whether the workspace brings its own hidden tests.
pub fn is_clone(workspace: &Path) -> bool {
    workspace.join("grader/hidden").is_dir() && workspace.join("grader/harness").is_dir()
}

/// The grader's own folder in a workspace or a clone.
fn store(folder: &Path) -> PathBuf {
    folder.join("target/kata")
}

fn read_demo(file: &Path) -> Result<demo::About> {
    let text = disk::text(file)?;
    toml::from_str(&text).with_context(|| format!("not understood: {}", file.display()))
}

fn read_exercise(folder: &Path, slug: &str) -> Result<Exercise> {
    let Some(day) = Exercise::day_of(slug) else {
        bail!("a folder's name must be `dayNN_topic` in lower case");
    };
    let file = folder.join("kata.toml");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot be read: {}", file.display()))?;
    let about: About =
        toml::from_str(&text).with_context(|| format!("not understood: {}", file.display()))?;
    Ok(Exercise {
        slug: slug.to_owned(),
        day,
        about,
    })
}
