//! The page of a passed day: what it took, what was learned, what to ask oneself.

use super::{
    date::{minutes_between, spent},
    duration::count,
    style::Style,
};
use crate::model::{exercise::Exercise, marker::Marker, progress::Entry, verdict::Verdict};

/// Every check passed.
pub fn page(
    exercise: &Exercise,
    verdict: &Verdict,
    entry: Option<&Entry>,
    style: &Style,
) -> String {
    let name = format!("{} {}", exercise.short(), exercise.about.title);
    let head = format!("{}: {}", name, took(verdict, entry));
    let marker = style.marker(Marker::Completed);
    let mut page = String::new();
    let indent = super::text::width(marker) + 1;
    for (number, line) in style
        .wrap(&style.text(&head), style.page(), indent)
        .iter()
        .enumerate()
    {
        let line = style.bold(line.trim_start());
        let before = if number == 0 {
            format!("{marker} ")
        } else {
            " ".repeat(indent)
        };
        page.push_str(&format!("{before}{line}\n"));
    }
    page.push('\n');
    page.push_str(&afterwards(exercise, style));
    page
}

/// `14 of 14 points, 6 saves, 38 minutes, 1 hint`
fn took(verdict: &Verdict, entry: Option<&Entry>) -> String {
    let mut parts = vec![format!(
        "{} of {}",
        verdict.points,
        count(verdict.max_points.into(), "point")
    )];
    if let Some(entry) = entry {
        if entry.saves > 0 {
            parts.push(count(entry.saves, "save"));
        }
        let last = entry.completed.as_ref().or(entry.last.as_ref());
        let minutes = entry
            .first
            .as_ref()
            .zip(last)
            .and_then(|(first, last)| minutes_between(first, last));
        parts.extend(minutes.map(spent));
        parts.push(match entry.hints {
            0 => "no hints".to_owned(),
            hints => count(hints.into(), "hint"),
        });
    }
    parts.join(", ")
}

fn afterwards(exercise: &Exercise, style: &Style) -> String {
    let solution = format!("solutions/{}/src/lib.rs", exercise.slug);
    let shown = style.fit(&solution, style.field_width());
    let mut block = style.field_line("compare", &style.link(&solution, 1, &style.accent(&shown)));
    let learned = exercise.about.learned.join(", ");
    block.push_str(&style.field("learned", &style.text(&learned)));
    block.push_str(&style.field("ask", &style.text(&exercise.about.ask)));
    let read = format!("kata read {}", exercise.day);
    block + &style.field_line("read", &style.accent(&read))
}

/// What comes next, below the page or in place of the key line.
pub fn next(next: Option<&Exercise>, style: &Style) -> String {
    let words = match next {
        Some(next) => format!(
            "next: {} {} ({} min)",
            next.short(),
            next.about.title,
            next.about.minutes
        ),
        None => "every day is done: the course is complete".to_owned(),
    };
    format!("{}\n", style.fit(&style.text(&words), style.page()))
}
