//! The machine and the workspace: doctor, init, update, completions.

use std::{fs, process::Command};

use crate::source;
use crate::support::workspace::{DAY, Test};

#[test]
fn doctor_names_the_toolchain_and_what_is_diagnosed() {
    Test::unprepared()
        .args(&["doctor"])
        .run()
        .code(0)
        .says("rustc 1.")
        .says("deadlock");
}

#[test]
fn a_workspace_is_made_from_the_binary_and_updated_without_touching_changes() {
    let folder = tempfile::tempdir().unwrap();
    let kata = |arguments: &[&str], place: &std::path::Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_kata"))
            .args(arguments)
            .current_dir(place)
            .env_remove("KATA_COURSE")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) = kata(&["init", "mine"], folder.path());
    assert_eq!(code, Some(0), "{text}");
    let mine = folder.path().join("mine");
    assert!(mine.join(source()).is_file());
    assert!(!mine.join("solutions").exists() && !mine.join("grader").exists());
    let (code, text) = kata(&["init", "mine"], folder.path());
    assert_eq!(code, Some(2));
    assert!(text.contains("Nothing was touched"), "{text}");
    let (code, text) = kata(&["progress"], &mine);
    assert_eq!(code, Some(0), "{text}");

    // As an older version would have left them: one stub worked on, one text as it was given.
    fs::write(mine.join(source()), "// my work\n").unwrap();
    let readme = format!("exercises/{DAY}/README.md");
    for path in [&readme, &source()] {
        fs::write(mine.join(".kata/given").join(path), "the old text\n").unwrap();
    }
    fs::write(mine.join(&readme), "the old text\n").unwrap();
    let (code, text) = kata(&["update"], &mine);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("kept yours") && text.contains(&source()),
        "{text}"
    );
    assert_eq!(
        fs::read_to_string(mine.join(source())).unwrap(),
        "// my work\n"
    );
    assert!(
        fs::read_to_string(mine.join(&readme))
            .unwrap()
            .starts_with("# Day 1")
    );
    assert_eq!(kata(&["update"], &mine).1, "everything is up to date\n");
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        Test::unprepared()
            .args(&["completions", shell])
            .run()
            .code(0)
            .says("kata");
    }
}
