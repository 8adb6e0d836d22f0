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

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == kata_report::GRADER_FLAG) {
        return cases::suite().run();
    }
    let guilty = cases::GUILTY
        .iter()
        .map(|case| Trial::test(format!("guilty::{}", case.check), || case.holds()));
    let innocent = cases::innocent().into_iter().map(|check| {
        Trial::test(format!("innocent::{check}"), move || {
            match grader::run(&check)?.finding {
                None => Ok(()),
                Some(finding) => Err(format!("found {finding:#?}").into()),
            }
        })
    });
    let trials = guilty.chain(innocent).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
