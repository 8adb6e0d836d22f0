//! The best of two files: of two machines, or of both sides of a git conflict.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Entry, Progress, text, time};
use crate::model::marker::Marker;

impl Progress {
    /// The best of both: completed wins, most points, earliest first and
    /// completed time, all checks that ever passed.
    ///
    /// Counters take the greater of both, not the sum: the two files usually
    /// share a past. Which of the two is `self` makes no difference.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (older, newer) = if self.age_order(&other) == Ordering::Greater {
            (other, self)
        } else {
            (self, other)
        };
        let mut exercises = older.exercises;
        for (slug, entry) in newer.exercises {
            let entry = match exercises.remove(&slug) {
                Some(known) => known.merge(entry),
                None => entry,
            };
            exercises.insert(slug, entry);
        }
        Self {
            version: older.version.max(newer.version),
            exercises,
            other: union(older.other, newer.other),
        }
    }

    fn age_order(&self, other: &Self) -> Ordering {
        let last = |progress: &Self| {
            let times = progress.exercises.values().filter_map(|e| e.last.clone());
            times
                .max_by(|one, other| time::compare(one, other))
                .unwrap_or_default()
        };
        time::compare(&last(self), &last(other)).then_with(|| self.to_json().cmp(&other.to_json()))
    }
}

impl Entry {
    /// The best of both; see [`Progress::merge`].
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (older, newer) = if self.age_order(&other) == Ordering::Greater {
            (other, self)
        } else {
            (self, other)
        };
        let (points, max_points) =
            (older.points, older.max_points).max((newer.points, newer.max_points));
        let mut passed = [older.passed, newer.passed].concat();
        passed.sort();
        passed.dedup();
        let marker = best(older.marker, newer.marker);
        let mut merged = Self {
            marker,
            status: newer.status.or(older.status),
            points,
            max_points,
            checks_run: older.checks_run.max(newer.checks_run),
            saves: older.saves.max(newer.saves),
            hints: older.hints.max(newer.hints),
            first: time::earlier(older.first, newer.first),
            last: newer.last.or(older.last),
            completed: time::earlier(older.completed, newer.completed),
            stuck: newer.stuck,
            tried: newer.tried,
            passed,
            source: newer.source.or(older.source),
            other: union(older.other, newer.other),
        };
        if marker == Marker::Completed {
            merged.clear_streak();
        }
        merged
    }

    fn age_order(&self, other: &Self) -> Ordering {
        let last = |entry: &Self| entry.last.clone().unwrap_or_default();
        time::compare(&last(self), &last(other))
            .then_with(|| text::of_entry(self).cmp(&text::of_entry(other)))
    }
}

/// Completed wins, started wins over not started, and else the newer one counts.
const fn best(older: Marker, newer: Marker) -> Marker {
    match (older, newer) {
        (Marker::Completed, _) | (_, Marker::Completed) => Marker::Completed,
        (started, Marker::NotStarted) => started,
        (_, newer) => newer,
    }
}

fn union(mut older: Map<String, Value>, newer: Map<String, Value>) -> Map<String, Value> {
    older.extend(newer);
    older
}
