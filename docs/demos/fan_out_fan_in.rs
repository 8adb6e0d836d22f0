//! `kata demo fan_out_fan_in`: one search over shards that answer late, or not at all.

#[path = "../examples/fan_out_fan_in.rs"]
pub mod example;

use std::process::ExitCode;

use kata_harness::{Lab, demo::Settings, ms};
use tokio::time::sleep;

struct Simulated<'a> {
    lab: &'a Lab,
    settings: &'a Settings,
}

impl example::Shards for Simulated<'_> {
    async fn search(&self, shard: usize) -> Result<u64, String> {
        let search = self.lab.span(format!("shard {shard}"), "search");
        let later = self.settings.get("step") * shard as u64;
        sleep(self.settings.time("latency") + ms(later)).await;
        if self.settings.count("broken") == shard {
            search.failed();
            return Err("disk".to_owned());
        }
        search.done();
        Ok(10)
    }
}

/// One search.
pub async fn run(lab: Lab, settings: Settings) {
    let (lab, settings) = (&lab, &settings);
    let shards = settings.count("shards");
    let simulated = Simulated { lab, settings };
    println!(
        "{}",
        example::search(&simulated, shards, settings.time("deadline")).await
    );
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
