//! Pure: verdicts and progress in, text out.

pub mod chart;
pub mod error;
pub mod hints;
pub mod list;
pub mod progress;
pub mod style;
pub mod verdict;
