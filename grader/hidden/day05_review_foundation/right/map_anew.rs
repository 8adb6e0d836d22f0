//! right: looks at the whole map after every page, and polls the calls with select_all

mod given;
pub use given::*;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::{BoxFuture, select_all};
use futures::stream::{self, Stream};
use tokio::time::{Sleep, sleep};

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

/// A crawl that looks at the whole map anew after every page.
pub async fn crawl(fetch: &dyn Fetch, seed: Url, limits: &Limits) -> Report {
    let mut deadline = pin!(sleep(limits.deadline));
    let mut map: HashMap<Url, (String, Vec<Url>)> = HashMap::new();
    let mut failed = BTreeMap::new();
    let mut calls: Vec<BoxFuture<'_, (Url, Result<Page, FetchError>)>> = Vec::new();
    let mut asked: HashSet<Url> = HashSet::new();
    let mut in_flight: HashMap<String, usize> = HashMap::new();
    loop {
        for (url, _) in within_reach(&map, &seed, limits.depth) {
            let room = in_flight.entry(url.host().to_owned()).or_default();
            if *room < limits.per_host.get() && asked.insert(url.clone()) {
                *room += 1;
                let call = fetch.fetch(&url);
                calls.push(Box::pin(async move { (url, call.await) }));
            }
        }
        if calls.is_empty() {
            break;
        }
        let (url, outcome) = tokio::select! {
            (ended, _, rest) = select_all(std::mem::take(&mut calls)) => {
                calls = rest;
                ended
            }
            () = deadline.as_mut() => break,
        };
        *in_flight.entry(url.host().to_owned()).or_default() -= 1;
        match outcome {
            Ok(page) => {
                map.insert(url, (page.title, page.links));
            }
            Err(error) => {
                failed.insert(url, error);
            }
        }
    }
    let mut report = Report::default();
    for (url, depth) in within_reach(&map, &seed, limits.depth) {
        if let Some((title, _)) = map.get(&url) {
            let title = title.clone();
            report.pages.insert(url, Visit { title, depth });
        } else if !failed.contains_key(&url) {
            report.unfinished.insert(url);
        }
    }
    report.failed = failed;
    report
}

/// Breadth first over what is known: each page with its depth, nearest first.
fn within_reach(
    map: &HashMap<Url, (String, Vec<Url>)>,
    seed: &Url,
    limit: usize,
) -> Vec<(Url, usize)> {
    let mut seen = HashSet::from([seed.clone()]);
    let mut found = vec![(seed.clone(), 0)];
    let mut next = 0;
    while let Some((url, depth)) = found.get(next).cloned() {
        next += 1;
        let links = map.get(&url).map(|(_, links)| links);
        for link in links.into_iter().flatten().filter(|_| depth < limit) {
            if seen.insert(link.clone()) {
                found.push((link.clone(), depth + 1));
            }
        }
    }
    found
}
