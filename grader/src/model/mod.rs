//! The nouns: exercises, verdicts, markers, progress. No I/O, no imports from above.

pub mod exercise;
pub mod hints;
pub mod marker;
pub mod progress;
pub mod verdict;
