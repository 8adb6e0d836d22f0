//! Hints, help, the solution, a fresh start, the time line.

use crate::source;
use crate::support::workspace::Test;

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
        .complains("no other version");
    Test::unprepared()
        .args(&["reset", "1"])
        .run()
        .code(0)
        .says("nothing to do");
}

#[test]
fn a_second_reset_does_not_bury_the_learners_version() {
    let test = Test::new()
        .source("// mine\n")
        .args(&["reset", "1", "--yes"]);
    test.run().code(0);
    let test = test.args(&["reset", "1", "--yes"]);
    test.run().code(0).says("is the stub already");
    // Put away by an editor that wrote the stub anew, say.
    let folder = test.path(".kata/backups/day01_basic_async/2999-01-01T00-00-00");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    for name in ["lib.rs", "given.rs"] {
        let text = test.read(&format!("exercises/day01_basic_async/src/{name}"));
        std::fs::write(folder.join("src").join(name), text).unwrap();
    }
    std::fs::write(folder.join("complete"), "").unwrap();
    let test = test.args(&["reset", "1", "--undo"]);
    test.run().code(0);
    assert_eq!(test.read(&source()), "// mine\n");
    test.run().code(2);
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
