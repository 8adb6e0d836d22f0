//! Real editors.

use std::fs;

use crate::{
    course::{Course, is_installed, run},
    support::pty::Pty,
};

fn vim_without_screen(mut course: Course) {
    let lib = course.lib();
    let lib = lib.to_str().unwrap();
    for (number, options) in [
        "set nobackup",
        "set backup backupcopy=no",
        "set backup backupcopy=yes",
        "set nowritebackup",
    ]
    .iter()
    .enumerate()
    {
        course.counts_once(options, |course| {
            let insert = format!("normal! O// vim {number}");
            let args = [
                "-es", "-u", "NONE", "-c", options, "-c", &insert, "-c", "wq", lib,
            ];
            run(course.root(), "vim", &args);
        });
    }
}

#[test]
fn vim_without_a_screen_counts_once() {
    if is_installed("vim") {
        vim_without_screen(Course::notified());
        vim_without_screen(Course::polled());
    }
}

/// Vim stays open over several saves, with its swap file, as a learner uses it.
fn vim_on_screen(mut course: Course) {
    let lib = course.lib();
    let mut pty = Pty::new("vim").args(["-u", "DEFAULTS"]).arg(&lib).spawn();
    pty.wait_for("pub fn answer");
    for number in 0..3 {
        let line = format!("// line {number} by hand");
        pty.keys(&format!(":e!\rO{line}\x1b"));
        pty.wait_for(&line);
        let saved = course.counts_once_typed("vim", &mut pty, ":w\r", &line);
        assert!(saved.contains(&line));
    }
    pty.keys(":q!\r");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn vim_on_a_screen_counts_once_per_save() {
    if is_installed("vim") {
        vim_on_screen(Course::notified());
        vim_on_screen(Course::polled());
    }
}

fn nano_on_screen(mut course: Course) {
    for number in 0..2 {
        let line = format!("// nano {number}");
        let mut pty = Pty::new("nano")
            .args(["--ignorercfiles"])
            .arg(course.lib())
            .spawn();
        pty.wait_for("pub fn answer");
        pty.keys(&format!("{line}\r"));
        pty.wait_for(&line);
        // Ctrl-O, and Enter for the name.
        pty.keys("\x0f");
        pty.wait_for("Name to Write");
        course.counts_once_typed("nano", &mut pty, "\r", &line);
        pty.keys("\x18");
        assert_eq!(pty.wait(), 0);
    }
}

#[test]
fn nano_on_a_screen_counts_once_per_save() {
    if is_installed("nano") {
        nano_on_screen(Course::notified());
        nano_on_screen(Course::polled());
    }
}

impl Course {
    /// As [`Course::counts_once`] for keys, whose effect comes when the editor likes; the
    /// text that was saved.
    #[track_caller]
    fn counts_once_typed(&mut self, name: &str, pty: &mut Pty, keys: &str, line: &str) -> String {
        pty.keys(keys);
        let saved = self.saved();
        let text = fs::read_to_string(self.lib()).unwrap();
        assert!(
            text.contains(line),
            "{name}: told before it was saved: {text}"
        );
        assert_eq!(saved.digest, self.digest(), "{name}");
        self.nothing_more(name);
        text
    }
}
