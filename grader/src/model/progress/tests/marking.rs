//! What the learner changes by hand.

use super::{SLUG, at, verdict};
use crate::model::{
    marker::Marker,
    progress::{Marked, Progress, STUCK_AFTER},
};

#[test]
fn help_can_be_asked_for_before_anything_is_written() {
    let mut progress = Progress::default();
    let marked = progress.mark(SLUG, Marker::NeedHelp, &at(0));
    assert_eq!(marked, Marked::Changed(Marker::NotStarted));
    assert_eq!(progress.marker(SLUG), Marker::NeedHelp);
    assert_eq!(progress.entry(SLUG).unwrap().first, None);
    assert_eq!(progress.mark(SLUG, Marker::NeedHelp, &at(1)), Marked::Same);
}

#[test]
fn taking_back_a_call_for_help_forgets_the_failing_saves() {
    let mut progress = Progress::default();
    for save in 0..STUCK_AFTER {
        progress.record(&verdict("abc"), &save.to_string(), &at(save));
    }
    assert_eq!(progress.marker(SLUG), Marker::NeedHelp);
    progress.mark(SLUG, Marker::InProgress, &at(5));
    progress.record(&verdict("abc"), "another", &at(6));
    assert_eq!(progress.marker(SLUG), Marker::InProgress);
}

#[test]
fn a_completed_exercise_stays_completed() {
    let mut progress = Progress::default();
    progress.record(&verdict("ABC"), "done", &at(0));
    let before = progress.clone();
    for marker in [Marker::NeedHelp, Marker::InProgress, Marker::NotStarted] {
        assert_eq!(progress.mark(SLUG, marker, &at(1)), Marked::StaysCompleted);
    }
    assert_eq!(progress, before);
}

#[test]
fn nobody_is_completed_by_hand() {
    let mut progress = Progress::default();
    let marked = progress.mark(SLUG, Marker::Completed, &at(0));
    assert_eq!(marked, Marked::NotEarned);
    assert_eq!(progress, Progress::default());
}

#[test]
fn hints_count_once() {
    let mut progress = Progress::default();
    assert!(!progress.hint_seen(SLUG, 0));
    assert_eq!(progress, Progress::default());
    assert!(progress.hint_seen(SLUG, 2));
    assert!(!progress.hint_seen(SLUG, 1));
    assert!(!progress.hint_seen(SLUG, 2));
    assert_eq!(progress.entry(SLUG).unwrap().hints, 2);
    assert_eq!(progress.marker(SLUG), Marker::NotStarted);
}
