//! `kata demo cost_models`: one load under threads, processes and async tasks.

#[path = "../examples/cost_models.rs"]
pub mod example;

use std::process::ExitCode;
use std::time::Duration;

use example::{Clock, Load};
use kata_harness::{Lab, demo::Settings};
use tokio::time::sleep;

struct Drawn<'a>(&'a Lab);

impl Clock for Drawn<'_> {
    async fn spend(&self, who: &str, what: &str, time: Duration) {
        // A lane's own name as label: what it is there for needs no words beside it.
        let kind = who.split(' ').next().unwrap_or(who);
        let span = self
            .0
            .span(who, if what == "compute" { kind } else { what });
        sleep(time).await;
        span.done();
    }

    async fn wait<T>(&self, who: &str, what: &str, waiting: impl Future<Output = T>) -> T {
        let wait = self.0.span(who, format!("waits for {what}"));
        let output = waiting.await;
        wait.done();
        output
    }
}

/// The load under each of the three.
pub async fn run(lab: Lab, settings: Settings) {
    let load = Load {
        tasks: settings.count("tasks"),
        io: settings.time("io_ms"),
        cpu: settings.time("cpu_ms"),
        cores: settings.count("cores"),
        workers: settings.count("workers"),
        start: settings.time("start_ms"),
    };
    let took = example::simulate(&Drawn(&lab), load).await;
    println!(
        "threads {} ms, processes {} ms, async tasks {} ms",
        took.threads.as_millis(),
        took.processes.as_millis(),
        took.tasks.as_millis()
    );
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
