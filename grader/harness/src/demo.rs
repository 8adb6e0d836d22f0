//! A demo: one run of an example with settings, for its spans and not for a verdict.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use kata_report::CheckRecord;

use crate::lab::{Lab, ms};
use crate::suite::Suite;

/// The name of a demo's one check.
pub const NAME: &str = "demo";

/// What the reader may change: delays in milliseconds, and counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, u64>);

impl Settings {
    /// The arguments `NAME=NUMBER`; others are passed over.
    fn parse(arguments: impl IntoIterator<Item = String>) -> Self {
        let pairs = arguments.into_iter().filter_map(|argument| {
            let (name, value) = argument.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(pairs.collect())
    }

    /// The value of a setting.
    ///
    /// # Panics
    /// If nobody gave it one: a demo and its list of settings must name the same.
    pub fn get(&self, name: &str) -> u64 {
        match self.0.get(name) {
            Some(value) => *value,
            None => panic!("the setting {name:?} has no value"),
        }
    }

    /// The value of a setting as a count.
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.get(name)).unwrap_or(usize::MAX)
    }

    /// The value of a setting as a time in milliseconds.
    pub fn time(&self, name: &str) -> Duration {
        ms(self.get(name))
    }

    /// A time up to the setting `spread`, in steps of 10 ms, by the seed.
    pub fn spread(&self, lab: &Lab) -> Duration {
        ms(10 * lab.pick(0..=self.get("spread") / 10))
    }
}

impl<N: Into<String>> FromIterator<(N, u64)> for Settings {
    fn from_iter<I: IntoIterator<Item = (N, u64)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }
}

/// The `main` of a demo: serves whoever started it, with the settings of the command line.
pub fn main<B, F>(body: B) -> ExitCode
where
    B: Fn(Lab, Settings) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + 'static,
{
    suite(body, Settings::parse(std::env::args().skip(1))).run()
}

/// Runs a demo in this process: what happened in virtual time under this seed.
pub fn record<B, F>(body: B, settings: Settings, seed: u64) -> CheckRecord
where
    B: Fn(Lab, Settings) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + 'static,
{
    suite(body, settings)
        .record(NAME, &[seed])
        .expect("a demo is a suite of one check")
}

fn suite<B, F>(body: B, settings: Settings) -> Suite
where
    B: Fn(Lab, Settings) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + 'static,
{
    Suite::new().check(NAME, 0, move |lab| body(lab, settings.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_flags_passed_over() {
        let arguments = ["--grader", "limit=4", "delay=x", "fetches=50"].map(str::to_owned);
        let settings = Settings::parse(arguments);
        assert_eq!(
            settings,
            Settings::from_iter([("fetches", 50), ("limit", 4)])
        );
        assert_eq!(settings.count("limit"), 4);
        assert_eq!(settings.time("fetches"), ms(50));
    }

    #[test]
    fn a_demo_tells_what_took_virtual_time() {
        let body = async |lab: Lab, settings: Settings| {
            let server = lab.service("fetch").takes(settings.get("latency")).build();
            let _ = server.call("page").await;
        };
        let settings = Settings::from_iter([("latency", 70)]);
        let record = record(body, settings, 1);
        assert_eq!((record.virtual_ms, record.finding), (70, None));
        assert_eq!(record.spans[0].lane, "fetch 0");
    }
}
