//! `kata hint`: one more hint at each call.

use std::fs;

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    context::Context,
    exit::{Exit, call_error},
};
use crate::{
    grade::Grader,
    model::{exercise::Exercise, hints},
    view,
    world::course::Course,
};

/// Arguments of `kata hint`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The exercise; the current one if none is named
    exercise: Option<String>,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let grader = context.grader()?;
    let exercise = context.exercise(&grader.course, arguments.exercise.as_deref())?;
    context.say(&next(context, &grader, exercise)?);
    Ok(Exit::Passed)
}

/// The page of the next hint, which counts as seen from now on.
pub fn next(context: &Context, grader: &Grader, exercise: &Exercise) -> Result<String> {
    let tasks = hints::parse(&text(&grader.course, exercise)?);
    // Hints are for the task at hand: the first one that is not passed.
    let task = grader
        .known(exercise)?
        .and_then(|graded| graded.verdict.first_failure().map(|check| check.task))
        .unwrap_or(1);
    let updated = context.update_progress(&grader.course, |progress| {
        let seen = progress
            .entry(&exercise.slug)
            .map_or(0, |entry| entry.hints);
        let next = hints::next(&tasks, task, seen)?;
        progress.hint_seen(&exercise.slug, next.seen);
        Some(next)
    })?;
    let next = updated
        .value
        .ok_or_else(|| call_error(format!("{} has no hints", exercise.slug)))?;
    Ok(view::hints::page(
        exercise,
        next.task,
        next.number,
        &context.style(),
    ))
}

fn text(course: &Course, exercise: &Exercise) -> Result<String> {
    let file = course.hidden(exercise).join("hints.md");
    fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
}
