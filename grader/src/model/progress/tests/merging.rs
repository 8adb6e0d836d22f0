//! Two files made one.

use super::{SLUG, at, verdict};
use crate::model::{marker::Marker, progress::Progress};

fn after(saves: &[(&str, u32)]) -> Progress {
    let mut progress = Progress::default();
    for (checks, minute) in saves {
        progress.record(&verdict(checks), &format!("{checks}{minute}"), &at(*minute));
    }
    progress
}

fn merged(one: &Progress, other: &Progress) -> Progress {
    let merged = one.clone().merge(other.clone());
    assert_eq!(merged, other.clone().merge(one.clone()), "either way round");
    assert_eq!(merged, merged.clone().merge(one.clone()), "once is enough");
    merged
}

#[test]
fn the_best_of_both_is_kept() {
    let one = after(&[("ABC", 5), ("abc", 6)]);
    let other = after(&[("abc", 1), ("Abc", 9), ("ABc", 20)]);
    let merged = merged(&one, &other);
    let entry = merged.entry(SLUG).unwrap();
    assert_eq!(entry.marker, Marker::Completed);
    assert_eq!((entry.points, entry.max_points), (6, 6));
    assert_eq!(entry.passed, ["a", "b", "c"]);
    assert_eq!(entry.first, Some(at(1)));
    assert_eq!(entry.completed, Some(at(5)));
    assert_eq!(entry.last, Some(at(20)));
    assert_eq!((entry.saves, entry.checks_run), (3, 9));
    assert_eq!(entry.source, other.entry(SLUG).unwrap().source);
}

#[test]
fn the_earlier_completion_counts() {
    let merged = merged(&after(&[("ABC", 9)]), &after(&[("ABC", 5)]));
    assert_eq!(merged.entry(SLUG).unwrap().completed, Some(at(5)));
}

#[test]
fn started_wins_over_not_started_however_new() {
    let mut hinted = Progress::default();
    hinted.hint_seen(SLUG, 3);
    hinted.exercises.get_mut(SLUG).unwrap().last = Some(at(50));
    let merged = merged(&after(&[("Abc", 0)]), &hinted);
    let entry = merged.entry(SLUG).unwrap();
    assert_eq!((entry.marker, entry.hints), (Marker::InProgress, 3));
}

#[test]
fn of_help_and_progress_the_newer_counts() {
    let mut stuck = after(&[("abc", 0)]);
    stuck.mark(SLUG, Marker::NeedHelp, &at(1));
    let later = merged(&stuck, &after(&[("abc", 2)]));
    assert_eq!(later.marker(SLUG), Marker::InProgress);
    stuck.mark(SLUG, Marker::InProgress, &at(2));
    stuck.mark(SLUG, Marker::NeedHelp, &at(3));
    let later = merged(&stuck, &after(&[("abc", 2)]));
    assert_eq!(later.marker(SLUG), Marker::NeedHelp);
}

#[test]
fn exercises_and_unknown_fields_of_both_are_kept() {
    let one = Progress::parse(r#"{"a": 1, "exercises": {"day01_a": {"x": 1}}}"#).unwrap();
    let other = Progress::parse(
        r#"{"b": 2, "exercises": {"day01_a": {"y": 2}, "day02_b": {"marker": "✅"}}}"#,
    )
    .unwrap();
    let merged = merged(&one, &other);
    assert_eq!(
        (&merged.other["a"], &merged.other["b"]),
        (&1.into(), &2.into())
    );
    let entry = merged.entry("day01_a").unwrap();
    assert_eq!(
        (&entry.other["x"], &entry.other["y"]),
        (&1.into(), &2.into())
    );
    assert_eq!(merged.marker("day02_b"), Marker::Completed);
}
