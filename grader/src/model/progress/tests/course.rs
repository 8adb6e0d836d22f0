//! Sums, and where to go on.

use super::{at, verdict};
use crate::model::{
    marker::Marker,
    progress::{Progress, Totals},
};

const COURSE: [&str; 4] = ["day01_a", "day02_b", "day03_c", "day04_d"];

fn after(events: &[(&str, &str)]) -> Progress {
    let mut progress = Progress::default();
    for (minute, (slug, checks)) in (0..).zip(events) {
        let mut verdict = verdict(checks);
        (*slug).clone_into(&mut verdict.exercise);
        progress.record(&verdict, &minute.to_string(), &at(minute));
    }
    progress
}

#[test]
fn totals_sum_up_the_course_and_nothing_else() {
    let mut progress = after(&[
        ("day01_a", "ABC"),
        ("day02_b", "Abc"),
        ("day99_gone", "ABC"),
    ]);
    progress.mark("day03_c", Marker::NeedHelp, &at(9));
    progress.hint_seen("day03_c", 2);
    let totals = progress.totals(COURSE);
    let expected = Totals {
        exercises: 4,
        completed: 1,
        in_progress: 1,
        not_started: 1,
        need_help: 1,
        points: 8,
        max_points: 12,
        checks_run: 6,
        saves: 2,
        hints: 2,
    };
    assert_eq!(totals, expected);
    assert_eq!(totals.percent(), 25);
    assert_eq!(progress.completed(), 2);
    assert_eq!(Progress::default().totals([]).percent(), 0);
}

#[test]
fn the_next_is_the_next_that_is_not_completed() {
    let progress = after(&[("day02_b", "ABC")]);
    assert_eq!(progress.next_after("day01_a", &COURSE), Some("day03_c"));
    assert_eq!(progress.next_after("day04_d", &COURSE), Some("day01_a"));
    assert_eq!(progress.next_after("day99_gone", &COURSE), Some("day01_a"));
}

#[test]
fn after_the_only_open_exercise_comes_none() {
    let progress = after(&[("day01_a", "ABC"), ("day02_b", "ABC"), ("day04_d", "ABC")]);
    assert_eq!(progress.next_after("day03_c", &COURSE), None);
    assert_eq!(progress.next_after("day04_d", &COURSE), Some("day03_c"));
}

#[test]
fn one_goes_on_where_one_left_off() {
    assert_eq!(Progress::default().resume(&COURSE), Some("day01_a"));
    let progress = after(&[("day01_a", "Abc"), ("day03_c", "Abc"), ("day02_b", "Abc")]);
    assert_eq!(progress.resume(&COURSE), Some("day02_b"));
    let progress = after(&[("day01_a", "Abc"), ("day03_c", "ABC")]);
    assert_eq!(progress.resume(&COURSE), Some("day04_d"));
}

#[test]
fn with_all_completed_there_is_nowhere_to_go_on() {
    let progress = after(&COURSE.map(|slug| (slug, "ABC")));
    assert_eq!(progress.resume(&COURSE), None);
}
