//! Code that tries to pass without solving, or to hurt the grader: none does either.

mod compiling;
mod running;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use support::workspace::{DAY, Test, solution};

/// The solution with `code` run first thing in every `pub async fn`.
fn sabotaged(code: &str) -> String {
    let mut text = String::new();
    for line in solution().lines() {
        text.push_str(line);
        text.push('\n');
        if line.starts_with("pub async fn") && line.ends_with('{') {
            text.push_str(code);
            text.push('\n');
        }
    }
    assert!(
        text.contains(code),
        "the solution of {DAY} has a `pub async fn`"
    );
    text
}

/// One check of the many that such code breaks; they would all go the same way.
const CHECK: &str = "a toast takes as long as its three steps";

/// The result of running that check against sabotaged code; it must not pass.
fn attacked(code: &str) -> Value {
    judged(
        &["check", DAY, "--json", "--check", CHECK],
        &sabotaged(code),
    )
}

/// The result of grading this source whole; it must not pass.
fn graded(source: &str) -> Value {
    judged(&["check", DAY, "--json"], source)
}

fn judged(arguments: &[&str], source: &str) -> Value {
    let run = Test::new().source(source).args(arguments).run().code(1);
    let result = run.json()["results"][0].clone();
    assert_ne!(result["status"], "passed", "{result:#}");
    assert_ne!(result["status"], "grader_error", "{result:#}");
    result
}

fn first_failure(result: &Value) -> &Value {
    result["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .find(|check| check["status"] != "passed" && check["status"] != "not_run")
        .unwrap_or_else(|| panic!("a check fails: {result:#}"))
}

fn message(result: &Value) -> String {
    result["diagnostics"][0]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
