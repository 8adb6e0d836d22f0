//! The text of `progress.json`.

use super::{SLUG, at, verdict};
use crate::model::progress::Progress;

fn two_days() -> Progress {
    let mut progress = Progress::default();
    progress.record(&verdict("ABC"), "d1", &at(38));
    let mut second = verdict("aBc");
    second.exercise = "day08_queues_locks".into();
    progress.record(&second, "d2", &at(50));
    progress
}

#[test]
fn a_fresh_start_is_three_lines() {
    let text = Progress::default().to_json();
    assert_eq!(text, "{\n  \"exercises\": {},\n  \"version\": 1\n}\n");
}

#[test]
fn every_exercise_has_one_line_with_sorted_keys() {
    let expected = r#"{
  "exercises": {
    "day07_concurrent_execution": {"checks_run": 3, "completed": "2026-11-03T14:38:00+01:00", "first": "2026-11-03T14:38:00+01:00", "hints": 0, "last": "2026-11-03T14:38:00+01:00", "marker": "✅", "max_points": 6, "passed": ["a", "b", "c"], "points": 6, "saves": 1, "source": "d1", "status": "passed"},
    "day08_queues_locks": {"checks_run": 3, "first": "2026-11-03T14:50:00+01:00", "hints": 0, "last": "2026-11-03T14:50:00+01:00", "marker": "🔄", "max_points": 6, "passed": ["b"], "points": 2, "saves": 1, "source": "d2", "status": "failed"}
  },
  "version": 1
}
"#;
    assert_eq!(two_days().to_json(), expected);
}

#[test]
fn what_was_written_is_read_back() {
    let mut progress = two_days();
    for save in 0..3 {
        progress.record(&verdict("aBc"), &format!("x{save}"), &at(save));
    }
    let text = progress.to_json();
    assert_eq!(Progress::parse(&text).unwrap(), progress);
    assert_eq!(Progress::parse(&text).unwrap().to_json(), text);
}

#[test]
fn unknown_fields_survive_sorted_at_every_depth() {
    let text = r#"{"zoo": {"b": [1, {"y": "\"", "x": null}], "a": 0.5}, "version": 1,
        "exercises": {"day07_concurrent_execution": {"note": "mine", "alarm": {"t": 2, "s": 1}}}, "club": "x"}"#;
    let mut progress = Progress::parse(text).unwrap();
    progress.record(&verdict("Abc"), "d", &at(0));
    let written = progress.to_json();
    assert!(
        written.contains(r#""zoo": {"a": 0.5, "b": [1, {"x": null, "y": "\""}]}"#),
        "{written}"
    );
    assert!(
        written.starts_with("{\n  \"club\": \"x\",\n  \"exercises\""),
        "{written}"
    );
    assert!(
        written.contains(
            r#"    "day07_concurrent_execution": {"alarm": {"s": 1, "t": 2}, "checks_run": 3,"#
        ),
        "{written}"
    );
    let again = Progress::parse(&written).unwrap();
    assert_eq!(again, progress);
    assert_eq!(again.entry(SLUG).unwrap().other["note"], "mine");
}
