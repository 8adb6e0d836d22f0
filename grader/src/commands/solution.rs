//! `kata solution`: the reference solution, after ✅ or when the learner gives up.

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, current, progress_error},
    exit::{Exit, call_error},
};
use crate::model::marker::Marker;

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
    let mut desk = context.desk()?;
    let exercise = current(&desk, arguments.exercise.as_deref())?.clone();
    if !desk.is_completed(&exercise.slug) {
        if !arguments.give_up {
            return Err(call_error(format!(
                "{} is not solved yet\n\
                 A hint: kata hint {day}. The solution all the same: kata solution {day} --give-up",
                exercise.slug,
                day = exercise.day
            )));
        }
        desk.mark(&exercise.slug, Marker::NeedHelp)
            .map_err(progress_error)?;
    }
    context.tell(&desk.take_notices());
    context.say(&desk.solution(&exercise)?);
    Ok(Exit::Passed)
}
