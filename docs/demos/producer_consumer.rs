//! `kata demo producer_consumer`: both ends of the queue, and who waits at it.

#[path = "../examples/producer_consumer.rs"]
pub mod example;

use std::process::ExitCode;

use example::{Item, Plan, Work};
use kata_harness::{Lab, demo::Settings};
use tokio::time::sleep;

#[derive(Clone)]
struct Simulated {
    lab: Lab,
    settings: Settings,
}

impl Work for Simulated {
    async fn produce(&self, item: Item) {
        let span = self
            .lab
            .span(format!("producer {}", item.producer), "produce");
        sleep(self.settings.time("produce") + self.settings.spread(&self.lab)).await;
        span.done();
    }

    async fn consume(&self, consumer: usize, _: Item) {
        let span = self.lab.span(format!("consumer {consumer}"), "consume");
        sleep(self.settings.time("consume") + self.settings.spread(&self.lab)).await;
        span.done();
    }

    async fn wait<T: Send>(
        &self,
        who: String,
        what: &'static str,
        waiting: impl Future<Output = T> + Send,
    ) -> T {
        let wait = self.lab.span(who, format!("waits for {what}"));
        let output = waiting.await;
        wait.done();
        output
    }
}

/// All items from their producers to their consumers.
pub async fn run(lab: Lab, settings: Settings) {
    let plan = Plan {
        producers: settings.count("producers"),
        consumers: settings.count("consumers"),
        items: settings.count("items"),
        capacity: settings.count("capacity"),
    };
    let taken = example::run(&Simulated { lab, settings }, plan).await;
    println!("each consumer took {taken:?}");
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
