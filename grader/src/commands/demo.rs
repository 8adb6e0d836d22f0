//! `kata demo`: a runnable example in virtual time, drawn.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;

use super::{
    bar::Bar,
    context::{Context, course_error},
    exit::{Exit, call_error},
};
use crate::{
    grade::{Grader, demo::Demonstrated},
    model::{demo, verdict::CheckStatus},
    view::{self, demo::Shown},
    world::{disk, process::Cancel},
};

/// Arguments of `kata demo`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The example, by its name or any unique part of it; none: list them
    name: Option<String>,
    /// Change a setting: a count, or a time in milliseconds; may be repeated
    #[arg(long, value_name = "NAME=NUMBER", requires = "name")]
    set: Vec<String>,
    /// Say what the settings are and mean; run nothing
    #[arg(long, requires = "name", conflicts_with_all = ["set", "svg", "json"])]
    settings: bool,
    /// The seed of random delays: of what the setting `spread` allows
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the picture to this file, too
    #[arg(long, value_name = "FILE", requires = "name")]
    svg: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let course = context.course()?;
    let (demos, broken) = course.demos();
    for reason in &broken {
        context.complain(reason);
    }
    let Some(name) = &arguments.name else {
        context.say(&if arguments.json {
            view::json::demos(&demos)
        } else {
            view::demo::list(&demos, &context.style())
        });
        return Ok(Exit::Passed);
    };
    let demo = demo::find(&demos, name).map_err(course_error)?;
    if arguments.settings {
        context.say(&view::demo::settings(demo, &context.style()));
        return Ok(Exit::Passed);
    }
    let values = demo.values(&arguments.set).map_err(course_error)?;
    let svg = arguments.svg.as_ref().map(|file| context.start.join(file));
    if let Some(file) = &svg {
        may_be_written(file)?;
    }
    let bar = Bar::new();
    let grader = Grader::new(course.clone(), context.terminal.width.into())?;
    let demonstrated = grader.demonstrate(
        demo,
        &values,
        arguments.seed,
        &Cancel::default(),
        &|phase| bar.show(&phase),
    )?;
    drop(bar);
    let ran = match demonstrated {
        Demonstrated::Ran(ran) => ran,
        Demonstrated::DoesNotCompile(errors) => {
            let style = context.style();
            context.say(&view::compiler::example_does_not_compile(
                &demo.name, &errors, &style,
            ));
            return Ok(Exit::NotPassed);
        }
    };
    let shown = Shown {
        demo,
        values: &values,
        seed: arguments.seed,
        ran: &ran,
    };
    context.say(&if arguments.json {
        view::json::demo(&shown)
    } else {
        view::demo::page(&shown, &context.style())
    });
    if let Some(file) = &svg {
        disk::write(file, view::demo::picture(&shown).as_bytes())?;
        if !arguments.json {
            context.say(&format!("\nwritten: {}\n", file.display()));
        }
    }
    Ok(if ran.status == CheckStatus::Passed {
        Exit::Passed
    } else {
        Exit::NotPassed
    })
}

/// Only a picture of ours is written over.
fn may_be_written(file: &Path) -> Result<()> {
    if file.is_dir() {
        return Err(call_error(format!("{} is a folder", file.display())));
    }
    if !file.exists() {
        return Ok(());
    }
    match disk::read(file) {
        Ok(bytes) if bytes.starts_with(view::svg::MARK.as_bytes()) => Ok(()),
        Ok(_) => Err(call_error(format!(
            "{} exists, and `kata demo` did not make it\nNothing was written. Name another file.",
            file.display()
        ))),
        Err(error) => bail!(error),
    }
}
