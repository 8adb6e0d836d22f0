//! `kata demo database_pool`: the clients and their pool, with queries that take virtual time.

#[path = "../examples/database_pool.rs"]
pub mod example;

use std::convert::Infallible;
use std::process::ExitCode;

use example::{Database, Pool, Pooled};
use kata_harness::{Lab, demo::Settings};
use tokio::time::sleep;

struct Simulated<'a> {
    lab: &'a Lab,
    settings: &'a Settings,
}

impl Database for Simulated<'_> {
    type Connection = usize;
    type Error = Infallible;

    async fn query(&self, client: usize, with: Pooled<usize>) -> Result<(), Infallible> {
        let query = self.lab.span(format!("client {client}"), "query");
        sleep(self.settings.time("query") + self.settings.spread(self.lab)).await;
        query.done();
        drop(with);
        Ok(())
    }

    async fn think(&self) {
        sleep(self.settings.time("think")).await;
    }

    async fn wait<T>(&self, client: usize, getting: impl Future<Output = T>) -> T {
        let wait = self
            .lab
            .span(format!("client {client}"), "waits for a connection");
        let got = getting.await;
        wait.done();
        got
    }
}

/// All clients, until each has made its queries.
pub async fn run(lab: Lab, settings: Settings) {
    let (lab, settings) = (&lab, &settings);
    let pool = Pool::new((0..settings.count("connections")).collect());
    let simulated = Simulated { lab, settings };
    let (clients, queries) = (settings.count("clients"), settings.count("queries"));
    let Ok(()) = example::serve(&simulated, &pool, clients, queries).await;
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
