//! Grading once: verdicts, replays, what is known already.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::support::workspace::{DAY, Test, repository, solution};

#[test]
fn a_solved_day_is_completed_and_stays_so() {
    let test = Test::new().solve().args(&["check", "1"]);
    test.run().code(0).says("✅ day01 Basic Async");
    assert!(test.read("progress.json").contains("\"✅\""));
    let test = test.source("fn (").args(&["check", "1"]);
    test.run().code(1).says("does not compile: 1 error");
    assert!(test.read("progress.json").contains("\"✅\""));
}

#[test]
fn an_untouched_stub_fails_every_check_and_is_not_started() {
    let run = Test::new().args(&["check", "1", "--json"]).run().code(1);
    let result = &run.json()["results"][0];
    assert_eq!(result["status"], "not_started");
    assert_eq!(result["marker"], "⏳");
    assert_eq!(result["points"], 0);
    for check in result["checks"].as_array().unwrap() {
        assert_eq!(check["status"], "failed", "{check}");
        assert!(
            check["got"]
                .as_str()
                .unwrap()
                .contains("not yet implemented"),
            "{check}"
        );
    }
}

#[test]
fn json_has_the_promised_shape() {
    let wrong = repository()
        .join("grader/hidden")
        .join(DAY)
        .join("wrong/all_in_sequence.rs");
    let test = Test::new().source(&fs::read_to_string(wrong).unwrap());
    let run = test.args(&["check", "day01", "--json"]).run().code(1);
    let json = run.json();
    assert_eq!(json["version"], 1);
    let result = &json["results"][0];
    assert_eq!(result["exercise"], DAY);
    assert_eq!(
        (&result["status"], &result["marker"]),
        (&"failed".into(), &"🔄".into())
    );
    let failed = result["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["status"] == "failed")
        .expect("a failed check");
    for key in [
        "name",
        "points",
        "max_points",
        "seed",
        "virtual_ms",
        "expected",
        "got",
        "why",
        "pitfall",
    ] {
        assert!(!failed[key].is_null(), "no {key} in {failed}");
    }
    assert_eq!(failed["pitfall"], "sequential-awaits");
}

#[test]
fn a_failure_is_replayed_by_check_and_seed() {
    let wrong = repository()
        .join("grader/hidden")
        .join(DAY)
        .join("wrong/all_in_sequence.rs");
    let test = Test::new().source(&fs::read_to_string(wrong).unwrap());
    let page = test.args(&["check", "1"]);
    let run = page.run().code(1);
    let replay = run
        .stdout
        .lines()
        .find(|line| line.contains("kata check 1"))
        .expect("a replay line");
    let part = replay.split('"').nth(1).expect("a quoted part").to_owned();
    let seed = replay.rsplit(' ').next().expect("a seed").to_owned();
    let before = page.read("progress.json");
    let again = page.args(&["check", "1", "--check", &part, "--seed", &seed, "--json"]);
    let json = again.run().code(1).json();
    let ran: Vec<_> = json["results"][0]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] != "not_run")
        .cloned()
        .collect();
    assert!(
        !ran.is_empty()
            && ran
                .iter()
                .all(|check| check["name"].as_str().unwrap().contains(&part))
    );
    assert_eq!(
        again.read("progress.json"),
        before,
        "half a suite is not recorded"
    );
}

#[test]
fn a_changed_contract_is_told_without_the_hidden_test() {
    let changed = solution().replacen("pub async fn serve(", "async fn serve(", 1);
    let run = Test::new()
        .source(&changed)
        .args(&["check", "1"])
        .run()
        .code(1);
    assert!(run.stdout.contains("contract"), "{}", run.stdout);
    assert!(!run.stdout.contains("tests.rs"), "{}", run.stdout);
}

#[test]
fn nothing_changed_is_answered_from_what_is_known() {
    let test = Test::new().solve().args(&["check", "1"]);
    test.run().code(0);
    fs::remove_dir_all(test.path("target/kata/build")).unwrap();
    test.run().code(0).says("31 of 31 points");
    assert!(
        !test.path("target/kata/build").exists(),
        "it was built again"
    );
    test.args(&["check", "1", "--fresh"]).run().code(0);
}

#[test]
fn an_unknown_name_is_the_calls_fault_and_gets_a_suggestion() {
    Test::unprepared()
        .args(&["check", "basik"])
        .run()
        .code(2)
        .complains("did you mean");
    Test::unprepared()
        .args(&["check", "99"])
        .run()
        .code(2)
        .complains("there is no exercise");
    Test::unprepared()
        .args(&["chekc"])
        .run()
        .code(2)
        .complains("check");
}

#[test]
fn outside_of_a_course_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kata"))
        .arg("progress")
        .current_dir(folder.path())
        .env_remove("KATA_COURSE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("kata init"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let test = Test::unprepared().args(&["list"]);
    let mut child = test.command().stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// Such an error comes when code is generated, after the library's metadata is out and the hidden
/// test's compiler is at work.
#[test]
fn an_error_found_while_code_is_generated_is_the_librarys() {
    let late = "pub struct Late<const N: usize>;\n\
        impl<const N: usize> Late<N> {\n    const FEW: () = assert!(N < 2, \"too many\");\n}\n\
        pub fn late() {\n    let () = Late::<3>::FEW;\n}\n";
    let run = Test::new()
        .source(&format!("{}{late}", solution()))
        .args(&["check", "1"])
        .run()
        .code(1);
    run.says("does not compile: 1 error").says("too many");
}
