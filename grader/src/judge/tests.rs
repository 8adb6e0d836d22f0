//! Judging without a compiler and without a process.

use kata_report::{CheckInfo, CheckRecord, Finding, FindingKind, Message};

use super::{
    Evidence,
    check::{self, Exit, not_run},
    judge,
};
use crate::model::verdict::{CheckStatus, Status};

fn info(name: &str) -> CheckInfo {
    CheckInfo {
        name: name.to_owned(),
        points: 2,
        task: 1,
    }
}

fn record(name: &str, finding: Option<Finding>) -> CheckRecord {
    CheckRecord {
        name: name.to_owned(),
        runs: 16,
        virtual_ms: 5,
        finding,
        seed: 3,
        spans: vec![],
    }
}

fn line(nonce: &str, record: CheckRecord) -> Vec<u8> {
    let message = Message::Record {
        nonce: nonce.to_owned(),
        record,
    };
    let mut bytes = serde_json::to_vec(&message).unwrap();
    bytes.push(b'\n');
    bytes
}

fn status(exit: Exit, report: &[u8], output: &str) -> CheckStatus {
    let info = info("it holds");
    check::judge(check::Evidence {
        info: &info,
        nonce: "n",
        exit,
        report,
        output,
    })
    .status
}

#[test]
fn a_record_and_a_clean_exit_pass() {
    assert_eq!(
        status(Exit::Code(0), &line("n", record("it holds", None)), ""),
        CheckStatus::Passed
    );
}

#[test]
fn a_clean_exit_without_a_record_does_not_pass() {
    assert_eq!(status(Exit::Code(0), b"", ""), CheckStatus::ExitedEarly);
}

#[test]
fn a_record_with_a_wrong_nonce_or_name_does_not_pass() {
    let forged = line("m", record("it holds", None));
    assert_eq!(status(Exit::Code(0), &forged, ""), CheckStatus::ExitedEarly);
    let other = line("n", record("something else", None));
    assert_eq!(status(Exit::Code(0), &other, ""), CheckStatus::ExitedEarly);
}

#[test]
fn two_records_do_not_pass() {
    let twice = line("n", record("it holds", None)).repeat(2);
    assert_eq!(status(Exit::Code(0), &twice, ""), CheckStatus::ExitedEarly);
}

#[test]
fn a_crash_after_a_good_record_does_not_pass() {
    let report = line("n", record("it holds", None));
    assert_eq!(status(Exit::Signal(11), &report, ""), CheckStatus::Crashed);
    assert_eq!(status(Exit::Code(1), &report, ""), CheckStatus::ExitedEarly);
    assert_eq!(
        status(Exit::Deadline(10_000), &report, ""),
        CheckStatus::TimedOut
    );
    assert_eq!(status(Exit::Flood, &report, ""), CheckStatus::OutputFlood);
}

#[test]
fn a_finding_gives_its_kind_and_its_seed() {
    let finding = Finding {
        kind: FindingKind::Deadlock,
        expected: "an end".to_owned(),
        got: "none".to_owned(),
        why: String::new(),
        pitfall: None,
        location: None,
        sites: vec![],
        at_ms: 20,
        panics: vec![],
    };
    let info = info("it holds");
    let report = line("n", record("it holds", Some(finding)));
    let verdict = check::judge(check::Evidence {
        info: &info,
        nonce: "n",
        exit: Exit::Code(0),
        report: &report,
        output: "",
    });
    assert_eq!(verdict.status, CheckStatus::Deadlock);
    assert_eq!(
        (verdict.seed, verdict.points, verdict.max_points),
        (Some(3), 0, 2)
    );
}

#[test]
fn a_stack_overflow_and_an_exhausted_memory_are_named() {
    let got = |output| {
        let info = info("it holds");
        let evidence = check::Evidence {
            info: &info,
            nonce: "n",
            exit: Exit::Signal(6),
            report: b"",
            output,
        };
        check::judge(evidence).failure.unwrap().got
    };
    assert_eq!(
        got("thread 'x' has overflowed its stack"),
        "crashed: SIGABRT, the stack overflowed"
    );
    assert_eq!(
        got("memory allocation of 9 bytes failed"),
        "crashed: SIGABRT, out of memory"
    );
    assert_eq!(got(""), "crashed: SIGABRT");
}

#[test]
fn an_exercise_passes_only_with_every_expected_check() {
    let passed = |name: &str| {
        let mut check = not_run(&info(name));
        check.status = CheckStatus::Passed;
        check.points = 2;
        check
    };
    let ran = |checks| {
        judge(
            "day01_x",
            Evidence::Ran {
                warnings: vec![],
                expected: vec![info("one"), info("two")],
                checks,
                unchanged: false,
            },
        )
    };
    let verdict = ran(vec![passed("two"), passed("one")]);
    assert_eq!((verdict.status, verdict.points), (Status::Passed, 4));
    assert_eq!(verdict.checks[0].name, "one");
    let verdict = ran(vec![passed("one"), passed("one"), passed("three")]);
    assert_eq!(
        (verdict.status, verdict.points, verdict.max_points),
        (Status::Failed, 2, 4)
    );
    assert_eq!(verdict.checks[1].status, CheckStatus::NotRun);
}

#[test]
fn a_suite_without_checks_is_the_courses_fault() {
    let verdict = judge(
        "day01_x",
        Evidence::Ran {
            warnings: vec![],
            expected: vec![],
            checks: vec![],
            unchanged: false,
        },
    );
    assert_eq!(verdict.status, Status::GraderError);
}
