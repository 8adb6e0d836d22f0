//! Without a terminal: lines in, plain text out.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use crate::{child, support::pty::Pty};

fn piped(input: &[u8]) -> (String, Option<i32>) {
    let mut process = Command::new("sh")
        .args(["-c", &format!("exec {}", child::command())])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // The program may have quit before it has read everything.
    let _ = stdin.write_all(input);
    drop(stdin);
    let mut output = String::new();
    process
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    (output, process.wait().unwrap().code())
}

#[test]
fn lines_are_commands_and_their_end_is_an_event() {
    let (output, code) = piped(b"2\nhint\n\nno end of line");
    assert_eq!(code, Some(7));
    let expected = "\n1 of 2\n2 of 2\nLine(\"hint\")\nLine(\"\")\nLine(\"no end of line\")\nEnd\n";
    assert!(output.ends_with(expected), "{output:?}");
    assert!(!output.contains('\x1b'));
}

#[test]
fn a_line_that_is_not_text_is_passed_over() {
    let (output, code) = piped(b"\xff\xfe\nhint\nq\nx\n");
    assert_eq!(code, Some(7));
    assert!(output.ends_with("Line(\"hint\")\n"), "{output:?}");
}

#[test]
fn nothing_on_stdin_is_the_end_and_no_error() {
    let (output, code) = piped(b"");
    assert_eq!(code, Some(7));
    assert!(output.ends_with("End\n"), "{output:?}");
}

#[test]
fn output_into_a_pipe_leaves_the_keyboard_to_the_shell() {
    let mut pty = child::shell("$CHILD | cat; stty -a | grep -o ' icanon'").spawn();
    pty.wait_for("ready");
    pty.keys("hint\r");
    pty.wait_for("Line(\"hint\")");
    pty.keys("q\r");
    pty.wait_for(" icanon");
    assert!(Pty::raw(&pty).iter().all(|byte| *byte != 0x1b));
}
