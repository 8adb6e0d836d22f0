//! Tests of when to look and what to make of it, on a clock of their own.

use std::fs;

use super::*;

const LIB: &str = "src/lib.rs";

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What is seen when `src/lib.rs` holds `text`; `None`: when it is missing.
fn seen(text: Option<&str>) -> Look {
    let exercise = tempfile::tempdir().unwrap();
    fs::create_dir(exercise.path().join("src")).unwrap();
    if let Some(text) = text {
        fs::write(exercise.path().join(LIB), text).unwrap();
    }
    Look::at(exercise.path())
}

fn circumstances(now: Instant) -> Circumstances {
    Circumstances {
        now,
        polling: false,
        git: false,
    }
}

fn touched(start: Instant, touches: &[(u64, &str, Touch)]) -> Pending {
    let mut pending = Pending::new(start, start);
    for (at, path, touch) in touches {
        pending.touch(Path::new(path), *touch, start + ms(*at));
    }
    pending
}

#[test]
fn a_closed_file_is_looked_at_at_once_and_an_open_one_later() {
    let start = Instant::now();
    let closed = touched(
        start,
        &[(0, LIB, Touch::Writing), (1, LIB, Touch::Finished)],
    );
    assert_eq!(closed.due(), start + ms(1) + FINISHED);
    let open = touched(start, &[(0, LIB, Touch::Writing)]);
    assert_eq!(open.due(), start + WRITING);
}

#[test]
fn a_file_still_being_written_holds_back_one_that_is_closed() {
    let start = Instant::now();
    let pending = touched(
        start,
        &[
            (0, "src/a.rs", Touch::Writing),
            (1, LIB, Touch::Writing),
            (2, LIB, Touch::Finished),
        ],
    );
    assert_eq!(pending.due(), start + WRITING);
}

#[test]
fn a_file_that_was_being_written_and_is_gone_holds_back_nothing() {
    let start = Instant::now();
    let pending = touched(
        start,
        &[
            (0, "src/a.rs", Touch::Writing),
            (3, "src/a.rs", Touch::Gone),
        ],
    );
    assert_eq!(pending.due(), start + ms(3) + FINISHED);
}

#[test]
fn a_file_that_never_comes_to_rest_is_looked_at_every_second() {
    let start = Instant::now();
    let writes: Vec<_> = (0..200).map(|n| (n * 10, LIB, Touch::Writing)).collect();
    let first_second = touched(start, &writes[..100]);
    assert_eq!(first_second.due(), start + RESTLESS);
    let overdue = touched(start, &writes);
    assert_eq!(overdue.due(), start + ms(1990));
}

#[test]
fn a_change_is_reported_with_the_time_of_its_first_sign() {
    let start = Instant::now();
    let mut pending = touched(
        start,
        &[(0, LIB, Touch::Writing), (9, LIB, Touch::Finished)],
    );
    let (before, after) = (seen(Some("a")), seen(Some("b")));
    let decision = pending.judge(&after, &before, &circumstances(pending.due()));
    assert_eq!(decision, Decision::Report(start));
}

#[test]
fn the_same_content_is_nothing() {
    let start = Instant::now();
    let mut pending = touched(start, &[(0, LIB, Touch::Finished)]);
    let decision = pending.judge(&seen(Some("a")), &seen(Some("a")), &circumstances(start));
    assert_eq!(decision, Decision::Nothing);
}

#[test]
fn a_missing_or_empty_file_is_waited_for_and_then_believed() {
    for transient in [None, Some("")] {
        let start = Instant::now();
        let mut pending = touched(start, &[(0, LIB, Touch::Gone)]);
        let (before, after) = (seen(Some("a")), seen(transient));
        let mut now = pending.due();
        while pending.judge(&after, &before, &circumstances(now)) == Decision::Wait {
            assert!(pending.due() > now);
            now = pending.due();
        }
        assert_eq!(now, start + REPLACING);
    }
}

#[test]
fn a_file_that_was_empty_before_may_be_empty() {
    let start = Instant::now();
    let mut pending = touched(start, &[(0, LIB, Touch::Finished)]);
    let decision = pending.judge(&seen(Some("")), &seen(None), &circumstances(start));
    assert_eq!(decision, Decision::Report(start));
}

#[test]
fn without_notifications_two_looks_must_agree() {
    let start = Instant::now();
    let polling = |now| Circumstances {
        polling: true,
        ..circumstances(now)
    };
    let mut pending = Pending::new(start, start);
    let before = seen(Some("a"));
    let mut judge = |text, at| pending.judge(&seen(Some(text)), &before, &polling(start + at));
    assert_eq!(judge("b, half", ms(0)), Decision::Wait);
    assert_eq!(judge("b, and the rest", ms(20)), Decision::Wait);
    assert_eq!(judge("b, and the rest", ms(40)), Decision::Report(start));
}

#[test]
fn git_is_waited_for_but_not_for_ever() {
    let start = Instant::now();
    let git = |now| Circumstances {
        git: true,
        ..circumstances(now)
    };
    let mut pending = touched(start, &[(0, LIB, Touch::Finished)]);
    let (before, after) = (seen(Some("a")), seen(Some("b")));
    assert_eq!(
        pending.judge(&after, &before, &git(start + ms(2))),
        Decision::Wait
    );
    assert_eq!(
        pending.judge(&after, &before, &git(start + GIT)),
        Decision::Report(start)
    );
}

#[test]
fn a_notification_makes_up_for_being_late() {
    let start = Instant::now();
    let mut pending = Pending::new(start, start + ms(500));
    pending.unannounced = true;
    pending.touch(Path::new(LIB), Touch::Finished, start + ms(10));
    assert!(!pending.unannounced);
    assert_eq!(pending.due(), start + ms(10) + FINISHED);
}
