//! `kata demo pipeline_backpressure`: every item on its way through the stages.

#[path = "../examples/pipeline_backpressure.rs"]
pub mod example;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use example::{Stage, Work};
use kata_harness::{Lab, SpanGuard, demo::Settings};
use tokio::time::sleep;

#[derive(Clone)]
struct Simulated {
    lab: Lab,
    settings: Settings,
    /// The items that lie in a channel.
    queued: Arc<Mutex<HashMap<usize, SpanGuard>>>,
}

impl Work for Simulated {
    async fn work(&self, stage: Stage, item: usize) {
        let name = match stage {
            Stage::Read => "read",
            Stage::Parse => "parse",
            Stage::Write => "write",
        };
        if let Some(wait) = self.queued.lock().unwrap().remove(&item) {
            wait.done();
        }
        let span = self.lab.span(format!("item {item}"), name);
        sleep(self.settings.time(name) + self.settings.spread(&self.lab)).await;
        span.done();
    }

    async fn wait<T: Send>(&self, item: usize, waiting: impl Future<Output = T> + Send) -> T {
        let wait = self.lab.span(format!("item {item}"), "waits for room");
        let output = waiting.await;
        wait.done();
        let wait = self.lab.span(format!("item {item}"), "waits for its turn");
        self.queued.lock().unwrap().insert(item, wait);
        output
    }
}

/// All items, from the first stage to the last.
pub async fn run(lab: Lab, settings: Settings) {
    let [items, parsers, capacity] =
        ["items", "parsers", "capacity"].map(|name| settings.count(name));
    let queued = Arc::default();
    let simulated = Simulated {
        lab,
        settings,
        queued,
    };
    let written = example::run(&simulated, items, parsers, capacity).await;
    println!(
        "{} items written, {} under way at most",
        written.items.len(),
        written.under_way
    );
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
