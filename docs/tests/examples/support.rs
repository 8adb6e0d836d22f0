//! Runs a demo with its default settings and some others, and looks at its spans.

use std::fs;
use std::future::Future;
use std::path::Path;

use kata_harness::demo::{Settings, record};
use kata_harness::{Lab, SpanEnd};

/// What one run of a demo gave.
pub struct Ran {
    pub virtual_ms: u64,
    /// Label, start, end, and how it ended, of what the demo draws.
    spans: Vec<(String, u64, u64, SpanEnd)>,
}

/// Runs it; `sets` are `NAME=NUMBER`, parted by blanks. `seed` is 1 unless it is among them.
///
/// # Panics
/// If the run ends with a finding.
pub fn run<B, F>(name: &str, body: B, sets: &str) -> Ran
where
    B: Fn(Lab, Settings) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + 'static,
{
    let settings = settings(name, sets);
    let seed = if sets.contains("seed=") {
        settings.get("seed")
    } else {
        1
    };
    let record = record(body, settings, seed);
    assert_eq!(record.finding, None, "{name} {sets}");
    let spans = record.spans.into_iter().map(|span| {
        let end_ms = span.end_ms.unwrap_or(record.virtual_ms);
        (span.label, span.start_ms, end_ms, span.end)
    });
    Ran {
        virtual_ms: record.virtual_ms,
        spans: spans.collect(),
    }
}

/// The defaults of `docs/demos/<name>.toml` with these changes.
fn settings(name: &str, sets: &str) -> Settings {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("demos/{name}.toml"));
    let table: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
    let defaults = table["settings"].as_array().unwrap().iter().map(|setting| {
        let value = setting["value"].as_integer().unwrap();
        let name = setting["name"].as_str().unwrap();
        (name.to_owned(), u64::try_from(value).unwrap())
    });
    let changes = sets.split_whitespace().map(|set| {
        let (name, value) = set.split_once('=').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    defaults.chain(changes).collect()
}

impl Ran {
    fn of<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a (String, u64, u64, SpanEnd)> {
        self.spans.iter().filter(move |(own, ..)| own == label)
    }

    /// How many spans have this label.
    pub fn count(&self, label: &str) -> usize {
        self.of(label).count()
    }

    /// How many of them ended so.
    pub fn ended(&self, label: &str, how: SpanEnd) -> usize {
        self.of(label).filter(|(.., end)| *end == how).count()
    }

    /// When they started.
    pub fn starts(&self, label: &str) -> Vec<u64> {
        self.of(label).map(|(_, start, ..)| *start).collect()
    }

    /// How many of them were under way at once, at most.
    pub fn peak(&self, label: &str) -> usize {
        let under_way = |at: u64| {
            let during =
                |(_, start, end, _): &&(String, u64, u64, SpanEnd)| *start <= at && at < *end;
            self.of(label).filter(during).count()
        };
        let starts = self.starts(label).into_iter();
        starts.map(under_way).max().unwrap_or(0)
    }
}
