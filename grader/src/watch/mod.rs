//! The loop: saves and keys in, verdicts out.

pub mod event;
