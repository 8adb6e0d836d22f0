//! The page of a passed day: what it took, what was learned, what to ask oneself.

use super::{
    duration::{count, spent},
    style::{INDENT, Style},
    text::{self, pad_right, push_line, width},
};
use crate::model::{
    exercise::Exercise,
    marker::Marker,
    progress::{Entry, time::minutes_between},
    verdict::Verdict,
};

/// Columns of the labels and the space after them.
const LABEL: usize = 15;

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
    let indent = width(marker) + 1;
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
        push_line(&mut page, &format!("{before}{line}"));
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
            .map_or(0, |(first, last)| minutes_between(first, last));
        if minutes > 0 {
            parts.push(spent(minutes));
        }
        parts.push(match entry.hints {
            0 => "no hints".to_owned(),
            hints => count(hints.into(), "hint"),
        });
    }
    parts.join(", ")
}

fn afterwards(exercise: &Exercise, style: &Style) -> String {
    let about = &exercise.about;
    let room = style.page() - INDENT - LABEL;
    let solution = style.accent(&format!("kata solution {}", exercise.day));
    let read = style.accent(&format!("kata read {}", exercise.day));
    let mut ask = style.wrap(&style.text(&about.ask), style.prose() - INDENT - LABEL, 0);
    match ask.last_mut() {
        Some(last) if width(last) + 2 + width(&read) <= room => {
            last.push_str("  ");
            last.push_str(&read);
        }
        _ => ask.push(read),
    }
    let learned = about.learned.join(", ");
    let learned = style.wrap(&style.text(&learned), style.prose() - INDENT - LABEL, 0);
    let mut block = labelled("Compare with", &[solution], style);
    block.push_str(&labelled("You learned", &learned, style));
    block + &labelled("Ask yourself", &ask, style)
}

fn labelled(label: &str, lines: &[String], style: &Style) -> String {
    let label = style.dim(&pad_right(label, LABEL));
    let below = " ".repeat(LABEL);
    let labels = std::iter::once(&label).chain(std::iter::repeat(&below));
    let margin = " ".repeat(INDENT);
    let labelled = lines.iter().zip(labels);
    text::lines(labelled.map(|(line, label)| format!("{margin}{label}{line}")))
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
