//! `kata watch` as a learner sees it, through a real pseudo-terminal.

mod support;

use std::{
    fs,
    io::{Read, Write},
    process::Stdio,
    sync::mpsc,
    thread,
};

use support::{
    pty::Pty,
    workspace::{DAY, Test, repository, solution},
};

/// `kata watch` in a workspace, in a terminal of 40 by 80.
fn watch(test: &Test, arguments: &[&str]) -> Pty {
    Pty::new(env!("CARGO_BIN_EXE_kata"))
        .arg("watch")
        .args(arguments)
        .current_dir(test.folder())
        .env("KATA_COURSE", repository())
        .env("LANG", "C.UTF-8")
        .env_remove("KATA_EDITOR")
        .env_remove("NO_COLOR")
        .size(40, 80)
        .spawn()
}

fn file() -> String {
    format!("exercises/{DAY}/src/lib.rs")
}

#[test]
fn a_day_is_opened_solved_and_left_at_a_key() {
    let test = Test::new();
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("Not Started");
    pty.wait_for("compiled");
    test.write(&file(), &solution());
    pty.wait_for("✅ day01 Basic Async");
    pty.wait_for("next: day02");
    assert!(test.read("progress.json").contains("\"✅\""));
    // It stops on green: the next day comes at the key.
    pty.keys("n");
    pty.wait_for("day02 Coroutines");
    pty.keys("q");
    assert_eq!(pty.wait(), 0);
    pty.assert_scrollback_was_kept();
}

#[test]
fn a_mistake_is_shown_with_its_place_and_a_type_error_as_rustc_renders_it() {
    let test = Test::new();
    let wrong = repository()
        .join("grader/hidden")
        .join(DAY)
        .join("wrong/thread_sleep.rs");
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("compiled");
    test.write(&file(), &fs::read_to_string(wrong).unwrap());
    pty.wait_for("where");
    pty.wait_for("replay");
    assert!(
        pty.history().contains("🔄 In Progress"),
        "{}",
        pty.history()
    );
    assert!(
        pty.history().contains("blocking-the-runtime"),
        "{}",
        pty.history()
    );

    test.write(
        &file(),
        &(solution() + "\npub fn broken() -> u8 { \"text\" }\n"),
    );
    pty.wait_for("mismatched types");
    pty.wait_for("compiled");
    let screen = pty.screen();
    assert!(
        screen.contains("day01 does not compile: 1 error"),
        "{screen}"
    );
    assert!(
        !screen.contains("replay"),
        "the last verdict is not shown as if it were current"
    );
    pty.keys("q");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn a_save_during_a_run_is_neither_lost_nor_run_twice() {
    let test = Test::new();
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("compiled");
    // Each save interrupts the run of the one before.
    for number in 0..5 {
        test.write(&file(), &format!("{}\n// {number}\n", solution()));
        pty.wait_for("detected");
    }
    test.write(&file(), &(solution() + "\npub const LAST: u8 = \"\";\n"));
    pty.wait_for("mismatched types");
    pty.keys("q");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn keys_are_live_during_an_endless_run() {
    let test = Test::new();
    let endless = solution().replacen(
        "{\n",
        "{\n    if std::hint::black_box(true) { loop { std::hint::spin_loop(); } }\n",
        1,
    );
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("compiled");
    test.write(&file(), &endless);
    pty.wait_for("testing");
    pty.keys("l");
    pty.wait_for("Week 1 Foundation");
    pty.keys("q");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn help_hints_and_reset_are_a_key_away_and_nothing_is_lost() {
    let test = Test::new().source("this is my work, and it does not compile");
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("does not compile");
    pty.keys("h");
    pty.wait_for("hint 1 of");
    pty.keys("s");
    pty.wait_for("hint 2 of");
    assert!(test.read("progress.json").contains("\"❌\""));
    pty.keys("x");
    pty.wait_for("y yes");
    pty.keys("n");
    pty.wait_for("does not compile");
    assert!(test.read(&file()).contains("my work"));
    pty.keys("x");
    pty.wait_for("y yes");
    pty.keys("y");
    pty.wait_for("--undo");
    assert!(!test.read(&file()).contains("my work"));
    pty.keys("q");
    assert_eq!(pty.wait(), 0);
    test.args(&["reset", "1", "--undo"]).run().code(0);
}

#[test]
fn the_time_line_the_pitfall_and_the_list_come_and_go() {
    let test = Test::new();
    let wrong = repository()
        .join("grader/hidden")
        .join(DAY)
        .join("wrong/all_in_sequence.rs");
    test.write(&file(), &fs::read_to_string(wrong).unwrap());
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("replay");
    pty.keys("t");
    pty.wait_for("ms");
    pty.keys("p");
    pty.wait_gone("replay");
    pty.keys(" ");
    pty.wait_for("replay");
    pty.keys("c");
    pty.wait_for("day02 Coroutines");
    pty.keys("q");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn a_narrower_terminal_gets_a_narrower_page() {
    let test = Test::new();
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("compiled");
    pty.resize(30, 60);
    pty.wait_until("a page of 60 columns", |screen| {
        let text = screen.contents();
        text.contains("compiled") && text.lines().all(|line| line.chars().count() <= 60)
    });
    pty.keys("q");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn ctrl_c_and_sigterm_leave_the_terminal_as_it_was() {
    let test = Test::new();
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("compiled");
    pty.keys("\x03");
    assert_eq!(pty.wait(), 0);
    let mut pty = watch(&test, &["1"]);
    pty.wait_for("compiled");
    pty.signal("TERM");
    pty.wait();
    pty.assert_scrollback_was_kept();
}

#[test]
fn plain_output_moves_no_cursor() {
    let test = Test::new();
    let mut pty = watch(&test, &["1", "--plain"]);
    pty.wait_for("compiled");
    test.write(&file(), &solution());
    pty.wait_for("31 of 31 points");
    pty.keys("q");
    pty.wait();
    let raw = String::from_utf8_lossy(&pty.raw()).into_owned();
    assert!(
        !raw.contains("\x1b[H") && !raw.contains("\x1b[J"),
        "{raw:?}"
    );
}

#[test]
fn without_a_terminal_it_works_in_lines() {
    let test = Test::new().solve().args(&["watch", "1"]);
    let mut child = test
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kata starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let (sender, pieces) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            let _ = sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
    });
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut said = String::new();
    let wait_for = |said: &mut String, text: &str| {
        while !said.contains(text) {
            said.push_str(
                &pieces
                    .recv()
                    .unwrap_or_else(|_| panic!("no {text:?} in {said}")),
            );
        }
    };
    wait_for(&mut said, "next: day02");
    stdin.write_all(b"list\n").unwrap();
    wait_for(&mut said, "Week 1 Foundation");
    stdin.write_all(b"quit\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn two_watchers_at_once_lose_nothing() {
    let test = Test::new();
    let mut one = watch(&test, &["1"]);
    let mut other = watch(&test, &["1"]);
    one.wait_for("compiled");
    other.wait_for("compiled");
    test.write(&file(), &solution());
    one.wait_for("31 of 31 points");
    other.wait_for("31 of 31 points");
    let progress = test.read("progress.json");
    assert!(progress.contains("\"✅\""), "{progress}");
    for pty in [&mut one, &mut other] {
        pty.keys("q");
        assert_eq!(pty.wait(), 0);
    }
}
