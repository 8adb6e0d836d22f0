//! The cancel sweep: an operation dropped at its first, second, third … pending.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::lab::Lab;
use crate::world::World;

/// An operation that pends more often than this is not swept to its end.
const MAX_ROUNDS: usize = 300;

/// One round of a sweep.
#[derive(Clone)]
pub struct Cancel {
    world: Arc<World>,
    round: usize,
    dropped: Rc<Cell<bool>>,
}

impl Cancel {
    /// Which pending this round drops the operation at, counted from 0.
    pub fn round(&self) -> usize {
        self.round
    }

    /// Polls the operation and drops it right after the pending of this round: `None`. An
    /// operation that ends before gives its output.
    pub async fn drop_at<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut pendings = 0;
        let output = poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if pendings == self.round => Poll::Ready(None),
            Poll::Pending => {
                pendings += 1;
                Poll::Pending
            }
        })
        .await;
        if output.is_none() {
            self.dropped.set(true);
            let said = format!(
                "the operation was dropped at its {} pending",
                ordinal(self.round + 1)
            );
            self.world.written().circumstance = Some(said);
        }
        output
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Cancel")
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}

impl Lab {
    /// Runs `body` with a [`Cancel`] for pending 0, 1, 2 … and ends after the first round in
    /// which nothing was dropped. Each round must build a fresh world.
    pub async fn cancel_sweep(&self, body: impl AsyncFn(Cancel)) {
        for round in 0..MAX_ROUNDS {
            let cancel = Cancel {
                world: Arc::clone(&self.world),
                round,
                dropped: Rc::default(),
            };
            // A chart of all rounds would show none of them.
            self.world.spans.next_round();
            body(cancel.clone()).await;
            self.world.written().circumstance = None;
            if !cancel.dropped.get() {
                return;
            }
        }
        self.expect(false)
            .expected(format!(
                "the operation completes within {MAX_ROUNDS} pendings"
            ))
            .got("it pends again and again")
            .pitfall("never-ends")
            .or_fail();
    }
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`.
fn ordinal(number: usize) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn ordinals_are_english() {
        let said: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111]
            .map(super::ordinal)
            .into();
        assert_eq!(
            said.join(" "),
            "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th"
        );
    }
}
