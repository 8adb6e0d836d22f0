//! The nouns: exercises, verdicts, markers, progress. No I/O, no imports from above.

pub mod book;
pub mod demo;
pub mod exercise;
pub mod gaps;
pub mod head;
pub mod hints;
pub mod marker;
pub mod mutant;
pub mod name;
pub mod progress;
pub mod select;
pub mod shelf;
pub mod tally;
pub mod verdict;
