//! `kata demo graceful_shutdown`: requests at a steady pace, one of them slow, and a signal.

#[path = "../examples/graceful_shutdown.rs"]
pub mod example;

use std::cell::{Cell, RefCell};
use std::io;
use std::process::ExitCode;

use kata_harness::{Lab, SpanGuard, demo::Settings};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

struct Simulated<'a> {
    lab: &'a Lab,
    settings: &'a Settings,
    start: Instant,
    accepted: Cell<usize>,
    server: RefCell<Option<SpanGuard>>,
}

impl example::Network for Simulated<'_> {
    type Request = usize;

    async fn accept(&self) -> io::Result<usize> {
        let number = self.accepted.get();
        let every = self.settings.time("every");
        // By the clock: an `accept` that is dropped and made anew loses no time.
        sleep_until(self.start + every * u32::try_from(number).expect("a small number")).await;
        self.accepted.set(number + 1);
        Ok(number)
    }

    fn answer(
        &self,
        request: usize,
        _: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (lab, settings) = (self.lab.clone(), self.settings.clone());
        async move {
            let answer = lab.span(format!("request {request}"), "answer");
            // The third is slow.
            sleep(settings.time(if request == 2 { "slow" } else { "work" })).await;
            answer.done();
        }
    }

    fn now(&self, what: &str) {
        if let Some(before) = self.server.borrow_mut().take() {
            before.done();
        }
        if what != "closed" {
            *self.server.borrow_mut() = Some(self.lab.span("server", what));
        }
    }
}

/// The server, from its start to its end.
pub async fn run(lab: Lab, settings: Settings) {
    let network = Simulated {
        lab: &lab,
        settings: &settings,
        start: Instant::now(),
        accepted: Cell::new(0),
        server: RefCell::default(),
    };
    let stop = CancellationToken::new();
    let signal = async {
        sleep(settings.time("signal")).await;
        stop.cancel();
    };
    let serving = example::serve(&network, &stop, settings.time("grace"));
    let (served, ()) = tokio::join!(serving, signal);
    let served = served.expect("the simulated network gives requests");
    println!("{} answered, {} aborted", served.answered, served.aborted);
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
