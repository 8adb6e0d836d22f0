//! `kata reset`: the stub as it was, and the learner's version in a safe place.

use std::io::{IsTerminal, Write, stdin, stdout};

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, one},
    exit::{Exit, call_error},
};
use crate::{
    model::exercise::Exercise,
    view,
    world::{backup, clock, course::Course},
};

/// Arguments of `kata reset`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The exercise
    exercise: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Bring back what the last reset put away
    #[arg(long)]
    undo: bool,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let course = context.course()?;
    let exercise = one(&course, &arguments.exercise)?;
    if arguments.undo {
        context.say(&undo(&course, exercise)?);
        return Ok(Exit::Passed);
    }
    if backup::is_original(&course, exercise)? {
        context.say(&format!(
            "{} is the stub already; nothing to do\n",
            exercise.slug
        ));
        return Ok(Exit::Passed);
    }
    if !arguments.yes && !agreed(exercise)? {
        context.say("nothing was changed\n");
        return Ok(Exit::Passed);
    }
    context.say(&reset(&course, exercise)?);
    Ok(Exit::Passed)
}

fn agreed(exercise: &Exercise) -> Result<bool> {
    if !stdin().is_terminal() {
        return Err(call_error(format!(
            "reset asks before it puts your {} away, and there is no terminal to ask on\n\
             Nothing was changed. Say `--yes` if you mean it.",
            exercise.file()
        )));
    }
    print!(
        "put your version of {} away and start from the stub? [y/N] ",
        exercise.slug
    );
    stdout().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Puts the learner's version away, restores the stub, and says where and how back.
pub fn reset(course: &Course, exercise: &Exercise) -> Result<String> {
    let backup = backup::reset(course, exercise, &clock::now())?;
    Ok(view::reset::done(exercise, &backup.shown_in(course)))
}

fn undo(course: &Course, exercise: &Exercise) -> Result<String> {
    match backup::undo(course, exercise, &clock::now())? {
        None => Err(call_error(format!(
            "there is no other version of {} to bring back",
            exercise.slug
        ))),
        Some(restored) => {
            let folder = restored
                .folder
                .strip_prefix(&course.workspace)
                .unwrap_or(&restored.folder);
            Ok(format!(
                "{} is your version of {} again\n  What stood there was put away too; `--undo` once more brings it back.\n",
                exercise.file(),
                folder.file_name().unwrap_or_default().to_string_lossy()
            ))
        }
    }
}
