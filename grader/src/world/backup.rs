//! Putting a learner's version away before a stub takes its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{clock, course::Course, disk};
use crate::model::exercise::Exercise;

/// A version that was put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where it lies: `.kata/backups/<slug>/<date>`.
    pub folder: PathBuf,
}

impl Backup {
    /// The folder as the learner finds it from the workspace.
    pub fn shown_in(&self, course: &Course) -> String {
        let folder = self.folder.strip_prefix(&course.workspace);
        folder.unwrap_or(&self.folder).display().to_string()
    }
}

/// Whether the learner's sources are the stub's.
pub fn is_original(course: &Course, exercise: &Exercise) -> Result<bool> {
    let src = course.stub(exercise).join("src");
    Ok(src.is_dir() && disk::tree(&src)? == disk::tree(&course.original(exercise))?)
}

/// Puts the learner's sources away and restores the stub.
///
/// The copy is complete and synced before the first file is touched; on an
/// error the learner's file or its copy, or both, are there.
pub fn reset(course: &Course, exercise: &Exercise, now: &str) -> Result<Backup> {
    let backup = put_away(course, exercise, now)?;
    restore(
        &course.original(exercise),
        &course.stub(exercise).join("src"),
    )?;
    Ok(backup)
}

/// Swaps the learner's sources for the version that was put away last, of those that are neither
/// the stub nor what stands there. `None` if there is none.
pub fn undo(course: &Course, exercise: &Exercise, now: &str) -> Result<Option<Backup>> {
    let src = course.stub(exercise).join("src");
    let stub = disk::tree(&course.original(exercise))?;
    let current = if src.is_dir() {
        disk::tree(&src)?
    } else {
        Vec::new()
    };
    for folder in backups(course, exercise)?.into_iter().rev() {
        let version = disk::tree(&folder.join("src"))?;
        if version != stub && version != current {
            put_away(course, exercise, now)?;
            restore(&folder.join("src"), &src)?;
            return Ok(Some(Backup { folder }));
        }
    }
    Ok(None)
}

fn root(course: &Course, exercise: &Exercise) -> PathBuf {
    course.workspace.join(".kata/backups").join(&exercise.slug)
}

/// The versions that were put away, the oldest first.
fn backups(course: &Course, exercise: &Exercise) -> Result<Vec<PathBuf>> {
    let root = root(course, exercise);
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .with_context(|| format!("{} cannot be read", root.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|folder| folder.join("complete").is_file())
        .collect();
    folders.sort();
    Ok(folders)
}

fn put_away(course: &Course, exercise: &Exercise, now: &str) -> Result<Backup> {
    let folder = fresh(&root(course, exercise).join(clock::for_file_name(now)));
    let src = course.stub(exercise).join("src");
    if src.is_dir() {
        for (name, bytes) in disk::tree(&src)? {
            disk::write(&folder.join("src").join(name), &bytes)?;
        }
    }
    disk::write(&folder.join("complete"), b"")?;
    Ok(Backup { folder })
}

/// The folder itself, or with a number behind it if it exists: a backup is never written over.
fn fresh(folder: &Path) -> PathBuf {
    let numbered = (2..).map(|number| {
        folder.with_file_name(format!(
            "{}-{number}",
            folder.file_name().unwrap_or_default().to_string_lossy()
        ))
    });
    std::iter::once(folder.to_path_buf())
        .chain(numbered)
        .find(|folder| !folder.exists())
        .unwrap_or_else(|| folder.to_path_buf())
}

/// Makes `src` hold what `from` holds. Each file is replaced as a whole.
fn restore(from: &Path, src: &Path) -> Result<()> {
    let wanted = disk::tree(from)?;
    for (name, bytes) in &wanted {
        disk::write_if_changed(&src.join(name), bytes)?;
    }
    for (name, _) in disk::tree(src)? {
        if !wanted.iter().any(|(own, _)| *own == name) {
            let file = src.join(&name);
            fs::remove_file(&file)
                .with_context(|| format!("{} could not be removed", file.display()))?;
        }
    }
    Ok(())
}
