//! From source to verdict: stage, build, run, judge.

mod cargo;
pub mod deps;
mod manifest;
pub mod phase;
