//! The nouns: exercises, verdicts, markers, progress. No I/O, no imports from above.

pub mod book;
pub mod exercise;
pub mod gaps;
pub mod head;
pub mod hints;
pub mod marker;
pub mod mutant;
pub mod progress;
pub mod select;
pub mod shelf;
pub mod verdict;
