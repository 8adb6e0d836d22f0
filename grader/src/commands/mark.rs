//! `kata mark`: ask for help, or take it back.

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{
    context::{Context, current, progress_error},
    exit::{Exit, call_error},
};
use crate::model::{marker::Marker, progress::Marked};

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

impl From<Word> for Marker {
    fn from(word: Word) -> Self {
        match word {
            Word::Help => Self::NeedHelp,
            Word::InProgress => Self::InProgress,
            Word::NotStarted => Self::NotStarted,
            Word::Completed => Self::Completed,
        }
    }
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut desk = context.desk()?;
    let exercise = current(&desk, Some(&arguments.exercise))?.clone();
    let marker = arguments.marker.into();
    let marked = desk.mark(&exercise.slug, marker).map_err(progress_error)?;
    context.tell(&desk.take_notices());
    let style = context.style();
    let now = match marked {
        Marked::Changed(_) | Marked::Same => marker,
        Marked::StaysCompleted => Marker::Completed,
        Marked::NotEarned => {
            return Err(call_error(format!(
                "only a verdict completes an exercise\nGrade it: kata check {}",
                exercise.day
            )));
        }
    };
    context.say(&format!("{}: {}\n", exercise.slug, style.marker_word(now)));
    if now == Marker::NeedHelp {
        context.say(&format!("  The next hint: kata hint {}\n", exercise.day));
    }
    Ok(Exit::Passed)
}
