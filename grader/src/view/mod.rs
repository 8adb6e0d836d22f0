//! Pure: verdicts and progress in, text out.

pub mod axis;
pub mod bars;
pub mod book;
pub mod chart;
pub mod check_list;
pub mod compiler;
pub mod demo;
pub mod done;
pub mod duration;
pub mod error;
pub mod failure;
pub mod footer;
pub mod hints;
pub mod json;
pub mod label;
pub mod list;
pub mod markdown;
pub mod progress;
pub mod replay;
pub mod reset;
pub mod rows;
pub mod sentence;
pub mod sites;
pub mod style;
pub mod svg;
pub mod text;
pub mod timeline;
pub mod verdict;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod verdict_fixtures;
