//! Day 5: Practice & Review: Foundation.
//!
//! Six questions on the first four days, and a crawler. `README.md` states what
//! each asks for; the code of the questions is in `given.rs` and below.

mod given;
pub use given::*;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::time::{Sleep, sleep};

// ------------------------------------------------- Task 1: predict

// What does the code note, and when? Answer with all events in their order, as
// in `"begin@0 end@250"`: name, `@`, milliseconds; a space in between.

/// Question 1: what does [`q1`] note?
pub fn answer_1() -> &'static str {
    todo!("question 1: what does q1 note, and when?")
}

/// Question 2: what does [`q2`] note?
pub fn answer_2() -> &'static str {
    todo!("question 2: what does q2 note, and when?")
}

/// Question 4: what does [`q4`] note?
pub fn answer_4() -> &'static str {
    todo!("question 4: what does q4 note, and when?")
}

/// Question 6: what does [`q6`] note?
pub fn answer_6() -> &'static str {
    todo!("question 6: what does q6 note, and when?")
}

// ------------------------------------------------- Task 2: spot and complete

/// Question 3: a visitor who walks to the café and takes a seat: ready when
/// sitting down.
///
/// Now and then a visitor never sits down. Find the line, mend it here.
pub struct Visitor {
    walk: Pin<Box<Sleep>>,
    arrived: bool,
    cafe: Arc<Mutex<Cafe>>,
}

impl Visitor {
    /// A visitor whose walk to the café takes so long, from now on.
    pub fn new(walk: Duration, cafe: Arc<Mutex<Cafe>>) -> Self {
        Self {
            walk: Box::pin(sleep(walk)),
            arrived: false,
            cafe,
        }
    }
}

impl Future for Visitor {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.arrived {
            ready!(self.walk.as_mut().poll(cx));
            self.arrived = true;
        }
        let mut cafe = self.cafe.lock().expect("nobody panics in here");
        if !cafe.open {
            cafe.wait(cx.waker());
            return Poll::Pending;
        }
        if cafe.free_seats == 0 {
            return Poll::Pending;
        }
        cafe.free_seats -= 1;
        Poll::Ready(())
    }
}

/// Question 3: the number of the line, in the README's listing of
/// `impl Future for Visitor`, that breaks the promise of a future.
pub fn answer_3() -> u32 {
    todo!("question 3: which line of the listing?")
}

/// Question 5: the sums of every sheet of the ledger, from sheet 1 on, sheet by
/// sheet; an error comes once, and then the end.
pub fn sheets(ledger: &dyn Ledger) -> impl Stream<Item = Result<Vec<u32>, Torn>> {
    // The state is the number of the sheet to be fetched next, `None` at the end.
    stream::unfold(Some(1), move |number: Option<u32>| async move {
        let _sheet = ledger.sheet(number?);
        todo!("question 5: await the sheet; give its sums, and the next state")
    })
}

// ------------------------------------------------- Tasks 3 to 5: crawl

/// Fetches `seed` and what it links to, and so on, and reports what it found.
///
/// - Every page whose depth is at most `limits.depth` is fetched, once, as soon
///   as it is known and its host has room. The depth of a page is the number of
///   links on the shortest way from the seed to it.
/// - At most `limits.per_host` calls are in flight at one host.
/// - At `limits.deadline`, from the first poll on, it returns what it has; sooner
///   if there is nothing more to fetch.
///
/// A call that fails is reported and stops nothing else. Once the future has
/// returned, or was dropped, no call is in flight.
pub async fn crawl(fetch: &dyn Fetch, seed: Url, limits: &Limits) -> Report {
    let _ = (fetch, seed, limits);
    todo!("task 3: fetch the seed, then what it links to, each page once")
}
