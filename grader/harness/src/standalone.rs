//! Plain `cargo test`: every check in a child process of its own, a line for each.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use kata_report::{CheckInfo, CheckRecord, Finding, GRADER_FLAG, Message, Request};

use crate::suite::Suite;

const DEADLINE: Duration = Duration::from_secs(20);

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    filter: Option<String>,
    seeds: Vec<u64>,
    list: bool,
}

impl Options {
    /// Understands `--check SUBSTRING`, a bare `SUBSTRING`, `--seed N` and `--list`; what
    /// `cargo test` may pass besides is left alone.
    fn parse(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--check" => options.filter = arguments.next(),
                "--seed" => options
                    .seeds
                    .extend(arguments.next().and_then(|seed| seed.parse::<u64>().ok())),
                "--list" => options.list = true,
                other if other.starts_with('-') => {}
                _ => options.filter = Some(argument),
            }
        }
        options
    }
}

/// Runs what the command line asks for; the exit code is 1 if a check failed.
pub(crate) fn run(suite: &Suite) -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let infos = suite.infos().into_iter().filter(|info| {
        options
            .filter
            .as_ref()
            .is_none_or(|filter| info.name.contains(filter.as_str()))
    });
    let (mut passed, mut failed) = (0, 0);
    for info in infos {
        if options.list {
            println!("{} (task {}, {} points)", info.name, info.task, info.points);
            continue;
        }
        match in_child(&info, &options.seeds) {
            Ok(CheckRecord { finding: None, .. }) => {
                passed += 1;
                println!("ok    {}", info.name);
            }
            Ok(CheckRecord {
                finding: Some(finding),
                seed,
                ..
            }) => {
                failed += 1;
                println!("FAIL  {} (seed {seed})\n{}", info.name, describe(&finding));
            }
            Err(error) => {
                failed += 1;
                println!("FAIL  {}\n      {error}", info.name);
            }
        }
    }
    if !options.list {
        println!("{passed} passed, {failed} failed");
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays the grader towards a child: this same program with `--grader`.
#[expect(
    clippy::disallowed_methods,
    reason = "where no grader is, nobody else can start the process"
)]
fn in_child(info: &CheckInfo, seeds: &[u64]) -> io::Result<CheckRecord> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(GRADER_FLAG)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()?;
    let request = Request::Run {
        nonce: "standalone".to_owned(),
        check: info.name.clone(),
        seeds: seeds.to_vec(),
        changed_lines: None,
    };
    ours.write_all(format!("{}\n", serde_json::to_string(&request)?).as_bytes())?;
    ours.set_read_timeout(Some(DEADLINE))?;
    let mut line = String::new();
    let read = BufReader::new(ours).read_line(&mut line);
    if read.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    match read {
        Err(_) => Err(io::Error::other(format!(
            "still running after {} s of real time",
            DEADLINE.as_secs()
        ))),
        Ok(0) => Err(io::Error::other(format!(
            "ended before its record was written: {status}"
        ))),
        Ok(_) => match serde_json::from_str(&line)? {
            Message::Record { record, .. } => Ok(record),
            Message::Checks { .. } => Err(io::Error::other("not a record")),
        },
    }
}

/// A finding in lines of text.
fn describe(finding: &Finding) -> String {
    let mut lines = vec![
        ("expected", finding.expected.clone()),
        ("got", finding.got.clone()),
    ];
    lines.push(("why", finding.why.clone()));
    lines.extend(
        finding
            .location
            .iter()
            .map(|location| ("at", location.to_string())),
    );
    lines.extend(finding.sites.iter().map(|site| {
        let place = site
            .location
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        (
            "",
            format!("{} {} {} {place}", site.who, site.function, site.doing),
        )
    }));
    lines.extend(
        finding
            .panics
            .iter()
            .map(|panic| ("panicked", panic.clone())),
    );
    lines.extend(
        finding
            .pitfall
            .iter()
            .map(|pitfall| ("pitfall", pitfall.clone())),
    );
    let lines = lines.into_iter().filter(|(_, text)| !text.is_empty());
    lines
        .map(|(name, text)| format!("      {name:<9}{text}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> Options {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_check_may_be_named_by_a_part_with_or_without_its_flag() {
        assert_eq!(parse("--check overlap").filter.as_deref(), Some("overlap"));
        assert_eq!(parse("overlap").filter.as_deref(), Some("overlap"));
    }

    #[test]
    fn seeds_are_numbers() {
        assert_eq!(parse("--seed 3 --seed 9 --seed x").seeds, [3, 9]);
    }

    #[test]
    fn what_cargo_passes_besides_is_left_alone() {
        assert_eq!(parse("--nocapture -q"), Options::default());
        assert!(parse("--list").list);
    }
}
