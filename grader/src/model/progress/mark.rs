//! What the learner changes by hand: a marker, a hint looked at.

use super::Progress;
use crate::model::marker::Marker;

/// What became of a marker set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It is set; it was this before.
    Changed(Marker),
    /// It was set already.
    Same,
    /// The exercise is completed, and stays so.
    StaysCompleted,
    /// ✅ is given by a verdict alone.
    NotEarned,
}

impl Progress {
    /// Sets an exercise's marker by hand.
    ///
    /// ❌ asks for help; 🔄 and ⏳ take that back and forget the failing saves
    /// in a row. A completed exercise stays completed, and nothing but a
    /// verdict completes one.
    pub fn mark(&mut self, slug: &str, marker: Marker, now: &str) -> Marked {
        let before = self.marker(slug);
        if before == marker {
            return Marked::Same;
        }
        let earned = self
            .entry(slug)
            .is_some_and(|entry| entry.completed.is_some());
        if before == Marker::Completed {
            return Marked::StaysCompleted;
        }
        if marker == Marker::Completed && !earned {
            return Marked::NotEarned;
        }
        let entry = self.exercises.entry(slug.to_owned()).or_default();
        entry.marker = marker;
        entry.last = Some(now.to_owned());
        if marker != Marker::NeedHelp {
            entry.clear_streak();
        }
        Marked::Changed(before)
    }

    /// Remembers that so many hints of an exercise have been seen; true if that is more than before.
    pub fn hint_seen(&mut self, slug: &str, hints: u32) -> bool {
        if self.entry(slug).map_or(0, |entry| entry.hints) >= hints {
            return false;
        }
        self.exercises.entry(slug.to_owned()).or_default().hints = hints;
        true
    }
}
