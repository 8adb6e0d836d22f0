//! `kata check`: grade once, say it, record it.

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, chosen},
    exit::Exit,
};
use crate::{
    grade::{Implementation, Selection},
    world::process::Cancel,
};

/// Arguments of `kata check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Exercises, by number or by any unique part of their name
    exercises: Vec<String>,
    /// All exercises
    #[arg(long, conflicts_with = "exercises")]
    all: bool,
    /// Only the checks whose name contains this
    #[arg(long, value_name = "PART")]
    check: Option<String>,
    /// Only this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let grader = context.grader()?;
    let exercises = chosen(&grader.course, &arguments.exercises)?;
    let selection = Selection {
        check: arguments.check.clone(),
        seeds: arguments.seed.into_iter().collect(),
        fresh: false,
    };
    let cancel = Cancel::default();
    let mut exit = Exit::Passed;
    for exercise in exercises {
        let graded = grader.grade(
            exercise,
            Implementation::Learner,
            &selection,
            &cancel,
            &|phase| {
                eprintln!("{phase:?}");
            },
        )?;
        println!("{graded:#?}");
        if !graded.verdict.passed() {
            exit = Exit::NotPassed;
        }
    }
    Ok(exit)
}
