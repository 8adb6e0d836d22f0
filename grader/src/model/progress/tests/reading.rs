//! What a person, a merge or a power cut made of `progress.json`.

use super::{at, verdict};
use crate::model::{
    marker::Marker,
    progress::{ParseProblem, Progress, VERSION},
};

fn problem(text: &str) -> ParseProblem {
    Progress::parse(text).expect_err("this is not sound")
}

/// A file that knows of one exercise.
fn knows(slug: &str, checks: &str, minute: u32) -> Progress {
    let mut verdict = verdict(checks);
    slug.clone_into(&mut verdict.exercise);
    let mut progress = Progress::default();
    progress.record(&verdict, "digest", &at(minute));
    progress
}

#[test]
fn a_file_edited_by_hand_is_accepted() {
    let text = "\u{feff}{ \"exercises\" :\r\n{ \"day01_a\": { \"points\": 3, \"marker\": \"Completed\", },\r\n\
        \"day02_b\":{\"marker\":\"in_progress\"} , \"day03_c\": {\"marker\": \"✅\u{fe0f}\"}, \"day04_d\": {},\
        \"day05_e\": {\"marker\": \"need help\", \"passed\": [\"a, }\", \"\\\",]\",]},\r\n},}";
    let progress = Progress::parse(text).unwrap();
    assert_eq!(progress.version, VERSION);
    assert_eq!(progress.marker("day01_a"), Marker::Completed);
    assert_eq!(progress.entry("day01_a").unwrap().points, 3);
    assert_eq!(progress.marker("day02_b"), Marker::InProgress);
    assert_eq!(progress.marker("day03_c"), Marker::Completed);
    assert_eq!(progress.marker("day04_d"), Marker::NotStarted);
    assert_eq!(progress.marker("day05_e"), Marker::NeedHelp);
    assert_eq!(progress.entry("day05_e").unwrap().passed, ["a, }", "\",]"]);
}

#[test]
fn an_object_without_anything_is_a_fresh_start() {
    assert_eq!(Progress::parse("{}").unwrap(), Progress::default());
}

#[test]
fn an_exercise_that_stands_there_twice_gives_the_best_of_both() {
    let text = r#"{"exercises": {
        "day01_a": {"marker": "✅", "points": 2},
        "day01_a": {"marker": "🔄", "points": 4}}}"#;
    let progress = Progress::parse(text).unwrap();
    assert_eq!(progress.marker("day01_a"), Marker::Completed);
    assert_eq!(progress.entry("day01_a").unwrap().points, 4);
}

#[test]
fn empty_is_not_corrupt() {
    for text in ["", " \n\t", "\0\0\0\0", "\u{feff}"] {
        assert_eq!(problem(text), ParseProblem::Empty, "{text:?}");
    }
}

#[test]
fn what_is_not_json_names_its_place_in_characters() {
    let text = "{\n  \"exercises\": {\n    \"day01_a\": {\"marker\": \"✅\" \"points\": 3}\n  }\n}";
    let ParseProblem::Syntax {
        line,
        column,
        message,
    } = problem(text)
    else {
        panic!("{}", problem(text));
    };
    assert_eq!((line, column), (3, 31));
    assert_eq!(message, "expected `,` or `}`");
    assert_eq!(
        problem(text).to_string(),
        "expected `,` or `}` at line 3, column 31"
    );
    assert_eq!(text.lines().nth(2).unwrap().chars().nth(30), Some('"'));
}

#[test]
fn half_a_file_is_not_json() {
    let text = knows("day01_a", "ABC", 0).to_json();
    for end in 1..text.trim_end().len() {
        if text.is_char_boundary(end) {
            let half = problem(&text[..end]);
            assert!(matches!(half, ParseProblem::Syntax { .. }), "{half:?}");
        }
    }
}

#[test]
fn an_unknown_marker_is_of_the_wrong_shape() {
    let text = "{\"exercises\": {\n  \"day01_a\": {\"marker\": \"🎉\"}}}";
    let ParseProblem::Shape { line, message, .. } = problem(text) else {
        panic!("{}", problem(text));
    };
    assert_eq!(line, 2);
    assert_eq!(message, "unknown marker `🎉`, expected one of ✅ 🔄 ⏳ ❌");
}

#[test]
fn other_json_is_of_the_wrong_shape() {
    for text in [
        "[]",
        "7",
        r#"{"version": "one"}"#,
        r#"{"exercises": []}"#,
        r#"{"exercises": {"day01_a": 7}}"#,
        r#"{"exercises": {"day01_a": {"points": -1}}}"#,
    ] {
        let problem = problem(text);
        assert!(
            matches!(problem, ParseProblem::Shape { .. }),
            "{text}: {problem:?}"
        );
    }
}

#[test]
fn a_newer_version_is_told_apart_whatever_its_shape() {
    for (text, version) in [
        (r#"{"version": 2, "exercises": []}"#, "2"),
        (r#"{"version": 4294967296}"#, "4294967296"),
        (r#"{"version": 1.5}"#, "1.5"),
    ] {
        let version = version.to_owned();
        assert_eq!(problem(text), ParseProblem::Newer { version }, "{text}");
    }
}

#[test]
fn bytes_that_are_no_text_name_their_place() {
    let bytes = b"{\n \"\xe2\x9c\x85\xff\"}";
    let problem = Progress::parse_bytes(bytes).unwrap_err();
    assert_eq!(problem, ParseProblem::NotText { line: 2, column: 4 });
}

#[test]
fn the_two_sides_of_a_git_conflict_are_merged() {
    let text = r#"{
  "exercises": {
<<<<<<< HEAD
    "day01_a": {"marker": "✅", "points": 2, "passed": ["x"]},
    "day02_b": {"marker": "🔄", "points": 1}
||||||| 1234567
    "day01_a": {"marker": "🔄", "points": 1}
=======
    "day01_a": {"marker": "🔄", "points": 3, "passed": ["y"]}
>>>>>>> laptop
  },
  "version": 1
}
"#;
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        let ParseProblem::Conflict { line, merged } = problem(&text) else {
            panic!("{}", problem(&text));
        };
        assert_eq!(line, 3);
        let merged = merged.expect("both sides can be read");
        let entry = merged.entry("day01_a").unwrap();
        assert_eq!((entry.marker, entry.points), (Marker::Completed, 3));
        assert_eq!(entry.passed, ["x", "y"]);
        assert_eq!(merged.marker("day02_b"), Marker::InProgress);
    }
}

#[test]
fn a_conflict_that_was_half_edited_is_still_called_one() {
    let text = "{\n<<<<<<< HEAD\n  \"version\": 1\n}\n";
    assert_eq!(
        problem(text),
        ParseProblem::Conflict {
            line: 2,
            merged: None
        }
    );
}

#[test]
fn a_conflict_with_a_newer_version_is_not_ours_to_mend() {
    let text = "{\n<<<<<<< HEAD\n  \"version\": 1\n=======\n  \"version\": 2\n>>>>>>> x\n}\n";
    let version = "2".to_owned();
    assert_eq!(problem(text), ParseProblem::Newer { version });
}
