//! Hidden checks of day 5: the questions of week one, and a crawler.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Debug;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use exercise::{
    Cafe, Fetch, FetchError, Ledger, Limits, Log, Page, Report, Sheet, Torn, Url, Visit, Visitor,
    answer_1, answer_2, answer_3, answer_4, answer_6, crawl, q1, q2, q4, q6, sheets,
};
use futures::future::BoxFuture;
use futures::stream::StreamExt;
use kata_harness::{Call, CallInfo, Lab, Probe, Service, SpanEnd, Suite, fastrand, ms};
use tokio::task::JoinHandle;
use tokio::time::sleep;

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .seeds(1) // the questions leave nothing to chance
        .check("question 1: a future that is made, and one that is dropped", 1, question_1)
        .check("question 2: two naps, in four ways", 1, question_2)
        .check("question 4: guards inside a timeout", 1, question_4)
        .check("question 6: the task of a dropped handle", 1, question_6)
        .task(2)
        .check("question 3: a promise broken, and mended", 2, question_3)
        .seeds(16)
        .check("question 5: sheet by sheet with unfold", 2, question_5)
        .task(3)
        .check("every page within reach is fetched once", 2, each_once)
        .check("a page is asked for the moment its link is known", 2, at_once)
        .check("no page beyond the depth is fetched", 2, depth)
        .check("a page that fails is reported, and the rest is fetched", 1, failures)
        .task(4)
        .check("no host has more than `per_host` calls in flight", 2, per_host)
        .check("room at a host is used the moment it is free", 2, no_idle_room)
        .check("a slow host holds no other host back", 2, slow_host)
        .check("at the deadline it returns all that was fetched", 3, deadline)
        .check("what is known but not fetched is unfinished", 1, unfinished)
        .check("calls in flight are dropped at the deadline", 1, calls_dropped)
        .check("a crawl that is done does not wait for its deadline", 1, done_early)
        .task(5)
        .check("a shorter way that is found later counts", 3, shorter_way)
        .check("in a random web all of this holds together", 3, random_web)
        .run()
}

// --------------------------------------------------------------- the questions

/// The events up to and including the one at `place`; what follows is left out.
fn up_to(events: &[&str], place: usize, more: bool) -> String {
    let shown: Vec<&str> = events.iter().take(place + 1).copied().collect();
    match (shown.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (false, false) => shown.join(" "),
        (false, true) => format!("{} …", shown.join(" ")),
    }
}

/// Runs a question's code up to the first event that the answer does not have at that place:
/// what comes after it is not drawn either.
async fn run_as_answered(question: impl Future<Output = ()>, log: &Log, answer: &str) {
    let said: Vec<&str> = answer.split_whitespace().collect();
    let mut question = pin!(question);
    poll_fn(|cx| {
        let poll = question.as_mut().poll(cx);
        let noted = log.events();
        let mut places = noted.split_whitespace().enumerate();
        match places.any(|(place, event)| said.get(place) != Some(&event)) {
            true => Poll::Ready(()),
            false => poll,
        }
    })
    .await;
}

/// Compares an answer with what the snippet has noted.
fn expect_answer(lab: &Lab, answer: &str, truth: &str, rule: &str, pitfall: &str) {
    let said: Vec<&str> = answer.split_whitespace().collect();
    let noted: Vec<&str> = truth.split_whitespace().collect();
    let place = (0..said.len().max(noted.len())).find(|&place| said.get(place) != noted.get(place));
    let Some(place) = place else { return };
    let difference = match (said.get(place), noted.get(place)) {
        (Some(said), Some(noted)) => format!("you say {said}, it is {noted}"),
        (Some(said), None) => format!("you say {said}, but that was all"),
        (None, Some(noted)) => format!("you end, but {noted} follows"),
        (None, None) => unreachable!("a place where they differ"),
    };
    lab.expect(false)
        .expected(up_to(&noted, place, noted.len() > place))
        .got(up_to(&said, place, said.len() > place + 1))
        .why(format!("At place {}: {difference}. {rule}", place + 1))
        .pitfall(pitfall)
        .or_fail();
}

async fn question_1(lab: Lab) {
    let answer = answer_1();
    let log = Log::new();
    run_as_answered(q1(log.clone()), &log, answer).await;
    let rule = "Calling an `async fn` makes a future and runs nothing of it. It runs when it is \
                polled, from the first `.await` on; and if it is dropped before, never.";
    expect_answer(&lab, answer, &log.events(), rule, "forgotten-await");
}

async fn question_2(lab: Lab) {
    let answer = answer_2();
    let log = Log::new();
    let drawn = async {
        tokio::join!(draw_naps(&lab), q2(log.clone()));
    };
    run_as_answered(drawn, &log, answer).await;
    let rule = "`nap(…)` runs nothing before it is polled, so its time begins there. `sleep(…)` \
                is a plain function: it sets its deadline when it is called. And `join!` polls \
                both in turn, so their times overlap.";
    expect_answer(&lab, answer, &log.events(), rule, "sequential-awaits");
}

/// Draws the naps of question 2, each in a row of its own.
async fn draw_naps(lab: &Lab) {
    let nap = async |way: &str, from_ms: u64, length_ms: u64| {
        sleep(ms(from_ms)).await;
        // So that a run that stops at this instant does not begin the next row.
        tokio::task::yield_now().await;
        let row = lab.span(format!("{way}, {length_ms} ms"), "sleeps");
        sleep(ms(length_ms)).await;
        row.done();
    };
    tokio::join!(
        nap("sequence", 0, 100),
        nap("sequence", 100, 200),
        nap("joined", 300, 100),
        nap("joined", 300, 200),
        nap("calls", 500, 100),
        nap("calls", 600, 200),
        nap("sleeps", 800, 100),
        nap("sleeps", 800, 200),
    );
}

async fn question_4(lab: Lab) {
    let answer = answer_4();
    let log = Log::new();
    run_as_answered(q4(log.clone()), &log, answer).await;
    let rule = "At its deadline the timeout drops the future it holds, before the `.await` gives \
                `Err`. What is alive in it is dropped as at the end of a block: the last one \
                declared goes first. Nothing after the `.await` where it stood ever runs.";
    expect_answer(&lab, answer, &log.events(), rule, "cancellation-ignored");
}

async fn question_6(lab: Lab) {
    let answer = answer_6();
    let log = Log::new();
    run_as_answered(q6(log.clone()), &log, answer).await;
    let rule = "A task belongs to the runtime. Dropping its handle, be it by hand or by a timeout, \
                takes away the way to its output and nothing else: the task runs on to its end.";
    expect_answer(&lab, answer, &log.events(), rule, "dropped-join-handle");
}

async fn question_3(lab: Lab) {
    let line = answer_3();
    let mut lines = (1..).zip(LISTING.lines().map(str::trim));
    let source = lines.clone().find(|(number, _)| *number == line);
    let condition = lines.find(|(_, source)| source.contains("free_seats == 0"));
    // It is the line after this condition.
    lab.expect(condition.is_some_and(|(number, _)| line == number + 1))
        .expected("the line that says \"pending\" though nobody will wake the visitor")
        .got(match source {
            None => format!("line {line}, which the listing does not have"),
            Some((_, source)) => format!("line {line}: {source}"),
        })
        .why(
            "`Pending` promises a wake. Go through the lines that can return it, and ask of \
             each: who has the waker of this poll, and when will he use it?",
        )
        .pitfall("lost-wakeup")
        .or_fail();

    expect_wakes(&lab).await;

    let cafe = Arc::<Mutex<Cafe>>::default();
    let visitors: Vec<_> = (0..3)
        .map(|number| {
            let visitor = Visitor::new(ms(100 + number), Arc::clone(&cafe));
            tokio::spawn(visitor)
        })
        .collect();
    sleep(ms(200)).await;
    expect_seated(&lab, &visitors, 0, "the door is shut").await;
    cafe.lock().expect("not poisoned").open_up();
    expect_seated(&lab, &visitors, 0, "the door opens, but no seat is free").await;
    for seated in 1..=3 {
        sleep(ms(100)).await;
        cafe.lock().expect("not poisoned").get_up();
        expect_seated(&lab, &visitors, seated, "somebody gets up").await;
    }
}

/// One visitor, polled by hand: the door is shut, it opens, a seat is free.
async fn expect_wakes(lab: &Lab) {
    let cafe = Arc::<Mutex<Cafe>>::default();
    let mut visitor = lab.probe(Visitor::new(ms(10), Arc::clone(&cafe)));
    expect_waits(lab, &mut visitor, "on the way to the café");
    sleep(ms(20)).await;
    expect_woken(lab, &visitor, "the walk is over");
    expect_waits(lab, &mut visitor, "before the shut door");
    cafe.lock().expect("not poisoned").open_up();
    expect_woken(lab, &visitor, "the door opens");
    expect_waits(lab, &mut visitor, "for a seat");
    cafe.lock().expect("not poisoned").get_up();
    expect_woken(lab, &visitor, "somebody gets up");
    lab.expect_eq(&visitor.poll(), &Poll::Ready(()))
        .expected("Ready: the door is open and a seat is free")
        .why("There is nothing left to wait for.")
        .pitfall("wrong-result")
        .or_fail();
}

fn expect_waits(lab: &Lab, visitor: &mut Probe<Visitor>, what_for: &str) {
    let poll = visitor.poll();
    lab.expect_eq(&poll, &Poll::Pending)
        .expected(format!("Pending: the visitor waits {what_for}"))
        .why("A visitor sits down when he is there, the door is open and a seat is free.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect(!visitor.is_woken())
        .expected("a poll that is pending does not wake its own waker")
        .got("it does, and would be polled again at once, and again")
        .why(format!(
            "The visitor waits {what_for}. Asking again and again does not make it come \
             sooner: it keeps a CPU busy. Whoever brings it about has to have the waker."
        ))
        .pitfall("busy-loop")
        .or_fail();
}

fn expect_woken(lab: &Lab, visitor: &Probe<Visitor>, event: &str) {
    lab.expect(visitor.is_woken())
        .expected(format!("the visitor is woken: {event}"))
        .got("no wake")
        .why(
            "The poll before said `Pending`, and gave its waker to nobody. The café wakes \
             all that are on its list when the door opens and when somebody gets up.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
}

/// What the README lists for question 3.
const LISTING: &str = "\
impl Future for Visitor {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.arrived {
            ready!(self.walk.as_mut().poll(cx));
            self.arrived = true;
        }
        let mut cafe = self.cafe.lock().expect(\"nobody panics in here\");
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
";

async fn expect_seated(lab: &Lab, visitors: &[JoinHandle<()>], seated: usize, when: &str) {
    lab.settle().await;
    let got = visitors.iter().filter(|task| task.is_finished()).count();
    lab.expect(got == seated)
        .expected(format!(
            "{seated} of 3 visitors seated at {} ms: {when}",
            lab.now_ms()
        ))
        .got(format!("{got} seated"))
        .why(
            "Whoever gets up wakes all that are on the café's list, and each of them looks \
             again. One who found every seat taken has to be on it as well.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
}

/// A ledger whose sheets have these numbers; one of them may be torn.
struct Book {
    numbers: Vec<u32>,
    torn: Option<u32>,
    calls: Service,
}

impl Ledger for Book {
    fn sheet(&self, number: u32) -> BoxFuture<'_, Result<Sheet, Torn>> {
        Box::pin(async move {
            let called = self.calls.call(format!("sheet {number}")).await;
            let place = self.numbers.iter().position(|&own| own == number);
            match (called, place) {
                (Ok(_), Some(place)) if self.torn != Some(number) => Ok(Sheet {
                    sums: vec![number, number * 10],
                    next: self.numbers.get(place + 1).copied(),
                }),
                _ => Err(Torn(number)),
            }
        })
    }
}

async fn question_5(lab: Lab) {
    let numbers = vec![1, lab.rng().u32(2..=5), lab.rng().u32(6..=9)];
    for torn in [None, Some(numbers[1])] {
        let book = Book {
            numbers: numbers.clone(),
            torn,
            calls: lab.service("ledger").takes(100).build(),
        };
        let mut stream = Box::pin(sheets(&book));
        let mut got = Vec::new();
        while let Some(item) = stream.next().await {
            got.push(item);
            if got.len() > numbers.len() {
                break;
            }
        }
        let sums = |&number: &u32| Ok(vec![number, number * 10]);
        let mut expected: Vec<_> = numbers.iter().map(sums).collect();
        if let Some(torn) = torn {
            expected.truncate(1);
            expected.push(Err(Torn(torn)));
        }
        lab.expect_eq(&got, &expected)
            .why(format!(
                "The sheets are numbered {numbers:?}, and each names the one that follows. \
                 `unfold` ends when its closure gives `None`; what is to be given last, a last \
                 sheet or an error, is given with the state `None`, which ends it the next time."
            ))
            .pitfall("swallowed-error")
            .or_fail();
        let called: Vec<String> = numbers.iter().map(|n| format!("sheet {n}")).collect();
        lab.expect_eq(&book.calls.labels(), &called[..expected.len()].to_vec())
            .why("Each sheet is fetched once, by the number that the sheet before it names.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

// ---------------------------------------------------------------------- a web

/// What lies behind an address.
#[derive(Clone, Default)]
struct Site {
    takes_ms: u64,
    fails: bool,
    links: Vec<Url>,
}

type Sites = Arc<dyn Fn(&Url) -> Option<Site> + Send + Sync>;

/// A web in memory: each host is a service of its own.
struct Web {
    sites: Sites,
    hosts: BTreeMap<String, Service>,
}

fn url(text: &str) -> Url {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    Url::new(host, path)
}

fn title(url: &Url) -> String {
    format!("The page {url}")
}

impl Web {
    fn new(lab: &Lab, hosts: &[&str], sites: Sites) -> Self {
        let service = |&host: &&str| {
            let (takes, fails) = (Arc::clone(&sites), Arc::clone(&sites));
            let service = lab
                .service(host)
                .takes_with(move |call: &CallInfo| {
                    takes(&url(&call.label)).map_or(10, |site| site.takes_ms)
                })
                .fails_with(move |call: &CallInfo| match fails(&url(&call.label)) {
                    None => Some("404".to_owned()),
                    Some(site) => site.fails.then(|| "503".to_owned()),
                })
                .build();
            (host.to_owned(), service)
        };
        let hosts = hosts.iter().map(service).collect();
        Self { sites, hosts }
    }

    /// From lines like `a/1 100: a/2 b/3`: a page, its time, its links. A `!`
    /// after the time: it fails.
    fn of(lab: &Lab, lines: &str) -> Self {
        let mut sites = HashMap::new();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let (head, links) = line.split_once(':').expect("a page, a colon, its links");
            let head: Vec<&str> = head.split_whitespace().collect();
            let site = Site {
                takes_ms: head[1].parse().expect("milliseconds"),
                fails: head.get(2) == Some(&"!"),
                links: links.split_whitespace().map(url).collect(),
            };
            sites.insert(url(head[0]), site);
        }
        let mut hosts: Vec<String> = sites.keys().map(|url| url.host().to_owned()).collect();
        hosts.sort();
        hosts.dedup();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        Self::new(lab, &hosts, Arc::new(move |url| sites.get(url).cloned()))
    }

    /// Every call at every host, in order of their start.
    fn calls(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = self.hosts.values().flat_map(Service::calls).collect();
        calls.sort_by_key(|call| call.started_ms);
        calls
    }

    /// The one call of a page.
    fn call(&self, lab: &Lab, page: &str) -> Call {
        let mut calls = self.calls();
        calls.retain(|call| call.label == page);
        lab.expect(calls.len() == 1)
            .expected(format!("{page} is fetched once"))
            .got(format!("{} times", calls.len()))
            .why("It is linked from a page that was fetched, and within the depth.")
            .pitfall("wrong-result")
            .or_fail();
        calls.remove(0)
    }

    fn expect_no_page_twice(&self, lab: &Lab) {
        let mut times = BTreeMap::new();
        for call in self.calls() {
            let (count, _) = times
                .entry(call.label)
                .or_insert((0, call.location.clone()));
            *count += 1;
        }
        let twice = times.into_iter().find(|(_, (count, _))| *count > 1);
        let Some((page, (count, place))) = twice else {
            return;
        };
        lab.expect(false)
            .expected(format!("{page} is fetched once"))
            .got(format!("{count} times"))
            .why(
                "Many ways lead to a page, and some lead back. A page has to be known from the \
                 moment it is asked for, not only when it has come.",
            )
            .pitfall("shared-state-race")
            .at(place)
            .or_fail();
    }
}

impl Fetch for Web {
    fn fetch<'a>(&'a self, url: &Url) -> BoxFuture<'a, Result<Page, FetchError>> {
        let Some(service) = self.hosts.get(url.host()) else {
            let error = FetchError(format!("there is no host {}", url.host()));
            return Box::pin(async move { Err(error) });
        };
        let call = service.call(url.to_string());
        let page = Page {
            title: title(url),
            links: (self.sites)(url).unwrap_or_default().links,
        };
        Box::pin(async move {
            match call.await {
                Ok(_) => Ok(page),
                Err(fault) => Err(FetchError(fault.message)),
            }
        })
    }
}

/// A number for a `usize`.
fn number(lab: &Lab, from: u64, to: u64) -> usize {
    usize::try_from(lab.pick(from..=to)).expect("a small number")
}

/// Limits that are none: depth 50, 1000 calls at a host, one hour.
fn wide() -> Limits {
    Limits {
        depth: 50,
        per_host: NonZeroUsize::new(1000).expect("not 0"),
        deadline: Duration::from_secs(3600),
    }
}

fn as_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("less than a year")
}

fn polite(per_host: usize) -> Limits {
    Limits {
        per_host: NonZeroUsize::new(per_host).expect("not 0"),
        ..wide()
    }
}

fn urls(pages: &[&str]) -> BTreeSet<Url> {
    pages.iter().map(|page| url(page)).collect()
}

fn keys<V>(map: &BTreeMap<Url, V>) -> BTreeSet<Url> {
    map.keys().cloned().collect()
}

/// The fetched pages are these, with their titles and depths.
fn expect_pages(lab: &Lab, report: &Report, expected: &[(&str, usize)], why: &str, pitfall: &str) {
    let visit = |&(page, depth): &(&str, usize)| {
        let title = title(&url(page));
        (url(page), Visit { title, depth })
    };
    let expected: BTreeMap<Url, Visit> = expected.iter().map(visit).collect();
    let line = |pages: &BTreeMap<Url, Visit>| {
        let page = |(url, visit): (&Url, &Visit)| format!("{url} at depth {}", visit.depth);
        let pages: Vec<String> = pages.iter().map(page).collect();
        if pages.is_empty() {
            return "no page".to_owned();
        }
        pages.join(", ")
    };
    lab.expect(line(&report.pages) == line(&expected))
        .expected(line(&expected))
        .got(line(&report.pages))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
    let other = expected
        .iter()
        .find(|(url, visit)| report.pages.get(*url) != Some(*visit));
    if let Some((url, visit)) = other {
        lab.expect(false)
            .expected(format!("{url} is called {:?}", visit.title))
            .got(format!("{:?}", report.pages[url].title))
            .why("The title of a page is the one that was fetched with it.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

fn expect_set<T: Ord + Debug>(lab: &Lab, what: &str, got: &T, expected: &T, why: &str) {
    lab.expect(got == expected)
        .expected(format!("{what}: {expected:?}"))
        .got(format!("{got:?}"))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

// ---------------------------------------------------------------------- task 3

async fn each_once(lab: Lab) {
    // Loops of one, two and three; a link twice on a page; two pages that link
    // to the same one, which is asked for while it is on its way.
    let web = Web::of(
        &lab,
        "a/0 20: a/1 b/2 a/1 a/0
         a/1 30: b/3 a/0
         b/2 50: b/3 c/4
         b/3 90: a/1 b/3
         c/4 40: c/5
         c/5 10: a/0 c/4
         c/9 10: a/0",
    );
    let limits = Limits {
        deadline: ms(20_000),
        ..wide()
    };
    let report = crawl(&web, url("a/0"), &limits).await;
    web.expect_no_page_twice(&lab);
    let expected = [
        ("a/0", 0),
        ("a/1", 1),
        ("b/2", 1),
        ("b/3", 2),
        ("c/4", 2),
        ("c/5", 3),
    ];
    let why =
        "Every page that links lead to is fetched, whichever host it is at, and nothing else.";
    expect_pages(&lab, &report, &expected, why, "wrong-result");
}

async fn at_once(lab: Lab) {
    let mut rng = lab.rng();
    let mut takes: Vec<u64> = (1..=9).map(|n| n * 37).collect();
    rng.shuffle(&mut takes);
    let lines = format!(
        "a/0 {}: a/1 b/2 c/3
         a/1 {}: a/4 b/5
         b/2 {}: b/6
         c/3 {}:
         a/4 {}: c/7
         b/5 {}:
         b/6 {}: c/8
         c/7 {}:
         c/8 {}:",
        takes[0], takes[1], takes[2], takes[3], takes[4], takes[5], takes[6], takes[7], takes[8],
    );
    let ways = [
        ("a/1", "a/0"),
        ("b/2", "a/0"),
        ("c/3", "a/0"),
        ("a/4", "a/1"),
        ("b/5", "a/1"),
        ("b/6", "b/2"),
        ("c/7", "a/4"),
        ("c/8", "b/6"),
    ];
    let web = Web::of(&lab, &lines);
    let (_, took) = lab.timed(crawl(&web, url("a/0"), &wide())).await;
    let mut last = web.call(&lab, "a/0").ended_ms.unwrap_or_default();
    for (page, from) in ways {
        let known_ms = web.call(&lab, from).ended_ms.unwrap_or_default();
        let call = web.call(&lab, page);
        last = last.max(call.ended_ms.unwrap_or_default());
        lab.expect(call.started_ms == known_ms)
            .expected(format!(
                "{page} is asked for at {known_ms} ms, when {from} is there"
            ))
            .got(format!("at {} ms", call.started_ms))
            .why(
                "Pages do not wait for each other: neither for their turn, nor for the others \
                 of their depth. A link is followed when the page it stands on is there.",
            )
            .pitfall("sequential-awaits")
            .at(call.location)
            .or_fail();
    }
    lab.expect_took(took, last)
        .why("When the last page is there, everything has been said.")
        .pitfall("never-ends")
        .or_fail();
}

async fn depth(lab: Lab) {
    // A calendar: every day links to the next one, for ever.
    let next_day = |day: &Url| {
        let day: u64 = day.to_string().strip_prefix("cal/")?.parse().ok()?;
        Some(Site {
            takes_ms: 50,
            fails: false,
            links: vec![Url::new("cal", (day + 1).to_string())],
        })
    };
    for depth in [0, 1, 4] {
        let web = Web::new(&lab, &["cal"], Arc::new(next_day));
        let limits = Limits {
            depth,
            deadline: ms(20_000),
            ..wide()
        };
        let (report, took) = lab.timed(crawl(&web, url("cal/0"), &limits)).await;
        let count = web.calls().len();
        lab.expect(count == depth + 1)
            .expected(format!(
                "{} pages of a calendar without end, at depth {depth}",
                depth + 1
            ))
            .got(format!("{count}"))
            .why(
                "The seed is at depth 0, what it links to at depth 1. Some webs have no last \
                 page: the depth has to end the crawl, and a page at the last depth is fetched, \
                 but not what it links to.",
            )
            .pitfall("never-ends")
            .or_fail();
        lab.expect_eq(&report.pages.len(), &(depth + 1))
            .expected(format!("{} pages in the report", depth + 1))
            .why("Every page that was fetched is in the report.")
            .pitfall("wrong-result")
            .or_fail();
        lab.expect_took(took, 50 * (depth as u64 + 1))
            .why("Each day is known when the day before it is there.")
            .pitfall("never-ends")
            .or_fail();
    }
}

async fn failures(lab: Lab) {
    let web = Web::of(
        &lab,
        "a/0 20: a/1 b/2 c/3 b/lost
         a/1 30 !: a/never
         b/2 50: a/1 a/4
         c/3 90 !:
         a/4 60: c/3 c/5
         c/5 10:",
    );
    let report = crawl(&web, url("a/0"), &wide()).await;
    web.expect_no_page_twice(&lab);
    let expected = [("a/0", 0), ("b/2", 1), ("a/4", 2), ("c/5", 3)];
    let why = "One page that cannot be had says nothing about the others.";
    expect_pages(&lab, &report, &expected, why, "swallowed-error");
    let error = |page: &str, message: &str| (url(page), FetchError(message.to_owned()));
    let expected = [
        error("a/1", "503"),
        error("b/lost", "404"),
        error("c/3", "503"),
    ];
    lab.expect_eq(&report.failed, &BTreeMap::from(expected))
        .why("Each page whose call failed is reported, with the error it gave. It is not tried again.")
        .pitfall("swallowed-error")
        .or_fail();
    let why = "A page that failed is finished, too.";
    expect_set(&lab, "unfinished", &report.unfinished, &urls(&[]), why);

    let report = crawl(&web, url("nowhere/0"), &wide()).await;
    expect_set(
        &lab,
        "failed",
        &keys(&report.failed),
        &urls(&["nowhere/0"]),
        "The seed itself may fail.",
    );
}

// ---------------------------------------------------------------------- task 4

/// A seed that links to so many pages at each of the hosts, in turn.
fn fan(lab: &Lab, hosts: &[&str], pages: usize, takes: impl Fn(&str, usize) -> String) -> Web {
    let mut lines = String::new();
    let mut seed = "seed/0 20:".to_owned();
    for page in 0..pages {
        for host in hosts {
            seed.push_str(&format!(" {host}/{page}"));
            lines.push_str(&format!("{host}/{page} {}:\n", takes(host, page)));
        }
    }
    Web::of(lab, &format!("{lines}{seed}"))
}

async fn per_host(lab: Lab) {
    let room = number(&lab, 1, 4);
    let web = fan(&lab, &["a", "b"], 9, |_, _| {
        (lab.pick(2..=20) * 10).to_string()
    });
    let report = crawl(&web, url("seed/0"), &polite(room)).await;
    for (host, service) in &web.hosts {
        lab.expect(service.peak() <= room)
            .expected(format!("at most {room} calls in flight at {host}"))
            .got(format!("{}", service.peak()))
            .why(
                "The host has to have room before a call is made; the room is taken until the \
                 call has ended. Limiting what is started at a time, or the depth, limits \
                 nothing of this.",
            )
            .pitfall("unbounded-concurrency")
            .or_fail();
    }
    lab.expect_eq(&report.pages.len(), &19)
        .expected("19 pages: the seed, and nine at each of two hosts")
        .why("The limit delays pages, it does not drop them.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn no_idle_room(lab: Lab) {
    let room = number(&lab, 2, 4);
    let mut takes: Vec<u64> = (1..=9).map(|n| n * 31).collect();
    lab.rng().shuffle(&mut takes);
    // The second and the sixth of them fail.
    let web = fan(&lab, &["a"], 9, |_, page| match page % 4 {
        1 => format!("{} !", takes[page]),
        _ => takes[page].to_string(),
    });
    crawl(&web, url("seed/0"), &polite(room)).await;
    let calls = web.hosts["a"].calls();
    lab.expect_eq(&calls.len(), &9)
        .expected("9 calls at a")
        .why(
            "The limit delays pages, it does not drop them. A call that has failed gives its \
             room back like any other.",
        )
        .pitfall("wrong-result")
        .or_fail();
    let mut ends: Vec<u64> = calls.iter().filter_map(|call| call.ended_ms).collect();
    ends.sort_unstable();
    for (place, call) in calls.iter().enumerate() {
        // The first ones start with the links; from then on an end is a start.
        let free_ms = place.checked_sub(room).map_or(20, |place| ends[place]);
        // Earlier is another check's matter.
        lab.expect(call.started_ms <= free_ms)
            .expected(format!(
                "call {} of 9 at {free_ms} ms: there is room for {room}",
                place + 1
            ))
            .got(format!("at {} ms", call.started_ms))
            .why(
                "The moment a call ends, well or badly, its room is free, and a page that waits \
                 takes it. A batch that is waited for as a whole leaves room empty until its \
                 slowest is done.",
            )
            .pitfall("sequential-awaits")
            .at(call.location.clone())
            .or_fail();
    }
}

async fn slow_host(lab: Lab) {
    let web = fan(&lab, &["slow", "quick"], 6, |host, _| match host {
        "slow" => "1000".to_owned(),
        _ => "30".to_owned(),
    });
    let room = number(&lab, 1, 2);
    crawl(&web, url("seed/0"), &polite(room)).await;
    let quick = web.hosts["quick"].calls();
    let last = quick.iter().filter_map(|call| call.ended_ms).max();
    let expected = 20 + 6 / room as u64 * 30;
    lab.expect(last.is_some_and(|last| last <= expected))
        .expected(format!(
            "the 6 pages at quick are there by {expected} ms, {room} at a time"
        ))
        .got(last.map_or("never".to_owned(), |last| format!("by {last} ms")))
        .why(
            "The pages at quick wait behind those at slow. A page that waits for room at its \
             host may not stand in the way of one whose host has room: no room common to all \
             hosts, and no common queue.",
        )
        .pitfall("unbounded-queue")
        .or_fail();
}

/// A web of which about a half is there after 500 ms, two calls at a host.
fn half_way(lab: &Lab) -> (Web, Limits) {
    let web = Web::of(
        lab,
        "a/0 50: a/1 b/2 b/3 c/5
         a/1 100: a/6
         b/2 200: b/4 b/7
         b/3 700: b/8
         b/4 900: b/9
         c/5 100 !:
         a/6 150: a/10 a/11
         b/7 600:
         a/10 150: a/12 a/13 d/14
         a/11 900:
         a/12 900:
         a/13 900:
         d/14 700: d/15",
    );
    let limits = Limits {
        deadline: ms(500 + lab.pick(1..=9)),
        ..polite(2)
    };
    (web, limits)
}

async fn deadline(lab: Lab) {
    let (web, limits) = half_way(&lab);
    sleep(ms(lab.pick(0..=100))).await;
    let (report, took) = lab.timed(crawl(&web, url("a/0"), &limits)).await;
    let deadline_ms = as_ms(limits.deadline);
    lab.expect_took(took, deadline_ms)
        .expected(format!("{deadline_ms} ms, the deadline of the crawl"))
        .why(
            "The deadline is for the crawl as a whole, and runs from its first poll. A timeout \
             around each call starts anew with every call.",
        )
        .pitfall("never-ends")
        .or_fail();
    // The last of them is a/10, at 50 + 100 + 150 + 150 ms.
    let expected = [("a/0", 0), ("a/1", 1), ("a/6", 2), ("a/10", 3), ("b/2", 1)];
    let why = "A timeout drops the future it is around, and all that this future owns. What was \
               found out has to be kept outside of it, to be there when the time is up.";
    expect_pages(&lab, &report, &expected, why, "cancellation-ignored");
    let why = "What has failed before the deadline is reported, too.";
    expect_set(&lab, "failed", &keys(&report.failed), &urls(&["c/5"]), why);
}

async fn unfinished(lab: Lab) {
    let (web, limits) = half_way(&lab);
    let report = crawl(&web, url("a/0"), &limits).await;
    let expected = urls(&["a/11", "a/12", "a/13", "b/3", "b/4", "b/7", "d/14"]);
    let why = "Unfinished are the pages that a fetched page links to, within the depth, and whose \
               own call has not ended: be it in flight, or waiting for room.";
    expect_set(&lab, "unfinished", &report.unfinished, &expected, why);

    let (web, limits) = half_way(&lab);
    let limits = Limits { depth: 2, ..limits };
    let report = crawl(&web, url("a/0"), &limits).await;
    let why = "A page beyond the depth is never to be fetched, so it is not unfinished either.";
    let expected = urls(&["b/3", "b/4", "b/7"]);
    expect_set(
        &lab,
        "unfinished at depth 2",
        &report.unfinished,
        &expected,
        why,
    );
}

async fn calls_dropped(lab: Lab) {
    let (web, limits) = half_way(&lab);
    let report = crawl(&web, url("a/0"), &limits).await;
    let now_ms = lab.now_ms();
    lab.expect(!report.pages.is_empty())
        .expected("some pages before the deadline")
        .got("none")
        .why("The calls begin with the crawl.")
        .pitfall("forgotten-await")
        .or_fail();
    lab.settle().await;
    let running = |call: &Call| match call.end {
        SpanEnd::Running => true,
        SpanEnd::Cancelled => call.ended_ms != Some(now_ms),
        SpanEnd::Done | SpanEnd::Failed => false,
    };
    let left = web.calls().into_iter().find(running);
    let dropped = web
        .calls()
        .iter()
        .any(|call| call.end == SpanEnd::Cancelled);
    lab.expect(left.is_none() && dropped)
        .expected(format!("every call in flight is dropped at {now_ms} ms"))
        .got(
            left.as_ref()
                .map_or("no call was dropped".to_owned(), |call| {
                    format!("the call of {} was not", call.label)
                }),
        )
        .why("Nobody will read what these calls bring. Dropping their futures gives them up.")
        .pitfall("leaked-task")
        .or_fail();
}

async fn done_early(lab: Lab) {
    let web = Web::of(&lab, "a/0 50: a/1\na/1 100:");
    let (report, took) = lab.timed(crawl(&web, url("a/0"), &wide())).await;
    lab.expect_took(took, 150)
        .why("No call is in flight and no page waits: there is nothing to wait for.")
        .pitfall("never-ends")
        .or_fail();
    let why = "Every page was fetched before the deadline.";
    expect_pages(
        &lab,
        &report,
        &[("a/0", 0), ("a/1", 1)],
        why,
        "wrong-result",
    );
    expect_set(&lab, "unfinished", &report.unfinished, &urls(&[]), why);
}

// ---------------------------------------------------------------------- task 5

async fn shorter_way(lab: Lab) {
    // Long ways that are quick, short ones that are slow: x is known at depth 3
    // and later at depth 1; what it links to was out of reach, and is not.
    let slow = lab.pick(3..=9) * 100;
    let lines = format!(
        "a/0 10: a/1 a/slow
         a/1 10: a/2
         a/2 10: a/x
         a/slow {slow}: a/x
         a/x 10: a/y
         a/y 10: a/z
         a/z 10: a/far
         a/far 10:"
    );
    let web = Web::of(&lab, &lines);
    let limits = Limits { depth: 3, ..wide() };
    let report = crawl(&web, url("a/0"), &limits).await;
    web.expect_no_page_twice(&lab);
    let why = "x was first known by a way of 3 links, at the last depth, and then by a way of 2. \
               Its depth is the smaller one; so what it links to is within reach, though x itself \
               was fetched long ago.";
    let expected = [
        ("a/0", 0),
        ("a/1", 1),
        ("a/2", 2),
        ("a/slow", 1),
        ("a/x", 2),
        ("a/y", 3),
    ];
    expect_pages(&lab, &report, &expected, why, "wrong-result");
    let (y, known_ms) = (web.call(&lab, "a/y"), 10 + slow);
    lab.expect(y.started_ms == known_ms)
        .expected(format!("y at {known_ms} ms, when the shorter way is known"))
        .got(format!("at {} ms", y.started_ms))
        .why("The links of x are known already; only the way to it was too long.")
        .pitfall("sequential-awaits")
        .at(y.location)
        .or_fail();

    // The shorter way is found while x is on its way, and behind x there are two more.
    let web = Web::of(
        &lab,
        "a/0 10: a/1 a/b
         a/1 10: a/x
         a/b 50: a/y a/c
         a/x 20: a/d
         a/d 10: a/y
         a/y 500: a/p
         a/c 10: a/d
         a/p 10: a/q
         a/q 10:",
    );
    let report = crawl(&web, url("a/0"), &Limits { depth: 4, ..wide() }).await;
    web.expect_no_page_twice(&lab);
    let expected = [
        ("a/0", 0),
        ("a/1", 1),
        ("a/b", 1),
        ("a/x", 2),
        ("a/c", 2),
        ("a/y", 2),
        ("a/d", 3),
        ("a/p", 3),
        ("a/q", 4),
    ];
    let why = "y was known at depth 4 and asked for; while that call was in flight a way of 2 \
               links was found. When y is there its links are at depth 3, not 5.";
    expect_pages(&lab, &report, &expected, why, "wrong-result");
}

/// How far pages are from the seed, going through `through` only.
fn distances(
    sites: &HashMap<Url, Site>,
    seed: &Url,
    through: &BTreeSet<Url>,
) -> BTreeMap<Url, usize> {
    let mut distances = BTreeMap::from([(seed.clone(), 0)]);
    let mut queue = VecDeque::from([seed.clone()]);
    while let Some(url) = queue.pop_front() {
        let next = distances[&url] + 1;
        let links = sites.get(&url).filter(|_| through.contains(&url));
        for link in links.into_iter().flat_map(|site| &site.links) {
            if !distances.contains_key(link) {
                distances.insert(link.clone(), next);
                queue.push_back(link.clone());
            }
        }
    }
    distances
}

/// A web of 24 pages at three hosts, where some calls fail and some are slow.
fn random_sites(rng: &mut fastrand::Rng, names: &[Url]) -> HashMap<Url, Site> {
    let mut sites = HashMap::new();
    for name in names {
        let links = (0..rng.usize(1..=4)).map(|_| names[rng.usize(..names.len())].clone());
        let site = Site {
            links: links.collect(),
            takes_ms: match rng.u8(..4) {
                0 => rng.u64(30..=60) * 10,
                _ => rng.u64(1..=15) * 10,
            },
            fails: rng.u8(..10) == 0 && name != &names[0],
        };
        sites.insert(name.clone(), site);
    }
    sites
}

async fn random_web(lab: Lab) {
    const HOSTS: [&str; 3] = ["a", "b", "c"];
    let name = |page: usize| Url::new(HOSTS[page % 3], page.to_string());
    let names: Vec<Url> = (0..24).map(name).collect();
    for _ in 0..6 {
        let mut rng = lab.rng();
        let sites = random_sites(&mut rng, &names);
        let limits = Limits {
            depth: rng.usize(1..=4),
            per_host: NonZeroUsize::new(rng.usize(1..=4)).expect("not 0"),
            // Never at the instant at which a call ends.
            deadline: ms(rng.u64(30..=250) * 10 + 5),
        };
        let known = sites.clone();
        let web = Web::new(&lab, &HOSTS, Arc::new(move |url| known.get(url).cloned()));
        let began_ms = lab.now_ms();
        let report = crawl(&web, names[0].clone(), &limits).await;
        let took_ms = lab.now_ms() - began_ms;
        expect_sound(&lab, &web, &limits, &report);
        expect_depths(&lab, &web, &sites, &names[0], &limits, &report);
        let last = web.calls().iter().filter_map(|call| call.ended_ms).max();
        let (expected, open) = match report.unfinished.len() {
            0 => (last.unwrap_or_default() - began_ms, "nothing is unfinished"),
            _ => (as_ms(limits.deadline), "some pages are unfinished"),
        };
        lab.expect(took_ms == expected)
            .expected(format!("{expected} ms: {open}"))
            .got(format!("{took_ms} ms"))
            .why(
                "It returns when nothing more is to be fetched, and at the deadline if \
                 something is.",
            )
            .pitfall("never-ends")
            .or_fail();
    }
}

/// The report has what the calls have brought, and the calls kept the limits.
fn expect_sound(lab: &Lab, web: &Web, limits: &Limits, report: &Report) {
    web.expect_no_page_twice(lab);
    for (host, service) in &web.hosts {
        lab.expect(service.peak() <= limits.per_host.get())
            .expected(format!(
                "at most {} calls in flight at {host}",
                limits.per_host
            ))
            .got(format!("{}", service.peak()))
            .why("The limit holds at every host, at all times.")
            .pitfall("unbounded-concurrency")
            .or_fail();
    }
    let ended = |end| -> BTreeSet<Url> {
        let calls = web.calls().into_iter().filter(|call| call.end == end);
        calls.map(|call| url(&call.label)).collect()
    };
    let why = "The calls that ended by the deadline, well or badly, are all in the report.";
    let (done, failed) = (ended(SpanEnd::Done), ended(SpanEnd::Failed));
    expect_set(lab, "pages", &keys(&report.pages), &done, why);
    expect_set(lab, "failed", &keys(&report.failed), &failed, why);
}

/// The shortest way to a page in words, and when the last of its links became known.
fn shortest_way(
    web: &Web,
    sites: &HashMap<Url, Site>,
    distances: &BTreeMap<Url, usize>,
    page: &Url,
) -> Option<String> {
    let mut way = vec![page];
    while distances.get(way[way.len() - 1])? > &0 {
        let link = way[way.len() - 1];
        let before = distances.get(link)? - 1;
        let from = web.calls().into_iter().filter_map(|call| {
            let done = call.end == SpanEnd::Done;
            done.then(|| url(&call.label))
        });
        let from = from
            .filter(|from| distances.get(from) == Some(&before))
            .find(|from| sites[from].links.contains(link))?;
        way.push(sites.get_key_value(&from)?.0);
    }
    way.reverse();
    let names: Vec<String> = way.iter().map(|url| url.to_string()).collect();
    let came = web.calls().into_iter().filter_map(|call| {
        let on_the_way = names[..names.len() - 1].contains(&call.label);
        on_the_way.then_some((call.ended_ms, call.label))
    });
    let (came_ms, last) = came.max()?;
    Some(format!(
        " {} has {}; the last of them to be known came with {last}, at {} ms.",
        names.join(" → "),
        if names.len() == 2 {
            "1 link".to_owned()
        } else {
            format!("{} links", names.len() - 1)
        },
        came_ms?
    ))
}

/// Depths, and what is unfinished, follow from the pages that were fetched.
fn expect_depths(
    lab: &Lab,
    web: &Web,
    sites: &HashMap<Url, Site>,
    seed: &Url,
    limits: &Limits,
    report: &Report,
) {
    let distances = distances(sites, seed, &keys(&report.pages));
    for (page, visit) in &report.pages {
        let distance = distances.get(page).copied();
        lab.expect(Some(visit.depth) == distance)
            .expected(match distance {
                Some(distance) => format!("{page} at depth {distance}"),
                None => format!("{page} is not fetched: no fetched page links to it"),
            })
            .got(format!("at depth {}", visit.depth))
            .why(format!(
                "The depth is that of the shortest way over the pages that were fetched.{}",
                shortest_way(web, sites, &distances, page).unwrap_or_default()
            ))
            .pitfall("wrong-result")
            .or_fail();
        lab.expect(visit.depth <= limits.depth)
            .expected(format!("no page deeper than {}", limits.depth))
            .got(format!("{page} at depth {}", visit.depth))
            .why("Pages of the limit's depth are fetched, but nothing beyond.")
            .pitfall("never-ends")
            .or_fail();
    }
    let ended = |url: &Url| report.pages.contains_key(url) || report.failed.contains_key(url);
    let within = distances.into_iter().filter(|(_, at)| *at <= limits.depth);
    let expected: BTreeSet<Url> = within
        .map(|(url, _)| url)
        .filter(|url| !ended(url))
        .collect();
    let why = "Every page that a fetched page links to, within the depth, is fetched, failed or \
               unfinished.";
    expect_set(lab, "unfinished", &report.unfinished, &expected, why);
}
