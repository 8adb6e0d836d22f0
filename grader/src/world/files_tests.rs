//! Tests of what is read of an exercise and what is refused.

use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use super::*;
use crate::world::process;

fn exercise(files: &[(&str, &str)]) -> TempDir {
    let exercise = tempfile::tempdir().unwrap();
    for (relative, text) in files {
        let path = exercise.path().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    exercise
}

fn names(exercise: &TempDir) -> Vec<String> {
    let sources = learner_sources(exercise.path()).unwrap();
    sources.into_iter().map(|source| source.relative).collect()
}

fn refusal(exercise: &TempDir) -> String {
    learner_sources(exercise.path()).unwrap_err().to_string()
}

#[test]
fn rust_files_come_in_the_order_of_their_names_with_slashes() {
    let exercise = exercise(&[
        ("src/lib.rs", "mod a;"),
        ("src/a/b.rs", ""),
        ("src/a.rs", "mod b;"),
        ("README.md", "no"),
        ("tests/own.rs", "no"),
    ]);
    assert_eq!(names(&exercise), ["src/a.rs", "src/a/b.rs", "src/lib.rs"]);
}

#[test]
fn what_editors_leave_beside_a_file_is_passed_over() {
    let exercise = exercise(&[
        ("src/lib.rs", ""),
        ("src/.lib.rs.swp", ""),
        ("src/4913", ""),
        ("src/lib.rs~", ""),
        ("src/#lib.rs#", ""),
        ("src/.git/x.rs", ""),
        ("src/target/x.rs", ""),
    ]);
    symlink("me@host.4242", exercise.path().join("src/.#lib.rs")).unwrap();
    assert_eq!(names(&exercise), ["src/lib.rs"]);
}

#[test]
fn a_missing_lib_is_refused_with_the_way_out() {
    let exercise = exercise(&[("src/main.rs", "")]);
    assert!(refusal(&exercise).starts_with("src/lib.rs is missing: "));
    fs::remove_dir_all(exercise.path().join("src")).unwrap();
    assert_eq!(learner_sources(exercise.path()), Err(Refusal::Missing));
}

#[test]
fn a_link_is_refused_wherever_it_leads() {
    let exercise = exercise(&[("src/lib.rs", ""), ("other.rs", ""), ("mods/x.rs", "")]);
    let link = exercise.path().join("src/linked.rs");
    symlink(exercise.path().join("other.rs"), &link).unwrap();
    assert!(refusal(&exercise).starts_with("src/linked.rs is a symbolic link"));
    // As if it had taken the file's place after the folder was listed.
    let source = read_source("src/linked.rs".into(), &link);
    assert!(matches!(source, Err(Refusal::Link { .. })), "{source:?}");
    fs::remove_file(&link).unwrap();
    symlink(
        exercise.path().join("mods"),
        exercise.path().join("src/mods"),
    )
    .unwrap();
    assert!(refusal(&exercise).starts_with("src/mods is a symbolic link"));
    fs::remove_file(exercise.path().join("src/mods")).unwrap();
    fs::rename(exercise.path().join("src"), exercise.path().join("real")).unwrap();
    symlink(exercise.path().join("real"), exercise.path().join("src")).unwrap();
    assert!(refusal(&exercise).starts_with("src is a symbolic link"));
}

#[test]
fn an_exercise_reached_through_a_link_is_read() {
    let real = exercise(&[("src/lib.rs", "fn f() {}")]);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("day01_linked");
    symlink(real.path(), &link).unwrap();
    assert_eq!(learner_sources(&link).unwrap()[0].bytes, b"fn f() {}");
}

#[test]
fn the_size_limit_is_exact_and_names_the_file() {
    let exercise = exercise(&[("src/lib.rs", "")]);
    let big = exercise.path().join("src/big.rs");
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
    fs::write(&big, " ".repeat(limit)).unwrap();
    assert_eq!(names(&exercise).len(), 2);
    fs::write(&big, " ".repeat(limit + 1)).unwrap();
    assert!(refusal(&exercise).starts_with("src/big.rs is larger than 256 KiB"));
}

#[test]
fn the_limit_of_files_is_exact() {
    let exercise = exercise(&[("src/lib.rs", "")]);
    for number in 1..MAX_FILES {
        fs::write(exercise.path().join(format!("src/m{number:02}.rs")), "").unwrap();
    }
    assert_eq!(names(&exercise).len(), MAX_FILES);
    fs::write(exercise.path().join("src/z.rs"), "").unwrap();
    assert!(refusal(&exercise).contains("src/z.rs is one too many"));
}

#[test]
fn other_encodings_are_refused() {
    let exercise = exercise(&[("src/lib.rs", "")]);
    fs::write(exercise.path().join("src/latin.rs"), b"// caf\xe9").unwrap();
    assert!(refusal(&exercise).starts_with("src/latin.rs is not UTF-8"));
}

#[test]
fn a_pipe_named_like_a_source_is_refused_without_waiting_for_a_writer() {
    let exercise = exercise(&[("src/lib.rs", "")]);
    let pipe = exercise.path().join("src/pipe.rs");
    let made = process::command("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert!(refusal(&exercise).starts_with("src/pipe.rs is not a regular file"));
    let source = read_source("src/pipe.rs".into(), &pipe);
    assert!(matches!(source, Err(Refusal::Special { .. })), "{source:?}");
}

#[test]
fn folders_that_nest_without_end_are_refused() {
    let exercise = exercise(&[("src/lib.rs", ""), ("src/a/b/c/d/e/f/g/x.rs", "")]);
    assert_eq!(names(&exercise).len(), 2);
    fs::create_dir_all(exercise.path().join("src/a/b/c/d/e/f/g/h")).unwrap();
    assert!(refusal(&exercise).contains("nests more than 8 folders deep"));
}
