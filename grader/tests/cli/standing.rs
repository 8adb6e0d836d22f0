//! Where the learner stands: progress and its file.

use std::fs;

use crate::support::workspace::Test;

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
