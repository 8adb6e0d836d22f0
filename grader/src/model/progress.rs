//! `progress.json` in memory, and the one pure step that a verdict takes in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{marker::Marker, verdict::Status};

/// The version of `progress.json` that this program reads and writes.
pub const VERSION: u32 = 1;

/// The learner's progress through the course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// [`VERSION`].
    pub version: u32,
    /// By slug; days never touched may be absent.
    #[serde(default)]
    pub exercises: BTreeMap<String, Entry>,
    /// Fields of other programs; kept on a rewrite.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What is remembered of one exercise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Where the learner stands.
    pub marker: Marker,
    /// The status of the last verdict; `None` before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The most points any verdict gave.
    pub points: u32,
    /// Of how many, at that time.
    pub max_points: u32,
    /// How many checks were run, over all verdicts.
    pub checks_run: u64,
    /// How many different saves were graded.
    pub saves: u64,
    /// Hints seen.
    pub hints: u32,
    /// First verdict on an edited stub: RFC 3339 with the local offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Last verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// When every check passed for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<String>,
    /// Different failing saves in a row in which no new check passed.
    #[serde(skip_serializing_if = "is_zero")]
    pub stuck: u32,
    /// Names of the checks that passed at least once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<String>,
    /// The digest of the source that the last verdict judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Fields of other programs; kept on a rewrite.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_zero(count: &u32) -> bool {
    *count == 0
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
