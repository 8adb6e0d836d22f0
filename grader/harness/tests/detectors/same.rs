//! The same implementation, check and seed give the same record, byte for byte, on a machine
//! that is busy with something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use libtest_mimic::Failed;

use crate::cases::{self, Case};
use crate::grader;

/// So many checks run at a time.
const PARTS: usize = 3;

/// How often a check is run; `KATA_REPEATS=200` for a thorough look, at
/// those that take a second each a tenth as often.
fn repeats(case: &Case) -> usize {
    let asked: Option<usize> = std::env::var("KATA_REPEATS")
        .ok()
        .and_then(|repeats| repeats.parse().ok());
    match (asked, case.is_slow()) {
        (Some(asked), false) => asked,
        (Some(asked), true) => asked / 10,
        (None, false) => 3,
        (None, true) => 2,
    }
}

pub fn on_a_busy_machine() -> Result<(), Failed> {
    let done = Arc::new(AtomicBool::new(false));
    let burners: Vec<_> = (0..2)
        .map(|_| {
            let done = done.clone();
            thread::spawn(move || while !done.load(Relaxed) {})
        })
        .collect();
    let differing = thread::scope(|scope| {
        let parts: [_; PARTS] = std::array::from_fn(|part| {
            let cases = cases::GUILTY.iter().skip(part).step_by(PARTS);
            scope.spawn(|| cases.filter_map(|case| differs(case).err()).collect())
        });
        let differing: Vec<Vec<String>> = parts.map(|part| part.join().expect("no panic")).into();
        differing.concat()
    });
    done.store(true, Relaxed);
    for burner in burners {
        burner.join().map_err(|_| "a burner panicked")?;
    }
    if differing.is_empty() {
        Ok(())
    } else {
        Err(differing.join("\n").into())
    }
}

fn differs(case: &Case) -> Result<(), String> {
    let check = case.check;
    let first = grader::line(check)?;
    for again in 1..repeats(case) {
        let line = grader::line(check)?;
        if line != first {
            return Err(format!("run {again} of {check}:\n{first}{line}"));
        }
    }
    Ok(())
}
