//! Running a tool of ours (rustc, cargo) to its end and keeping what it says.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

use anyhow::{Context, Result};

use super::{Cancel, Group};

/// What a tool left behind.
#[derive(Debug)]
pub struct Captured {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// A line that a tool printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// On its standard output.
    Out(String),
    /// On its standard error.
    Err(String),
}

/// Runs a command to its end.
pub fn capture(command: &mut Command, cancel: &Cancel) -> Result<Captured> {
    capture_lines(command, cancel, |_| {})
}

/// Runs a command to its end and hands over each line as it comes.
pub fn capture_lines(
    command: &mut Command,
    cancel: &Cancel,
    mut each: impl FnMut(&Line),
) -> Result<Captured> {
    cancel.check()?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut group =
        Group::spawn(command).with_context(|| format!("`{name}` could not be started"))?;
    cancel.watch(group.pid);
    let stdout = group
        .child
        .stdout
        .take()
        .context("no pipe to standard output")?;
    let stderr = group
        .child
        .stderr
        .take()
        .context("no pipe to standard error")?;
    let (sender, lines) = mpsc::channel();
    read_lines(stdout, Line::Out, sender.clone());
    read_lines(stderr, Line::Err, sender);

    let (mut out, mut err) = (String::new(), String::new());
    for line in lines {
        each(&line);
        let (text, line) = match &line {
            Line::Out(line) => (&mut out, line),
            Line::Err(line) => (&mut err, line),
        };
        text.push_str(line);
        text.push('\n');
    }
    cancel.forget(group.pid);
    let status = group
        .wait()
        .with_context(|| format!("`{name}` could not be waited for"))?;
    cancel.check()?;
    Ok(Captured {
        status,
        stdout: out,
        stderr: err,
    })
}

fn read_lines(
    stream: impl Read + Send + 'static,
    line: fn(String) -> Line,
    sender: mpsc::Sender<Line>,
) {
    thread::spawn(move || {
        for bytes in BufReader::new(stream).split(b'\n') {
            let Ok(bytes) = bytes else { return };
            if sender
                .send(line(String::from_utf8_lossy(&bytes).into_owned()))
                .is_err()
            {
                return;
            }
        }
    });
}
