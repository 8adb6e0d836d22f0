//! The one event type of the loop.

use anyhow::Error;

use super::machine::RunId;
use crate::{
    grade::{Graded, phase::Phase},
    world::{terminal, watcher},
};

/// Something that happened to `kata watch`.
#[derive(Debug)]
pub enum Event {
    /// From the terminal: a key, a line, another size, the end of input.
    Terminal(terminal::Input),
    /// From the watcher: a save, or how it fares.
    Watcher(watcher::Notice),
    /// Something beside the loop failed, and the learner should know.
    Trouble(String),
    /// A run goes on.
    Phase(RunId, Phase),
    /// A run ended.
    Graded(RunId, Result<Box<Graded>, Error>),
    /// A run over all days ended: slug and verdict.
    AllGraded(RunId, Result<Vec<(String, Graded)>, Error>),
}
