//! One verdict as a page: head line, check list, and the first failure in full.

use super::{check_list, compiler, done, failure, replay, style::Style, text::width};
use crate::model::{
    exercise::Exercise,
    marker::Marker,
    progress::Entry,
    verdict::{CheckStatus, Status, Verdict},
};

/// The page for what grading `exercise` gave; `entry` is its progress after that.
pub fn page(
    exercise: &Exercise,
    verdict: &Verdict,
    entry: Option<&Entry>,
    style: &Style,
) -> String {
    match verdict.status {
        Status::Passed => done::page(exercise, verdict, entry, style),
        Status::Failed => failed(exercise, verdict, entry, style),
        Status::DoesNotCompile => compiler::does_not_compile(exercise, verdict, style),
        Status::ContractChanged => compiler::contract_changed(exercise, verdict, style),
        // What is wrong with given code is what such a day begins with.
        Status::NotStarted if exercise.about.planted && !verdict.checks.is_empty() => {
            failed(exercise, verdict, entry, style)
        }
        Status::NotStarted => opening(exercise, style),
        Status::GraderError => compiler::grader_error(exercise, verdict, style),
    }
}

/// The marker to show for a verdict: the recorded one, or what the verdict alone says.
pub fn marker(verdict: &Verdict, entry: Option<&Entry>) -> Marker {
    match (entry, verdict.status) {
        (Some(entry), _) => entry.marker,
        (None, Status::Passed) => Marker::Completed,
        (None, Status::NotStarted) => Marker::NotStarted,
        (None, _) => Marker::InProgress,
    }
}

fn failed(exercise: &Exercise, verdict: &Verdict, entry: Option<&Entry>, style: &Style) -> String {
    let marker = marker(verdict, entry);
    let mut page = head(exercise, marker, &result(verdict), style);
    page.push_str(&check_list::lines(exercise, verdict, style));
    let warnings = compiler::warnings(&verdict.diagnostics, style);
    let first = verdict
        .first_failure()
        .map(|check| failure::block(exercise, verdict, check, style))
        .unwrap_or_default();
    let help = if marker == Marker::NeedHelp {
        let hint = format!("kata hint {}", exercise.day);
        let marker = style.marker_word(Marker::NeedHelp);
        let hint = style.accent(&hint);
        super::footer::flow(
            &[format!("{marker}:"), hint, "shows a hint".to_owned()],
            " ",
            style,
        )
    } else {
        String::new()
    };
    let others = others(exercise, verdict, style);
    for part in [warnings, first, others, help] {
        if !part.is_empty() {
            page.push('\n');
            page.push_str(&part);
        }
    }
    page
}

/// `5 of 14 points`, and of a part of the suite how much of it ran.
fn result(verdict: &Verdict) -> String {
    let ran = || {
        let checks = verdict.checks.iter();
        checks.filter(|check| check.status != CheckStatus::NotRun)
    };
    match (ran().count(), verdict.checks.len()) {
        (some, all) if some < all => {
            let points: u32 = ran().map(|check| check.points).sum();
            let max: u32 = ran().map(|check| check.max_points).sum();
            format!("{some} of {all} checks run: {points} of {max} points")
        }
        _ => format!("{} of {} points", verdict.points, verdict.max_points),
    }
}

/// How many more checks fail than the one that is told in full, and how to see the next of them.
fn others(exercise: &Exercise, verdict: &Verdict, style: &Style) -> String {
    // What is not written yet is no news.
    let failures = verdict.failures().skip(1);
    let mut failures = failures.filter(|check| !check_list::is_a_gap(check));
    let Some(next) = failures.next() else {
        return String::new();
    };
    let count = match failures.count() {
        0 => "1 other check fails:".to_owned(),
        more => format!("{} other checks fail; the next one:", more + 1),
    };
    let part = replay::part(&verdict.checks, next);
    let command = format!("kata check {} --check {part}", exercise.day);
    style.field("also", &count)
        + &style.painted_field("", &style.text(&command), |line| style.accent(line))
}

/// One of many verdicts that need no page: a marker, the day, its points.
pub fn line(
    exercise: &Exercise,
    verdict: &Verdict,
    entry: Option<&Entry>,
    style: &Style,
) -> String {
    let points = match verdict.max_points {
        0 => String::new(),
        max => format!("{} of {max} points", verdict.points),
    };
    let marker = style.marker(marker(verdict, entry));
    let name = style.fit(&name(exercise, style), style.page() - width(marker) - 1);
    let left = format!("{marker} {name}");
    style.sides(&left, &style.dim(&points))
}

/// `day07 Concurrent Execution            week 2 · 🔄 In Progress · 5 of 14 points`
pub fn head(exercise: &Exercise, marker: Marker, points: &str, style: &Style) -> String {
    let dot = style.dot();
    let week = format!("week {}", exercise.about.week);
    let sign = style.marker(marker);
    let points = if marker == Marker::Completed {
        format!("done earlier; now {points}")
    } else {
        points.to_owned()
    };
    let worded = match marker {
        Marker::Completed => format!("{sign} {points}"),
        _ => format!("{} {}{dot}{points}", sign, marker.word()),
    };
    let short = format!("{sign} {points}");
    let name = name(exercise, style);
    let room = style.page().saturating_sub(width(&name) + 2);
    let right = [
        format!("{week}{dot}{worded}"),
        format!("{week}{dot}{short}"),
        short.clone(),
    ]
    .into_iter()
    .find(|right| width(right) <= room)
    .unwrap_or(short);
    style.sides(&style.bold(&name), &right)
}

fn name(exercise: &Exercise, style: &Style) -> String {
    let name = format!("{} {}", exercise.short(), exercise.about.title);
    style.fit(&style.text(&name), style.page())
}

/// An untouched day opens with three lines: what it is about, the file, the text.
pub fn opening(exercise: &Exercise, style: &Style) -> String {
    let dot = style.dot();
    let state = format!(
        "week {}{dot}{}",
        exercise.about.week,
        style.marker_word(Marker::NotStarted)
    );
    let file = exercise.file();
    let minutes = style.dim(&format!("({} min)", exercise.about.minutes));
    let read = style.accent(&format!("kata read {}", exercise.day));
    let mut page = style.sides(&style.bold(&name(exercise, style)), &state);
    page.push('\n');
    page.push_str(&style.field("today", &style.text(&exercise.about.goal)));
    page.push_str(&style.file_field("file", &file));
    page + &style.field_line("text", &format!("{read}  {minutes}"))
}
