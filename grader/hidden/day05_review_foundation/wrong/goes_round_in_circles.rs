//! wrong: knows no page again
//! fails: every page within reach is fetched once: failed
//! fails: a page is asked for the moment its link is known: failed
//! fails: a page that fails is reported, and the rest is fetched: failed
//! fails: room at a host is used the moment it is free: failed
//! fails: a slow host holds no other host back: failed
//! fails: at the deadline it returns all that was fetched: failed
//! fails: what is known but not fetched is unfinished: failed
//! fails: a shorter way that is found later counts: failed
//! fails: in a random web all of this holds together: failed
//! pitfall: shared-state-race

mod given;
pub use given::*;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, Stream};
use tokio::time::{Sleep, sleep, timeout};

/// Question 1.
pub fn answer_1() -> &'static str {
    "a@0 tea@0 ready@100 b@100"
}

/// Question 2.
pub fn answer_2() -> &'static str {
    "sequence@300 joined@500 calls@800 sleeps@1000"
}

/// Question 4.
pub fn answer_4() -> &'static str {
    "seated@400 plate@1000 coat@1000 late@1000 gone@1100"
}

/// Question 6.
pub fn answer_6() -> &'static str {
    "dropped@0 late@150 parcel@250 bell@250 errand@300 bell@300 end@400"
}

/// Question 3.
pub fn answer_3() -> u32 {
    15
}

/// Question 3: a visitor who walks to the café and takes a seat.
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
        if !cafe.open || cafe.free_seats == 0 {
            cafe.wait(cx.waker());
            return Poll::Pending;
        }
        cafe.free_seats -= 1;
        Poll::Ready(())
    }
}

/// Question 5.
pub fn sheets(ledger: &dyn Ledger) -> impl Stream<Item = Result<Vec<u32>, Torn>> {
    stream::unfold(Some(1), move |number: Option<u32>| async move {
        Some(match ledger.sheet(number?).await {
            Ok(sheet) => (Ok(sheet.sums), sheet.next),
            Err(torn) => (Err(torn), None),
        })
    })
}

/// Knows no page again.
pub async fn crawl(fetch: &dyn Fetch, seed: Url, limits: &Limits) -> Report {
    let report = Mutex::new(Report::default());
    let _ = timeout(limits.deadline, follow(fetch, seed, 0, limits, &report)).await;
    report.into_inner().expect("not poisoned")
}

fn follow<'a>(
    fetch: &'a dyn Fetch,
    url: Url,
    depth: usize,
    limits: &'a Limits,
    report: &'a Mutex<Report>,
) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        if depth > limits.depth {
            return;
        }
        let outcome = fetch.fetch(&url).await;
        let links = {
            let mut report = report.lock().expect("not poisoned");
            match outcome {
                Ok(Page { title, links }) => {
                    report.pages.insert(url, Visit { title, depth });
                    links
                }
                Err(error) => {
                    report.failed.insert(url, error);
                    return;
                }
            }
        };
        // One after the other, or the pages of a small web would not fit into memory.
        for link in links {
            follow(fetch, link, depth + 1, limits, report).await;
        }
    })
}
