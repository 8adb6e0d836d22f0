//! Running a tool of ours (rustc, cargo) to its end and keeping what it says.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

use anyhow::{Context, Result};

use super::{Cancel, Group};

/// More output than this is not kept of a tool: rustc says a mebibyte about a thousand errors.
const MOST_BYTES: usize = 64 << 20;

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

impl Captured {
    /// Whether a signal ended it: a limit, or memory that it did not get.
    pub fn is_killed(&self) -> bool {
        use std::os::unix::process::ExitStatusExt;
        self.status.signal().is_some()
    }
}

/// A line that a tool printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// On its standard output.
    Out(String),
    /// On its standard error.
    Err(String),
}

/// What a compiler at work on somebody's code may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Address space, in bytes.
    pub memory: u64,
    /// Processor time over all its threads, in seconds.
    pub seconds: u64,
    /// The largest file that it may write, in bytes.
    pub file: u64,
}

impl Limits {
    /// Binds a process that was just started; the kernel ends it where it takes more. That also
    /// holds for one that outlives this program.
    #[cfg(target_os = "linux")]
    fn bind(self, pid: rustix::process::Pid) {
        use rustix::process::{Resource, Rlimit, prlimit};

        for (resource, most) in [
            (Resource::As, self.memory),
            (Resource::Cpu, self.seconds),
            (Resource::Fsize, self.file),
            (Resource::Core, 0),
        ] {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most),
            };
            // One that has ended already needs no limits.
            let _ = prlimit(Some(pid), resource, limit);
        }
    }

    /// Other systems offer no limits for a running process.
    #[cfg(not(target_os = "linux"))]
    fn bind(self, _pid: rustix::process::Pid) {}
}

/// Runs a command to its end.
pub fn capture(command: &mut Command, cancel: &Cancel) -> Result<Captured> {
    capture_lines(command, None, cancel, |_| {})
}

/// The same within limits.
pub fn capture_within(command: &mut Command, limits: Limits, cancel: &Cancel) -> Result<Captured> {
    capture_lines(command, Some(limits), cancel, |_| {})
}

/// Runs a command to its end, within limits if there are any, and hands over each line as it comes.
pub fn capture_lines(
    command: &mut Command,
    limits: Option<Limits>,
    cancel: &Cancel,
    mut each: impl FnMut(&Line),
) -> Result<Captured> {
    cancel.check()?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut group =
        Group::spawn(command).with_context(|| format!("`{name}` could not be started"))?;
    if let Some(limits) = limits {
        limits.bind(group.pid);
    }
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
        if out.len() + err.len() > MOST_BYTES {
            // It goes on saying things that nobody would read to their end.
            group.kill();
            break;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::process::command;

    #[test]
    #[cfg(target_os = "linux")]
    fn who_computes_without_end_is_ended_by_the_kernel() {
        let limits = Limits {
            memory: 1 << 30,
            seconds: 1,
            file: 1 << 20,
        };
        let mut shell = command("sh");
        shell.args(["-c", "while :; do :; done"]);
        let captured = capture_within(&mut shell, limits, &Cancel::default()).unwrap();
        assert!(captured.is_killed(), "{captured:?}");
    }
}
