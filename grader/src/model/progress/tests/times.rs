//! Dates and times as they are shown.

use std::cmp::Ordering;

use crate::model::progress::time::{
    compare, earlier, minutes_between, short_date, short_time, time_of_day,
};

#[test]
fn a_date_is_short_and_of_the_learners_day() {
    // In UTC it is the 2nd.
    let time = "2026-11-03T00:30:00+01:00";
    assert_eq!(short_date(time).as_deref(), Some("3 Nov"));
    assert_eq!(time_of_day(time).as_deref(), Some("00:30"));
    assert_eq!(
        short_date("2026-11-13T00:30:00Z").as_deref(),
        Some("13 Nov")
    );
}

#[test]
fn what_is_no_time_has_no_date() {
    for text in ["", "yesterday", "2026-11-03", "2026-13-03T00:00:00Z"] {
        assert_eq!(short_date(text), None, "{text}");
    }
}

#[test]
fn a_time_of_another_day_has_its_date() {
    let time = "2026-11-03T14:01:59+01:00";
    let short = |now| short_time(time, now).unwrap();
    assert_eq!(short("2026-11-03T23:00:00+01:00"), "14:01");
    assert_eq!(short("2026-11-04T00:00:00+01:00"), "3 Nov, 14:01");
}

#[test]
fn minutes_are_real_ones_across_a_change_of_offset() {
    let minutes = minutes_between("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:59+01:00");
    assert_eq!(minutes, 60);
}

#[test]
fn a_clock_set_back_gives_no_minutes() {
    assert_eq!(
        minutes_between("2026-11-03T14:00:00Z", "2026-11-03T13:00:00Z"),
        0
    );
    assert_eq!(minutes_between("soon", "2026-11-03T13:00:00Z"), 0);
}

#[test]
fn instants_are_compared_and_not_their_texts() {
    let (one, other) = ("2026-11-03T15:00:00+05:00", "2026-11-03T14:00:00+01:00");
    assert_eq!(compare(one, other), Ordering::Less);
    assert_eq!(
        earlier(Some(other.into()), Some(one.into())).as_deref(),
        Some(one)
    );
    assert_eq!(
        earlier(Some("A note".into()), Some(one.into())).as_deref(),
        Some(one)
    );
    assert_eq!(earlier(None, Some(one.into())).as_deref(), Some(one));
}
