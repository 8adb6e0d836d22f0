//! The suite: a hidden test's checks, and what they are worth.

use std::future::Future;
use std::process::ExitCode;

use kata_report::{CheckInfo, CheckRecord, GRADER_FLAG};

use crate::lab::Lab;
use crate::runtime::{self, Body};
use crate::{channel, interpose, panics, standalone};

const DEFAULT_SEEDS: u64 = 16;

/// The checks of one exercise, in order.
#[must_use = "call `run()`"]
pub struct Suite {
    checks: Vec<Check>,
    task: u32,
    seeds: u64,
}

struct Check {
    info: CheckInfo,
    seeds: u64,
    body: Box<Body>,
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

impl Suite {
    /// A suite without checks.
    pub fn new() -> Self {
        Self {
            checks: Vec::new(),
            task: 1,
            seeds: DEFAULT_SEEDS,
        }
    }

    /// The checks that follow belong to this task, counted from 1.
    pub fn task(mut self, task: u32) -> Self {
        self.task = task;
        self
    }

    /// The checks that follow run under the seeds 1 to `seeds`.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// Adds a check: a sentence that says what must hold, what it is worth, and its body.
    ///
    /// # Panics
    /// If there is a check of that name.
    pub fn check<B, F>(mut self, name: &str, points: u32, body: B) -> Self
    where
        B: Fn(Lab) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + 'static,
    {
        assert!(self.find(name).is_none(), "two checks are named {name:?}");
        self.checks.push(Check {
            info: CheckInfo {
                name: name.to_owned(),
                points,
                task: self.task,
            },
            seeds: self.seeds,
            body: Box::new(move |lab| Box::pin(body(lab))),
        });
        self
    }

    /// Serves the grader, or, without `--grader`, runs every check and prints what came out.
    pub fn run(self) -> ExitCode {
        interpose::link();
        if std::env::args().any(|argument| argument == GRADER_FLAG) {
            channel::serve(&self)
        } else {
            standalone::run(&self)
        }
    }

    /// The checks' names and worth, in order.
    pub fn infos(&self) -> Vec<CheckInfo> {
        self.checks.iter().map(|check| check.info.clone()).collect()
    }

    /// Runs one check in this process under each of the seeds until one fails; no seeds means
    /// the suite's own choice. `None`: there is no such check.
    pub fn record(&self, name: &str, seeds: &[u64]) -> Option<CheckRecord> {
        panics::watch();
        let check = self.find(name)?;
        let own: Vec<u64> = (1..=check.seeds).collect();
        let seeds = if seeds.is_empty() { &own } else { seeds };
        let mut record = CheckRecord {
            name: name.to_owned(),
            runs: 0,
            virtual_ms: 0,
            finding: None,
            seed: 0,
            spans: Vec::new(),
        };
        for &seed in seeds {
            record = runtime::run(&*check.body, seed, record);
            if record.finding.is_some() {
                break;
            }
        }
        Some(record)
    }

    fn find(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.info.name == name)
    }
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Suite")
            .field("checks", &self.infos())
            .finish_non_exhaustive()
    }
}
