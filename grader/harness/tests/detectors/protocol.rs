//! The socket, the process's limits, and plain `cargo test`.
#![expect(
    clippy::disallowed_methods,
    reason = "this test starts itself as a hidden test"
)]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use kata_report::{Message, Request};
use libtest_mimic::{Failed, Trial};

use crate::{STANDALONE, cases, grader};

type Test = fn() -> Result<(), Failed>;

/// These tests, by name.
pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 7] = [
        ("the_list_names_every_check_in_order", list),
        ("an_unknown_check_gets_no_record", unknown),
        ("a_process_that_ends_itself_leaves_no_record", ends_itself),
        ("memory_is_bounded", memory),
        ("standard_input_is_empty_and_output_is_no_answer", streams),
        ("plain_cargo_test_prints_a_line_for_each_check", standalone),
        ("plain_cargo_test_lists", standalone_list),
    ];
    tests
        .into_iter()
        .map(|(name, test)| Trial::test(format!("protocol::{name}"), test))
        .collect()
}

fn require(holds: bool, what: impl Into<String>) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(what.into().into())
    }
}

fn list() -> Result<(), Failed> {
    let (line, status) = grader::ask(&Request::List {
        nonce: "x".to_owned(),
    })?;
    require(status.success(), "it ends well")?;
    let checks = cases::suite().infos();
    require(
        serde_json::from_str::<Message>(&line)?
            == Message::Checks {
                nonce: "x".to_owned(),
                checks,
            },
        line,
    )
}

fn unknown() -> Result<(), Failed> {
    let (line, status) = grader::ask(&grader::request("no such check"))?;
    require(
        line.is_empty() && status.code() == Some(3),
        format!("{status} {line:?}"),
    )
}

fn ends_itself() -> Result<(), Failed> {
    let (line, status) = grader::ask(&grader::request("ends_the_process"))?;
    require(
        line.is_empty() && status.success(),
        format!("{status} {line:?}"),
    )
}

fn memory() -> Result<(), Failed> {
    let (line, status) = grader::ask(&grader::request("takes_all_memory"))?;
    let aborted = status.signal().is_some() && !status.core_dumped();
    require(line.is_empty() && aborted, format!("{status} {line:?}"))
}

fn streams() -> Result<(), Failed> {
    for check in ["reads_its_input", "prints"] {
        require(grader::run(check)?.finding.is_none(), check)?;
    }
    Ok(())
}

/// What this program prints as a hidden test without a grader, and its exit code.
fn alone(arguments: &[&str]) -> Result<(String, Option<i32>), Failed> {
    let output = Command::new(std::env::current_exe()?)
        .env(STANDALONE, "1")
        .args(arguments)
        .output()?;
    Ok((String::from_utf8(output.stdout)?, output.status.code()))
}

fn standalone() -> Result<(), Failed> {
    let (printed, code) = alone(&["--check", "unwraps_nothing", "--seed", "7"])?;
    require(code == Some(1), "a failure is an exit code")?;
    require(printed.contains("FAIL  unwraps_nothing (seed 7)"), &printed)?;
    require(
        printed.contains("at       exercises/guilty/src/lib.rs:"),
        &printed,
    )?;
    require(printed.ends_with("0 passed, 1 failed\n"), &printed)?;
    let (printed, code) = alone(&["yields_a_little", "--nocapture"])?;
    require(
        code == Some(0) && printed == "ok    yields_a_little\n1 passed, 0 failed\n",
        printed,
    )?;
    let (printed, code) = alone(&["--check", "ends_the_process"])?;
    require(
        code == Some(1) && printed.contains("ended before its record was written"),
        printed,
    )
}

fn standalone_list() -> Result<(), Failed> {
    let (printed, code) = alone(&["--list", "--check", "notified"])?;
    require(
        code == Some(0) && printed == "notified_by_a_job (task 2, 1 points)\n",
        printed,
    )
}
