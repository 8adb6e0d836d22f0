//! The tasks of one run: numbered in the order they were spawned, with the place of it.

use std::panic::Location as Source;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kata_report::{Location, Site};
use tokio::task::Id;

use crate::place;
use crate::span::SpanId;

/// One spawned task.
#[derive(Clone)]
pub(crate) struct Task {
    pub id: Id,
    pub spawned_at: &'static Source<'static>,
    pub span: Option<SpanId>,
    pub alive: bool,
    pub polls: u64,
}

/// Every task that was spawned, in order: the n-th has number n, counted from 1.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<Task>>);

impl Tasks {
    fn list(&self) -> MutexGuard<'_, Vec<Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number, counted from 1.
    pub fn spawned(&self, id: Id, spawned_at: &'static Source<'static>) -> usize {
        let mut list = self.list();
        list.push(Task {
            id,
            spawned_at,
            span: None,
            alive: true,
            polls: 0,
        });
        list.len()
    }

    pub fn set_span(&self, number: usize, span: Option<SpanId>) {
        if let Some(task) = self.list().get_mut(number - 1) {
            task.span = span;
        }
    }

    /// The span that ends with it.
    pub fn ended(&self, id: Id) -> Option<SpanId> {
        let mut list = self.list();
        let task = list.iter_mut().rev().find(|task| task.id == id)?;
        task.alive = false;
        task.span
    }

    pub fn number(&self, id: Id) -> Option<usize> {
        self.list()
            .iter()
            .position(|task| task.id == id)
            .map(|index| index + 1)
    }

    /// Those not ended, with their numbers.
    pub fn alive(&self) -> Vec<(usize, Task)> {
        let list = self.list();
        list.iter()
            .enumerate()
            .filter(|(_, task)| task.alive)
            .map(|(index, task)| (index + 1, task.clone()))
            .collect()
    }
}

impl Task {
    /// Where it was spawned, as a site of a finding.
    pub fn site(&self, number: usize, doing: &str) -> Site {
        Site {
            who: format!("task {number}"),
            function: String::new(),
            location: Some(self.location()),
            doing: doing.to_owned(),
        }
    }

    pub fn location(&self) -> Location {
        place::of_source(self.spawned_at)
    }
}
