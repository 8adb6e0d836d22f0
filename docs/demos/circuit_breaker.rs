//! `kata demo circuit_breaker`: calls at a steady pace, and a service that is down for a while.

#[path = "../examples/circuit_breaker.rs"]
pub mod example;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use example::{Breaker, Service, State};
use kata_harness::{Lab, SpanGuard, demo::Settings};
use tokio::time::sleep;

#[derive(Clone)]
struct Simulated {
    lab: Lab,
    settings: Settings,
    /// What the breaker does while it is not closed.
    breaker: Arc<Mutex<Option<SpanGuard>>>,
}

impl Service for Simulated {
    async fn call(&self, number: usize) -> Result<(), String> {
        let down = self.settings.get("down")..self.settings.get("up");
        let down = down.contains(&self.lab.now_ms());
        let call = self.lab.span(format!("call {number}"), "call");
        sleep(self.settings.time(if down { "timeout" } else { "latency" })).await;
        if down {
            call.failed();
            Err("timed out".to_owned())
        } else {
            call.done();
            Ok(())
        }
    }

    fn rejected(&self, number: usize) {
        self.lab.span(format!("call {number}"), "rejected").done();
    }

    fn changed(&self, state: State) {
        let mut breaker = self.breaker.lock().unwrap();
        if let Some(before) = breaker.take() {
            before.done();
        }
        *breaker = match state {
            State::Closed { .. } => None,
            State::Open { .. } => Some(self.lab.span("breaker", "open")),
            State::HalfOpen => Some(self.lab.span("breaker", "half open")),
        };
    }
}

/// All calls, until each has ended.
pub async fn run(lab: Lab, settings: Settings) {
    let simulated = Simulated {
        lab,
        settings: settings.clone(),
        breaker: Arc::default(),
    };
    let threshold = u32::try_from(settings.get("threshold")).expect("the range is small");
    let breaker = Breaker::new(threshold, settings.time("cooldown"), simulated.clone());
    let (calls, every) = (settings.count("calls"), settings.time("every"));
    let ends = example::call_all(&simulated, breaker, calls, every).await;
    println!("{}", example::summary(&ends));
    // Still open at the end: that is how it ends, and no cancellation.
    if let Some(open) = simulated.breaker.lock().unwrap().take() {
        open.done();
    }
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
