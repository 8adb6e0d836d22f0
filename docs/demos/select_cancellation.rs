//! `kata demo select_cancellation`: a download with a heartbeat, right or with the mistake.

#[path = "../examples/select_cancellation.rs"]
pub mod example;

use std::process::ExitCode;

use kata_harness::{Lab, demo::Settings};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

struct Simulated<'a> {
    lab: &'a Lab,
    settings: &'a Settings,
}

impl example::Outside for Simulated<'_> {
    async fn read(&self, chunk: usize) {
        let read = self.lab.span(format!("chunk {chunk}"), "read");
        sleep(self.settings.time("read")).await;
        read.done();
    }

    fn beat(&self) {
        self.lab.span("heart", "beat").done();
    }
}

/// One download, until it is complete or stopped.
pub async fn run(lab: Lab, settings: Settings) {
    let outside = Simulated {
        lab: &lab,
        settings: &settings,
    };
    let (chunks, beat) = (settings.count("chunks"), settings.time("beat"));
    let stop = CancellationToken::new();
    let stop_at = settings.time("stop");
    let ended = if settings.get("restart") == 0 {
        let work = example::download(&outside, chunks, beat, &stop);
        example::stop_after(stop_at, &stop, work).await
    } else {
        let work = example::download_restarting(&outside, chunks, beat, &stop);
        example::stop_after(stop_at, &stop, work).await
    };
    println!("{ended:?}");
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
