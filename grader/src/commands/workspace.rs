//! `kata init` and `kata update`: a learner's workspace from the binary alone.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{
    context::Context,
    exit::{Exit, call_error},
};
use crate::{
    view::duration::count,
    world::{
        course::{find_workspace, is_clone},
        workspace,
    },
};

/// Arguments of `kata init`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder to make; it must be empty or missing
    folder: PathBuf,
}

/// Makes a workspace.
pub fn init(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let folder = context.start.join(&arguments.folder);
    match workspace::init(&folder)? {
        Err(occupied) => Err(call_error(occupied.to_string())),
        Ok(days) => {
            context.say(&format!(
                "made {}: {}\n  Go on: cd {} && kata watch\n",
                arguments.folder.display(),
                count(days as u64, "exercise"),
                arguments.folder.display()
            ));
            Ok(Exit::Passed)
        }
    }
}

/// Brings new texts and never edits a changed file.
pub fn update(context: &Context) -> Result<Exit> {
    let folder = find_workspace(&context.start).ok_or_else(|| {
        call_error("there is no workspace here nor above\nMake one: kata init DIR")
    })?;
    if is_clone(&folder) {
        return Err(call_error(
            "this is a clone of the course, which git updates\nNothing was changed. Run `git pull`.",
        ));
    }
    let update = workspace::update(&folder)?;
    let mut page = String::new();
    for file in &update.written {
        page += "updated ";
        page += file;
        page += "\n";
    }
    for (file, diff) in &update.kept {
        page += "kept yours: ";
        page += file;
        page += "; the course changed it so:\n";
        for line in diff.lines() {
            page += "    ";
            page += line;
            page += "\n";
        }
    }
    if page.is_empty() {
        page.push_str("everything is up to date\n");
    }
    context.say(&page);
    Ok(Exit::Passed)
}
