//! What authors call.

use std::{fs, process::Command};

use crate::support::workspace::{DAY, repository};

#[test]
fn a_new_exercise_is_sound_at_once_and_nothing_is_overwritten() {
    let clone = tempfile::tempdir().unwrap();
    for path in [
        "grader/harness",
        "grader/report",
        "grader/hidden",
        "solutions",
        "exercises",
    ] {
        fs::create_dir_all(clone.path().join(path).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(repository().join(path), clone.path().join(path)).unwrap();
    }
    let kata = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_kata"))
            .args(arguments)
            .current_dir(clone.path())
            .env_remove("KATA_COURSE")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let options = ["--title", "X", "--week", "5", "--minutes", "60"];
    let new = |slug: &'static str| kata(&[&["new", slug], &options[..]].concat());
    assert_eq!(new("Day21").0, Some(2));
    let (code, text) = new(DAY);
    assert_eq!(code, Some(2));
    assert!(text.contains("Nothing was written"), "{text}");
}
