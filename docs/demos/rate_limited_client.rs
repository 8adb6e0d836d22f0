//! `kata demo rate_limited_client`: the client's limiter against a server's quota.

#[path = "../examples/rate_limited_client.rs"]
pub mod example;

use std::cell::RefCell;
use std::io;
use std::process::ExitCode;

use example::{Answer, Api, Limiter, Quota};
use kata_harness::{Lab, demo::Settings};
use tokio::time::sleep;

struct Simulated<'a> {
    lab: &'a Lab,
    settings: &'a Settings,
    quota: RefCell<Quota>,
}

impl Api for Simulated<'_> {
    async fn call(&self, number: usize) -> io::Result<Answer> {
        let call = self.lab.span(format!("call {number}"), "call");
        // The server counts a call when it comes in, and answers later.
        let answer = self.quota.borrow_mut().take();
        sleep(self.settings.time("latency")).await;
        match answer {
            Answer::Done => call.done(),
            Answer::TooMany(_) => call.failed(),
        }
        Ok(answer)
    }

    async fn wait(&self, number: usize, what: &str, waiting: impl Future<Output = ()>) {
        let wait = self
            .lab
            .span(format!("call {number}"), format!("waits for {what}"));
        waiting.await;
        wait.done();
    }
}

/// All calls, until each is done.
pub async fn run(lab: Lab, settings: Settings) {
    let number = |name: &str| u32::try_from(settings.get(name)).expect("the range is small");
    let limiter = Limiter::new(number("rate"), number("burst"));
    let api = Simulated {
        lab: &lab,
        settings: &settings,
        quota: RefCell::new(Quota::new(number("allowed"))),
    };
    let refused = example::call_all(&api, &limiter, settings.count("calls")).await;
    println!("{} refused", refused.expect("the simulated server answers"));
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
