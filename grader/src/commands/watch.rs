//! `kata watch`: grade at every save.

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, one},
    exit::{Exit, call_error},
};
use crate::{
    watch::{self, Options},
    world::{
        editor::Editor,
        terminal::{Painting, Screen},
    },
};

/// Arguments of `kata watch`.
#[derive(Debug, Default, Args)]
pub struct Arguments {
    /// The exercise to begin with; where you stopped, if none is named
    exercise: Option<String>,
    /// Look at the files a few times a second, where the system announces no changes
    #[arg(long)]
    poll: bool,
    /// Only append to the output: no cursor movement, no redrawing
    #[arg(long)]
    plain: bool,
    /// Open each day's file with this command; `{file}` and `{line}` are filled in
    #[arg(long, value_name = "COMMAND")]
    editor: Option<String>,
}

/// Runs the command until the learner leaves.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let desk = context.desk()?;
    let exercise = match &arguments.exercise {
        Some(word) => Some(one(&desk.grader.course, word)?.slug.clone()),
        None => None,
    };
    let terminal = context.terminal;
    let painting = if arguments.plain {
        Painting::Plain
    } else {
        Painting::Scroll
    };
    let options = Options {
        exercise,
        poll: arguments.poll,
        terminal,
        editor: Editor::choose(arguments.editor.as_deref())
            .map_err(|error| call_error(format!("{error:#}")))?,
        screen: Screen::on_stdout(&terminal, painting)?,
        style: context.style(),
    };
    watch::run(desk, options)?;
    // Leaving is no failure, whatever the day's state.
    Ok(Exit::Passed)
}
