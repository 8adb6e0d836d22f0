//! `kata list`: every exercise in one line.

use super::{
    style::Style,
    text::{pad_left, pad_right, width},
};
use crate::model::{exercise::Exercise, marker::Marker, progress::Progress};

/// Marker and word, day, title, points, minutes.
pub fn page(exercises: &[Exercise], progress: &Progress, style: &Style) -> String {
    let titles = exercises
        .iter()
        .map(|exercise| width(&exercise.about.title));
    let longest = titles.max().unwrap_or(0);
    let mut list = String::new();
    for exercise in exercises {
        let marker = progress.marker(&exercise.slug);
        let state = pad_right(&style.marker_word(marker), 16);
        let entry = progress.entry(&exercise.slug);
        let points = entry
            .filter(|entry| entry.max_points > 0)
            .map_or(style.sign("–", "-").to_owned(), |entry| {
                format!("{}/{}", entry.points, entry.max_points)
            });
        let points = pad_left(&points, 6);
        let minutes = pad_left(&format!("{} min", exercise.about.minutes), 8);
        let fixed = width(&state) + 8;
        // The minutes go first, then the points, so that a title keeps its words.
        let room = style.page().saturating_sub(fixed);
        let tail = [format!("{points} {minutes}"), points, String::new()]
            .into_iter()
            .find(|tail| width(tail) + longest.min(20) < room)
            .unwrap_or_default();
        let columns = longest.min(room.saturating_sub(width(&tail) + 1));
        let title = style.fit(&style.text(&exercise.about.title), columns);
        let title = pad_right(&title, columns);
        let day = exercise.short();
        let line = format!("{state} {day}  {title} {tail}");
        let line = line.trim_end();
        list.push_str(&match marker {
            Marker::NotStarted => style.dim(line),
            Marker::InProgress | Marker::NeedHelp => style.bold(line),
            Marker::Completed => line.to_owned(),
        });
        list.push('\n');
    }
    list
}
