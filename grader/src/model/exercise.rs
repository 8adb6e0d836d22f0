//! One day of the roadmap, as its `kata.toml` and its slug describe it.

use std::time::Duration;

use serde::Deserialize;

/// One exercise; the slug is its name in all three trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exercise {
    /// `day07_concurrent_execution`
    pub slug: String,
    /// 7
    pub day: u32,
    /// What `kata.toml` says of it.
    pub about: About,
}

/// `grader/hidden/<slug>/kata.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// `Concurrent Execution`
    pub title: String,
    /// Counted from 1.
    pub week: u32,
    /// Minutes the course allows for it.
    pub minutes: u32,
    /// What today is about, in one sentence.
    pub goal: String,
    /// The title of each task, in order.
    pub tasks: Vec<String>,
    /// What the learner can tick off afterwards: `join!`, `select!`, …
    #[serde(default)]
    pub learned: Vec<String>,
    /// A question to take away.
    #[serde(default)]
    pub ask: String,
    /// Whether its author still works on it: verifying asks for fewer checks, hints and variants.
    #[serde(default)]
    pub draft: bool,
    /// Whether the stub is code that works but for planted bugs: its checks then fail because of
    /// these, not because of a `todo!`.
    #[serde(default)]
    pub planted: bool,
    /// Real time that one check may take, over all its seeds, in milliseconds.
    #[serde(default = "About::default_deadline_ms")]
    pub deadline_ms: u64,
}

impl About {
    const fn default_deadline_ms() -> u64 {
        10_000
    }

    /// Real time that one test process may take where nothing else is said.
    pub const fn default_deadline() -> Duration {
        Duration::from_millis(Self::default_deadline_ms())
    }
}

impl Exercise {
    /// The day's number if `slug` is well-formed: `dayNN_topic`, lower case, digits and `_`.
    pub fn day_of(slug: &str) -> Option<u32> {
        let rest = slug.strip_prefix("day")?;
        let (digits, topic) = rest.split_once('_')?;
        let well_formed = digits.len() == 2
            && !topic.is_empty()
            && topic
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if well_formed {
            digits.parse().ok()
        } else {
            None
        }
    }

    /// `day07`
    pub fn short(&self) -> String {
        format!("day{:02}", self.day)
    }

    /// The learner's file, relative to the workspace.
    pub fn file(&self) -> String {
        format!("exercises/{}/src/lib.rs", self.slug)
    }

    /// The name of the week's level.
    pub const fn level(&self) -> &'static str {
        level(self.about.week)
    }
}

/// The roadmap's name for a week.
pub const fn level(week: u32) -> &'static str {
    match week {
        1 => "Foundation",
        2 => "Intermediate",
        3 => "Advanced",
        4 => "Expert",
        _ => "Beyond",
    }
}
