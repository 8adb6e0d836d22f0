//! `kata progress`: the course at a glance, then a line per day.

use super::{
    style::Style,
    text::{pad_left, pad_right, push_line, width},
};
use crate::model::{
    exercise::{Exercise, level},
    marker::Marker,
    progress::{Entry, Progress, time::short_date},
};

/// Below these widths the minutes and then the number of checks are left out.
const MINUTES_FROM: usize = 72;
const CHECKS_FROM: usize = 56;
/// Columns that a date takes: `21 Nov`.
const DATE: usize = 6;

/// The whole page.
pub fn table(exercises: &[Exercise], progress: &Progress, style: &Style) -> String {
    let parts = [
        head(exercises, progress, style),
        weeks(exercises, progress, style),
        days(exercises, progress, style),
        legend(style),
    ];
    parts.join("\n")
}

/// The slugs of the course, in its order.
pub fn slugs(exercises: &[Exercise]) -> Vec<&str> {
    exercises
        .iter()
        .map(|exercise| exercise.slug.as_str())
        .collect()
}

/// `kata · 9 of 20 days · ████░░ 45 %          next: day10`
fn head(exercises: &[Exercise], progress: &Progress, style: &Style) -> String {
    let dot = style.dot();
    let slugs = slugs(exercises);
    let totals = progress.totals(slugs.iter().copied());
    let (done, total, percent) = (totals.completed, totals.exercises, totals.percent());
    let resume = progress.resume(&slugs);
    let next = exercises
        .iter()
        .find(|exercise| Some(exercise.slug.as_str()) == resume);
    let next = match next {
        Some(next) => format!("next: {}", next.short()),
        None if total == 0 => String::new(),
        None => "all done".to_owned(),
    };
    let fixed = format!("kata{dot}{done} of {total} days{dot} {percent} %");
    let room = style.page().saturating_sub(width(&fixed) + next.len() + 3);
    let bar = style.bar(done, total, room.clamp(6, 27));
    let left = format!(
        "{}{dot}{done} of {total} days{dot}{bar} {percent} %",
        style.bold("kata")
    );
    style.sides(&left, &style.bold(&next))
}

/// `Week 1 Foundation      ✅ ✅ ✅ ✅ ✅      5/5`
fn weeks(exercises: &[Exercise], progress: &Progress, style: &Style) -> String {
    let mut weeks = String::new();
    for week in exercises.chunk_by(|a, b| a.about.week == b.about.week) {
        let number = week[0].about.week;
        let markers: Vec<&str> = week
            .iter()
            .map(|exercise| style.marker(progress.marker(&exercise.slug)))
            .collect();
        let markers = markers.join(" ");
        let totals = progress.totals(slugs(week));
        let count = format!("{}/{}", totals.completed, totals.exercises);
        let full = pad_right(&format!("Week {number} {}", level(number)), 20);
        let fits = |name: &str, gap: &str| {
            width(name) + width(&markers) + width(&count) + 2 * gap.len() <= style.page()
        };
        let (name, gap) = match () {
            () if fits(&full, "   ") => (full, "   "),
            () if fits(&full, " ") => (full, " "),
            () => (format!("Week {number}"), " "),
        };
        let count = style.dim(&count);
        push_line(&mut weeks, &format!("{name}{gap}{markers}{gap}{count}"));
    }
    weeks
}

fn days(exercises: &[Exercise], progress: &Progress, style: &Style) -> String {
    let marker_width = width(style.marker(Marker::Completed));
    let titles = exercises
        .iter()
        .map(|exercise| width(&exercise.about.title));
    let columns = Columns::new(titles.max().unwrap_or(5).max(5), marker_width, style);
    let heading = columns.line(
        &" ".repeat(marker_width),
        "day",
        "topic",
        ["points", "minutes", "checks run"].map(str::to_owned),
        "",
    );
    let mut days = format!("{}\n", style.dim(heading.trim_end()));
    for exercise in exercises {
        let untouched = Entry::default();
        let entry = progress.entry(&exercise.slug).unwrap_or(&untouched);
        let points = if entry.max_points == 0 {
            style.sign("–", "-").to_owned()
        } else {
            format!("{}/{}", entry.points, entry.max_points)
        };
        let checks = match entry.checks_run {
            0 => String::new(),
            run => run.to_string(),
        };
        let day = format!("{:02}", exercise.day);
        let title = style.fit(&style.text(&exercise.about.title), columns.title);
        let numbers = [points, exercise.about.minutes.to_string(), checks];
        let state = state(exercise, entry, columns.state);
        let line = columns.line(style.marker(entry.marker), &day, &title, numbers, &state);
        let line = line.trim_end();
        let line = match entry.marker {
            Marker::NotStarted => style.dim(line),
            Marker::InProgress | Marker::NeedHelp => style.bold(line),
            Marker::Completed => line.to_owned(),
        };
        push_line(&mut days, &line);
    }
    days
}

/// The marker's word, and when it was done or what helps, as far as there is room.
fn state(exercise: &Exercise, entry: &Entry, columns: usize) -> String {
    let word = entry.marker.word();
    let (full, short) = match entry.marker {
        Marker::Completed => {
            let date = entry.completed.as_deref().and_then(short_date);
            let date = date.unwrap_or_default();
            (format!("{word} {date}"), date)
        }
        Marker::NeedHelp => {
            let hint = format!("kata hint {}", exercise.day);
            (format!("{word}: {hint}"), hint)
        }
        Marker::NotStarted | Marker::InProgress => (word.to_owned(), String::new()),
    };
    [full, short]
        .into_iter()
        .find(|state| state.len() <= columns)
        .unwrap_or_default()
}

struct Columns {
    title: usize,
    minutes: bool,
    checks: bool,
    state: usize,
}

impl Columns {
    fn new(longest_title: usize, marker: usize, style: &Style) -> Self {
        let minutes = style.page() >= MINUTES_FROM;
        let checks = style.page() >= CHECKS_FROM;
        // Marker, day and points with their gaps always stand.
        let numbers = 9 * usize::from(minutes) + 12 * usize::from(checks);
        let fixed = 1 + marker + 2 + 3 + 2 + 7 + numbers + 2;
        let left = style.page() - fixed;
        let title = longest_title.min(left.saturating_sub(DATE));
        Self {
            title,
            minutes,
            checks,
            state: left - title,
        }
    }

    fn line(
        &self,
        marker: &str,
        day: &str,
        title: &str,
        [points, minutes, checks]: [String; 3],
        state: &str,
    ) -> String {
        let title = pad_right(title, self.title);
        let mut line = format!(" {marker}  {day:>3}  {title}{}", pad_left(&points, 7));
        if self.minutes {
            line.push_str(&pad_left(&minutes, 9));
        }
        if self.checks {
            line.push_str(&pad_left(&checks, 12));
        }
        format!("{line}  {state}")
    }
}

/// What the markers mean.
pub fn legend(style: &Style) -> String {
    let words: Vec<String> = Marker::ALL
        .into_iter()
        .map(|marker| style.marker_word(marker))
        .collect();
    super::footer::flow(&words, "  ", style)
}
