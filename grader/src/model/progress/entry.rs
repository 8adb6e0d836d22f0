//! What is remembered of one exercise.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::model::{marker::Marker, verdict::Status};

/// What is remembered of one exercise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Where the learner stands.
    #[serde(deserialize_with = "marker")]
    pub marker: Marker,
    /// The status of the last verdict; `None` before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The most points any verdict gave.
    pub points: u32,
    /// Of how many, at that time.
    pub max_points: u32,
    /// How many checks were run, over all different saves.
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
    /// Different failing saves in a row in which no new check passed; at most
    /// [`STUCK_AFTER`](super::STUCK_AFTER).
    #[serde(skip_serializing_if = "is_zero")]
    pub stuck: u32,
    /// The beginnings of their digests, so that going back and forth between
    /// two versions does not look like many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// Names of the checks that passed at least once, sorted.
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

/// Reads a marker as a person writes it: the emoji, with or without the
/// invisible variation selector that some editors append, or its word in any
/// case, with spaces, dashes, underscores or nothing between.
fn marker<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Marker, D::Error> {
    let written = String::deserialize(deserializer)?;
    let plain = plain(&written);
    Marker::ALL
        .into_iter()
        .find(|marker| plain == marker.symbol() || plain == self::plain(marker.word()))
        .ok_or_else(|| {
            D::Error::custom(format!(
                "unknown marker `{written}`, expected one of ✅ 🔄 ⏳ ❌"
            ))
        })
}

fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '\u{fe0f}'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Reads the exercises. A slug that stands there twice, as after a careless
/// merge, gives the best of both; a plain map would forget the first.
pub(super) fn by_slug<'de, D>(deserializer: D) -> Result<BTreeMap<String, Entry>, D::Error>
where
    D: Deserializer<'de>,
{
    struct BySlug;

    impl<'de> Visitor<'de> for BySlug {
        type Value = BTreeMap<String, Entry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with one entry per exercise")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut exercises = BTreeMap::<String, Entry>::new();
            while let Some((slug, entry)) = map.next_entry::<String, Entry>()? {
                let entry = match exercises.remove(&slug) {
                    Some(earlier) => earlier.merge(entry),
                    None => entry,
                };
                exercises.insert(slug, entry);
            }
            Ok(exercises)
        }
    }

    deserializer.deserialize_map(BySlug)
}
