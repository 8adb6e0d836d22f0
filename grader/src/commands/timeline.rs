//! `kata timeline`: what one check saw in virtual time, drawn.

use anyhow::Result;
use clap::Args;

use super::{
    check::fresh,
    context::{Context, current},
    exit::{Exit, call_error},
};
use crate::{grade::Selection, view};

/// Arguments of `kata timeline`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The exercise; the current one if none is named
    exercise: Option<String>,
    /// The check whose name contains this; else the first that fails, else the first
    #[arg(long, value_name = "PART")]
    check: Option<String>,
    /// The seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let desk = context.desk()?;
    let exercise = current(&desk, arguments.exercise.as_deref())?;
    let selection = Selection {
        check: arguments.check.clone(),
        seeds: arguments.seed.into_iter().collect(),
        ..Selection::default()
    };
    let graded = fresh(context, exercise, &selection)?;
    let verdict = &graded.verdict;
    let ran = || verdict.checks.iter().filter(|check| check.runs > 0);
    let check = ran()
        .find(|check| check.failure.is_some())
        .or_else(|| ran().next());
    match check {
        Some(check) => context.say(&view::timeline::page(exercise, check, &context.style())),
        None if verdict.checks.is_empty() => {
            context.say(&view::verdict::page(
                exercise,
                verdict,
                None,
                &context.style(),
            ));
            return Ok(Exit::NotPassed);
        }
        None => {
            let names: Vec<_> = verdict
                .checks
                .iter()
                .map(|check| format!("\"{}\"", check.name))
                .collect();
            return Err(call_error(format!(
                "no check was run; there are\n{}",
                names.join("\n")
            )));
        }
    }
    Ok(Exit::Passed)
}
