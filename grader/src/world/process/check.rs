//! One test process: a socket as its standard input, a deadline, capped output, no survivor.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::ExitStatusExt},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Cancel, Group, orphans};

/// What may be printed, on both streams together, before the process is killed.
const OUTPUT_CAP: usize = 1 << 20;
/// What may come through the socket; a record is a few kilobytes.
const REPORT_CAP: usize = 16 << 20;
/// How much of the output's end is kept.
const TAIL: usize = 4 << 10;

/// How a test process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckExit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// We killed it at the deadline.
    Deadline,
    /// We killed it because it printed too much.
    Flood,
}

/// What a test process left behind.
#[derive(Debug)]
pub struct CheckRun {
    /// How it ended.
    pub exit: CheckExit,
    /// What came through the socket.
    pub report: Vec<u8>,
    /// The end of what it printed, both streams together.
    pub output: String,
}

/// Runs one request in a process of its own.
///
/// The deadline is real time and is enforced from outside; when the call
/// returns, nothing that the process started is alive.
pub fn run_check(
    command: &mut Command,
    request: &str,
    deadline: Duration,
    cancel: &Cancel,
) -> Result<CheckRun> {
    cancel.check()?;
    orphans::adopt();
    let (mut ours, theirs) = UnixStream::pair().context("no socket for a test process")?;
    command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut group = Group::spawn(command).context("the hidden test could not be started")?;
    // The command keeps its copy of the socket until its streams are replaced.
    command.stdin(Stdio::null());
    cancel.watch(group.pid);
    // A process that died at once is seen below, by what it did not say.
    let _ = ours.write_all(request.as_bytes());
    let _ = ours.shutdown(Shutdown::Write);

    let mut streams = Streams::new(ours, &mut group)?;
    let ended = streams.drain(&mut group, Instant::now() + deadline);
    group.kill();
    cancel.forget(group.pid);
    let status = group
        .wait()
        .context("the hidden test could not be waited for")?;
    streams.drain_leftovers();
    drop(group);
    orphans::kill_all();
    cancel.check()?;

    let exit = match ended {
        Ended::Deadline => CheckExit::Deadline,
        Ended::Flood => CheckExit::Flood,
        Ended::Closed => match (status.code(), status.signal()) {
            (Some(code), _) => CheckExit::Code(code),
            (None, signal) => CheckExit::Signal(signal.unwrap_or_default()),
        },
    };
    Ok(CheckRun {
        exit,
        output: streams.tail(),
        report: streams.report,
    })
}

enum Ended {
    Closed,
    Deadline,
    Flood,
}

/// The three streams that come out of a test process.
struct Streams {
    socket: Option<UnixStream>,
    out: Option<std::process::ChildStdout>,
    err: Option<std::process::ChildStderr>,
    pid: Option<OwnedFd>,
    report: Vec<u8>,
    output: Vec<u8>,
    printed: usize,
}

impl Streams {
    fn new(socket: UnixStream, group: &mut Group) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let out = group
            .child
            .stdout
            .take()
            .context("no pipe to standard output")?;
        let err = group
            .child
            .stderr
            .take()
            .context("no pipe to standard error")?;
        rustix::io::ioctl_fionbio(&out, true)?;
        rustix::io::ioctl_fionbio(&err, true)?;
        Ok(Self {
            socket: Some(socket),
            out: Some(out),
            err: Some(err),
            pid: exit_notice(group),
            report: Vec::new(),
            output: Vec::new(),
            printed: 0,
        })
    }

    /// Reads until the process has ended. Its pipes prove nothing: a descendant
    /// may hold them open; and it may have closed its socket before its end.
    fn drain(&mut self, group: &mut Group, deadline: Instant) -> Ended {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ended::Deadline;
            }
            let exited = self.wait_readable(group, left);
            self.read_all();
            if self.flooded() {
                return Ended::Flood;
            }
            if exited {
                return Ended::Closed;
            }
        }
    }

    fn flooded(&self) -> bool {
        self.printed > OUTPUT_CAP || self.report.len() > REPORT_CAP
    }

    fn drain_leftovers(&mut self) {
        if !self.flooded() {
            self.read_all();
        }
    }

    /// Waits until a stream has something to read; tells whether the process has ended.
    fn wait_readable(&self, group: &mut Group, left: Duration) -> bool {
        let mut fds = Vec::with_capacity(4);
        if let Some(pid) = &self.pid {
            fds.push(PollFd::new(pid, PollFlags::IN));
        }
        if let Some(socket) = &self.socket {
            fds.push(PollFd::new(socket, PollFlags::IN));
        }
        if let Some(out) = &self.out {
            fds.push(PollFd::new(out, PollFlags::IN));
        }
        if let Some(err) = &self.err {
            fds.push(PollFd::new(err, PollFlags::IN));
        }
        // Without a notice of the end we have to ask again and again.
        let left = if self.pid.is_some() {
            left
        } else {
            left.min(Duration::from_millis(2))
        };
        let _ = poll(&mut fds, Timespec::try_from(left).ok().as_ref());
        match &self.pid {
            Some(_) => !fds[0].revents().is_empty(),
            None => group.child.try_wait().is_ok_and(|status| status.is_some()),
        }
    }

    fn read_all(&mut self) {
        let mut text = Vec::new();
        if read_available(&mut self.out, &mut text) == Stream::Closed {
            self.out = None;
        }
        if read_available(&mut self.err, &mut text) == Stream::Closed {
            self.err = None;
        }
        self.printed += text.len();
        self.output.append(&mut text);
        let surplus = self.output.len().saturating_sub(2 * TAIL);
        self.output.drain(..surplus);
        if read_available(&mut self.socket, &mut self.report) == Stream::Closed {
            self.socket = None;
        }
    }

    fn tail(&self) -> String {
        let start = self.output.len().saturating_sub(TAIL);
        let text = String::from_utf8_lossy(&self.output[start..]);
        text.trim_start_matches('\u{fffd}').to_owned()
    }
}

#[derive(PartialEq)]
enum Stream {
    Open,
    Closed,
}

/// Reads what is there, a bounded piece at a time, so that a flood on one
/// stream starves neither the others nor the deadline.
fn read_available(stream: &mut Option<impl Read>, into: &mut Vec<u8>) -> Stream {
    let Some(stream) = stream else {
        return Stream::Closed;
    };
    let mut buffer = [0; 16 << 10];
    for _ in 0..16 {
        match stream.read(&mut buffer) {
            Ok(0) => return Stream::Closed,
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Stream::Open,
            Err(_) => return Stream::Closed,
        }
    }
    Stream::Open
}

/// A descriptor that becomes readable when the process ends, where the system has one.
#[cfg(target_os = "linux")]
fn exit_notice(group: &Group) -> Option<OwnedFd> {
    rustix::process::pidfd_open(group.pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn exit_notice(_group: &Group) -> Option<OwnedFd> {
    None
}
