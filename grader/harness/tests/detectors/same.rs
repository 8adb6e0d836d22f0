//! The same implementation, check and seed give the same record, byte for byte, on a machine
//! that is busy with something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use libtest_mimic::Failed;

use crate::cases::{self, Case};
use crate::grader;

/// How often a check is run; `KATA_REPEATS=200` for a thorough look.
fn repeats(case: &Case) -> usize {
    let asked = std::env::var("KATA_REPEATS")
        .ok()
        .and_then(|repeats| repeats.parse().ok());
    asked.unwrap_or(if case.is_slow() { 2 } else { 3 })
}

pub fn on_a_busy_machine() -> Result<(), Failed> {
    let done = Arc::new(AtomicBool::new(false));
    let burners: Vec<_> = (0..2)
        .map(|_| {
            let done = done.clone();
            thread::spawn(move || while !done.load(Relaxed) {})
        })
        .collect();
    let differing: Vec<String> = cases::GUILTY
        .iter()
        .filter_map(|case| differs(case).err())
        .collect();
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
