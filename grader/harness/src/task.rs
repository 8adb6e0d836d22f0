//! The tasks of one run: numbered in the order they were spawned, with the place of it.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
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
    /// Polls that were counted because there were very many at one instant.
    pub counted_polls: u64,
    span: Option<SpanId>,
    alive: bool,
}

/// Every task that was spawned, in order: the n-th has number n, counted from 1.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<List>);

#[derive(Default)]
struct List {
    tasks: Vec<Task>,
    /// Where in `tasks`. The hasher takes no random numbers: they are the code's under test.
    indices: HashMap<Id, usize, BuildHasherDefault<DefaultHasher>>,
}

impl Tasks {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task was spawned; its number, counted from 1.
    pub fn spawned(&self, id: Id, spawned_at: &'static Source<'static>) -> usize {
        let mut list = self.list();
        let index = list.tasks.len();
        list.indices.insert(id, index);
        list.tasks.push(Task {
            id,
            spawned_at,
            counted_polls: 0,
            span: None,
            alive: true,
        });
        index + 1
    }

    pub fn set_span(&self, number: usize, span: Option<SpanId>) {
        if let Some(task) = self.list().tasks.get_mut(number - 1) {
            task.span = span;
        }
    }

    /// A task is polled at an instant of very many polls.
    pub fn count_poll(&self, id: Id) {
        let mut list = self.list();
        if let Some(&index) = list.indices.get(&id) {
            list.tasks[index].counted_polls += 1;
        }
    }

    /// The span that ends with it. Whether it returned, panicked or was aborted, tokio does
    /// not tell.
    pub fn ended(&self, id: Id) -> Option<SpanId> {
        let mut list = self.list();
        let index = list.indices.remove(&id)?;
        list.tasks[index].alive = false;
        list.tasks[index].span
    }

    /// Those not ended, with their numbers.
    pub fn alive(&self) -> Vec<(usize, Task)> {
        let list = self.list();
        let numbered = list
            .tasks
            .iter()
            .enumerate()
            .map(|(index, task)| (index + 1, task));
        numbered
            .filter(|(_, task)| task.alive)
            .map(|(number, task)| (number, task.clone()))
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

    /// Where it was spawned.
    pub fn location(&self) -> Location {
        place::of_source(self.spawned_at)
    }
}
