//! `progress.json` in memory: what is known of every exercise, and the pure steps in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::marker::Marker;

mod conflict;
mod entry;
mod mark;
mod merge;
mod overview;
mod parse;
mod record;
#[cfg(test)]
mod tests;
mod text;
pub mod time;

pub use entry::Entry;
pub use mark::Marked;
pub use overview::Totals;
pub use parse::ParseProblem;
pub use record::{STUCK_AFTER, Step};

/// The version of `progress.json` that this program reads and writes.
pub const VERSION: u32 = 1;

/// The learner's progress through the course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// [`VERSION`]; a file without one is taken to be of this version.
    #[serde(default = "current_version")]
    pub version: u32,
    /// By slug; days never touched may be absent.
    #[serde(default, deserialize_with = "entry::by_slug")]
    pub exercises: BTreeMap<String, Entry>,
    /// Fields of other programs; kept on a rewrite.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

const fn current_version() -> u32 {
    VERSION
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            version: VERSION,
            exercises: BTreeMap::new(),
            other: Map::new(),
        }
    }
}

impl Progress {
    /// What is known of an exercise; `None` if it was never touched.
    pub fn entry(&self, slug: &str) -> Option<&Entry> {
        self.exercises.get(slug)
    }

    /// Where the learner stands with an exercise.
    pub fn marker(&self, slug: &str) -> Marker {
        self.entry(slug)
            .map_or(Marker::NotStarted, |entry| entry.marker)
    }

    /// How many exercises are completed, those included that the course no longer has.
    pub fn completed(&self) -> usize {
        self.exercises
            .values()
            .filter(|entry| entry.marker == Marker::Completed)
            .count()
    }
}
