//! Panics: every one is written down with the learner's place, wherever it was caught.

use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use crate::place::{self, Place};
use crate::world::World;

/// A panic that was seen during a run.
#[derive(Debug, Clone)]
pub struct Panic {
    /// What it said.
    pub message: String,
    /// The learner's line, or else the place of the `panic!` itself, unless the check did that:
    /// a learner has nothing of a hidden place.
    pub location: Place,
    /// Whether it happened in a spawned task, where only a `JoinHandle` can tell.
    pub in_task: bool,
}

impl std::fmt::Display for Panic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "'{}'", self.message)?;
        let location = self.location.location();
        location.map_or(Ok(()), |location| write!(formatter, " at {location}"))
    }
}

/// What an unmet expectation unwinds with: it is reported already, and no panic hook hears of it.
pub(crate) struct Stop;

/// Has every panic of a run written down instead of printed; others are printed as usual.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            match World::current() {
                // It goes into the report; printed, it would carry a thread's number,
                // which differs from run to run.
                Some(world) => note(&world, info),
                None => default(info),
            }
        }));
    });
}

fn note(world: &World, info: &PanicHookInfo<'_>) {
    let source = info.location().map(place::of_source);
    let is_learners = source
        .as_ref()
        .is_some_and(|source| place::learners_file(&source.file).is_some());
    let location = if is_learners {
        Place::from(source)
    } else {
        Place::here_or(source.filter(|source| !place::is_hidden(&source.file)))
    };
    let panic = Panic {
        message: message_of(info.payload()),
        location,
        in_task: tokio::task::try_id().is_some(),
    };
    world.written().panics.push(panic);
}

/// The words of a panic.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}
