//! One test process in, one check's verdict out.

use kata_report::{CheckInfo, CheckRecord, FindingKind, Message};

use crate::model::verdict::{CheckStatus, CheckVerdict, Failure};

/// How a test process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Killed at the deadline, which was so many milliseconds of real time.
    Deadline(u64),
    /// Killed because it printed too much.
    Flood,
}

/// What one test process left behind.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was asked for.
    pub info: &'a CheckInfo,
    /// The nonce of the request.
    pub nonce: &'a str,
    /// How it ended.
    pub exit: Exit,
    /// What came through the socket.
    pub report: &'a [u8],
    /// The end of what it printed.
    pub output: &'a str,
}

/// A check that no process ran.
pub fn not_run(info: &CheckInfo) -> CheckVerdict {
    CheckVerdict {
        name: info.name.clone(),
        task: info.task,
        status: CheckStatus::NotRun,
        points: 0,
        max_points: info.points,
        runs: 0,
        virtual_ms: 0,
        seed: None,
        failure: None,
        spans: Vec::new(),
        output: String::new(),
    }
}

/// Passed means: exit code 0, *and* a record, *and* the right nonce and name,
/// *and* no finding in it. Anything else is a failure that says what happened.
pub fn judge(evidence: Evidence<'_>) -> CheckVerdict {
    let mut verdict = not_run(evidence.info);
    evidence.output.clone_into(&mut verdict.output);
    let record = record(&evidence);
    if let Some(record) = &record {
        verdict.runs = record.runs;
        verdict.virtual_ms = record.virtual_ms;
        verdict.spans.clone_from(&record.spans);
    }
    let (status, failure) = match (evidence.exit, record) {
        (Exit::Code(0), Some(record)) => match record.finding {
            None => (CheckStatus::Passed, None),
            Some(finding) => {
                verdict.seed = Some(record.seed);
                let status = match finding.kind {
                    FindingKind::Failed => CheckStatus::Failed,
                    FindingKind::Deadlock => CheckStatus::Deadlock,
                    FindingKind::NeverEnds => CheckStatus::NeverEnds,
                    FindingKind::Blocked => CheckStatus::Blocked,
                    FindingKind::BusyLoop => CheckStatus::BusyLoop,
                };
                let failure = Failure {
                    expected: finding.expected,
                    got: finding.got,
                    why: finding.why,
                    pitfall: finding.pitfall,
                    location: finding.location,
                    sites: finding.sites,
                    at_ms: finding.at_ms,
                    panics: finding.panics,
                };
                (status, Some(failure))
            }
        },
        (exit, _) => {
            let (status, failure) = without_record(exit, evidence.output);
            (status, Some(failure))
        }
    };
    verdict.points = if status == CheckStatus::Passed {
        verdict.max_points
    } else {
        0
    };
    verdict.status = status;
    verdict.failure = failure;
    verdict
}

/// The checks that a test process lists, if it answered this very request.
pub fn listing(report: &[u8], expected_nonce: &str) -> Option<Vec<CheckInfo>> {
    messages(report).find_map(|message| match message {
        Message::Checks { nonce, checks } if nonce == expected_nonce => Some(checks),
        _ => None,
    })
}

/// The one record that answers the request; two are as good as none.
fn record(evidence: &Evidence<'_>) -> Option<CheckRecord> {
    let mut records = messages(evidence.report).filter_map(|message| match message {
        Message::Record { nonce, record }
            if nonce == evidence.nonce && record.name == evidence.info.name =>
        {
            Some(record)
        }
        _ => None,
    });
    let record = records.next()?;
    records.next().is_none().then_some(record)
}

fn messages(report: &[u8]) -> impl Iterator<Item = Message> {
    report
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
}

fn without_record(exit: Exit, output: &str) -> (CheckStatus, Failure) {
    let failure = |expected: &str, got: String, why: &str, pitfall: Option<&str>| Failure {
        expected: expected.to_owned(),
        got,
        why: why.to_owned(),
        pitfall: pitfall.map(str::to_owned),
        ..Failure::default()
    };
    match exit {
        Exit::Deadline(ms) => (
            CheckStatus::TimedOut,
            failure(
                "an end within the deadline",
                format!("still running after {} s of real time", seconds(ms)),
                "Virtual time costs nothing, so something keeps a thread busy or blocked: \
                 a loop without `.await`, a blocking call, a wait for another thread.",
                Some("blocking-the-runtime"),
            ),
        ),
        Exit::Flood => (
            CheckStatus::OutputFlood,
            failure(
                "at most 1 MiB of output",
                "it printed more than that and was stopped".to_owned(),
                "A loop prints without end.",
                None,
            ),
        ),
        Exit::Code(code) => (
            CheckStatus::ExitedEarly,
            failure(
                "a check that runs to its end",
                format!("the process exited with code {code} before the check ended"),
                "`std::process::exit` ends everything at once: the check, its tasks and \
                 whatever they still had to do.",
                None,
            ),
        ),
        Exit::Signal(signal) => {
            let (got, why) = crash(signal, output);
            (
                CheckStatus::Crashed,
                failure("a check that runs to its end", got, why, None),
            )
        }
    }
}

fn crash(signal: i32, output: &str) -> (String, &'static str) {
    let name = signal_name(signal);
    if output.contains("has overflowed its stack") {
        (
            format!("crashed: {name}, the stack overflowed"),
            "A function calls itself without end, or a future holds a huge array.",
        )
    } else if output.contains("memory allocation of") {
        (
            format!("crashed: {name}, out of memory"),
            "Something grows without bound: a queue nobody drains, a loop that pushes.",
        )
    } else if output.contains("thread panicked while processing panic")
        || output.contains("panicked while processing panic")
        || output.contains("panic in a destructor during cleanup")
    {
        (
            format!("crashed: {name}, a panic during a panic"),
            "A panic hook or a `Drop` panicked while another panic was on its way.",
        )
    } else {
        (
            format!("crashed: {name}"),
            "The process was ended by a signal, not by the check.",
        )
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        format!("{}", ms / 1000)
    } else {
        format!("{}.{:03}", ms / 1000, ms % 1000)
    }
}
