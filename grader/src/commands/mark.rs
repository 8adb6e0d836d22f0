//! `kata mark`: ask for help, or take it back.

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{context::Context, exit::Exit, exit::call_error};
use crate::{
    model::{marker::Marker, progress::Marked},
    world::clock,
};

/// Arguments of `kata mark`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The exercise
    exercise: String,
    /// The marker
    #[arg(value_enum, default_value = "help")]
    marker: Word,
}

/// A marker by its word.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// ❌ Need Help
    Help,
    /// 🔄 In Progress
    InProgress,
    /// ⏳ Not Started
    NotStarted,
    /// ✅ Completed: given by a verdict alone
    Completed,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let course = context.course()?;
    let exercise = context.exercise(&course, Some(&arguments.exercise))?;
    let marker = match arguments.marker {
        Word::Help => Marker::NeedHelp,
        Word::InProgress => Marker::InProgress,
        Word::NotStarted => Marker::NotStarted,
        Word::Completed => Marker::Completed,
    };
    let updated = context.update_progress(&course, |progress| {
        progress.mark(&exercise.slug, marker, &clock::now())
    })?;
    let style = context.style();
    let words = match updated.value {
        Marked::Changed(_) | Marked::Same => {
            let help = match marker {
                Marker::NeedHelp => format!("\n  The next hint: kata hint {}", exercise.day),
                _ => String::new(),
            };
            format!("{}: {}{help}\n", exercise.slug, style.marker_word(marker))
        }
        Marked::StaysCompleted => {
            format!(
                "{} stays {}\n",
                exercise.slug,
                style.marker_word(Marker::Completed)
            )
        }
        Marked::NotEarned => {
            return Err(call_error(format!(
                "only a verdict completes an exercise\nGrade it: kata check {}",
                exercise.day
            )));
        }
    };
    context.say(&words);
    Ok(Exit::Passed)
}
