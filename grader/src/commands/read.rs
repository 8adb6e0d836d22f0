//! `kata read`: the reference book and the days' texts, in the terminal.

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, course_error},
    exit::Exit,
};
use crate::{
    model::{
        book,
        shelf::{self, Found},
    },
    view::{self, book::Entry},
    world::{disk, pager},
};

/// Arguments of `kata read`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A page (pitfalls), a section of it (pitfalls#deadlock), or a day (7); none: list them
    #[arg(value_name = "PAGE|DAY[#SECTION]")]
    what: Option<String>,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let course = context.course()?;
    let style = context.style();
    let pages = course.pages();
    let Some(what) = &arguments.what else {
        let listed = book::contents(&disk::text(&course.page("README"))?);
        let entries: Vec<Entry> = listed
            .into_iter()
            .map(|(name, about)| Entry { name, about })
            .collect();
        context.say(&view::book::contents(&entries, &course.exercises, &style));
        return Ok(Exit::Passed);
    };
    let (word, anchor) = what
        .split_once('#')
        .map_or((what.as_str(), None), |(word, anchor)| (word, Some(anchor)));
    let found = shelf::find(word, &pages, &course.exercises).map_err(course_error)?;
    let (name, text) = match found {
        Found::Page(page) => (page, disk::text(&course.page(page))?),
        Found::Day(exercise) => {
            let file = course.readme(exercise);
            (exercise.slug.as_str(), disk::text(&file)?)
        }
    };
    let text = match anchor.filter(|anchor| !anchor.is_empty()) {
        None => text,
        Some(anchor) => book::section(&text, anchor)
            .ok_or_else(|| course_error(shelf::no_section(name, anchor, book::anchors(&text))))?,
    };
    let text = book::name_own_links(&text, name);
    show(context, &view::markdown::render(&text, 0, &style));
    Ok(Exit::Passed)
}

/// In a pager where somebody looks at a screen that is too small for the text.
fn show(context: &Context, page: &str) {
    let terminal = &context.terminal;
    let fits = page.lines().count() < usize::from(terminal.height);
    let paged = terminal.stdout_tty && terminal.stdin_tty && !fits && pager::show(page);
    if !paged {
        context.say(page);
    }
}
