//! right: every page follows its own links, with a semaphore for each host

mod given;
pub use given::*;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::stream::{self, Stream};
use tokio::sync::Semaphore;
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
        cafe.wait(cx.waker());
        if !cafe.open || cafe.free_seats == 0 {
            return Poll::Pending;
        }
        cafe.free_seats -= 1;
        Poll::Ready(())
    }
}

/// Question 5.
pub fn sheets(ledger: &dyn Ledger) -> impl Stream<Item = Result<Vec<u32>, Torn>> {
    stream::unfold((1, false), move |(number, ended)| async move {
        if ended {
            return None;
        }
        let sheet = ledger.sheet(number).await;
        let next = sheet.as_ref().ok().and_then(|sheet| sheet.next);
        let state = (next.unwrap_or(number), next.is_none());
        Some((sheet.map(|sheet| sheet.sums), state))
    })
}

/// A crawl in which every page follows its own links.
pub async fn crawl(fetch: &dyn Fetch, seed: Url, limits: &Limits) -> Report {
    let state = State {
        fetch,
        limits,
        rooms: Mutex::default(),
        known: Mutex::default(),
    };
    let _ = timeout(limits.deadline, follow(&state, seed, 0)).await;
    let mut known = state.known.into_inner().expect("not poisoned");
    for (url, _) in known.depths {
        if !known.report.pages.contains_key(&url) && !known.report.failed.contains_key(&url) {
            known.report.unfinished.insert(url);
        }
    }
    known.report
}

struct State<'a> {
    fetch: &'a dyn Fetch,
    limits: &'a Limits,
    rooms: Mutex<HashMap<String, Arc<Semaphore>>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    depths: HashMap<Url, usize>,
    links: HashMap<Url, Vec<Url>>,
    report: Report,
}

impl State<'_> {
    fn room(&self, url: &Url) -> Arc<Semaphore> {
        let mut rooms = self.rooms.lock().expect("not poisoned");
        let room = || Arc::new(Semaphore::new(self.limits.per_host.get()));
        let room = rooms.entry(url.host().to_owned()).or_insert_with(room);
        Arc::clone(room)
    }

    /// Whether this way is news, and whether the page was known before.
    fn reach(&self, url: &Url, depth: usize) -> Option<bool> {
        if depth > self.limits.depth {
            return None;
        }
        let mut known = self.known.lock().expect("not poisoned");
        let before = known.depths.get(url).copied();
        if before.is_some_and(|before| before <= depth) {
            return None;
        }
        known.depths.insert(url.clone(), depth);
        Some(before.is_some())
    }

    async fn load(&self, url: &Url) {
        let room = self.room(url);
        let _room = room.acquire().await.expect("never closed");
        let outcome = self.fetch.fetch(url).await;
        let mut known = self.known.lock().expect("not poisoned");
        match outcome {
            Ok(Page { title, links }) => {
                known.links.insert(url.clone(), links);
                let visit = Visit { title, depth: 0 };
                known.report.pages.insert(url.clone(), visit);
            }
            Err(error) => {
                known.report.failed.insert(url.clone(), error);
            }
        }
    }

    /// Notes the depth of a page that was fetched; its links, and theirs.
    fn links(&self, url: &Url) -> (Vec<Url>, usize) {
        let known = &mut *self.known.lock().expect("not poisoned");
        let depth = known.depths[url];
        if let Some(visit) = known.report.pages.get_mut(url) {
            visit.depth = depth;
        }
        (known.links.get(url).cloned().unwrap_or_default(), depth + 1)
    }
}

fn follow<'a>(state: &'a State<'a>, url: Url, depth: usize) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        let Some(known) = state.reach(&url, depth) else {
            return;
        };
        if !known {
            state.load(&url).await;
        }
        let (links, depth) = state.links(&url);
        join_all(links.into_iter().map(|link| follow(state, link, depth))).await;
    })
}
