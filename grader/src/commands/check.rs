//! `kata check`: grade once, say it, record it.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;

use super::{
    bar::Bar,
    context::{Context, chosen, one, progress_error},
    exit::{Exit, call_error},
};
use crate::{
    desk::Desk,
    grade::{Contract, Graded, Grader, Implementation, Selection},
    model::{
        exercise::Exercise,
        progress::{Entry, Progress},
        verdict::Status,
    },
    view,
    world::{course::Course, process::Cancel},
};

/// Arguments of `kata check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Exercises, by number or by any unique part of their name; the current one if none is named
    exercises: Vec<String>,
    /// All exercises
    #[arg(long, conflicts_with = "exercises")]
    all: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Only this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only the checks whose name contains this
    #[arg(long, value_name = "PART")]
    check: Option<String>,
    /// Grade anew even if the verdict is known
    #[arg(long)]
    fresh: bool,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut desk = context.desk()?;
    let grader = Arc::clone(&desk.grader);
    let exercises = exercises(&desk, &grader.course, arguments)?;
    let selection = Selection {
        check: arguments.check.clone(),
        seeds: arguments.seed.into_iter().collect(),
        fresh: arguments.fresh,
        ..Selection::default()
    };
    let mut results = Vec::with_capacity(exercises.len());
    for exercise in exercises {
        // An untouched day of many is not worth a build.
        let graded = match grader.untouched(exercise)? {
            Some(graded) if arguments.all => graded,
            _ => {
                let contract = Contract::of(desk.is_completed(&exercise.slug));
                let selection = Selection {
                    contract,
                    ..selection.clone()
                };
                grade(&grader, exercise, &selection)?
            }
        };
        results.push((exercise, graded));
    }
    no_such_check(arguments, &results)?;
    // Half a suite proves nothing and is not recorded.
    if selection.is_whole() {
        for (_, graded) in &results {
            desk.record(graded).map_err(progress_error)?;
        }
    }
    context.tell(&desk.take_notices());
    show(context, arguments, &results, desk.progress());
    Ok(exit(&results))
}

fn exercises<'a>(
    desk: &Desk,
    course: &'a Course,
    arguments: &Arguments,
) -> Result<Vec<&'a Exercise>> {
    if arguments.all {
        return Ok(course.exercises.iter().collect());
    }
    if arguments.exercises.is_empty() {
        return Ok(vec![one(course, &desk.resume().slug)?]);
    }
    chosen(course, &arguments.exercises)
}

fn grade(grader: &Grader, exercise: &Exercise, selection: &Selection) -> Result<Graded> {
    let bar = Bar::new();
    let cancel = Cancel::default();
    grader.grade(
        exercise,
        Implementation::Learner,
        selection,
        &cancel,
        &|phase| bar.show(&phase),
    )
}

/// `--check` with a part that no check's name contains is the call's fault.
fn no_such_check(arguments: &Arguments, results: &[(&Exercise, Graded)]) -> Result<()> {
    let Some(part) = &arguments.check else {
        return Ok(());
    };
    let mut names = results
        .iter()
        .flat_map(|(_, graded)| &graded.verdict.checks)
        .peekable();
    if names.peek().is_none() || names.any(|check| check.name.contains(part.as_str())) {
        return Ok(());
    }
    let known: Vec<String> = results
        .iter()
        .flat_map(|(_, graded)| &graded.verdict.checks)
        .map(|check| format!("\"{}\"", check.name))
        .collect();
    Err(call_error(format!(
        "no check's name contains \"{part}\"\n{}",
        known.join("\n")
    )))
}

fn show(
    context: &Context,
    arguments: &Arguments,
    results: &[(&Exercise, Graded)],
    progress: &Progress,
) {
    let entry = |exercise: &Exercise| -> Option<&Entry> { progress.entry(&exercise.slug) };
    if arguments.json {
        let results = results
            .iter()
            .map(|(exercise, graded)| (&graded.verdict, entry(exercise)));
        context.say(&view::json::checks(results));
        return;
    }
    let style = context.style();
    for (number, (exercise, graded)) in results.iter().enumerate() {
        if results.len() > 1 && matches!(graded.verdict.status, Status::NotStarted | Status::Passed)
        {
            context.say(&view::verdict::line(
                exercise,
                &graded.verdict,
                entry(exercise),
                &style,
            ));
            continue;
        }
        if number > 0 {
            context.say("\n");
        }
        context.say(&view::verdict::page(
            exercise,
            &graded.verdict,
            entry(exercise),
            &style,
        ));
        if results.len() == 1 {
            context.say(&format!(
                "\n{}",
                view::footer::status(&graded.timing(None), &style)
            ));
        }
    }
}

fn exit(results: &[(&Exercise, Graded)]) -> Exit {
    if results
        .iter()
        .any(|(_, graded)| graded.verdict.status == Status::GraderError)
    {
        Exit::Grader
    } else if results.iter().all(|(_, graded)| graded.verdict.passed()) {
        Exit::Passed
    } else {
        Exit::NotPassed
    }
}

/// The verdict of an exercise for commands that only look at one check.
pub fn fresh(context: &Context, exercise: &Exercise, selection: &Selection) -> Result<Graded> {
    let graded = grade(&context.grader()?, exercise, selection)?;
    if graded.verdict.status == Status::GraderError {
        bail!(
            "{}",
            graded
                .verdict
                .diagnostics
                .first()
                .map_or("the grader failed", |d| &d.message)
        );
    }
    Ok(graded)
}
