//! The examples' own `main`, for real: each in a process of its own, with a deadline.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far more than any of them takes, on the busiest machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// Names the example that the child runs.
const EXAMPLE: &str = "KATA_EXAMPLE";

macro_rules! examples {
    ($($name:ident: $file:literal says $said:expr;)*) => {
        $(#[path = $file] mod $name;)*

        mod runs {
            $(#[test] fn $name() { super::run(stringify!($name), &$said); })*
        }

        fn main_of(name: &str) {
            match name {
                $(stringify!($name) => { Said::said($name::main()); })*
                _ => panic!("no example is called {name}"),
            }
        }
    };
}

examples! {
    circuit_breaker: "../examples/circuit_breaker.rs" says [
        "threshold 1000: ", " 0 rejected\n", "threshold    3: ",
    ];
    cost_models: "../examples/cost_models.rs" says [
        "1000   100     1     12628 ms      12658 ms             600 ms",
    ];
    database_pool: "../examples/database_pool.rs" says [
        "1 connections: 60 visits", "3 connections: 120 visits",
    ];
    fan_out_fan_in: "../examples/fan_out_fan_in.rs" says [
        "50 hits of 5 shards; failed: 2 (disk)\n",
    ];
    graceful_shutdown: "../examples/graceful_shutdown.rs" says [
        "the client of 20 ms got \"done\"", "the client of 5000 ms got \"\"", "aborted: 1",
    ];
    pipeline_backpressure: "../examples/pipeline_backpressure.rs" says [
        "capacity   1: 20 items", "capacity 100: 20 items",
    ];
    producer_consumer: "../examples/producer_consumer.rs" says ["1 consumers: [20] items"];
    rate_limited_client: "../examples/rate_limited_client.rs" says [
        " 20 calls a second", "100 calls a second",
    ];
    select_cancellation: "../examples/select_cancellation.rs" says [
        "kept: Complete", "restarted: Stopped(0)",
    ];
    web_scraper: "../examples/web_scraper.rs" says ["limit  1:", "20 pages came, 0 failed"];
}

/// What a `main` returns.
trait Said {
    fn said(self);
}

impl Said for () {
    fn said(self) {}
}

impl<E: std::fmt::Debug> Said for Result<(), E> {
    fn said(self) {
        self.unwrap();
    }
}

/// Runs the example in a child of this program, and looks for what it has to say.
#[track_caller]
fn run(name: &str, expected: &[&str]) {
    let start = Instant::now();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env(EXAMPLE, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > DEADLINE => {
                child.kill().unwrap();
                panic!("{name} still runs after {DEADLINE:?}");
            }
            None => sleep(Duration::from_millis(10)),
        }
    };
    let mut said = String::new();
    child.stdout.unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success(), "{name} failed:\n{said}");
    for words in expected {
        assert!(
            said.contains(words),
            "no {words:?} in what {name} said:\n{said}"
        );
    }
}

#[test]
#[ignore = "the other tests run it in a process of its own"]
fn child() {
    if let Ok(name) = env::var(EXAMPLE) {
        main_of(&name);
    }
}
