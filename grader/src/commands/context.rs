//! What every command needs: where it was called, and how to speak.

use std::{
    env,
    io::{IsTerminal, stderr, stdout},
    path::PathBuf,
};

use anyhow::Result;

use super::exit::call_error;
use crate::{
    desk::Desk,
    grade::Grader,
    model::{
        exercise::Exercise,
        select::{SelectError, select},
    },
    view::{self, style::Style},
    world::{
        course::{Course, find_workspace, is_clone},
        embedded,
        progress_file::{Notice, ProgressError},
        terminal::Capabilities,
    },
};

/// Names the folder of a clone whose hidden tests grade this workspace, for
/// whoever marks the work of others or tests the course itself.
const COURSE: &str = "KATA_COURSE";

/// Where a command was called.
#[derive(Debug)]
pub struct Context {
    /// The folder in which it was called.
    pub start: PathBuf,
    /// What the terminal can do.
    pub terminal: Capabilities,
}

impl Context {
    /// Looks at the folder and the terminal.
    pub fn detect() -> Result<Self> {
        Ok(Self {
            start: env::current_dir()?,
            terminal: Capabilities::detect(),
        })
    }

    /// How pages look here.
    pub fn style(&self) -> Style {
        let root = find_workspace(&self.start).unwrap_or_default();
        Style {
            width: self.terminal.width.into(),
            colour: self.terminal.colour,
            ascii: !self.terminal.unicode,
            links: self.terminal.links,
            root: root.to_string_lossy().into_owned(),
        }
    }

    /// Prints a page.
    #[expect(clippy::unused_self, reason = "whoever speaks has a context")]
    pub fn say(&self, page: &str) {
        use std::io::Write;
        // A closed pipe (`kata list | head`) is the reader's choice, no error.
        let _ = stdout().write_all(page.as_bytes());
    }

    /// Prints an error, or a remark, where it does not mix with what is asked for.
    pub fn complain(&self, message: &str) {
        let style = Style {
            colour: self.terminal.colour && stderr().is_terminal(),
            ..self.style()
        };
        eprint!("{}", view::error::block(message, [], &style));
    }

    /// The course around this folder.
    pub fn course(&self) -> Result<Course> {
        let workspace = find_workspace(&self.start).ok_or_else(|| {
            call_error(format!(
                "there is no course in {} nor above it\n\
                 Go to the folder of the course, or make one: `kata init DIR`.",
                self.start.display()
            ))
        })?;
        let trusted = if let Some(course) = env::var_os(COURSE) {
            PathBuf::from(course)
        } else if is_clone(&workspace) {
            workspace.clone()
        } else {
            embedded::unpack(&workspace.join("target/kata"))?
        };
        let course = Course::open(workspace, trusted)?;
        if course.exercises.is_empty() {
            return Err(call_error(format!(
                "the course has no exercise that can be read\n{}",
                course.broken.join("\n")
            )));
        }
        Ok(course)
    }

    /// A grader for that course.
    pub fn grader(&self) -> Result<Grader> {
        Grader::new(self.course()?, self.terminal.width.into())
    }

    /// The learner's place in that course.
    pub fn desk(&self) -> Result<Desk> {
        let mut desk = Desk::open(self.grader()?).map_err(progress_error)?;
        self.tell(&desk.take_notices());
        Ok(desk)
    }

    /// What the learner has to be told about the progress file.
    pub fn tell(&self, notices: &[Notice]) {
        for notice in notices {
            if notice.is_error() {
                self.complain(&notice.to_string());
            } else {
                eprintln!("{notice}");
            }
        }
    }
}

/// The exercise that a word means; without a word, the one to go on with.
pub fn current<'a>(desk: &'a Desk, word: Option<&str>) -> Result<&'a Exercise> {
    match word {
        Some(word) => one(&desk.grader.course, word),
        None => Ok(desk.resume()),
    }
}

/// Progress that cannot be read or written is told with exit code 2.
#[expect(clippy::needless_pass_by_value, reason = "it is mapped over results")]
pub fn progress_error(error: ProgressError) -> anyhow::Error {
    call_error(error.to_string())
}

/// A word that means nothing in this course is told with exit code 2.
pub fn course_error(error: impl std::fmt::Display) -> anyhow::Error {
    call_error(error.to_string())
}

/// The exercise that a word means.
pub fn one<'a>(course: &'a Course, word: &str) -> Result<&'a Exercise> {
    select(&course.exercises, word).map_err(|error: SelectError| {
        let unreadable = course.broken.iter().find(|broken| {
            let slug = broken.split(':').next().unwrap_or_default();
            let day = Exercise::day_of(slug).map(|day| day.to_string());
            slug.contains(word) || day.as_deref() == Some(word.trim_start_matches("day"))
        });
        match unreadable {
            Some(broken) => call_error(format!(
                "its kata.toml cannot be read: {broken}\nMend it in grader/hidden."
            )),
            None => call_error(error.to_string()),
        }
    })
}

/// The exercises that these words mean.
pub fn chosen<'a>(course: &'a Course, words: &[String]) -> Result<Vec<&'a Exercise>> {
    words.iter().map(|word| one(course, word)).collect()
}
