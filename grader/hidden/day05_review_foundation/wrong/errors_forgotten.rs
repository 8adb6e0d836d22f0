//! wrong: a page that failed is forgotten
//! fails: a page that fails is reported, and the rest is fetched: failed
//! fails: at the deadline it returns all that was fetched: failed
//! fails: what is known but not fetched is unfinished: failed
//! fails: in a random web all of this holds together: failed
//! pitfall: swallowed-error

mod given;
pub use given::*;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt};
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

/// Fetches `seed` and what it links to, and so on, and reports what it found.
pub async fn crawl(fetch: &dyn Fetch, seed: Url, limits: &Limits) -> Report {
    let mut crawl = Crawl::new(fetch, limits);
    crawl.find([(seed, 0)]);
    let _in_time = timeout(limits.deadline, crawl.run()).await;
    crawl.into_report()
}

struct Crawl<'a> {
    fetch: &'a dyn Fetch,
    limits: &'a Limits,
    /// Every page within reach, with the shortest way to it that is known.
    depths: HashMap<Url, usize>,
    /// Where the fetched pages link to: a shorter way may turn up any time.
    links: HashMap<Url, Vec<Url>>,
    hosts: HashMap<String, Host>,
    calls: FuturesUnordered<BoxFuture<'a, (Url, Result<Page, FetchError>)>>,
    report: Report,
}

#[derive(Default)]
struct Host {
    in_flight: usize,
    waiting: VecDeque<Url>,
}

impl<'a> Crawl<'a> {
    fn new(fetch: &'a dyn Fetch, limits: &'a Limits) -> Self {
        Self {
            fetch,
            limits,
            depths: HashMap::new(),
            links: HashMap::new(),
            hosts: HashMap::new(),
            calls: FuturesUnordered::new(),
            report: Report::default(),
        }
    }

    async fn run(&mut self) {
        while let Some((url, outcome)) = self.calls.next().await {
            let host = self.hosts.entry(url.host().to_owned()).or_default();
            host.in_flight -= 1;
            self.call_next(url.host());
            match outcome {
                Ok(page) => self.fetched(url, page),
                Err(_) => {}
            }
        }
    }

    fn fetched(&mut self, url: Url, page: Page) {
        let Page { title, links } = page;
        // Looked up only now: a shorter way may have been found meanwhile.
        let depth = self.depths[&url];
        self.find(links.iter().map(|link| (link.clone(), depth + 1)));
        self.links.insert(url.clone(), links);
        self.report.pages.insert(url, Visit { title, depth });
    }

    /// Pages, each with the length of a way to it. Those that are new are asked
    /// for; to those that are not the way may be shorter than was known.
    fn find(&mut self, found: impl IntoIterator<Item = (Url, usize)>) {
        let mut found: VecDeque<_> = found.into_iter().collect();
        while let Some((url, depth)) = found.pop_front() {
            if depth > self.limits.depth {
                continue;
            }
            match self.depths.entry(url.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(depth);
                    let host = self.hosts.entry(url.host().to_owned()).or_default();
                    host.waiting.push_back(url.clone());
                    self.call_next(url.host());
                }
                Entry::Occupied(entry) if *entry.get() <= depth => {}
                Entry::Occupied(mut entry) => {
                    entry.insert(depth);
                    if let Some(visit) = self.report.pages.get_mut(&url) {
                        visit.depth = depth;
                    }
                    // What lies behind it has come nearer, too.
                    let links = self.links.get(&url).into_iter().flatten();
                    found.extend(links.map(|link| (link.clone(), depth + 1)));
                }
            }
        }
    }

    /// Asks for the host's next page, if one waits and there is room.
    fn call_next(&mut self, host: &str) {
        let Some(host) = self.hosts.get_mut(host) else {
            return;
        };
        if host.in_flight == self.limits.per_host.get() {
            return;
        }
        if let Some(url) = host.waiting.pop_front() {
            host.in_flight += 1;
            let call = self.fetch.fetch(&url);
            self.calls.push(Box::pin(async move { (url, call.await) }));
        }
    }

    /// Drops the calls that are in flight, if there are any.
    fn into_report(self) -> Report {
        let mut report = self.report;
        let ended = |url: &Url| report.pages.contains_key(url) || report.failed.contains_key(url);
        report.unfinished = self.depths.into_keys().filter(|url| !ended(url)).collect();
        report
    }
}
