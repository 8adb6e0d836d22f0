//! Hidden checks of day 17.

use std::process::ExitCode;

use exercise::both;
use kata_harness::{Lab, Suite, ms};
use tokio::time::sleep;

fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("both values come back in order", 1, keeps_order)
        .check("the two waits overlap", 2, overlaps)
        .run()
}

async fn after(delay: u64, value: u64) -> u64 {
    sleep(ms(delay)).await;
    value
}

async fn keeps_order(lab: Lab) {
    let (one, other) = (lab.pick(1..=200), lab.pick(1..=200));
    let got = both(after(one, 1), after(other, 2)).await;
    lab.expect_eq(&got, &(1, 2))
        .why("The first value belongs to the first future, whichever ends first.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn overlaps(lab: Lab) {
    let (one, other) = (lab.pick(1..=200), lab.pick(1..=200));
    let (_, took) = lab.timed(both(after(one, 1), after(other, 2))).await;
    lab.expect_took(took, one.max(other))
        .why("One of the futures was not polled before the other had ended.")
        .pitfall("sequential-awaits")
        .or_fail();
}
