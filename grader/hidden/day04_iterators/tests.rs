//! Hidden checks of day 4: streams page by page, debounced, in chunks, read ahead.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Display;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use exercise::{Api, ApiError, ChunksTimeout, Cursor, Page, debounce, paginate, paginate_ahead};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, Stream, StreamExt};
use kata_harness::{CallInfo, Cancel, Lab, Probe, Service, SpanEnd, Suite, fastrand, ms};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("nothing is fetched before an item is asked for", 1, asks_first)
        .check("every item of every page comes, in order", 1, every_item)
        .check("an item comes as soon as its page is there", 2, item_instants)
        .check("no page beyond the next one is asked for", 2, not_too_far)
        .check("an error comes once, in its place, and then the end", 2, error_in_place)
        .check("after its end the stream gives nothing and calls nobody", 1, stays_ended)
        .check("a dropped next() loses no item and repeats no call", 2, dropped_next)
        .task(2)
        .check("a lone item comes after exactly `quiet`", 1, lone_items)
        .check("of a burst the last item comes, `quiet` after itself", 2, bursts)
        .check("the end of the input brings the last item at once", 1, debounced_end)
        .check("a dropped next() restarts no wait and loses no item", 2, debounce_dropped_next)
        .task(3)
        .check("a full chunk is given at once, and nothing beyond it taken", 1, full_chunk)
        .check("a chunk is given `patience` after its first item", 3, by_age)
        .check("the end of the input brings the last chunk at once", 1, last_chunk)
        .check("every item is in one chunk, in order, at the right time", 2, as_the_model)
        .check("input and clock both wake the latest waker", 2, latest_waker)
        .task(4)
        .check("while a page is read the next is on its way", 3, overlaps)
        .check("one page is asked for ahead of the reader, and no more", 2, only_one_ahead)
        .check("reading ahead changes neither items nor errors", 1, same_as_paginate)
        .check("a reader who goes takes the call ahead along", 2, goes_with_the_reader)
        .run()
}

// ---------------------------------------------------------- a book, page by page

/// A server with a book. Its items are called `2.0`: page 2, item 0.
struct Book {
    seed: u64,
    /// How many items stand on each page.
    sizes: Vec<usize>,
    calls: Service,
}

/// A page takes 20 to 150 ms, fixed by the seed and the page's number.
fn page_ms(seed: u64, page: usize) -> u64 {
    fastrand::Rng::with_seed(seed * 1000 + page as u64).u64(2..=15) * 10
}

fn label(page: usize) -> String {
    format!("page {page}")
}

impl Book {
    fn open(lab: &Lab, sizes: &[usize]) -> Arc<Self> {
        Self::open_torn(lab, sizes, None)
    }

    /// A book in which one page cannot be read.
    fn open_torn(lab: &Lab, sizes: &[usize], torn: Option<usize>) -> Arc<Self> {
        let seed = lab.seed();
        let takes = move |call: &CallInfo| {
            let number = call.label.strip_prefix("page ");
            let number = number.and_then(|number| number.parse().ok());
            number.map_or(10, |number| page_ms(seed, number))
        };
        let torn = torn.map(label);
        let fails = move |call: &CallInfo| {
            (torn.as_ref() == Some(&call.label)).then(|| format!("{} is torn out", call.label))
        };
        Arc::new(Self {
            seed,
            sizes: sizes.to_vec(),
            calls: lab
                .service("api")
                .takes_with(takes)
                .fails_with(fails)
                .build(),
        })
    }

    fn api(self: &Arc<Self>) -> Arc<dyn Api> {
        Arc::clone(self) as Arc<dyn Api>
    }

    /// The cursor of a page: no learner can tell it from the page's number.
    fn cursor(&self, page: usize) -> Cursor {
        match page {
            0 => Cursor::default(),
            _ => Cursor::new(format!(
                "{:x}",
                (self.seed + 7) * 0x9e37 + page as u64 * 0x51ed
            )),
        }
    }

    fn items(&self, page: usize) -> Vec<String> {
        (0..self.sizes[page])
            .map(|item| format!("{page}.{item}"))
            .collect()
    }

    fn all_items(&self) -> Vec<String> {
        (0..self.sizes.len())
            .flat_map(|page| self.items(page))
            .collect()
    }

    /// When a page is there, if each is asked for when the one before it is.
    fn there_ms(&self, page: usize) -> u64 {
        (0..=page).map(|page| page_ms(self.seed, page)).sum()
    }

    /// Every page was asked for once, in order, and no other.
    fn expect_each_page_once(&self, lab: &Lab, pages: usize) {
        let expected: Vec<String> = (0..pages).map(label).collect();
        let got = self.calls.labels();
        lab.expect(got == expected)
            .expected(format!("the calls: {}", in_line(&expected)))
            .got(in_line(&got))
            .why(
                "Each page is fetched by one call, with the cursor out of the page before \
                 it. A call that was started once has to be kept until it is done.",
            )
            .pitfall("wrong-result")
            .or_fail();
    }
}

impl Api for Book {
    fn page(&self, cursor: Cursor) -> BoxFuture<'static, Result<Page, ApiError>> {
        let number = (0..self.sizes.len()).find(|&page| self.cursor(page) == cursor);
        let Some(number) = number else {
            let call = self
                .calls
                .call(format!("unknown cursor {:?}", cursor.token()));
            return Box::pin(async move {
                let _ = call.await;
                Err(ApiError("there is no such cursor".to_owned()))
            });
        };
        let items = self.items(number);
        let next = (number + 1 < self.sizes.len()).then(|| self.cursor(number + 1));
        let call = self.calls.call(label(number));
        Box::pin(async move {
            match call.await {
                Ok(_) => Ok(Page { items, next }),
                Err(fault) => Err(ApiError(fault.message)),
            }
        })
    }
}

/// The page of an item called `2.0`.
fn page_of(item: &str) -> usize {
    let page = item.split('.').next().and_then(|page| page.parse().ok());
    page.unwrap_or(usize::MAX)
}

/// `item 0 of page 2`, for one called `2.0`.
fn spelt_out(item: &str) -> String {
    let number = item.split('.').nth(1).unwrap_or("?");
    format!("item {number} of page {}", page_of(item))
}

// --------------------------------------------------------- a stream with a clock

/// A stream whose items arrive at fixed instants, in milliseconds from its
/// making, and wait there until they are taken.
struct Arrivals {
    lab: Lab,
    began: Instant,
    due: VecDeque<(u64, u32)>,
    end_ms: u64,
    timer: Pin<Box<Sleep>>,
    seen: Arc<Seen>,
}

/// What a stream saw of its reader.
#[derive(Default)]
struct Seen {
    taken: AtomicUsize,
    ended: AtomicUsize,
}

impl Arrivals {
    fn new(lab: &Lab, arrive_ms: &[u64], end_ms: u64) -> (Self, Arc<Seen>) {
        let began = Instant::now();
        let due: VecDeque<_> = arrive_ms.iter().copied().zip(0..).collect();
        let first = due.front().map_or(end_ms, |&(at, _)| at);
        let seen = Arc::<Seen>::default();
        let arrivals = Self {
            lab: lab.clone(),
            began,
            due,
            end_ms,
            timer: Box::pin(sleep_until(began + ms(first))),
            seen: Arc::clone(&seen),
        };
        (arrivals, seen)
    }
}

impl Stream for Arrivals {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        if self.seen.ended.load(SeqCst) > 0 {
            self.seen.ended.fetch_add(1, SeqCst);
            return Poll::Ready(None);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let item = self.due.pop_front();
        let next_ms = self.due.front().map_or(self.end_ms, |&(at, _)| at);
        let next = self.began + ms(next_ms);
        self.timer.as_mut().reset(next);
        match item {
            Some((_, item)) => {
                self.seen.taken.fetch_add(1, SeqCst);
                self.lab.span("input", format!("item {item}")).done();
                Poll::Ready(Some(item))
            }
            None => {
                self.seen.ended.fetch_add(1, SeqCst);
                self.lab.span("input", "end").done();
                Poll::Ready(None)
            }
        }
    }
}

impl Seen {
    fn expect_left_alone(&self, lab: &Lab) {
        let polls = self.ended.load(SeqCst).saturating_sub(1);
        lab.expect(polls == 0)
            .expected("no poll of the input after it has ended")
            .got(format!("{polls} more"))
            .why(
                "A stream that gave `None` is used up: asked again it may panic, hang or \
                 begin anew. Whoever wraps it has to remember its end.",
            )
            .pitfall("poll-after-ready")
            .or_fail();
    }
}

// ------------------------------------------------------------------------ helpers

/// How long a check waits for what must come before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(10);

type Events<T> = Vec<(u64, T)>;

/// Reads a stream to its end; each item with the millisecond at which it came.
async fn read<S: Stream + ?Sized>(lab: &Lab, stream: Pin<&mut S>) -> Events<S::Item> {
    let mut events = Vec::new();
    read_on(lab, stream, &mut events).await;
    events
}

/// Reads on to the end. What was read before this future is dropped stays.
async fn read_on<S: Stream + ?Sized>(
    lab: &Lab,
    mut stream: Pin<&mut S>,
    events: &mut Events<S::Item>,
) {
    while let Some(item) = stream.next().await {
        lab.span("reader", "gets an item").done();
        events.push((lab.now_ms(), item));
        if events.len() > 1000 {
            lab.expect(false)
                .expected("the stream ends")
                .got("more than 1000 items")
                .why("The end of the input, and an error, both have to end the stream.")
                .pitfall("never-ends")
                .or_fail();
        }
    }
}

fn in_line<E: Display>(events: &[E]) -> String {
    if events.is_empty() {
        return "none".to_owned();
    }
    let events: Vec<String> = events.iter().map(E::to_string).collect();
    events.join(", ")
}

/// `7@120 9@340 end@400`.
fn time_line<T>(events: &[(u64, T)], name: impl Fn(&T) -> String) -> String {
    let mut line = String::new();
    for (at_ms, event) in events {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&format!("{}@{at_ms}", name(event)));
    }
    if line.is_empty() {
        line.push_str("nothing");
    }
    line
}

fn item_or_error(item: &Result<String, ApiError>) -> String {
    match item {
        Ok(item) => item.clone(),
        Err(ApiError(message)) => format!("error({message})"),
    }
}

fn chunk_name(chunk: &Vec<u32>) -> String {
    format!("{chunk:?}").replace(' ', "")
}

/// Asks a stream that has ended three times more.
async fn expect_fused<S: Stream + ?Sized>(lab: &Lab, mut stream: Pin<&mut S>) {
    for _ in 0..3 {
        let asked = AssertUnwindSafe(stream.next()).catch_unwind().await;
        lab.expect(matches!(asked, Ok(None)))
            .expected("None, whenever the stream is asked after its end")
            .got(match asked {
                Ok(Some(_)) => "another item",
                Ok(None) => "None",
                Err(_) => "a panic",
            })
            .why(
                "Not every stream may be asked again: `unfold` panics, others start anew. \
                 `.fuse()` makes one that remembers its end.",
            )
            .pitfall("poll-after-ready")
            .or_fail();
    }
}

/// A number for a `usize`.
fn number(lab: &Lab, from: u64, to: u64) -> usize {
    usize::try_from(lab.pick(from..=to)).expect("a small number")
}

fn non_zero(max: usize) -> NonZeroUsize {
    NonZeroUsize::new(max).expect("no check asks for chunks of nothing")
}

// ------------------------------------------------------------------------ task 1

async fn asks_first(lab: Lab) {
    let book = Book::open(&lab, &[2, 1]);
    let mut stream = Box::pin(paginate(book.api()));
    sleep(ms(100)).await;
    let early = book.calls.count();
    lab.expect(early == 0)
        .expected("no call in the 100 ms before the first `next()`")
        .got(format!("{early} calls"))
        .why("A stream works while it is polled. Here the making of it already set to work.")
        .pitfall("over-engineered")
        .or_fail();
    let (item, took) = lab.timed(timeout(PATIENCE, stream.next())).await;
    let calls = book.calls.count();
    lab.expect(item.is_ok() || calls < 2)
        .expected("the first item, by one call")
        .got(format!(
            "nothing in 10 s, and {calls} calls of the first page"
        ))
        .why(
            "Every poll made a call of its own and dropped it on its way out, and with it the \
             waker that it had been given. The call has to be kept until it is done.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
    lab.expect_eq(&item, &Ok(Some(Ok("0.0".to_owned()))))
        .expected("0.0, the first item")
        .got(match &item {
            Ok(Some(item)) => item_or_error(item),
            Ok(None) => "the end".to_owned(),
            Err(_) => "nothing in 10 s".to_owned(),
        })
        .why("The first page is the one at `Cursor::default()`; its first item comes first.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, book.there_ms(0))
        .why("The first item is there when the first page is.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn every_item(lab: Lab) {
    for sizes in [&[3, 1, 2][..], &[0, 2, 0, 0, 1, 0], &[4], &[0]] {
        let book = Book::open(&lab, sizes);
        let got = read(&lab, Box::pin(paginate(book.api())).as_mut()).await;
        let got: Vec<_> = got.iter().map(|(_, item)| item_or_error(item)).collect();
        let expected = book.all_items();
        lab.expect(got == expected)
            .expected(format!("{} (pages of {sizes:?} items)", in_line(&expected)))
            .got(in_line(&got))
            .why(
                "The stream ends with the page that has no `next`: not with an empty page, \
                 and not before the items of the last one.",
            )
            .pitfall("wrong-result")
            .or_fail();
        book.expect_each_page_once(&lab, sizes.len());
    }
}

async fn item_instants(lab: Lab) {
    let book = Book::open(&lab, &[2, 1, 3]);
    let got = read(&lab, Box::pin(paginate(book.api())).as_mut()).await;
    let expected: Events<_> = book
        .all_items()
        .into_iter()
        .map(|item| (book.there_ms(page_of(&item)), Ok(item)))
        .collect();
    lab.expect(got == expected)
        .expected(time_line(&expected, item_or_error))
        .got(time_line(&got, item_or_error))
        .why(
            "The items of a page are given before the next page is waited for. Whoever \
             collects first and gives afterwards keeps the reader waiting for all.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn not_too_far(lab: Lab) {
    let book = Book::open(&lab, &[2; 12]);
    let mut stream = Box::pin(paginate(book.api()));
    for _ in 0..number(&lab, 3, 9) {
        let Some(Ok(item)) = stream.next().await else {
            break;
        };
        let reading = lab.span("reader", format!("reads {item}"));
        sleep(ms(1000)).await;
        reading.done();
        let page = page_of(&item);
        let count = book.calls.count();
        lab.expect(count <= page + 2)
            .expected(format!(
                "at most {} calls while {} is read: its page, and the next one",
                page + 2,
                spelt_out(&item)
            ))
            .got(format!("{count} calls"))
            .why(
                "The reader may stop at any item. Pages fetched far ahead are paid for in \
                 time and memory, and perhaps for nothing.",
            )
            .pitfall("unbounded-queue")
            .or_fail();
    }
    // That it reads on is shown too: a stream that gives nothing fetches little.
    let item = stream.next().await;
    lab.expect(matches!(item, Some(Ok(_))))
        .expected("the next of 24 items")
        .got(format!("{item:?}"))
        .why("A reader who takes time loses nothing: the stream waits where it is.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn error_in_place(lab: Lab) {
    let torn = number(&lab, 0, 2);
    let book = Book::open_torn(&lab, &[2; 4], Some(torn));
    let mut stream = Box::pin(paginate(book.api()));
    expect_error_in_place(&lab, &book, torn, stream.as_mut()).await;
}

async fn expect_error_in_place<S>(lab: &Lab, book: &Book, torn: usize, mut stream: Pin<&mut S>)
where
    S: Stream<Item = Result<String, ApiError>>,
{
    let mut got = Vec::new();
    while let Some(item) = stream.next().await {
        got.push((lab.now_ms(), item));
        if got.len() > 2 * torn + 3 {
            break;
        }
    }
    let items =
        (0..torn).flat_map(|page| book.items(page).into_iter().map(move |item| (page, item)));
    let mut expected: Events<_> = items
        .map(|(page, item)| (book.there_ms(page), Ok(item)))
        .collect();
    let error = ApiError(format!("page {torn} is torn out"));
    expected.push((book.there_ms(torn), Err(error)));
    lab.expect(got == expected)
        .expected(format!(
            "{} and the end",
            time_line(&expected, item_or_error)
        ))
        .got(time_line(&got, item_or_error))
        .why(
            "What was fetched before the error is given before it. The error itself is an \
             item, too: not a silent end. Without a page there is no next cursor, so \
             nothing follows.",
        )
        .pitfall("swallowed-error")
        .or_fail();
    expect_fused(lab, stream).await;
    book.expect_each_page_once(lab, torn + 1);
}

async fn stays_ended(lab: Lab) {
    let book = Book::open(&lab, &[1, 2]);
    let mut stream = Box::pin(paginate(book.api()));
    let count = read(&lab, stream.as_mut()).await.len();
    lab.expect_eq(&count, &3)
        .why("Two pages of one and two items are three items.")
        .pitfall("wrong-result")
        .or_fail();
    expect_fused(&lab, stream.as_mut()).await;
    book.expect_each_page_once(&lab, 2);
}

async fn dropped_next(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let book = Book::open(&lab, &[2, 1, 2]);
        let began_ms = lab.now_ms();
        let mut stream = Box::pin(paginate(book.api()));
        let mut got = Vec::new();
        let reading = read_on(&lab, stream.as_mut(), &mut got);
        if cancel.drop_at(reading).await.is_none() {
            read_on(&lab, stream.as_mut(), &mut got).await;
        }
        let items = book.all_items().into_iter();
        let expected: Events<_> = items
            .map(|item| (began_ms + book.there_ms(page_of(&item)), Ok(item)))
            .collect();
        lab.expect(got == expected)
            .expected(time_line(&expected, item_or_error))
            .got(time_line(&got, item_or_error))
            .why(
                "A `next()` was dropped while it waited, and the reader asked again. Call \
                 and items have to live in the stream, not in what one poll or one \
                 `next()` holds.",
            )
            .pitfall("cancellation-ignored")
            .or_fail();
        book.expect_each_page_once(&lab, 3);
    })
    .await;
    lab.expect_no_tasks_left()
        .await
        .why("The streams were read to their end, or dropped: nothing is left to be fetched.")
        .or_fail();
}

// ------------------------------------------------------------------------ task 2

fn expect_debounced(
    lab: &Lab,
    expected: &Events<u32>,
    got: &Events<u32>,
    why: &str,
    pitfall: &str,
) {
    lab.expect(got == expected)
        .expected(time_line(expected, u32::to_string))
        .got(time_line(got, u32::to_string))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

async fn lone_items(lab: Lab) {
    let quiet = lab.pick(20..=60);
    let mut arrive_ms = vec![lab.pick(0..=50)];
    for _ in 0..3 {
        let last = arrive_ms[arrive_ms.len() - 1];
        arrive_ms.push(last + quiet + lab.pick(1..=50));
    }
    let end_ms = arrive_ms[3] + quiet + lab.pick(1..=50);
    let (input, seen) = Arrivals::new(&lab, &arrive_ms, end_ms);
    let mut stream = Box::pin(debounce(input, ms(quiet)));
    let got = read(&lab, stream.as_mut()).await;
    let expected = arrive_ms.iter().map(|at| at + quiet).zip(0..).collect();
    let why = "The items come further apart than `quiet`, so each of them comes, when it has been \
               quiet for exactly so long, and without waiting for what follows. A clock that is \
               made anew at every poll, and dropped with it, wakes nobody.";
    expect_debounced(&lab, &expected, &got, why, "wrong-result");
    lab.expect_eq(&lab.now_ms(), &end_ms)
        .expected(format!("the end at {end_ms} ms, when the input ends"))
        .got(format!("at {} ms", lab.now_ms()))
        .why("Nothing waits any more: the end of the input is the end of the stream.")
        .pitfall("wrong-result")
        .or_fail();
    expect_fused(&lab, stream.as_mut()).await;
    seen.expect_left_alone(&lab);
}

/// Some bursts, in which every gap is shorter than `quiet`; and what is to come of them.
fn some_bursts(lab: &Lab, quiet: u64) -> (Vec<u64>, Events<u32>) {
    let (mut arrive_ms, mut expected) = (Vec::new(), Vec::new());
    let mut at = 0;
    for _ in 0..3 {
        for _ in 0..lab.pick(2..=5) {
            at += lab.pick(1..=quiet - 1);
            arrive_ms.push(at);
        }
        let last = u32::try_from(arrive_ms.len() - 1).expect("a few items");
        expected.push((at + quiet, last));
        at += quiet + lab.pick(1..=50);
    }
    (arrive_ms, expected)
}

async fn bursts(lab: Lab) {
    let quiet = lab.pick(20..=60);
    let (arrive_ms, expected) = some_bursts(&lab, quiet);
    let (input, _seen) = Arrivals::new(&lab, &arrive_ms, expected[2].0 + 50);
    let got = read(&lab, Box::pin(debounce(input, ms(quiet))).as_mut()).await;
    let why = "Every item starts the wait anew, and takes the place of the one before. A clock \
               that runs from the first item of a burst ends in the midst of it.";
    expect_debounced(&lab, &expected, &got, why, "wrong-result");
}

async fn debounced_end(lab: Lab) {
    let quiet = lab.pick(20..=60);
    let (mut arrive_ms, mut expected) = some_bursts(&lab, quiet);
    let mut end_ms = expected[2].0 + lab.pick(1..=50);
    arrive_ms.push(end_ms);
    end_ms += lab.pick(1..=quiet - 1);
    expected.push((
        end_ms,
        u32::try_from(arrive_ms.len() - 1).expect("a few items"),
    ));
    let (input, seen) = Arrivals::new(&lab, &arrive_ms, end_ms);
    let mut stream = Box::pin(debounce(input, ms(quiet)));
    let got = read(&lab, stream.as_mut()).await;
    let why = "When the input has ended nothing can take the place of the item that waits: it \
               comes then and there, neither lost nor late.";
    expect_debounced(&lab, &expected, &got, why, "wrong-result");
    expect_fused(&lab, stream.as_mut()).await;
    seen.expect_left_alone(&lab);
}

async fn debounce_dropped_next(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let quiet = lab.pick(20..=60);
        let (arrive_ms, expected) = some_bursts(&lab, quiet);
        let began_ms = lab.now_ms();
        let (input, _seen) = Arrivals::new(&lab, &arrive_ms, expected[2].0 + 50);
        let mut stream = Box::pin(debounce(input, ms(quiet)));
        let mut got = Vec::new();
        let reading = read_on(&lab, stream.as_mut(), &mut got);
        if cancel.drop_at(reading).await.is_none() {
            read_on(&lab, stream.as_mut(), &mut got).await;
        }
        let expected = expected
            .iter()
            .map(|(at, item)| (began_ms + at, *item))
            .collect();
        let why = "A `next()` was dropped while it waited, and the reader asked again. The item \
                   that waits, and its clock, have to live in the stream.";
        expect_debounced(&lab, &expected, &got, why, "cancellation-ignored");
    })
    .await;
}

// ------------------------------------------------------------------------ task 3

fn expect_chunks(
    lab: &Lab,
    expected: &Events<Vec<u32>>,
    got: &Events<Vec<u32>>,
    why: &str,
    pitfall: &str,
) {
    lab.expect(got == expected)
        .expected(time_line(expected, chunk_name))
        .got(time_line(got, chunk_name))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

async fn full_chunk(lab: Lab) {
    let max = number(&lab, 1, 4);
    let count = 2 * max + 1;
    let (input, seen) = Arrivals::new(&lab, &vec![10; count], 5000);
    let mut chunks = Box::pin(ChunksTimeout::new(input, non_zero(max), ms(1000)));
    for chunk in 1..=2_usize {
        let got = chunks.next().await.unwrap_or_default();
        let expected: Vec<u32> = (0..).skip((chunk - 1) * max).take(max).collect();
        lab.expect(got == expected && lab.now_ms() == 10)
            .expected(format!("{expected:?} at 10 ms, when all its items arrive"))
            .got(format!("{got:?} at {} ms", lab.now_ms()))
            .why(format!(
                "{count} items are there at 10 ms, for chunks of at most {max}. A chunk \
                 that is full waits for nothing: one poll takes as many as there are, up \
                 to the limit."
            ))
            .pitfall("wrong-result")
            .or_fail();
        let taken = seen.taken.load(SeqCst);
        lab.expect(taken == chunk * max)
            .expected(format!(
                "{} items taken for {chunk} full chunks",
                chunk * max
            ))
            .got(format!("{taken}"))
            .why("What does not belong to this chunk stays in the input, where it is safe.")
            .pitfall("unbounded-queue")
            .or_fail();
    }
}

async fn by_age(lab: Lab) {
    let patience = lab.pick(50..=150);
    // Five items in less than `patience`; then one alone; then two, just in time.
    let first = lab.pick(1..=50);
    let step = patience / 5;
    let mut arrive_ms: Vec<u64> = (0..5).map(|item| first + item * step).collect();
    let alone = first + patience + lab.pick(20..=90);
    let late = alone + patience + lab.pick(20..=90);
    arrive_ms.extend([alone, late, late + patience - 1]);
    let end_ms = late + patience + lab.pick(20..=90);
    let (input, _seen) = Arrivals::new(&lab, &arrive_ms, end_ms);
    let mut chunks = Box::pin(ChunksTimeout::new(input, non_zero(100), ms(patience)));
    let mut polled_ms = BTreeSet::new();
    let watched = stream::poll_fn(|cx| {
        polled_ms.insert(lab.now_ms());
        chunks.as_mut().poll_next(cx)
    });
    let got = read(&lab, Box::pin(watched).as_mut()).await;
    let expected = vec![
        (first + patience, vec![0, 1, 2, 3, 4]),
        (alone + patience, vec![5]),
        (late + patience, vec![6, 7]),
    ];
    expect_woken_when_due(&lab, &polled_ms, &expected, &got, patience, |at_ms| {
        at_ms == end_ms || arrive_ms.contains(&at_ms)
    });
    let why = format!(
        "The clock of a chunk starts when its first item is taken, and later ones do not \
         touch it: no item is kept for longer than {patience} ms, and none is left behind. \
         As long as there is no item there is no clock, and no chunk."
    );
    expect_chunks(&lab, &expected, &got, &why, "wrong-result");
    lab.expect_eq(&lab.now_ms(), &end_ms)
        .expected(format!("the end at {end_ms} ms, when the input ends"))
        .got(format!("at {} ms", lab.now_ms()))
        .why("No chunk is begun, so the end of the input is the end of the stream.")
        .pitfall("wrong-result")
        .or_fail();
}

/// The first chunk that is missing: was the stream polled when it was due? If it was not, and the
/// chunk came when the input woke the stream, then nobody else ever did.
fn expect_woken_when_due(
    lab: &Lab,
    polled_ms: &BTreeSet<u64>,
    expected: &Events<Vec<u32>>,
    got: &Events<Vec<u32>>,
    patience: u64,
    by_input: impl Fn(u64) -> bool,
) {
    let mut places = 0..expected.len();
    let Some(place) = places.find(|&place| got.get(place) != expected.get(place)) else {
        return;
    };
    let (due_ms, chunk) = &expected[place];
    let came_ms = got.get(place).map(|(at_ms, _)| *at_ms);
    lab.expect(polled_ms.contains(due_ms) || !came_ms.is_none_or(by_input))
        .expected(format!(
            "the stream is woken at {due_ms} ms, {patience} ms after item {} was taken",
            chunk[0]
        ))
        .got(format!(
            "nobody woke the stream at {due_ms} ms; it gave {}",
            time_line(got, chunk_name)
        ))
        .why(
            "A `Sleep` wakes whoever polled it last; one that was made and not polled wakes \
             nobody. Before the stream returns `Pending` it has to poll the clock of its chunk: \
             in the poll that made it, too.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn last_chunk(lab: Lab) {
    let patience = lab.pick(50..=150);
    let end_ms = 11 + lab.pick(0..=patience - 10);
    let (input, seen) = Arrivals::new(&lab, &[10, 11, 11], end_ms);
    let chunks = ChunksTimeout::new(input, non_zero(100), ms(patience));
    let mut chunks = Box::pin(chunks);
    let got = read(&lab, chunks.as_mut()).await;
    let expected = vec![(end_ms, vec![0, 1, 2])];
    let why = "No further item can come, so the chunk that was begun is given as it is: not lost \
               with the end, and not kept until its time is up.";
    expect_chunks(&lab, &expected, &got, why, "wrong-result");
    expect_fused(&lab, chunks.as_mut()).await;
    seen.expect_left_alone(&lab);
}

/// What chunks come of these arrivals, and when. No arrival coincides with the
/// end of somebody's patience.
fn model(arrive_ms: &[u64], end_ms: u64, max: usize, patience: u64) -> Events<Vec<u32>> {
    let mut chunks: Events<Vec<u32>> = Vec::new();
    let mut chunk = Vec::new();
    let mut until = u64::MAX;
    for (&at, item) in arrive_ms.iter().zip(0..) {
        if until < at {
            chunks.push((until, std::mem::take(&mut chunk)));
        }
        if chunk.is_empty() {
            until = at + patience;
        }
        chunk.push(item);
        if chunk.len() == max {
            chunks.push((at, std::mem::take(&mut chunk)));
            until = u64::MAX;
        }
    }
    if !chunk.is_empty() {
        chunks.push((until.min(end_ms), chunk));
    }
    chunks
}

async fn as_the_model(lab: Lab) {
    // Arrivals at whole tens, patience at a five: never at the same instant.
    let patience = lab.pick(3..=12) * 10 + 5;
    let max = number(&lab, 2, 5);
    let mut at = 0;
    let arrive_ms: Vec<u64> = (0..12)
        .map(|_| {
            at += lab.pick(0..=8) * 10;
            at
        })
        .collect();
    let end_ms = at + 10 * lab.pick(1..=20);
    let (input, seen) = Arrivals::new(&lab, &arrive_ms, end_ms);
    let chunks = ChunksTimeout::new(input, non_zero(max), ms(patience));
    let got = read(&lab, Box::pin(chunks).as_mut()).await;
    let expected = model(&arrive_ms, end_ms, max, patience);
    let why = format!(
        "At most {max} items, at most {patience} ms from a chunk's first item. Each chunk begins \
         with no items and no clock, however the one before it came to its end."
    );
    expect_chunks(&lab, &expected, &got, &why, "wrong-result");
    seen.expect_left_alone(&lab);

    // And a reader who takes his time.
    let (input, _seen) = Arrivals::new(&lab, &arrive_ms, end_ms);
    let mut chunks = Box::pin(ChunksTimeout::new(input, non_zero(max), ms(patience)));
    let mut items = Vec::new();
    while let Some(chunk) = chunks.next().await {
        lab.expect((1..=max).contains(&chunk.len()))
            .expected(format!("from 1 to {max} items in a chunk"))
            .got(format!("{chunk:?}"))
            .why("Items pile up while the reader is busy; the next chunk takes its share alone.")
            .pitfall("unbounded-queue")
            .or_fail();
        items.extend(chunk);
        sleep(ms(lab.pick(0..=200))).await;
    }
    let all: Vec<u32> = (0..12).collect();
    lab.expect_eq(&items, &all)
        .why("However long the reader is away: every item is in one chunk, in the input's order.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn latest_waker(lab: Lab) {
    let (first, first_arrives) = lab.controlled::<u32>();
    let (second, second_arrives) = lab.controlled::<u32>();
    let input = stream::once(first_arrives)
        .chain(stream::once(second_arrives))
        .chain(stream::pending());
    let chunks = ChunksTimeout::new(input, non_zero(9), ms(100));
    let mut chunks = Box::pin(chunks);
    let mut probe = lab.probe(poll_fn(move |cx| chunks.as_mut().poll_next(cx)));
    for (item, number, polls) in [(first, 1, 1), (second, 2, 3)] {
        expect_waits_for_input(&lab, &mut probe);
        item.resolve(number);
        lab.expect(probe.is_woken())
            .expected("an item that arrives wakes the waker of the latest poll")
            .got("no wake")
            .why("Every poll of the stream has to hand its own waker on to the input.")
            .pitfall("stale-waker")
            .or_fail();
        for _ in 0..polls {
            lab.expect_eq(&probe.poll_with_new_waker(), &Poll::Pending)
                .expected("Pending: one item of nine, and 100 ms to go")
                .why("A chunk that is not full is kept until its patience is over.")
                .pitfall("wrong-result")
                .or_fail();
        }
        expect_woken_by_clock(&lab, &mut probe, polls).await;
        lab.expect_eq(&probe.poll(), &Poll::Ready(Some(vec![number])))
            .why("The patience is over: the chunk is given as it is.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

/// Polls twice while nothing has arrived: the input has the second waker.
fn expect_waits_for_input<F: Future>(lab: &Lab, probe: &mut Probe<F>) {
    let pending = probe.poll().is_pending() && probe.poll_with_new_waker().is_pending();
    lab.expect(pending && probe.wakes() == 0 && probe.wakers_held() > 0)
        .expected("Pending, with the poll's waker kept by the input, and no wake")
        .got(match (pending, probe.wakes()) {
            (false, _) => "Ready, though nothing has arrived",
            (true, 0) => "Pending, but nobody has the waker",
            (true, _) => "Pending, and it has woken itself",
        })
        .why("While there is no item the stream waits for its input, and for nothing else.")
        .pitfall("lost-wakeup")
        .or_fail();
}

/// Waits for the 100 ms of the chunk that was begun, after so many polls.
async fn expect_woken_by_clock<F: Future>(lab: &Lab, probe: &mut Probe<F>, polls: usize) {
    let stale = probe.stale_wakes();
    sleep(ms(101)).await;
    lab.expect(probe.is_woken())
        .expected(format!(
            "a wake by the clock, 100 ms after the item was taken ({} since)",
            if polls == 1 {
                "1 poll".to_owned()
            } else {
                format!("{polls} polls")
            }
        ))
        .got(if probe.stale_wakes() > stale {
            "a wake of the waker of an earlier poll"
        } else {
            "no wake"
        })
        .why(
            "A `Sleep` wakes the waker it was last polled with. It has to be polled each time \
             the stream is about to be pending, first of all in the poll that made it.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
}

// ------------------------------------------------------------------------ task 4

/// So long the reader is busy with every item: longer than any call takes.
const READS_MS: u64 = 200;

async fn overlaps(lab: Lab) {
    let book = Book::open(&lab, &[2, 1, 2, 1]);
    let mut stream = Box::pin(paginate_ahead(book.api()));
    let mut got = Vec::new();
    while let Some(item) = stream.next().await {
        got.push((lab.now_ms(), item));
        let reading = lab.span("reader", "is busy");
        sleep(ms(READS_MS)).await;
        reading.done();
    }
    let begin = book.there_ms(0);
    let at_ms = (0..).map(|item| begin + item * READS_MS);
    let expected: Events<_> = at_ms.zip(book.all_items().into_iter().map(Ok)).collect();
    lab.expect(got == expected)
        .expected(time_line(&expected, item_or_error))
        .got(time_line(&got, item_or_error))
        .why(format!(
            "The reader is busy for {READS_MS} ms with each item, longer than any page \
             takes: after the first page it never waits. A future that the stream keeps \
             moves only while the stream is polled, and nobody polls it meanwhile."
        ))
        .pitfall("sequential-awaits")
        .or_fail();
    let calls = book.calls.calls();
    for (page, call) in calls.iter().enumerate().skip(1) {
        let first = format!("{}.0", page - 1);
        let given = got.iter().find(|(_, item)| item.as_ref() == Ok(&first));
        let given_ms = given.map_or(0, |(at_ms, _)| *at_ms);
        let (why, pitfall) = if call.started_ms < given_ms {
            let why = "The page before it was fetched, but not a single item of it was given: with \
                       that one this is two pages ahead of the reader.";
            (why, "unbounded-queue")
        } else {
            let why = "The next page is asked for when the first item of a page is given, not when \
                       the last one is.";
            (why, "sequential-awaits")
        };
        lab.expect(call.started_ms == given_ms)
            .expected(format!(
                "page {page} is asked for at {given_ms} ms, when {} is given",
                spelt_out(&first)
            ))
            .got(format!("at {} ms", call.started_ms))
            .why(why)
            .pitfall(pitfall)
            .at(call.location.clone())
            .or_fail();
    }
}

async fn only_one_ahead(lab: Lab) {
    let book = Book::open(&lab, &[2; 8]);
    let mut stream = Box::pin(paginate_ahead(book.api()));
    sleep(ms(100)).await;
    lab.expect_eq(&book.calls.count(), &0)
        .expected("no call in the 100 ms before the first `next()`")
        .why("A task that is spawned starts by itself: spawn it when the stream is first polled.")
        .pitfall("over-engineered")
        .or_fail();
    for _ in 0..number(&lab, 5, 16) {
        let Some(Ok(item)) = stream.next().await else {
            break;
        };
        let reading = lab.span("reader", format!("reads {item}"));
        sleep(ms(1000)).await;
        reading.done();
        let ahead = (page_of(&item) + 2).min(8);
        let count = book.calls.count();
        lab.expect(count == ahead)
            .expected(format!(
                "{ahead} calls, 1000 ms after {} was given",
                spelt_out(&item)
            ))
            .got(format!("{count} calls"))
            .why(
                "One page is being read, and one is asked for ahead, however long the reader \
                 takes. A page that lies ready in a channel is already the one ahead: room \
                 for another has to be there before that one is asked for.",
            )
            .pitfall("unbounded-queue")
            .or_fail();
    }
    let peak = book.calls.peak();
    lab.expect_eq(&peak, &1)
        .expected("1 call at a time: each needs the cursor out of the page before it")
        .why("No two pages are on their way together.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn same_as_paginate(lab: Lab) {
    let book = Book::open(&lab, &[0, 2, 0, 0, 1, 0]);
    let mut stream = Box::pin(paginate_ahead(book.api()));
    let got = read(&lab, stream.as_mut()).await;
    let got: Vec<_> = got.iter().map(|(_, item)| item_or_error(item)).collect();
    let expected = book.all_items();
    lab.expect(got == expected)
        .expected(format!(
            "{} (pages of {:?} items)",
            in_line(&expected),
            book.sizes
        ))
        .got(in_line(&got))
        .why("A page without items is followed by its `next`, like any other.")
        .pitfall("wrong-result")
        .or_fail();
    expect_fused(&lab, stream.as_mut()).await;
    book.expect_each_page_once(&lab, 6);

    let torn = number(&lab, 1, 2);
    let book = Book::open_torn(&lab, &[2; 4], Some(torn));
    let mut stream = Box::pin(paginate_ahead(book.api()));
    let mut got = Vec::new();
    while let Some(item) = stream.next().await {
        got.push(item_or_error(&item));
        sleep(ms(READS_MS)).await;
    }
    let mut expected: Vec<_> = (0..torn).flat_map(|page| book.items(page)).collect();
    expected.push(format!("error(page {torn} is torn out)"));
    lab.expect_eq(&got, &expected)
        .expected(in_line(&expected))
        .got(in_line(&got))
        .why(
            "The error of the page ahead is known while items of the page before it are still \
             to be read. They come first, then the error, then the end.",
        )
        .pitfall("swallowed-error")
        .or_fail();
    book.expect_each_page_once(&lab, torn + 1);
}

async fn goes_with_the_reader(lab: Lab) {
    let book = Book::open(&lab, &[3; 5]);
    let mut stream = Box::pin(paginate_ahead(book.api()));
    let reads = number(&lab, 0, 2) * 3 + 1;
    for _ in 0..reads {
        let _ = stream.next().await;
    }
    sleep(ms(10)).await;
    let gone_ms = lab.now_ms();
    drop(stream);
    lab.settle().await;
    let last = book.calls.calls().pop();
    let pages = reads / 3 + 2;
    lab.expect_eq(&book.calls.count(), &pages)
        .expected(format!("{pages} calls, the last one 10 ms under way"))
        .why("The page after the one that is read is on its way when the reader goes.")
        .pitfall("sequential-awaits")
        .or_fail();
    let ended_ms = last.as_ref().and_then(|call| call.ended_ms);
    let cancelled = last
        .as_ref()
        .is_some_and(|call| call.end == SpanEnd::Cancelled);
    lab.expect(cancelled && ended_ms == Some(gone_ms))
        .expected(format!(
            "the call ahead is dropped at {gone_ms} ms, with the stream"
        ))
        .got("it goes on")
        .why(
            "A task does not end because its JoinHandle, or the other end of its channel, is \
             dropped: it finds out much later, or never. The stream has to own it.",
        )
        .pitfall("leaked-task")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("The stream is gone, so nobody will ever read what its task brings.")
        .or_fail();
}
