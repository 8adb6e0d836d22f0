//! A small grader: starts this program as a hidden test and reads what it answers.
#![expect(
    clippy::disallowed_methods,
    reason = "this test starts itself as a hidden test"
)]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};

use kata_report::{CheckRecord, GRADER_FLAG, Message, Request};

/// The answer to a request, empty if there is none, and how the process ended.
pub fn ask(request: &Request) -> std::io::Result<(String, ExitStatus)> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(GRADER_FLAG)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    ours.write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes())?;
    let mut line = String::new();
    BufReader::new(ours).read_line(&mut line)?;
    Ok((line, child.wait()?))
}

/// A request to run a check under one seed.
pub fn request(check: &str) -> Request {
    Request::Run {
        nonce: "a nonce".to_owned(),
        check: check.to_owned(),
        seeds: vec![3],
        changed_lines: None,
    }
}

/// The line with the record of a check.
pub fn line(check: &str) -> Result<String, String> {
    let (line, status) = ask(&request(check)).map_err(|error| error.to_string())?;
    if line.is_empty() || !status.success() {
        return Err(format!("{check}: {status}, after writing {line:?}"));
    }
    Ok(line)
}

/// The record of a check.
pub fn run(check: &str) -> Result<CheckRecord, String> {
    match serde_json::from_str(&line(check)?).map_err(|error| error.to_string())? {
        Message::Record { record, nonce } if nonce == "a nonce" => Ok(record),
        other => Err(format!("no record: {other:?}")),
    }
}
