//! Single keys, and that the terminal is given back whatever happens.

use crate::{
    child::{command, shell},
    support::pty::{PATIENCE, Pty},
};

/// Ends with what the shell finds: the exit code, and whether lines and echo are back.
const THEN: &str = "; echo \"exit $?\"; stty -a | tr ' ;' '\\n\\n' | grep -E '^-?(icanon|echo|isig|opost)$' | tr '\\n' ' '; echo .";
const RESTORED: &str = "isig icanon echo";

fn start() -> Pty {
    let pty = shell(&format!("$CHILD{THEN}")).spawn();
    pty.wait_for("ready, process");
    pty
}

fn interactive_shell() -> Pty {
    let mut pty = Pty::new("bash")
        .args(["--noprofile", "--norc", "-i"])
        .env("PS1", "shell> ")
        .size(20, 100)
        .spawn();
    pty.wait_for("shell> ");
    pty.keys(&format!("{}\r", command()));
    pty.wait_for("ready, process");
    pty
}

/// The process id that the program shows on its first page.
fn process(pty: &Pty) -> String {
    let screen = pty.screen();
    let id = screen.split("process ").nth(1).unwrap();
    id.split_whitespace().next().unwrap().to_owned()
}

fn kill(signal: &str, process: &str) {
    let kill = std::process::Command::new("kill")
        .args(["-s", signal, process])
        .status();
    assert!(kill.unwrap().success());
}

#[track_caller]
fn assert_restored(pty: &mut Pty, exit: &str) {
    pty.wait();
    let screen = pty.screen();
    assert!(screen.contains(exit), "{screen}");
    let flags = screen.lines().last().unwrap();
    for flag in RESTORED.split(' ') {
        assert!(
            flags.split(' ').any(|found| found == flag),
            "no {flag}: {screen}"
        );
    }
}

#[test]
fn keys_come_without_enter_and_are_not_echoed() {
    let mut pty = start();
    pty.keys("n");
    pty.wait_for("Key(Char('n'))");
    pty.keys("ü");
    pty.wait_for("Key(Char('ü'))");
    pty.keys("\r");
    pty.wait_for("Key(Enter)");
    pty.keys("\x1b[A");
    pty.wait_for("Key(Up)");
    pty.keys("\x1b");
    pty.wait_for("Key(Escape)");
    pty.keys("q");
    assert_restored(&mut pty, "exit 7");
}

#[test]
fn ctrl_c_and_ctrl_d_ask_to_quit() {
    for key in ["\x03", "\x04"] {
        let mut pty = start();
        pty.keys(key);
        assert_restored(&mut pty, "exit 7");
        assert!(pty.screen().contains("Quit"));
    }
}

#[test]
fn signals_ask_to_quit() {
    for signal in ["INT", "TERM", "HUP"] {
        let mut pty = start();
        kill(signal, &process(&pty));
        assert_restored(&mut pty, "exit 7");
        assert!(pty.screen().contains("Quit"), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_a_program_that_does_not_listen() {
    let mut pty = start();
    let process = process(&pty);
    pty.keys("w");
    pty.wait_for("wedged");
    kill("TERM", &process);
    // Two of the same kind that are pending count as one; an INT does not wait for the TERM.
    kill("INT", &process);
    pty.wait();
    let screen = pty.screen();
    // Which one comes last is the system's choice.
    assert!(
        screen.contains("exit 130") || screen.contains("exit 143"),
        "{screen}"
    );
    assert!(screen.contains(" icanon "), "{screen}");
}

#[test]
fn a_panic_gives_the_terminal_back_and_can_be_read() {
    let mut pty = start();
    pty.keys("p");
    assert_restored(&mut pty, "exit 101");
    let history = pty.history();
    assert!(
        history.lines().any(|line| line == "as you wish"),
        "{history}"
    );
}

#[test]
fn a_panic_of_another_thread_is_no_reason_to_stop_reading_keys() {
    let mut pty = start();
    pty.keys("P");
    pty.wait_for("elsewhere");
    let screen = pty.screen();
    let line = screen.lines().find(|line| line.contains("elsewhere"));
    assert_eq!(line, Some("elsewhere"), "lines start at the left: {screen}");
    pty.keys("n");
    pty.wait_for("Key(Char('n'))");
    pty.keys("q");
    assert_restored(&mut pty, "exit 7");
}

#[test]
fn ctrl_z_returns_to_the_shell_and_fg_to_the_keys() {
    let mut pty = interactive_shell();
    for _ in 0..2 {
        pty.keys("\x1a");
        pty.wait_for("Stopped");
        pty.keys("stty -a | grep -o ' icanon'; clear\r");
        pty.wait_gone("Stopped");
        pty.keys("fg\r");
        pty.wait_for("100 by 20");
        pty.keys("n");
        pty.wait_for("Key(Char('n'))");
        pty.keys("2");
        pty.wait_for("2 of 2");
    }
    pty.keys("q");
    pty.wait_for("shell> ");
    pty.keys("exit 5\r");
    assert_eq!(pty.wait(), 5);
}

#[test]
fn stopped_from_outside_it_finds_its_keys_again() {
    let mut pty = interactive_shell();
    let process = process(&pty);
    kill("STOP", &process);
    pty.wait_for("Stopped");
    pty.keys("stty sane\r");
    pty.keys("fg\r");
    pty.wait_for("100 by 20");
    pty.keys("n");
    pty.wait_for("Key(Char('n'))");
    pty.keys("q");
    pty.wait_for("shell> ");
}

#[test]
fn ctrl_z_without_a_shell_to_return_to_changes_nothing() {
    // The session's leader has no parent in its session: the system does not stop it.
    let mut pty = shell("exec $CHILD").spawn();
    pty.wait_for("ready, process");
    pty.keys("\x1a");
    pty.wait_for("60 by 12");
    pty.keys("n");
    pty.wait_for("Key(Char('n'))");
    pty.keys("q");
    assert_eq!(pty.wait(), 7);
}

#[test]
fn a_closed_window_ends_the_program() {
    let pty = start();
    let process = process(&pty);
    // The terminal goes, and nobody kills the program but the system.
    drop(pty);
    let deadline = std::time::Instant::now() + PATIENCE;
    while std::path::Path::new("/proc").join(&process).exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "process {process} still runs"
        );
        std::thread::yield_now();
    }
}
