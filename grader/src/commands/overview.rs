//! `kata progress` and `kata list`: where the learner stands.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, progress_error},
    exit::{Exit, call_error},
};
use crate::{model::progress::Progress, view, world::disk};

/// Arguments of `kata progress`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Take in the progress of another machine: a copy of its progress.json
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
}

/// The four weeks as a table.
pub fn progress(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut desk = context.desk()?;
    if let Some(file) = &arguments.merge {
        let bytes = disk::read(file).map_err(|error| call_error(format!("{error:#}")))?;
        let other = Progress::parse_bytes(&bytes).map_err(|problem| {
            call_error(format!(
                "{}: {problem}\nNothing was changed.",
                file.display()
            ))
        })?;
        let merge = |own: &mut Progress| *own = std::mem::take(own).merge(other);
        desk.update(merge).map_err(progress_error)?;
        context.tell(&desk.take_notices());
    }
    let (course, progress) = (&desk.grader.course, desk.progress());
    if arguments.json {
        context.say(&view::json::progress(&course.exercises, progress));
    } else {
        context.say(&view::progress::table(
            &course.exercises,
            progress,
            &context.style(),
        ));
        for broken in &course.broken {
            context.complain(&format!("an exercise cannot be read: {broken}"));
        }
    }
    Ok(Exit::Passed)
}

/// Every exercise on a line.
pub fn list(context: &Context) -> Result<Exit> {
    let desk = context.desk()?;
    let exercises = &desk.grader.course.exercises;
    context.say(&view::list::page(
        exercises,
        desk.progress(),
        &context.style(),
    ));
    Ok(Exit::Passed)
}
