//! What every command needs: where it was called, and how to speak.

use std::{env, path::PathBuf};

use anyhow::Result;

use super::exit::call_error;
use crate::{
    grade::Grader,
    model::{exercise::Exercise, select::select},
    world::course::{Course, find_workspace},
};

/// Where a command was called.
#[derive(Debug)]
pub struct Context {
    start: PathBuf,
}

impl Context {
    /// Looks at the folder and the terminal.
    pub fn detect() -> Result<Self> {
        Ok(Self {
            start: env::current_dir()?,
        })
    }

    /// The course around this folder.
    pub fn course(&self) -> Result<Course> {
        let workspace = find_workspace(&self.start).ok_or_else(|| {
            call_error(format!(
                "there is no course in {} nor above it\nclone the repository, or run `kata init DIR`",
                self.start.display()
            ))
        })?;
        Course::open(workspace.clone(), workspace)
    }

    /// A grader for that course.
    pub fn grader(&self) -> Result<Grader> {
        Grader::new(self.course()?, 80)
    }
}

/// The exercises that these words mean.
pub fn chosen<'a>(course: &'a Course, words: &[String]) -> Result<Vec<&'a Exercise>> {
    words
        .iter()
        .map(|word| select(&course.exercises, word).map_err(|error| call_error(error.to_string())))
        .collect()
}
