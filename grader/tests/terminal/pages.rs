//! What is painted where, and that nothing the terminal held is lost.

use crate::child::{page, shell};

#[test]
fn a_page_starts_at_the_top_and_earlier_ones_stay_in_the_scrollback() {
    let mut pty = shell("echo typed before; $CHILD").spawn();
    pty.wait_for("ready");
    for command in ['3', '5', '0', '2'] {
        pty.keys(&command.to_string());
        let last = page(command).lines().last().unwrap().to_owned();
        pty.wait_for(&last);
    }
    assert_eq!(pty.screen().trim_end(), "1 of 2\n2 of 2");
    let history = pty.history();
    let mut rest = history.as_str();
    for expected in [
        "typed before",
        "ready",
        &page('3'),
        &page('5'),
        &page('0'),
        &page('2'),
    ] {
        let position = rest.find(expected);
        let position = position.unwrap_or_else(|| panic!("no {expected:?} in {history}"));
        rest = &rest[position + expected.len()..];
    }
    pty.keys("q");
    assert_eq!(pty.wait(), 7);
    pty.assert_scrollback_was_kept();
}

#[test]
fn of_a_page_taller_than_the_terminal_the_end_is_visible() {
    let mut pty = shell("$CHILD").spawn();
    pty.wait_for("ready");
    pty.keys("0s");
    pty.wait_for("status 1");
    let screen = pty.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(lines.len(), 12);
    assert_eq!(lines[0], "30 of 40");
    assert_eq!(lines[10..], ["40 of 40", "status 1"]);
}

#[test]
fn a_status_replaces_the_one_before() {
    let mut pty = shell("$CHILD").spawn();
    pty.wait_for("ready");
    pty.keys("3sss");
    pty.wait_for("status 3");
    assert_eq!(pty.screen(), "1 of 3\n2 of 3\n3 of 3\nstatus 3");
    assert!(!pty.history().contains("status 2"));
    pty.keys("q");
    pty.wait();
    pty.assert_scrollback_was_kept();
}

#[test]
fn the_page_is_painted_for_the_new_size_when_the_window_is_dragged() {
    let mut pty = shell("$CHILD").spawn();
    pty.wait_for("ready");
    pty.resize(20, 100);
    pty.wait_for("100 by 20");
    pty.keys("0s");
    pty.wait_for("status 1");
    assert_eq!(pty.screen().lines().next(), Some("22 of 40"));
    pty.resize(5, 30);
    pty.wait_for("30 by 5");
}

#[test]
fn plain_painting_moves_no_cursor() {
    let mut pty = shell("$CHILD").env("PAINTING", "plain").spawn();
    pty.wait_for("ready");
    pty.keys("3ss2q");
    assert_eq!(pty.wait(), 7);
    let raw = String::from_utf8(pty.raw()).unwrap();
    assert!(!raw.contains('\x1b'), "{raw:?}");
    let expected = "1 of 3\r\n2 of 3\r\n3 of 3\r\nstatus 1\r\nstatus 2\r\n\r\n1 of 2\r\n2 of 2\r\n";
    assert!(raw.ends_with(expected), "{raw:?}");
}

#[test]
fn a_dumb_terminal_gets_plain_painting() {
    let mut pty = shell("$CHILD").env("TERM", "dumb").spawn();
    pty.wait_for("ready");
    pty.keys("3q");
    assert_eq!(pty.wait(), 7);
    assert!(!pty.raw().contains(&0x1b));
}

#[test]
fn clearing_leaves_the_scrollback_alone() {
    let mut pty = shell("seq 100; $CHILD").env("PAINTING", "clear").spawn();
    pty.wait_for("ready");
    pty.keys("3");
    pty.wait_for("3 of 3");
    assert_eq!(pty.screen().trim_end(), page('3'));
    assert!(pty.history().starts_with("1\n2\n3\n"));
    pty.keys("q");
    pty.wait();
    pty.assert_scrollback_was_kept();
}
