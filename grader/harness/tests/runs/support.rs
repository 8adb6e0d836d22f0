//! One check, run in this process.

use std::future::Future;

use kata_harness::{Lab, Suite};
use kata_report::{CheckRecord, Finding};

/// The record of a check with this body under the suite's own seeds.
pub fn record<F: Future<Output = ()> + 'static>(
    body: impl Fn(Lab) -> F + Send + Sync + 'static,
) -> CheckRecord {
    let suite = Suite::new().check("it", 1, body);
    suite.record("it", &[]).expect("the check is there")
}

/// What is found in a check with this body.
pub fn finding<F: Future<Output = ()> + 'static>(
    body: impl Fn(Lab) -> F + Send + Sync + 'static,
) -> Option<Finding> {
    record(body).finding
}

/// A check with this body passes under every seed.
#[track_caller]
pub fn passes<F: Future<Output = ()> + 'static>(body: impl Fn(Lab) -> F + Send + Sync + 'static) {
    let record = record(body);
    assert_eq!(record.finding, None);
    assert_eq!(record.runs, 16);
}
