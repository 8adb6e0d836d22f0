//! `kata read` alone: the pages of the reference book, and the days' texts.

use super::{
    markdown,
    style::{INDENT, Style},
    text::{lines, pad_right, push_line, width},
};
use crate::model::exercise::Exercise;

/// A page of the book as the contents show it: its name, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The word that `kata read` takes.
    pub name: String,
    /// What it is about, in Markdown.
    pub about: String,
}

/// Names to read, each with what it is about.
pub fn contents(pages: &[Entry], exercises: &[Exercise], style: &Style) -> String {
    let days: Vec<Entry> = exercises
        .iter()
        .map(|exercise| Entry {
            name: exercise.day.to_string(),
            about: exercise.about.title.clone(),
        })
        .collect();
    let parts = [
        format!("{}\n", style.bold("The reference book")),
        entries(pages, style),
        format!("{}\n", style.bold("The days")),
        entries(&days, style),
        lines(style.wrap(
            &style.text("Open one: kata read pitfalls · one section: kata read pitfalls#deadlock · a day's text: kata read 7"),
            style.prose(),
            0,
        )),
    ];
    parts.join("\n")
}

fn entries(entries: &[Entry], style: &Style) -> String {
    let names = entries.iter().map(|entry| width(&entry.name)).max();
    let hang = INDENT + names.unwrap_or(0) + 2;
    let mut list = String::new();
    for entry in entries {
        let about = style.wrap(
            &markdown::words(&entry.about, style),
            style.prose().max(hang + 20),
            hang,
        );
        let name = pad_right(&style.accent(&entry.name), hang - INDENT);
        let first = about.first().map_or("", |line| line.trim_start());
        push_line(
            &mut list,
            format!("{}{name}{first}", " ".repeat(INDENT)).trim_end(),
        );
        for line in about.iter().skip(1) {
            push_line(&mut list, line);
        }
    }
    list
}
