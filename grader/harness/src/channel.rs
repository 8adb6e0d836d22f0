//! The way to the grader: a socket that arrives as standard input and is put out of reach.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use kata_report::{Message, Request};

use crate::limits;
use crate::suite::Suite;

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
    let mut socket = File::from(take_stdin()?);
    limits::set();
    let mut line = String::new();
    BufReader::new(&socket).read_line(&mut line)?;
    let message = match serde_json::from_str(&line)? {
        Request::List { nonce } => Message::Checks {
            nonce,
            checks: suite.infos(),
        },
        Request::Run {
            nonce,
            check,
            seeds,
        } => {
            let record = suite.record(&check, &seeds);
            let record =
                record.ok_or_else(|| io::Error::other(format!("no check is named {check:?}")))?;
            Message::Record { nonce, record }
        }
    };
    let mut line = serde_json::to_string(&message)?;
    line.push('\n');
    socket.write_all(line.as_bytes())?;
    socket.flush()
}

/// A copy of standard input, which itself becomes `/dev/null`.
fn take_stdin() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}
