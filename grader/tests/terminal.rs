//! The terminal as a learner has it: a real pseudo-terminal, real signals, a real shell.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests start the programs that they watch"
)]

mod support;

#[path = "terminal/child.rs"]
mod child;
#[path = "terminal/keys.rs"]
mod keys;
#[path = "terminal/pages.rs"]
mod pages;
#[path = "terminal/pipes.rs"]
mod pipes;
