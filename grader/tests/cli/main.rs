//! The command line, through the real toolchain.
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs as a shell would"
)]

mod authors;
mod grading;
mod learning;
mod standing;
#[path = "../support/mod.rs"]
mod support;
mod workspace;

/// The learner's file of the day that the tests work on.
fn source() -> String {
    format!("exercises/{}/src/lib.rs", support::workspace::DAY)
}
