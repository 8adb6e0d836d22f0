//! The command line, through the real toolchain.

mod support;

use std::{
    fs,
    process::{Command, Stdio},
};

use support::workspace::{DAY, Test, repository, solution};

fn source() -> String {
    format!("exercises/{DAY}/src/lib.rs")
}

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
fn hints_come_one_by_one_and_are_remembered() {
    let test = Test::unprepared().args(&["hint", "1"]);
    let first = test.run().code(0).says("hint 1 of").stdout;
    let second = test.run().code(0).says("hint 2 of").stdout;
    assert_ne!(first, second);
    assert!(
        test.read("progress.json").contains("\"hints\":2")
            || test.read("progress.json").contains("\"hints\": 2")
    );
    // After the last one it is shown again; the next task's are not given away.
    for _ in 0..20 {
        test.run().code(0);
    }
    test.run()
        .code(0)
        .says("That was the last hint for this task.");
}

#[test]
fn reset_puts_the_learners_version_away_and_undo_brings_it_back() {
    let mine = "// hours of work\n";
    let test = Test::unprepared().source(mine).args(&["reset", "1"]);
    test.run().code(2).complains("Nothing was changed");
    assert_eq!(test.read(&source()), mine);
    let test = test.args(&["reset", "1", "--yes"]);
    let said = test.run().code(0).says("--undo").stdout;
    assert!(test.read(&source()).contains("todo!"));
    let folder = said
        .split("lies in ")
        .nth(1)
        .unwrap()
        .split(".\n")
        .next()
        .unwrap();
    assert_eq!(test.read(&format!("{folder}/src/lib.rs")), mine);
    test.write(&source(), "// another try\n");
    let test = test.args(&["reset", "1", "--undo"]);
    test.run().code(0);
    assert_eq!(test.read(&source()), mine);
    test.run().code(0);
    assert_eq!(
        test.read(&source()),
        "// another try\n",
        "an undo can be undone"
    );
    Test::unprepared()
        .args(&["reset", "1", "--undo"])
        .run()
        .code(2)
        .complains("never reset");
    Test::unprepared()
        .args(&["reset", "1"])
        .run()
        .code(0)
        .says("nothing to do");
}

#[test]
fn the_solution_is_shown_after_success_or_on_giving_up() {
    let test = Test::unprepared().args(&["solution", "1"]);
    test.run().code(2).complains("--give-up");
    let test = test.args(&["solution", "1", "--give-up"]);
    test.run().code(0).says("pub async fn");
    assert!(test.read("progress.json").contains("\"❌\""));
}

#[test]
fn help_is_asked_for_and_taken_back() {
    let test = Test::unprepared().args(&["mark", "1"]);
    test.run().code(0).says("❌ Need Help");
    test.args(&["mark", "1", "in-progress"])
        .run()
        .code(0)
        .says("🔄 In Progress");
    Test::unprepared()
        .args(&["mark", "1", "completed"])
        .run()
        .code(2)
        .complains("only a verdict");
}

#[test]
fn progress_shows_the_weeks_and_merges_another_machines() {
    let test = Test::unprepared().args(&["progress"]);
    test.run()
        .code(0)
        .says("Week 1 Foundation")
        .says("⏳ Not Started")
        .says("next: day01");
    let other = Test::new().solve().args(&["check", "1"]);
    other.run().code(0);
    let file = other.path("progress.json");
    let test = test.args(&["progress", "--merge", &file.to_string_lossy()]);
    test.run().code(0).says("✅");
    let json = test.args(&["progress", "--json"]).run().code(0).json();
    assert_eq!(json["completed"], 1);
}

#[test]
fn a_broken_progress_file_is_set_aside_and_a_newer_one_refused() {
    let test = Test::unprepared().args(&["progress"]);
    test.write("progress.json", "{ this is no JSON");
    test.run().code(0).complains("progress.json cannot be read");
    let kept = fs::read_dir(test.folder()).unwrap().flatten().any(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("progress.json.broken-")
    });
    assert!(kept);
    let newer = "{\"version\": 99, \"exercises\": {}}";
    test.write("progress.json", newer);
    test.run().code(2).complains("99");
    assert_eq!(test.read("progress.json"), newer);
}

#[test]
fn a_time_line_is_drawn_in_ascii_where_nothing_else_is_shown() {
    let test = Test::new().solve().args(&["timeline", "1"]);
    test.run().code(0).says("ms");
    let plain = test
        .args(&["progress"])
        .env("LANG", "C")
        .env("LC_ALL", "C")
        .run()
        .code(0);
    assert!(plain.stdout.is_ascii(), "{}", plain.stdout);
}

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

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let test = Test::unprepared().args(&["list"]);
    let mut child = test.command().stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

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
