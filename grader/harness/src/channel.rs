//! The way to the grader: a socket that arrives as standard input and is put out of reach.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};

use kata_report::{CheckRecord, Message, Request};

use crate::suite::Suite;
use crate::{interpose, limits, sandbox, watchdog};

/// Where the one answer goes; taken by whoever gives it.
static ANSWER: Mutex<Option<Answer>> = Mutex::new(None);

/// What the grader knows of the implementation's size.
static CHANGED_LINES: OnceLock<usize> = OnceLock::new();

struct Answer {
    socket: File,
    nonce: String,
}

impl Answer {
    fn send(mut self, message: impl FnOnce(String) -> Message) -> io::Result<()> {
        let mut line = serde_json::to_string(&message(self.nonce))?;
        line.push('\n');
        self.socket.write_all(line.as_bytes())?;
        self.socket.flush()
    }
}

fn take() -> Option<Answer> {
    ANSWER.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Answers the one request that stands on standard input.
///
/// The process ends with 0 whether or not the check passed: the record tells.
pub(crate) fn serve(suite: &Suite) -> ExitCode {
    match answer(suite) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the grader's socket: {error}");
            ExitCode::from(3)
        }
    }
}

fn answer(suite: &Suite) -> io::Result<()> {
    let socket = File::from(take_stdin()?);
    let mut line = String::new();
    BufReader::new(&socket).read_line(&mut line)?;
    match serde_json::from_str(&line)? {
        Request::List { nonce } => Answer { socket, nonce }.send(|nonce| Message::Checks {
            nonce,
            checks: suite.infos(),
        }),
        Request::Run {
            nonce,
            check,
            seeds,
            changed_lines,
        } => {
            if let Some(lines) = changed_lines {
                let _ = CHANGED_LINES.set(lines);
            }
            *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = Some(Answer { socket, nonce });
            limits::set();
            sandbox::enter();
            watchdog::start();
            let record = suite.record(&check, &seeds);
            let record =
                record.ok_or_else(|| io::Error::other(format!("no check is named {check:?}")))?;
            match take() {
                Some(answer) => answer.send(|nonce| Message::Record { nonce, record }),
                // The watchdog was faster and is about to end the process.
                None => loop {
                    std::thread::park();
                },
            }
        }
    }
}

/// How many lines of code differ from the stub; `None` where no grader told it.
pub(crate) fn changed_lines() -> Option<usize> {
    CHANGED_LINES.get().copied()
}

/// Sends the record and ends the process, from whatever thread. Comes back only if no grader
/// listens or the answer was given.
pub(crate) fn finish(record: CheckRecord) {
    if let Some(answer) = take() {
        // A grader that hung up needs no record.
        let _ = answer.send(|nonce| Message::Record { nonce, record });
        interpose::end_process();
    }
}

/// A copy of standard input, which itself becomes `/dev/null`.
fn take_stdin() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}
