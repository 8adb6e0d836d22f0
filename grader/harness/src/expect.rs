//! Expectations: what should have been, what was, and why it came about.

use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kata_report::{Finding, FindingKind, Site};

use crate::lab::Lab;
use crate::panics::Stop;
use crate::place::Place;
use crate::world::{World, blank};

/// Something that must hold. Nothing happens before [`Expectation::or_fail`].
#[must_use = "an expectation does nothing before `or_fail()`"]
pub struct Expectation {
    world: Arc<World>,
    holds: bool,
    finding: Finding,
    place: Place,
}

impl Expectation {
    /// What should have been, in words.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.finding.expected = expected.into();
        self
    }

    /// What was, in words.
    pub fn got(mut self, got: impl Into<String>) -> Self {
        self.finding.got = got.into();
        self
    }

    /// Why this comes about: the cause, from which the learner can mend the code.
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.finding.why = why.into();
        self
    }

    /// The anchor of a pitfall in the reference book.
    pub fn pitfall(mut self, pitfall: impl Into<String>) -> Self {
        self.finding.pitfall = Some(pitfall.into());
        self
    }

    /// The place in the learner's code: a [`Place`], a `Location` or an `Option` of it.
    pub fn at(mut self, place: impl Into<Place>) -> Self {
        self.place = place.into();
        self
    }

    /// Ends the check here if this does not hold. The first finding of a run stays.
    pub fn or_fail(mut self) {
        if self.holds {
            return;
        }
        if let Some(location) = self.place.location() {
            self.finding.location = Some(location);
        }
        self.world.fail(self.finding);
        // Within a `Drop` of an unwinding stack a second panic would end the process.
        if !thread::panicking() {
            resume_unwind(Box::new(Stop));
        }
    }
}

impl std::fmt::Debug for Expectation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Expectation")
            .field("holds", &self.holds)
            .field("finding", &self.finding)
            .finish_non_exhaustive()
    }
}

impl Lab {
    /// Expects `holds`; say with [`Expectation::expected`] and [`Expectation::got`] what it means.
    pub fn expect(&self, holds: bool) -> Expectation {
        Expectation {
            holds,
            finding: blank(FindingKind::Failed, self.now_ms()),
            place: Place::default(),
            world: Arc::clone(&self.world),
        }
    }

    /// Expects two values to be equal; what was expected and got is drawn by `Debug`.
    pub fn expect_eq<G, E>(&self, got: &G, expected: &E) -> Expectation
    where
        G: Debug + PartialEq<E> + ?Sized,
        E: Debug + ?Sized,
    {
        let holds = got == expected;
        let expectation = self.expect(holds);
        if holds {
            return expectation;
        }
        expectation
            .expected(format!("{expected:?}"))
            .got(format!("{got:?}"))
    }

    /// Expects something to have taken exactly so many milliseconds of virtual time.
    pub fn expect_took(&self, took: Duration, expected_ms: u64) -> Expectation {
        let expected = Duration::from_millis(expected_ms);
        let got = if took > expected {
            format!(
                "{}, {} later than that",
                in_ms(took),
                in_ms(took.saturating_sub(expected))
            )
        } else {
            format!(
                "{}, {} earlier than that",
                in_ms(took),
                in_ms(expected.saturating_sub(took))
            )
        };
        self.expect(took == expected)
            .expected(in_ms(expected))
            .got(got)
    }

    /// Settles, then expects that no spawned task is left; each that is, is named by its place.
    pub async fn expect_no_tasks_left(&self) -> Expectation {
        self.settle().await;
        let count = self.tasks_alive();
        let alive = self.world.tasks.alive();
        let mut expectation = self
            .expect(count == 0)
            .expected("no task is left running")
            .got(if count == 1 {
                "1 task is still running".to_owned()
            } else {
                format!("{count} tasks are still running")
            })
            .pitfall("leaked-task");
        expectation.finding.sites = alive
            .iter()
            .map(|(number, task)| task.site(*number, "spawned here, still running"))
            .collect::<Vec<Site>>();
        expectation.finding.location = alive.first().map(|(_, task)| task.location());
        expectation
    }

    /// Expects that no task panicked. A panic inside a task reaches only who awaits its handle.
    pub fn expect_no_lost_panics(&self) -> Expectation {
        let lost = self.panics().into_iter().find(|panic| panic.in_task);
        let expectation = self
            .expect(lost.is_none())
            .expected("no task panics")
            .pitfall("lost-panic");
        match lost {
            Some(panic) => expectation
                .got(format!("a task panicked: {}", panic.message))
                .at(panic.location),
            None => expectation,
        }
    }
}

/// `300 ms`, and fractions only where there are some.
fn in_ms(time: Duration) -> String {
    if time.subsec_nanos().is_multiple_of(1_000_000) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{time:?}")
    }
}
