//! `kata hint`: one more hint at each call.

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, current},
    exit::{Exit, call_error},
};

/// Arguments of `kata hint`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The exercise; the current one if none is named
    exercise: Option<String>,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut desk = context.desk()?;
    let slug = current(&desk, arguments.exercise.as_deref())?.slug.clone();
    let page = desk.hint(&slug, &context.style())?;
    context.tell(&desk.take_notices());
    context.say(&page.ok_or_else(|| call_error(format!("{slug} has no hints")))?);
    Ok(Exit::Passed)
}
