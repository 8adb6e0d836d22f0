//! Every detector against code that is guilty and code that is not.
//!
//! This program is both sides: with `--grader` it is a hidden test whose checks run the
//! functions of `exercises/guilty`; without, it starts itself and looks at the records.

#[path = "detectors/cases.rs"]
mod cases;
#[path = "detectors/grader.rs"]
mod grader;
#[path = "exercises/guilty/src/lib.rs"]
mod guilty;
#[path = "detectors/protocol.rs"]
mod protocol;
#[path = "detectors/same.rs"]
mod same;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Set in the environment, it makes this program a hidden test without a grader.
const STANDALONE: &str = "KATA_TEST_STANDALONE";

fn main() -> ExitCode {
    let is_child = std::env::args().any(|argument| argument == kata_report::GRADER_FLAG);
    if is_child || std::env::var_os(STANDALONE).is_some() {
        return cases::suite().run();
    }
    let guilty = cases::GUILTY.iter().map(|case| {
        let name = format!("guilty::{}", case.check);
        Trial::test(name, || case.holds())
    });
    let innocent = cases::innocent().into_iter().map(|check| {
        let name = format!("innocent::{check}");
        Trial::test(name, move || match grader::run(&check)?.finding {
            None => Ok(()),
            Some(finding) => Err(format!("found {finding:#?}").into()),
        })
    });
    let same = Trial::test("same_bytes_on_a_busy_machine", same::on_a_busy_machine);
    let trials = guilty
        .chain(innocent)
        .chain(protocol::trials())
        .chain([same]);
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
