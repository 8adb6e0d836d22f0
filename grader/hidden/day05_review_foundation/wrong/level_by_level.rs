//! wrong: waits for all pages of a depth
//! fails: a page is asked for the moment its link is known: failed
//! fails: at the deadline it returns all that was fetched: failed
//! fails: what is known but not fetched is unfinished: failed
//! fails: a shorter way that is found later counts: failed
//! fails: in a random web all of this holds together: failed
//! pitfall: sequential-awaits

mod given;
pub use given::*;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
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

/// One depth after the other.
pub async fn crawl(fetch: &dyn Fetch, seed: Url, limits: &Limits) -> Report {
    let mut report = Report::default();
    let mut level = BTreeSet::from([seed]);
    let crawling = async {
        for depth in 0..=limits.depth {
            report.unfinished.clone_from(&level);
            let mut hosts: BTreeMap<String, Vec<Url>> = BTreeMap::new();
            for url in std::mem::take(&mut level) {
                hosts.entry(url.host().to_owned()).or_default().push(url);
            }
            let hosts = hosts.into_values().map(|urls| {
                stream::iter(urls)
                    .map(|url| async move {
                        let outcome = fetch.fetch(&url).await;
                        (url, outcome)
                    })
                    .buffer_unordered(limits.per_host.get())
            });
            let mut ended = stream::select_all(hosts);
            while let Some((url, outcome)) = ended.next().await {
                report.unfinished.remove(&url);
                match outcome {
                    Ok(Page { title, links }) => {
                        report.pages.insert(url, Visit { title, depth });
                        level.extend(links);
                    }
                    Err(error) => {
                        report.failed.insert(url, error);
                    }
                }
            }
            level.retain(|url| !report.pages.contains_key(url) && !report.failed.contains_key(url));
        }
    };
    let _ = timeout(limits.deadline, crawling).await;
    report
}
