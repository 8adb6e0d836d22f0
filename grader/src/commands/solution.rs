//! `kata solution`: the reference solution, after ✅ or when the learner gives up.

use std::fs;

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    context::Context,
    exit::{Exit, call_error},
};
use crate::{
    model::{exercise::Exercise, marker::Marker},
    world::{clock, course::Course},
};

/// Arguments of `kata solution`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The exercise; the current one if none is named
    exercise: Option<String>,
    /// Show it though the exercise is not solved; marks it ❌ Need Help
    #[arg(long)]
    give_up: bool,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let course = context.course()?;
    let exercise = context.exercise(&course, arguments.exercise.as_deref())?;
    if context.progress(&course)?.marker(&exercise.slug) != Marker::Completed {
        if !arguments.give_up {
            return Err(call_error(format!(
                "{} is not solved yet\nA hint: kata hint {}. The solution all the same: kata solution {} --give-up",
                exercise.slug, exercise.day, exercise.day
            )));
        }
        context.update_progress(&course, |progress| {
            progress.mark(&exercise.slug, Marker::NeedHelp, &clock::now())
        })?;
    }
    context.say(&text(&course, exercise)?);
    Ok(Exit::Passed)
}

/// The solution's source.
pub fn text(course: &Course, exercise: &Exercise) -> Result<String> {
    let file = course.solution(exercise).join("src/lib.rs");
    fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
}
