//! A failed check in full: what should have been, what was, when, why, where, and what to do.

use super::{
    chart::Chart,
    replay, sentence, sites,
    style::{INDENT, Style},
    text::{self, push_line, width},
};
use crate::model::{
    exercise::Exercise,
    marker::Marker,
    verdict::{CheckStatus, CheckVerdict, Failure, Verdict},
};

/// The chart's rows on a page that has other things to say as well.
const CHART_ROWS: usize = 10;
/// Lines of a value; a longer one is cut.
const VALUE_LINES: usize = 8;
/// Characters of a value that are looked at.
const VALUE_CHARS: usize = 4_000;
/// Lines of what the code printed.
const OUTPUT_LINES: usize = 8;

/// The check's own part of a page.
pub fn block(
    exercise: &Exercise,
    verdict: &Verdict,
    check: &CheckVerdict,
    style: &Style,
) -> String {
    let nothing = Failure::default();
    let failure = check.failure.as_ref().unwrap_or(&nothing);
    let parts = [
        head(check, style),
        said(exercise, check, style),
        values(check, failure, style),
        sites::table(&failure.sites, style),
        chart(check, failure, style),
        reasons(failure, style) + &actions(exercise, verdict, check, failure, style),
        panics(failure, style),
        output(check, style),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn head(check: &CheckVerdict, style: &Style) -> String {
    let marker = style.marker(Marker::NeedHelp);
    let seed = check
        .seed
        .map(|seed| style.dim(&format!("seed {seed}")))
        .unwrap_or_default();
    let lines = style.wrap(&style.text(&check.name), style.page() - 10, 0);
    let name: Vec<String> = lines.iter().map(|line| style.bold(line)).collect();
    let (first, rest) = name
        .split_first()
        .map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    let mut head = style.sides(&format!("{marker} {first}"), &seed);
    let margin = " ".repeat(width(marker) + 1);
    for line in rest {
        push_line(&mut head, &format!("{margin}{line}"));
    }
    head
}

fn said(exercise: &Exercise, check: &CheckVerdict, style: &Style) -> String {
    let Some(sentence) = sentence::of(exercise, check) else {
        return String::new();
    };
    let lines = style.wrap(&style.text(&sentence), style.prose(), INDENT);
    text::lines(lines)
}

fn values(check: &CheckVerdict, failure: &Failure, style: &Style) -> String {
    // The sentence and the table already say what a detector found.
    let told = match check.status {
        CheckStatus::Deadlock => !failure.sites.is_empty(),
        _ => false,
    };
    let mut values = String::new();
    if !told {
        values.push_str(&style.field("expected", &value(&failure.expected, style)));
        let got = value(&failure.got, style);
        values.push_str(&style.painted_field("got", &got, |line| style.bold(line)));
    }
    values
}

/// A value in at most so many lines.
fn value(text: &str, style: &Style) -> String {
    // A debug form of megabytes need not be wrapped to its end.
    let most = text.char_indices().nth(VALUE_CHARS);
    let head = most.map_or(text, |(end, _)| &text[..end]);
    let text = style.learner(head.trim_end());
    let mut lines = style.wrap(&text, style.field_prose(), 0);
    if lines.len() > VALUE_LINES || most.is_some() {
        lines.truncate(VALUE_LINES - 1);
        lines.push(style.sign("…", "...").to_owned());
    }
    lines.join("\n")
}

fn chart(check: &CheckVerdict, failure: &Failure, style: &Style) -> String {
    let point = match check.status {
        CheckStatus::Deadlock | CheckStatus::Blocked | CheckStatus::BusyLoop => {
            Some((failure.at_ms, sentence::word(check.status)))
        }
        _ => None,
    };
    Chart {
        spans: &check.spans,
        rows: CHART_ROWS,
        point,
    }
    .draw(style)
}

fn reasons(failure: &Failure, style: &Style) -> String {
    let mut reasons = style.field("why", &style.learner(&failure.why));
    if let Some(location) = &failure.location {
        let place = style.place(location, style.field_width());
        reasons.push_str(&style.field_line("where", &place));
    }
    reasons
}

fn actions(
    exercise: &Exercise,
    verdict: &Verdict,
    check: &CheckVerdict,
    failure: &Failure,
    style: &Style,
) -> String {
    let mut actions = String::new();
    if let Some(pitfall) = &failure.pitfall {
        let page = format!("kata read pitfalls#{pitfall}");
        let both = format!("{pitfall}  {page}");
        let painted = if width(&both) <= style.field_width() {
            format!("{pitfall}  {}", style.dim(&page))
        } else {
            style.fit(pitfall, style.field_width())
        };
        actions.push_str(&style.field_line("pitfall", &painted));
    }
    let command = replay::command(exercise, &verdict.checks, check);
    let command = style.text(&command).into_owned();
    actions + &style.painted_field("replay", &command, |line| style.accent(line))
}

fn panics(failure: &Failure, style: &Style) -> String {
    let mut panics = String::new();
    for (number, panic) in failure.panics.iter().enumerate() {
        let label = if number == 0 { "panics" } else { "" };
        panics.push_str(&style.field(label, &value(panic, style)));
    }
    if panics.is_empty() {
        panics
    } else {
        panics + &style.field("", "Nobody looked at what these tasks returned.")
    }
}

fn output(check: &CheckVerdict, style: &Style) -> String {
    let text = style.learner(&check.output);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let tail = &lines[lines.len().saturating_sub(OUTPUT_LINES)..];
    let mut output = String::new();
    for (number, line) in tail.iter().enumerate() {
        let label = if number == 0 { "printed" } else { "" };
        let line = style.fit(line, style.field_width());
        output.push_str(&style.field_line(label, &style.dim(&line)));
    }
    output
}
