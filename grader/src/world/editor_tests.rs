//! Tests of how editors are told a file and a line.

use std::{sync::mpsc, time::Duration};

use super::*;

fn command(editor: &str, line: Option<u32>) -> Result<Vec<String>> {
    Editor::parse(editor)?.command(Path::new("/k/src/lib.rs"), line, false)
}

fn words(editor: &str) -> String {
    command(editor, Some(12)).unwrap().join(" ")
}

#[test]
fn known_editors_are_told_the_line_as_they_want_it() {
    assert_eq!(words("code"), "code --goto /k/src/lib.rs:12");
    assert_eq!(
        words("code --reuse-window"),
        "code --reuse-window --goto /k/src/lib.rs:12"
    );
    assert_eq!(words("zed"), "zed /k/src/lib.rs:12");
    assert_eq!(words("rustrover"), "rustrover --line 12 /k/src/lib.rs");
    assert_eq!(words("emacsclient -n"), "emacsclient -n +12 /k/src/lib.rs");
    assert_eq!(
        words("/usr/bin/Code.exe"),
        "/usr/bin/Code.exe --goto /k/src/lib.rs:12"
    );
}

#[test]
fn unknown_editors_and_unknown_lines_get_the_file_alone() {
    assert_eq!(words("xdg-open"), "xdg-open /k/src/lib.rs");
    assert_eq!(command("code", None).unwrap(), ["code", "/k/src/lib.rs"]);
}

#[test]
fn placeholders_say_it_all() {
    assert_eq!(
        words("edit -l{line} '{file}' --wait"),
        "edit -l12 /k/src/lib.rs --wait"
    );
    assert_eq!(
        words("code --goto {file}:{line}:1"),
        "code --goto /k/src/lib.rs:12:1"
    );
    let unknown_line = command("edit {file}:{line}", None).unwrap();
    assert_eq!(unknown_line, ["edit", "/k/src/lib.rs:1"]);
}

#[test]
fn quotes_hold_a_program_with_blanks_together() {
    let words = command("'/opt/My Editor/run' -x", Some(12)).unwrap();
    assert_eq!(words, ["/opt/My Editor/run", "-x", "/k/src/lib.rs"]);
    assert!(Editor::parse("'open").is_err());
    assert!(Editor::parse("  ").is_err());
}

#[test]
fn an_editor_that_needs_the_terminal_is_declined_with_other_ways() {
    for editor in [
        "vim",
        "/usr/bin/nvim -p",
        "hx",
        "nano",
        "emacs -nw",
        "emacsclient -t",
    ] {
        let error = command(editor, Some(1)).unwrap_err().to_string();
        assert!(error.contains("needs a terminal of its own"), "{error}");
    }
    assert!(words("nvim --server /tmp/n --remote").starts_with("nvim --server"));
    assert!(words("emacs").starts_with("emacs +12"));
}

#[test]
fn in_tmux_it_gets_a_window_there() {
    let vim = Editor::parse("vim").unwrap();
    let words = vim.command(Path::new("/k/lib.rs"), Some(3), true).unwrap();
    assert_eq!(words.join(" "), "tmux new-window -n kata vim +3 /k/lib.rs");
}

#[test]
fn a_flag_wins_and_a_broken_one_is_named() {
    let editor = Editor::choose(Some("code -n")).unwrap();
    assert_eq!(editor, Some(Editor::parse("code -n").unwrap()));
    let error = Editor::choose(Some("'")).unwrap_err().to_string();
    assert_eq!(error, "--editor: '");
}

#[test]
fn an_editor_that_is_not_there_is_an_error_at_once() {
    let editor = Editor::parse("no-such-editor-anywhere").unwrap();
    let error = editor.open(Path::new("/k"), None, |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot start the editor no-such-editor-anywhere"
    );
}

#[test]
fn an_editor_that_fails_is_told_with_its_last_words() {
    let (sender, complaints) = mpsc::channel();
    let editor = Editor::parse("sh -c 'echo no display >&2; exit 3'").unwrap();
    let complain = move |complaint| sender.send(complaint).unwrap();
    editor.open(Path::new("/k"), None, complain).unwrap();
    let complaint = complaints.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(
        complaint,
        "the editor sh failed (exit status: 3): no display"
    );
}

#[test]
fn an_editor_gets_the_file_and_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(
        process::command("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // It blocks until the test reads, and `open` has returned by then.
    let script = format!("sh -c 'echo \"$0\" > {}'", fifo.display());
    let editor = Editor::parse(&script).unwrap();
    let complain = |complaint| panic!("{complaint}");
    editor
        .open(Path::new("/k/src/lib.rs"), Some(3), complain)
        .unwrap();
    let said = std::fs::read_to_string(fifo).unwrap();
    assert_eq!(said, "/k/src/lib.rs\n");
}
