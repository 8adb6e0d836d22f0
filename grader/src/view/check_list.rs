//! The checks of one verdict, a line each: marker, name, points.

use super::{
    duration::count,
    sentence,
    style::Style,
    text::{pad_left, width},
};
use crate::model::{
    exercise::Exercise,
    marker::Marker,
    verdict::{CheckStatus, CheckVerdict, Verdict},
};

/// From more checks than this on, tasks that are done are folded.
const LISTED: usize = 12;

/// The checks that ran, below their task where there are several, and the others in one line.
///
/// Of a long list the tasks that are done take one line each.
pub fn lines(exercise: &Exercise, verdict: &Verdict, style: &Style) -> String {
    let (ran, waiting): (Vec<&CheckVerdict>, Vec<&CheckVerdict>) = verdict
        .checks
        .iter()
        .partition(|check| check.status != CheckStatus::NotRun);
    let titles = &exercise.about.tasks;
    let grouped = titles.len() > 1;
    let mut list = String::new();
    for group in ran.chunk_by(|a, b| a.task == b.task) {
        if grouped && ran.len() > LISTED && is_done(group[0].task, verdict) {
            list.push_str(&done(group, titles, style));
            continue;
        }
        if grouped && group[0].task > 1 && group.iter().all(|check| is_a_gap(check)) {
            list.push_str(&not_begun(group, titles, style));
            continue;
        }
        if grouped {
            list.push_str(&heading(group[0].task, titles, verdict, style));
        }
        for check in group {
            list.push_str(&line(check, if grouped { 4 } else { 2 }, style));
        }
    }
    if !waiting.is_empty() {
        list.push_str(&folded(&waiting, ran.is_empty(), style));
    }
    list
}

/// `✅ Task 1  gather in order          4 checks   7/7`
fn done(group: &[&CheckVerdict], titles: &[String], style: &Style) -> String {
    let points: u32 = group.iter().map(|check| check.points).sum();
    let points = format!("{points}/{points}");
    let checks = count(group.len() as u64, "check");
    let marker = style.marker(Marker::Completed);
    let right = format!("{checks}  {}", pad_left(&points, 5));
    let room = style.page().saturating_sub(5 + width(marker) + right.len());
    let title = style.fit(&title(group[0].task, titles, style), room);
    style.sides(&format!("  {marker} {title}"), &style.dim(&right))
}

/// `⏳ Task 3  hedge                not begun, 4 checks   0/7`
fn not_begun(group: &[&CheckVerdict], titles: &[String], style: &Style) -> String {
    let max: u32 = group.iter().map(|check| check.max_points).sum();
    let checks = count(group.len() as u64, "check");
    let marker = style.marker(Marker::NotStarted);
    let right = format!("not begun, {checks}  {}", pad_left(&format!("0/{max}"), 5));
    let room = style.page().saturating_sub(5 + width(marker) + right.len());
    let title = style.fit(&title(group[0].task, titles, style), room);
    style.sides(
        &style.dim(&format!("  {marker} {title}")),
        &style.dim(&right),
    )
}

/// Whether a check failed because of a `todo!` that is still there.
pub fn is_a_gap(check: &CheckVerdict) -> bool {
    let got = check.failure.as_ref().map(|failure| failure.got.as_str());
    got.is_some_and(|got| got.starts_with("not yet implemented"))
}

fn title(task: u32, titles: &[String], style: &Style) -> String {
    let title = usize::try_from(task)
        .ok()
        .and_then(|task| titles.get(task.checked_sub(1)?))
        .map_or("", String::as_str);
    style.text(&format!("Task {task}  {title}")).into_owned()
}

fn is_done(task: u32, verdict: &Verdict) -> bool {
    let of_task = |check: &&CheckVerdict| check.task == task;
    verdict.checks.iter().filter(of_task).all(passed)
}

fn passed(check: &CheckVerdict) -> bool {
    check.status == CheckStatus::Passed
}

fn heading(task: u32, titles: &[String], verdict: &Verdict, style: &Style) -> String {
    let of_task = || {
        let checks = verdict.checks.iter();
        checks.filter(|check| check.task == task && check.status != CheckStatus::NotRun)
    };
    let points: u32 = of_task().map(|check| check.points).sum();
    let max_points: u32 = of_task().map(|check| check.max_points).sum();
    let points = format!("{points}/{max_points}");
    let room = style.page().saturating_sub(4 + points.len());
    let title = style.fit(&title(task, titles, style), room);
    style.sides(&format!("  {}", style.bold(&title)), &style.dim(&points))
}

fn line(check: &CheckVerdict, indent: usize, style: &Style) -> String {
    let passed = passed(check);
    let marker = style.marker(if passed {
        Marker::Completed
    } else {
        Marker::NeedHelp
    });
    let points = pad_left(&format!("{}/{}", check.points, check.max_points), 5);
    let name = style.text(&check.name);
    let status = if passed {
        ""
    } else {
        sentence::word(check.status)
    };
    let room = style.page() - indent - width(marker) - 1 - points.len() - 1;
    let gap = room.saturating_sub(width(&name) + status.len());
    // The word goes first where there is no room for both.
    let status = if gap < 2 { "" } else { status };
    let name = style.fit(&name, room - status.len());
    let gap = " ".repeat(room - width(&name) - status.len());
    let painted = if passed { name } else { style.bold(&name) };
    let (status, points) = (style.dim(status), style.dim(&points));
    format!(
        "{}{marker} {painted}{gap}{status} {points}\n",
        " ".repeat(indent)
    )
}

/// `⏳ 4 more: losers are dropped at once · hedged waits first · …`
fn folded(waiting: &[&CheckVerdict], all: bool, style: &Style) -> String {
    let marker = style.marker(Marker::NotStarted);
    let more = if all { "not run" } else { "more" };
    let names: Vec<&str> = waiting.iter().map(|check| check.name.as_str()).collect();
    let names = names.join(style.dot());
    let words = format!("{} {more}: {}", waiting.len(), style.text(&names));
    let words = style.fit(&words, style.page() - 3 - width(marker));
    format!("  {marker} {}\n", style.dim(&words))
}
