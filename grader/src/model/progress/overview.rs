//! The course as a whole: sums, and where to go on.

use super::{Entry, Progress, time};
use crate::model::marker::Marker;

/// Sums over the exercises of the course.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many the course has.
    pub exercises: usize,
    /// How many are ✅.
    pub completed: usize,
    /// How many are 🔄.
    pub in_progress: usize,
    /// How many are ⏳.
    pub not_started: usize,
    /// How many are ❌.
    pub need_help: usize,
    /// Best points, summed up.
    pub points: u32,
    /// Of how many, over the exercises that were graded.
    pub max_points: u32,
    /// Checks run.
    pub checks_run: u64,
    /// Saves graded.
    pub saves: u64,
    /// Hints seen.
    pub hints: u32,
}

impl Totals {
    /// Completed exercises in percent, rounded down, so that 100 means all.
    pub fn percent(&self) -> usize {
        let hundredfold = self.completed * 100;
        hundredfold.checked_div(self.exercises).unwrap_or(0)
    }

    fn add(&mut self, entry: &Entry) {
        *match entry.marker {
            Marker::Completed => &mut self.completed,
            Marker::InProgress => &mut self.in_progress,
            Marker::NotStarted => &mut self.not_started,
            Marker::NeedHelp => &mut self.need_help,
        } += 1;
        self.exercises += 1;
        self.points += entry.points;
        self.max_points += entry.max_points;
        self.checks_run += entry.checks_run;
        self.saves += entry.saves;
        self.hints += entry.hints;
    }
}

impl Progress {
    /// Sums over these exercises; what the file knows of others is left out.
    pub fn totals<'a>(&self, slugs: impl IntoIterator<Item = &'a str>) -> Totals {
        let mut totals = Totals::default();
        for slug in slugs {
            totals.add(self.entry(slug).unwrap_or(&Entry::default()));
        }
        totals
    }

    /// The next exercise after `slug` that is not completed, from the beginning again after the last.
    ///
    /// `slugs` are in the order of the course. It is never `slug` itself; `None`
    /// means that all others are completed.
    pub fn next_after<'a>(&self, slug: &str, slugs: &[&'a str]) -> Option<&'a str> {
        let after = slugs
            .iter()
            .position(|candidate| *candidate == slug)
            .map_or(0, |position| position + 1);
        let (before, behind) = slugs.split_at(after);
        behind
            .iter()
            .chain(before)
            .find(|candidate| **candidate != slug && !self.is_completed(candidate))
            .copied()
    }

    /// Where to go on: the exercise graded last, or, if that is completed,
    /// the next one that is not. `None` means that all are completed.
    pub fn resume<'a>(&self, slugs: &[&'a str]) -> Option<&'a str> {
        let last = |slug: &str| self.entry(slug)?.last.as_deref();
        let graded = slugs.iter().filter_map(|slug| Some((last(slug)?, *slug)));
        let latest = graded.max_by(|(one, _), (other, _)| time::compare(one, other));
        match latest {
            Some((_, slug)) if !self.is_completed(slug) => Some(slug),
            Some((_, slug)) => self.next_after(slug, slugs),
            None => slugs.iter().find(|slug| !self.is_completed(slug)).copied(),
        }
    }

    fn is_completed(&self, slug: &str) -> bool {
        self.marker(slug) == Marker::Completed
    }
}
