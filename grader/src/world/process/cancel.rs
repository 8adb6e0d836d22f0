//! Stopping a grading run from another thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

use super::kill_group;

/// A handle by which a run can be stopped; clones stop the same run.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    running: Vec<Pid>,
    children: Vec<Cancel>,
}

/// The run was stopped by [`Cancel::cancel`]; its result means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the run was cancelled")]
pub struct Cancelled;

impl Cancel {
    /// Kills what runs now and refuses what would start later.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        for pid in state.running.drain(..) {
            kill_group(pid);
        }
        for child in state.children.drain(..) {
            child.cancel();
        }
    }

    /// A handle for a part of the run: stopping the run stops it, but not the other way round.
    #[must_use]
    pub fn part(&self) -> Self {
        let part = Self::default();
        let mut state = self.state();
        if state.cancelled {
            part.cancel();
        } else {
            state.children.push(part.clone());
        }
        drop(state);
        part
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// An error if the run was stopped.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// Lets `cancel` kill this group from now on.
    pub(super) fn watch(&self, pid: Pid) {
        let mut state = self.state();
        if state.cancelled {
            kill_group(pid);
        } else {
            state.running.push(pid);
        }
    }

    /// To be called before the process is reaped, while its number is still its own.
    pub(super) fn forget(&self, pid: Pid) {
        self.state().running.retain(|running| *running != pid);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
