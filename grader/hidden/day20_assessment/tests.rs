//! Hidden checks of day 20: ten interview questions, and a job queue.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::poll_fn;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use exercise::{
    Breaker, CallError, Dead, EXPIRED, Executor, Job, Lease, LeaseLost, Log, Model, PushError,
    Queue, Server, Settings, Store, WORKLOADS, Workload, answer_i1, answer_i2, answer_i3,
    answer_i4, answer_i5, answer_i6, answer_i9, app, gather, i1, i2, i3, i4, ingest, shut_down,
    simulate,
};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use kata_harness::{Call, Cancel, Lab, Service, SpanEnd, Suite, fastrand, ms};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::ServiceExt;

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .seeds(1) // the questions leave nothing to chance
        .check("question I1: a broadcast that overflows, and a watch", 1, question_i1)
        .check("question I2: one seat is free, and three are wanted", 1, question_i2)
        .check("question I3: a bell that is rung before anybody listens", 1, question_i3)
        .check("question I4: a reader who comes after a writer", 1, question_i4)
        .task(2)
        .seeds(4)
        .check("question I5: memory that grows, and the queue behind it", 2, question_i5)
        .seeds(1)
        .check("question I6: a breaker that lets nobody through any more", 2, question_i6)
        .check("question I9: the model that costs least", 1, question_i9)
        .task(3)
        .check("question I7: an executor polls what was woken, in turn", 3, question_i7)
        .check("question I8: a shutdown that loses nothing", 2, question_i8)
        .seeds(4)
        .check("question I10: the first error ends the others", 2, question_i10)
        .task(4)
        .seeds(16)
        .check("the most urgent job comes first, then the eldest", 1, most_urgent)
        .seeds(4)
        .check("who waits gets a job the moment there is one", 2, waiting)
        .check("a lease() dropped at any pending takes no job along", 2, dropped_lease)
        .check("the queue keeps no more than its capacity", 2, bounded)
        .check("a job that fails comes again after its delay, or is dead", 2, failing)
        .check("an expired lease is lost, and its job comes again", 3, expiring)
        .task(5)
        .check("a drain takes no more, and ends with the last job", 2, draining)
        .check("at the end of its grace a drain hands back what is left", 2, out_of_grace)
        .check("the API says what the queue says, at the same instants", 3, api)
        .seeds(8)
        .check("under a schedule of faults no job is lost, nothing grows", 3, faults)
        .run()
}

// ---------------------------------------------------------------- helpers

/// How long a check waits for what must come before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is behind a lock, also after somebody panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happened, and when, in the order in which it happened.
#[derive(Clone)]
struct Notes {
    lab: Lab,
    notes: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Notes {
    fn new(lab: &Lab) -> Self {
        let notes = Arc::default();
        Self {
            lab: lab.clone(),
            notes,
        }
    }

    fn note(&self, what: impl Display) {
        let note = (self.lab.now_ms(), what.to_string());
        lock(&self.notes).push(note);
    }

    /// `a@0 b@100`, sorted: the order within an instant says nothing.
    fn line(&self) -> String {
        let mut notes = lock(&self.notes).clone();
        notes.sort();
        let words: Vec<_> = notes
            .iter()
            .map(|(at_ms, what)| format!("{what}@{at_ms}"))
            .collect();
        words.join(" ")
    }

    /// Whether this was noted at `at_ms` or before.
    fn has_by(&self, what: &str, at_ms: u64) -> bool {
        let notes = lock(&self.notes);
        notes
            .iter()
            .any(|(at, noted)| noted == what && *at <= at_ms)
    }

    /// What happened so far is exactly this.
    fn expect(&self, expected: &str, why: &str, pitfall: &str) {
        let got = self.line();
        self.lab
            .expect(got == expected)
            .expected(shown(expected))
            .got(shown(&got))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }
}

fn shown(line: &str) -> String {
    if line.is_empty() {
        return "nothing".to_owned();
    }
    format!("{line} (what@ms)")
}

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// The output of what must end before long; if it does not, `why` says why.
async fn soon<T>(
    lab: &Lab,
    what: &str,
    future: impl Future<Output = T>,
    why: &str,
    pitfall: &str,
) -> T {
    let output = timeout(PATIENCE, future).await;
    lab.expect(output.is_ok())
        .expected(format!("{what} ends"))
        .got(format!(
            "{what} still waits after {} ms",
            PATIENCE.as_millis()
        ))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
    output.expect("a failed expectation ends the check")
}

// --------------------------------------------------------- task 1: predict

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
        .expected(noted.join(" "))
        .got(if said.is_empty() {
            "nothing".to_owned()
        } else {
            said.join(" ")
        })
        .why(format!("At place {}: {difference}. {rule}", place + 1))
        .pitfall(pitfall)
        .or_fail();
}

async fn question_i1(lab: Lab) {
    let answer = answer_i1();
    let log = Log::new();
    i1(log.clone()).await;
    let rule = "A `broadcast` keeps the last two values for each receiver; one that is late is \
                told how many it missed, and goes on with the eldest that is kept. A `watch` keeps \
                the last value only, and shows it also after its sender is gone, once.";
    expect_answer(&lab, answer, &log.events(), rule, "unbounded-queue");
}

async fn question_i2(lab: Lab) {
    let answer = answer_i2();
    let log = Log::new();
    i2(log.clone()).await;
    let rule = "The line of a semaphore is fair: permits that come free are kept for the first who \
                waits, however many it wants, and nobody passes it. When it gives up, what was \
                kept goes to the next one at that instant.";
    expect_answer(&lab, answer, &log.events(), rule, "unbounded-concurrency");
}

async fn question_i3(lab: Lab) {
    let answer = answer_i3();
    let log = Log::new();
    i3(log.clone()).await;
    let rule = "`notify_one` leaves a permit if nobody waits, and there is never more than one. \
                `notify_waiters` leaves none: it reaches those who wait, and each `Notified` that \
                was made before it, polled or not.";
    expect_answer(&lab, answer, &log.events(), rule, "lost-wakeup");
}

async fn question_i4(lab: Lab) {
    let answer = answer_i4();
    let log = Log::new();
    i4(log.clone()).await;
    let rule = "tokio's `RwLock` is fair: who comes after a writer that waits, waits behind it, \
                although the lock is only being read. Readers that wait together are let in \
                together.";
    expect_answer(&lab, answer, &log.events(), rule, "deadlock");
}

// ------------------------------------------------- task 2: spot and choose

/// The number of a line of a listing, counted from 1.
fn line_of(listing: &str, text: &str) -> u32 {
    let line = listing.lines().position(|line| line.contains(text));
    u32::try_from(line.expect("the listing has this line") + 1).expect("a short listing")
}

/// The answer names the line of the listing that has this text.
fn expect_line(
    lab: &Lab,
    said: u32,
    (listing, text): (&str, &str),
    expected: &str,
    why: &str,
    pitfall: &str,
) {
    let place = usize::try_from(said).expect("a small number");
    let source = listing.lines().nth(place.wrapping_sub(1)).map(str::trim);
    lab.expect(said == line_of(listing, text))
        .expected(expected)
        .got(match source {
            Some(source) => format!("line {said}: {source}"),
            None => format!("line {said}, which the listing does not have"),
        })
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

/// What the README lists for question I5.
const INGEST: &str = "\
pub async fn ingest(mut lines: BoxStream<'static, String>, store: Arc<dyn Store>) {
    let (raw, mut to_parse) = mpsc::unbounded_channel();
    let (rows, mut to_store) = mpsc::unbounded_channel();
    let reading = async move {
        while let Some(line) = lines.next().await {
            let _ = raw.send(line);
        }
    };
    let parsing = async move {
        while let Some(line) = to_parse.recv().await {
            let _ = rows.send(line.len());
        }
    };
    let storing = async move {
        while let Some(row) = to_store.recv().await {
            store.put(row).await;
        }
    };
    tokio::join!(reading, parsing, storing);
}
";

/// How much `ingest` may hold.
const HELD: usize = 16;

/// A store that takes its time, and knows how much is under way to it.
struct Shelf {
    calls: Service,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    now: usize,
    peak: usize,
    rows: Vec<usize>,
}

impl Store for Shelf {
    fn put(&self, row: usize) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let _ = self.calls.call(format!("row {row}")).await;
            let mut held = lock(&self.held);
            held.now -= 1;
            held.rows.push(row);
        })
    }
}

async fn question_i5(lab: Lab) {
    const LINES: usize = 60;
    expect_line(
        &lab,
        answer_i5(),
        (INGEST, "let (rows"),
        "the line that makes the queue that grows in the trace",
        "Go by the differences. What is read and not parsed is in the first queue, what is parsed \
         and not stored is in the second one.",
        "unbounded-queue",
    );

    let held = Arc::<Mutex<Held>>::default();
    let shelf = Shelf {
        calls: lab.service("store").takes(20).build(),
        held: Arc::clone(&held),
    };
    let pause_ms = lab.pick(1..=10);
    let taken = Arc::clone(&held);
    let lines = stream::iter(1..=LINES).then(move |length| {
        let taken = Arc::clone(&taken);
        async move {
            sleep(ms(pause_ms)).await;
            let mut held = lock(&taken);
            held.now += 1;
            held.peak = held.peak.max(held.now);
            "x".repeat(length)
        }
    });
    let (_, took) = lab.timed(ingest(lines.boxed(), Arc::new(shelf))).await;
    let (peak, rows) = {
        let held = lock(&held);
        (held.peak, held.rows.clone())
    };
    lab.expect_eq(&rows, &(1..=LINES).collect::<Vec<_>>())
        .why("A row for each line, and in their order.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect(peak <= HELD)
        .expected(format!(
            "at most {HELD} lines are read and not stored at any time"
        ))
        .got(format!("{peak} of {LINES}"))
        .why(
            "The store is slow, so what is before it has to wait: the parser on a full queue of \
             rows, and the reader on a full queue of lines. One queue without a bound, wherever it \
             is, takes in what the others refuse.",
        )
        .pitfall("unbounded-queue")
        .or_fail();
    lab.expect_took(took, pause_ms + 20 * LINES as u64)
        .why(
            "From the first line on the store is never idle: the next row is read and parsed while \
             it works.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
}

/// What the README lists for question I6.
const BREAKER: &str = "\
pub async fn call<T, E>(
    &self,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError<E>> {
    if !self.enter() {
        return Err(CallError::Rejected);
    }
    let outcome = call.await;
    self.leave(outcome.is_ok());
    outcome.map_err(CallError::Failed)
}
";

/// Three waits, and an outcome.
async fn service(well: bool) -> Result<u32, &'static str> {
    for _ in 0..3 {
        sleep(ms(10)).await;
    }
    if well { Ok(7) } else { Err("down") }
}

async fn question_i6(lab: Lab) {
    expect_line(
        &lab,
        answer_i6(),
        (BREAKER, "call.await"),
        "the line at whose `.await` the lost probe was dropped",
        "Half-open ends in `leave`. Where can a call that has entered end without it?",
        "cancellation-ignored",
    );

    let ok = Ok::<u32, CallError<&str>>(7);
    let rejected = Err::<u32, _>(CallError::Rejected);
    let failed = Err::<u32, _>(CallError::Failed("down"));
    let expect = |got, expected: &Result<u32, CallError<&'static str>>, why: &str| {
        lab.expect_eq(&got, expected)
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    };

    // As before: closed, open, half-open.
    let breaker = Breaker::new(ms(100));
    expect(
        breaker.call(service(true)).await,
        &ok,
        "It is closed: the call is made.",
    );
    let opens = "A failure opens the breaker, and it stays open for the cool-down.";
    expect(breaker.call(service(false)).await, &failed, opens);
    sleep(ms(50)).await;
    expect(breaker.call(service(true)).await, &rejected, opens);
    sleep(ms(60)).await;
    expect(
        breaker.call(service(false)).await,
        &failed,
        "After the cool-down one call, the probe, is let through.",
    );
    sleep(ms(50)).await;
    let again = "A probe that fails opens the breaker for another cool-down.";
    expect(breaker.call(service(true)).await, &rejected, again);
    sleep(ms(60)).await;

    // A probe that is dropped, at each of its pendings.
    lab.cancel_sweep(async |cancel: Cancel| {
        let breaker = Breaker::new(ms(100));
        let _ = breaker.call(service(false)).await;
        sleep(ms(110)).await;
        let done = cancel.drop_at(breaker.call(service(true))).await.is_some();
        if done {
            return;
        }
        let why = "The probe was dropped on its way, so nothing after its `.await` has run, and \
                   the breaker is half-open for ever. What has to happen in any case belongs into \
                   a `Drop`: then the next call is the next probe.";
        let (next, other) = tokio::join!(breaker.call(service(true)), async {
            sleep(ms(15)).await;
            breaker.call(service(true)).await
        });
        expect(next, &ok, why);
        let one = "While the next probe is under way nobody else is let through.";
        expect(other, &rejected, one);
        let (one, other) = tokio::join!(breaker.call(service(true)), breaker.call(service(true)));
        let closed = "A probe that ends well closes the breaker: everybody may call.";
        expect(one, &ok, closed);
        expect(other, &ok, closed);
    })
    .await;
}

/// The cheapest model for a workload, and what each one costs, in words.
async fn cheapest(workload: Workload) -> (Model, String) {
    let mut costs = Vec::new();
    for model in [Model::Async, Model::Threads, Model::Processes] {
        costs.push((simulate(workload, model).await, model));
    }
    let words: Vec<String> = costs
        .iter()
        .map(|(cost, model)| {
            format!(
                "{model:?}: {} ms, {} MiB, {} lost, {} in all",
                cost.took_ms,
                cost.memory_mib,
                cost.lost,
                cost.total()
            )
        })
        .collect();
    let best = costs.iter().min_by_key(|(cost, _)| cost.total());
    let (_, model) = best.expect("three models");
    (*model, words.join("; "))
}

async fn question_i9(lab: Lab) {
    let answer = answer_i9();
    for (said, workload) in answer.into_iter().zip(WORKLOADS) {
        let (model, costs) = cheapest(workload).await;
        lab.expect(said == model)
            .expected(format!("the cheapest model for {}", workload.name))
            .got(format!("{said:?}"))
            .why(format!(
                "{costs}. Ask of each workload: does it wait or compute, can its wait be awaited, \
                 and what may break together?"
            ))
            .pitfall("sync-in-async")
            .or_fail();
    }
}

// ------------------------------------------------- task 3: complete

/// A future that wakes itself so often before it is ready.
fn giving_way(notes: &Notes, name: &'static str, times: u32) -> impl Future<Output = ()> + use<> {
    let (notes, mut left) = (notes.clone(), times);
    poll_fn(move |context| {
        lock(&notes.notes).push((0, name.to_owned()));
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Names in the order in which they were noted.
fn in_order(notes: &Notes) -> String {
    let notes = lock(&notes.notes);
    let names: Vec<_> = notes.iter().map(|(_, name)| name.as_str()).collect();
    names.join(" ")
}

async fn question_i7(lab: Lab) {
    executor_in_turn(&lab);
    executor_wakes(&lab);
    executor_drops(&lab);
}

fn executor_in_turn(lab: &Lab) {
    let notes = Notes::new(lab);
    let mut executor = Executor::new();
    for (name, times) in [("a", 2), ("b", 1), ("c", 0)] {
        executor.spawn(giving_way(&notes, name, times));
    }
    lab.expect_eq(&in_order(&notes), &String::new())
        .expected("no future is polled before `run`")
        .why("`spawn` only puts a future into the ready queue.")
        .pitfall("wrong-result")
        .or_fail();
    let left = executor.run();
    lab.expect_eq(&in_order(&notes), &"a b c a b a".to_owned())
        .expected("polls: a b c a b a")
        .why(
            "`a` wakes itself twice, `b` once, each while it is polled. Such a wake counts, and \
             whoever was woken stands at the end of the queue, behind the others.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
    lab.expect_eq(&left, &0)
        .expected("0: all have ended")
        .why("`run` gives the number of futures that have not ended.")
        .pitfall("wrong-result")
        .or_fail();
}

fn executor_wakes(lab: &Lab) {
    let mut executor = Executor::new();
    let notes = Notes::new(lab);
    let (first, left) = lab.controlled::<()>();
    let (second, right) = lab.controlled::<()>();
    for (name, inner) in [("first", left), ("second", right)] {
        let notes = notes.clone();
        executor.spawn(async move {
            inner.await;
            lock(&notes.notes).push((0, name.to_owned()));
        });
    }
    let pending = executor.run();
    lab.expect_eq(&(pending, first.polls(), second.polls()), &(2, 1, 1))
        .expected("2 futures left, each polled once")
        .got(format!(
            "{pending} left, polled {} and {} times",
            first.polls(),
            second.polls()
        ))
        .why("Neither was woken: `run` polls what is in the ready queue, and does not wait.")
        .pitfall("busy-loop")
        .or_fail();
    first.wake();
    first.wake();
    let pending = executor.run();
    lab.expect_eq(&(pending, first.polls(), second.polls()), &(2, 2, 1))
        .expected("the one that was woken, twice, is polled once; the other one is not")
        .got(format!(
            "{pending} left, polled {} and {} times in all",
            first.polls(),
            second.polls()
        ))
        .why(
            "A waker puts its own future into the ready queue, and only if it is not in it. \
             Whoever polls all of them on each wake has no ready queue.",
        )
        .pitfall("busy-loop")
        .or_fail();
    second.resolve(());
    first.resolve(());
    let pending = executor.run();
    lab.expect_eq(
        &(pending, in_order(&notes)),
        &(0, "second first".to_owned()),
    )
    .expected("both end, in the order of their wakes: second, first")
    .got(format!("{pending} left; ended: {}", in_order(&notes)))
    .why("The ready queue keeps the order of the wakes, also of those between two runs.")
    .pitfall("lost-wakeup")
    .or_fail();

    // One future wakes another.
    let (sender, receiver) = oneshot::channel::<u32>();
    executor.spawn(async move {
        let _ = receiver.await;
    });
    executor.spawn(async move {
        let _ = sender.send(1);
    });
    let pending = executor.run();
    lab.expect_eq(&pending, &0)
        .expected("0: one future sends what the other one waits for")
        .why("A wake in the middle of `run` counts: it goes on until the ready queue is empty.")
        .pitfall("lost-wakeup")
        .or_fail();
}

/// A future that gives its waker away, and is ready when it is woken.
fn stored(slot: &Arc<Mutex<Vec<Waker>>>, token: Arc<()>) -> impl Future<Output = ()> + use<> {
    let (slot, mut polls) = (Arc::clone(slot), 0);
    poll_fn(move |context| {
        let _token = &token;
        polls += 1;
        lock(&slot).push(context.waker().clone());
        assert!(polls < 3, "a future is polled after it was ready");
        if polls == 2 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

fn executor_drops(lab: &Lab) {
    let mut executor = Executor::new();
    let slot = Arc::<Mutex<Vec<Waker>>>::default();
    let tokens = [Arc::new(()), Arc::new(())];
    let alive: Vec<Weak<()>> = tokens.iter().map(Arc::downgrade).collect();
    for token in tokens {
        executor.spawn(stored(&slot, token));
    }
    executor.run();
    let wakers = lock(&slot).clone();
    wakers[0].wake_by_ref();
    // It stands behind the one that ends.
    let (ended, dropped) = (alive[0].clone(), Arc::new(Mutex::new(false)));
    let seen = Arc::clone(&dropped);
    executor.spawn(async move { *lock(&seen) = ended.strong_count() == 0 });
    let left = executor.run();
    let at_once = *lock(&dropped);
    lab.expect_eq(&(left, at_once), &(1, true))
        .expected("the first one has ended and is dropped, the other one is left")
        .got(format!(
            "{left} left; the one that has ended is {}",
            if at_once {
                "dropped"
            } else {
                "still there when the next one is polled"
            }
        ))
        .why(
            "What a future holds is free when it has ended: at once, before the next one is \
             polled, and whoever has its waker.",
        )
        .pitfall("leaked-resource")
        .or_fail();
    wakers[0].wake_by_ref();
    let left = executor.run();
    lab.expect_eq(&left, &1)
        .why("The waker of a future that has ended wakes nobody.")
        .pitfall("poll-after-ready")
        .or_fail();
    drop(executor);
    lab.expect_eq(&alive[1].strong_count(), &0)
        .expected("dropping the executor drops the future that is left")
        .got("it is still there")
        .why(
            "Somebody has its waker still. If a waker owns its future, the future lives as long as \
             any clone of the waker. Let the executor own it, and the waker only name it.",
        )
        .pitfall("leaked-resource")
        .or_fail();
    for waker in wakers {
        waker.wake(); // harmless, with nobody to run it
    }
}

/// A server to be shut down: who uses what when is noted, and what was lost.
struct Plant {
    lab: Lab,
    state: Mutex<PlantState>,
    changed: Notify,
}

struct PlantState {
    accepting: bool,
    requests: BTreeMap<String, AbortHandle>,
    taken_in_late: u32,
    jobs: u32,
    worker: bool,
    database: bool,
    log: bool,
    aborted: Vec<String>,
    lost: Vec<String>,
}

impl Plant {
    /// A server with one job, and these requests in flight: each ends at its time.
    fn new(lab: &Lab, requests: &[(&str, u64)]) -> Arc<Self> {
        let plant = Arc::new(Self {
            lab: lab.clone(),
            state: Mutex::new(PlantState {
                accepting: true,
                requests: BTreeMap::new(),
                taken_in_late: 0,
                jobs: 1,
                worker: true,
                database: true,
                log: true,
                aborted: Vec::new(),
                lost: Vec::new(),
            }),
            changed: Notify::new(),
        });
        for (name, takes_ms) in requests {
            plant.take_in(name, *takes_ms);
        }
        plant
    }

    fn take_in(self: &Arc<Self>, name: &str, takes_ms: u64) {
        let (plant, own) = (Arc::clone(self), name.to_owned());
        let span = self.lab.span(name, "request");
        let task = tokio::spawn(async move {
            sleep(ms(takes_ms)).await;
            plant.uses(&own, true);
            let mut state = lock(&plant.state);
            if state.worker {
                state.jobs += 1;
            } else {
                let lost = format!("the job of {own}: the worker had ended");
                state.lost.push(lost);
            }
            state.requests.remove(&own);
            drop(state);
            span.done();
            plant.changed.notify_waiters();
        });
        let handle = task.abort_handle();
        lock(&self.state).requests.insert(name.to_owned(), handle);
    }

    /// Somebody writes a line into the log, and a row into the database.
    fn uses(&self, who: &str, database: bool) {
        let mut state = lock(&self.state);
        if database && !state.database {
            state
                .lost
                .push(format!("a row of {who}: the database was closed"));
        }
        if !state.log {
            state
                .lost
                .push(format!("a line of {who}: the log was closed"));
        }
    }

    /// New requests, one every 15 ms, as long as they are taken in.
    async fn visitors(self: Arc<Self>) {
        for number in 0..20 {
            sleep(ms(15)).await;
            if lock(&self.state).accepting {
                lock(&self.state).taken_in_late += 1;
                self.take_in(&format!("late request {number}"), 30);
            }
        }
    }
}

impl Server for Plant {
    fn stop_accepting(&self) {
        lock(&self.state).accepting = false;
    }

    fn requests_done(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            loop {
                let changed = self.changed.notified();
                if lock(&self.state).requests.is_empty() {
                    return;
                }
                changed.await;
            }
        })
    }

    fn abort_requests(&self) {
        let mut state = lock(&self.state);
        for (name, task) in std::mem::take(&mut state.requests) {
            task.abort();
            state.aborted.push(name);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn finish_jobs(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let jobs = {
                let mut state = lock(&self.state);
                state.worker = false;
                state.jobs
            };
            let span = self.lab.span("worker", format!("{jobs} jobs"));
            for _ in 0..jobs {
                sleep(ms(20)).await;
                self.uses("the worker", true);
            }
            span.done();
        })
    }

    fn close_database(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            lock(&self.state).database = false;
            let span = self.lab.span("database", "closes");
            sleep(ms(10)).await;
            self.uses("the database", false);
            span.done();
        })
    }

    fn flush_log(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            lock(&self.state).log = false;
            let span = self.lab.span("log", "flushes");
            sleep(ms(5)).await;
            span.done();
        })
    }
}

async fn question_i8(lab: Lab) {
    let hanging = 100_000;
    for (requests, aborted, expected_ms, why) in [
        (
            [("request a", 40), ("request b", 70)],
            "",
            145,
            "The last request ends at 70 ms, then three jobs take 60 ms, the database 10, the log \
             5. Nothing waits longer than it has to, the grace included.",
        ),
        (
            [("request a", 40), ("request b", hanging)],
            "request b",
            155,
            "One request hangs: at 100 ms the grace is over, and it is aborted. Two jobs take 40 \
             ms, the database 10, the log 5.",
        ),
    ] {
        let plant = Plant::new(&lab, &requests);
        let visitors = tokio::spawn(Arc::clone(&plant).visitors());
        let shutting = shut_down(&*plant, ms(100));
        let (_, took) = lab
            .timed(soon(&lab, "shut_down", shutting, why, "never-ends"))
            .await;
        // Whoever was left running comes to closed doors.
        sleep(ms(500)).await;
        joined(visitors).await;
        let (late, lost, got_aborted, closed) = {
            let state = lock(&plant.state);
            let closed = !state.accepting && !state.worker && !state.database && !state.log;
            let lost = state.lost.clone();
            (state.taken_in_late, lost, state.aborted.join(", "), closed)
        };
        lab.expect_eq(&late, &0)
            .expected("no request is taken in once the shutdown has begun")
            .got(format!("{late} requests"))
            .why("As long as new ones come in there is no last one to wait for.")
            .pitfall("never-ends")
            .or_fail();
        lab.expect(lost.is_empty())
            .expected("nothing is lost")
            .got(lost.join("; "))
            .why(
                "Each part has to outlive those that use it: first nobody comes in any more, then \
                 the requests end, then the worker they give jobs to, then the database that both \
                 write to, and last the log, into which all write.",
            )
            .pitfall("cleanup-forgotten")
            .or_fail();
        lab.expect_eq(&got_aborted, &aborted.to_owned())
            .expected(if aborted.is_empty() {
                "no request is aborted: both end within the grace".to_owned()
            } else {
                format!("{aborted} is aborted")
            })
            .got(if got_aborted.is_empty() {
                "none is aborted".to_owned()
            } else {
                format!("aborted: {got_aborted}")
            })
            .why("Abort what is left when the grace is over, and only then.")
            .pitfall("cancellation-ignored")
            .or_fail();
        lab.expect(closed)
            .expected("requests, worker, database and log are all at their end")
            .got("one of them was left out")
            .why("A part that nobody stops is cut off when the process ends.")
            .pitfall("cleanup-forgotten")
            .or_fail();
        lab.expect_took(took, expected_ms)
            .why(why)
            .pitfall("sequential-awaits")
            .or_fail();
    }
}

/// Jobs of a service: each takes so long, and then gives its number or fails.
fn jobs_of(calls: &Service, count: usize) -> Vec<BoxFuture<'static, Result<usize, String>>> {
    let job = |number: usize| {
        let calls = calls.clone();
        Box::pin(async move {
            match calls.call(number.to_string()).await {
                Ok(_) => Ok(number * 10),
                Err(fault) if fault.message == "panic" => panic!("job {number} panics"),
                Err(fault) => Err(fault.message),
            }
        }) as BoxFuture<'static, _>
    };
    (0..count).map(job).collect()
}

/// No call is under way, and those that were not awaited were dropped at `at_ms`.
fn expect_dropped(lab: &Lab, calls: &Service, at_ms: u64, why: &str) {
    let late = |call: &&Call| call.ended_ms.is_none_or(|ended_ms| ended_ms > at_ms);
    let calls = calls.calls();
    let late = calls.iter().find(late);
    lab.expect(late.is_none())
        .expected(format!("every other job is dropped at {at_ms} ms"))
        .got(match late {
            Some(call) if call.end == SpanEnd::Running => {
                format!("job {} still runs", call.label)
            }
            Some(call) => format!("job {} ran on until {:?} ms", call.label, call.ended_ms),
            None => String::new(),
        })
        .why(why)
        .pitfall("leaked-task")
        .or_fail();
}

async fn question_i10(lab: Lab) {
    // All is well.
    let times: Vec<u64> = (0..5).map(|_| lab.pick(10..=90)).collect();
    let longest = times.iter().copied().max().unwrap_or(0);
    let own = times.clone();
    let calls = lab
        .service("job")
        .takes_with(move |call| own[call.number])
        .build();
    let (got, took) = lab.timed(gather(jobs_of(&calls, 5))).await;
    lab.expect_eq(&got, &Ok(vec![0, 10, 20, 30, 40]))
        .why("The output of job `i` stands at place `i`, whichever ended first.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, longest)
        .why("All jobs run at the same time.")
        .pitfall("sequential-awaits")
        .or_fail();
    let (got, took) = lab.timed(gather(jobs_of(&calls, 0))).await;
    lab.expect_eq(&(got, took), &(Ok(Vec::new()), Duration::ZERO))
        .expected("no jobs: no outputs, and no time")
        .why("There is nothing to wait for.")
        .pitfall("wrong-result")
        .or_fail();

    // An error, and a panic.
    for fate in ["broken", "panic"] {
        let bad = lab.pick(1..=3);
        let began_ms = lab.now_ms();
        let calls = lab
            .service(format!("job of {fate}"))
            .takes_with(move |call| {
                if call.label == bad.to_string() {
                    50
                } else {
                    200
                }
            })
            .fails_with(move |call| (call.label == bad.to_string()).then(|| fate.to_owned()))
            .build();
        let jobs = jobs_of(&calls, 5);
        let own = calls.clone();
        let gathering = tokio::spawn(async move {
            let outcome = gather(jobs).await;
            // At this very moment, not some turns of the scheduler later.
            (outcome, own.in_flight())
        });
        let why = format!(
            "Job {bad} ends badly at 50 ms, the others would take until 200. The outcome is known \
             at 50 ms, and nobody wants the rest."
        );
        let outcome = soon(&lab, "gather", gathering, &why, "never-ends").await;
        lab.expect_took(ms(lab.now_ms() - began_ms), 50)
            .why(format!(
                "{why} Do not wait for handles in their order: `join_next` gives whichever ended."
            ))
            .pitfall("sequential-awaits")
            .or_fail();
        match outcome {
            Ok((outcome, in_flight)) => {
                lab.expect(fate != "panic")
                    .expected("the panic goes on in whoever awaits `gather`")
                    .got("`gather` returns")
                    .why("A panic in a task is in its `JoinError`, and nowhere else: resume it.")
                    .pitfall("lost-panic")
                    .or_fail();
                lab.expect_eq(&outcome, &Err(fate.to_owned()))
                    .why("The first error is the outcome.")
                    .pitfall("swallowed-error")
                    .or_fail();
                lab.expect_eq(&in_flight, &0)
                    .expected("no job is there any more when `gather` returns")
                    .got(format!("{in_flight} jobs"))
                    .why(
                        "To abort is to ask. A task is gone when it was joined: \
                         `JoinSet::shutdown` does both.",
                    )
                    .pitfall("leaked-task")
                    .or_fail();
            }
            Err(error) => {
                lab.expect(fate == "panic")
                    .expected("`gather` returns the error")
                    .got("it panics")
                    .why("An error is a value, not a panic.")
                    .pitfall("panics")
                    .or_fail();
                let panic = error.into_panic();
                let said = panic.downcast_ref::<String>().map_or("", String::as_str);
                lab.expect_eq(said, format!("job {bad} panics").as_str())
                    .expected(format!("the panic of job {bad} goes on in the caller"))
                    .got(if said.is_empty() {
                        "a panic of another kind".to_owned()
                    } else {
                        said.to_owned()
                    })
                    .why(
                        "Whoever hears of the panic wants to know what it said. \
                         `resume_unwind(error.into_panic())` passes on what was thrown.",
                    )
                    .pitfall("lost-panic")
                    .or_fail();
            }
        }
        lab.settle().await;
        expect_dropped(&lab, &calls, began_ms + 50, &why);
        lab.expect_no_tasks_left()
            .await
            .why("The jobs that are not wanted any more run on.")
            .or_fail();
    }

    // Nobody wants any of it.
    let began_ms = lab.now_ms();
    let calls = lab.service("job of nobody").takes(100).build();
    let _ = timeout(ms(30), gather(jobs_of(&calls, 3))).await;
    lab.settle().await;
    let why = "Whoever drops `gather` drops its jobs. A `JoinSet` aborts its tasks when it is \
               dropped; a list of handles does not.";
    expect_dropped(&lab, &calls, began_ms + 30, why);
}

// -------------------------------------------------------- task 4: the queue

/// Room for many jobs, a lease of 100 ms, three attempts, delays of 20 and 40 ms.
fn settings() -> Settings {
    Settings {
        capacity: NonZeroUsize::new(100).expect("not zero"),
        lease: ms(100),
        attempts: NonZeroU32::new(3).expect("not zero"),
        first_delay: ms(20),
        poll: ms(40),
    }
}

/// A queue in which these are ready, each with its priority.
fn queue_of(lab: &Lab, settings: Settings, jobs: &[(u8, &str)]) -> Arc<Queue> {
    let queue = Arc::new(Queue::new(settings));
    for (place, (priority, payload)) in jobs.iter().enumerate() {
        let id = queue.push(*priority, (*payload).into());
        lab.expect_eq(&id, &Ok(place as u64 + 1))
            .why("There is room, and jobs are numbered from 1 as they are accepted.")
            .pitfall("wrong-result")
            .or_fail();
    }
    queue
}

/// A lease, which comes at this instant: a job is ready.
async fn lease_now(lab: &Lab, queue: &Queue, why: &str) -> Lease {
    let (now, now_ms) = (Instant::now(), lab.now_ms());
    let leased = timeout(ms(1), queue.lease()).await;
    let got = match &leased {
        Ok(Some(_)) if Instant::now() == now => "",
        Ok(Some(_)) => "it comes later",
        Ok(None) => "None, as if the queue were drained",
        Err(_) => "lease() waits",
    };
    lab.expect(got.is_empty())
        .expected(format!("a lease at {now_ms} ms"))
        .got(got)
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    let lease = leased.ok().flatten();
    lease.expect("a failed expectation ends the check")
}

/// No job is ready now.
async fn expect_none_ready(lab: &Lab, queue: &Queue, why: &str) {
    lab.settle().await;
    let leased = timeout(Duration::ZERO, queue.lease()).await;
    lab.expect(leased.is_err())
        .expected(format!("no job is ready at {} ms", lab.now_ms()))
        .got(match leased {
            Ok(Some(lease)) => format!("job {}, attempt {}", lease.job.id, lease.attempt),
            Ok(None) | Err(_) => "None, as if the queue were drained".to_owned(),
        })
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

fn expect_answered(lab: &Lab, got: Result<(), LeaseLost>, good: bool, why: &str) {
    let expected = if good { Ok(()) } else { Err(LeaseLost) };
    lab.expect_eq(&got, &expected)
        .why(why)
        .pitfall("shared-state-race")
        .or_fail();
}

/// Somebody who waits for one lease, in a task of its own, and notes which job it is.
fn waits(queue: &Arc<Queue>, notes: &Notes) -> JoinHandle<Option<Lease>> {
    let (queue, notes) = (Arc::clone(queue), notes.clone());
    tokio::spawn(async move {
        let lease = queue.lease().await;
        match &lease {
            Some(lease) => notes.note(format!("job_{}", lease.job.id)),
            None => notes.note("none"),
        }
        lease
    })
}

async fn most_urgent(lab: Lab) {
    let mut rng = lab.rng();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let jobs = names.map(|name| (rng.u8(0..3) * 100, name));
    let queue = queue_of(&lab, settings(), &jobs);
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&place| (u8::MAX - jobs[place].0, place));
    let expected: Vec<u64> = order.iter().map(|&place| place as u64 + 1).collect();

    let mut leases = Vec::new();
    for _ in jobs {
        leases.push(lease_now(&lab, &queue, "A job is ready.").await);
    }
    let got: Vec<u64> = leases.iter().map(|lease| lease.job.id).collect();
    lab.expect_eq(&got, &expected)
        .expected(format!("jobs {expected:?}"))
        .got(format!("jobs {got:?}"))
        .why(format!(
            "Their priorities are {:?}. The highest one is first, and among equals the one that \
             was accepted first.",
            jobs.map(|(priority, _)| priority)
        ))
        .pitfall("wrong-result")
        .or_fail();
    for lease in &leases {
        let place = usize::try_from(lease.job.id).expect("a small number") - 1;
        let job = Job {
            id: lease.job.id,
            priority: jobs[place].0,
            payload: jobs[place].1.into(),
        };
        let until = Instant::now() + ms(100);
        lab.expect_eq(
            &(&lease.job, lease.attempt, lease.until == until),
            &(&job, 1, true),
        )
        .expected(format!("{job:?}, attempt 1, until 100 ms from now"))
        .got(format!(
            "{:?}, attempt {}, until {:?} from now",
            lease.job,
            lease.attempt,
            lease.until.duration_since(Instant::now())
        ))
        .why("A lease has the job as it was accepted, and is good for `settings.lease`.")
        .pitfall("wrong-result")
        .or_fail();
    }
    let mut numbers: Vec<u64> = leases.iter().map(|lease| lease.id).collect();
    numbers.sort_unstable();
    numbers.dedup();
    lab.expect_eq(&numbers.len(), &jobs.len())
        .expected("each lease has a number of its own")
        .why("Two leases with the same number cannot be told apart when they are answered.")
        .pitfall("shared-state-race")
        .or_fail();

    // One comes back, and stands where it stood.
    let first = &leases[0];
    let answered = queue.failed(first.id, "no luck");
    expect_answered(&lab, answered, true, "The lease is 0 ms old.");
    let pushed = queue.push(first.job.priority, "late".into());
    lab.expect(pushed.is_ok())
        .expected("another job is accepted")
        .got(format!("{pushed:?}"))
        .why("There is room.")
        .pitfall("wrong-result")
        .or_fail();
    sleep(ms(30)).await;
    let again = lease_now(&lab, &queue, "Two jobs are ready.").await;
    lab.expect_eq(&(again.job.id, again.attempt), &(first.job.id, 2))
        .expected(format!("job {}, attempt 2", first.job.id))
        .got(format!("job {}, attempt {}", again.job.id, again.attempt))
        .why(
            "After its delay a job is ready again, and as urgent as it was: it was accepted \
             before the other one of the same priority.",
        )
        .pitfall("wrong-result")
        .or_fail();
}

async fn waiting(lab: Lab) {
    // Nothing happens: nobody is woken.
    let queue = queue_of(&lab, settings(), &[]);
    let mut probe = lab.probe(queue.lease());
    let pending = probe.poll().is_pending();
    sleep(ms(500)).await;
    lab.expect(pending && !probe.is_woken())
        .expected("lease() waits, and is not woken: the queue is empty, and nothing happens")
        .got(if pending {
            "it is woken"
        } else {
            "it does not wait"
        })
        .why(
            "Looking again and again, every millisecond, is work for nothing, and late by up to a \
             millisecond. Wait for what may make a job ready: a call, or an instant that you know.",
        )
        .pitfall("busy-loop")
        .or_fail();
    drop(probe);

    let queue = queue_of(&lab, settings(), &[]);
    let notes = Notes::new(&lab);
    let tasks: Vec<_> = (0..4).map(|_| waits(&queue, &notes)).collect();
    let push = |name: &str| {
        let _ = queue.push(1, name.into());
    };
    sleep(ms(30)).await;
    push("a");
    sleep(ms(20)).await;
    push("b");
    push("c");
    sleep(ms(5)).await;
    notes.expect(
        "job_1@530 job_2@550 job_3@550",
        "Four wait for a job. One comes at 530 ms, two at 550 ms, together: each job goes to one of \
         those who wait, at that instant. Two calls of `notify_one` wake two, but one permit is \
         all that is kept of them if nobody listens yet.",
        "lost-wakeup",
    );
    // Leases are numbered as the queue likes: find the one of job 1.
    let mut leases = Vec::new();
    for task in tasks {
        if task.is_finished() {
            leases.extend(joined(task).await);
        }
    }
    let first = leases.iter().find(|lease| lease.job.id == 1);
    let first = first.expect("it was noted").id;
    let answered = queue.failed(first, "no luck");
    expect_answered(&lab, answered, true, "The lease is 25 ms old.");
    sleep(ms(60)).await;
    notes.expect(
        "job_1@530 job_2@550 job_3@550 job_1@575",
        "Job 1 fails at 555 ms, and after a delay of 20 ms it is ready. Nobody calls the queue \
         then: whoever waits has to know the instant, and has to learn of it while it waits.",
        "lost-wakeup",
    );

    // Somebody leaves in the very moment in which there is a job.
    for leaver in [0, 1] {
        let queue = queue_of(&lab, settings(), &[]);
        let notes = Notes::new(&lab);
        let mut tasks = Vec::new();
        for _ in 0..2 {
            tasks.push(waits(&queue, &notes));
            lab.settle().await;
        }
        let pushed = queue.push(1, "a".into());
        let at_ms = lab.now_ms();
        tasks.swap_remove(leaver).abort();
        lab.settle().await;
        lab.expect(pushed.is_ok() && notes.line() == format!("job_1@{at_ms}"))
            .expected(format!("job 1 goes to the one who stays, at {at_ms} ms"))
            .got(if notes.line().is_empty() {
                "it goes to nobody".to_owned()
            } else {
                notes.line()
            })
            .why(
                "Two wait. A job comes, and before any of them is polled one is dropped. If the \
                 job, or the only wake, was meant for that one, it has to be passed on.",
            )
            .pitfall("cancellation-ignored")
            .or_fail();
    }
}

async fn dropped_lease(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let queue = queue_of(&lab, settings(), &[(1, "a")]);
        let first = lease_now(&lab, &queue, "A job is ready.").await;
        let failing = {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                sleep(ms(10)).await;
                queue.failed(first.id, "no luck")
            })
        };
        let due = Instant::now() + ms(30);
        let waited = cancel.drop_at(queue.lease()).await.flatten();
        let why = "Whoever waited was dropped and has nothing, so the job is ready for the next \
                   one. Between taking it out and giving it away there must be no `.await`.";
        let lease = match waited {
            Some(lease) => lease,
            None => {
                let lease = soon(&lab, "lease", queue.lease(), why, "cancellation-ignored").await;
                lab.expect(lease.is_some())
                    .expected("a lease")
                    .got("None, as if the queue were drained")
                    .why("Nobody drains this queue.")
                    .pitfall("wrong-result")
                    .or_fail();
                lease.expect("a failed expectation ends the check")
            }
        };
        let answered = joined(failing).await;
        expect_answered(&lab, answered, true, "The lease is 10 ms old.");
        let late = Instant::now().saturating_duration_since(due);
        lab.expect_eq(
            &(lease.job.id, lease.attempt, late),
            &(1, 2, Duration::ZERO),
        )
        .expected("job 1, attempt 2, 30 ms after the first lease")
        .got(format!(
            "job {}, attempt {}, {} ms later than that",
            lease.job.id,
            lease.attempt,
            late.as_millis()
        ))
        .why(why)
        .pitfall("cancellation-ignored")
        .or_fail();
        expect_answered(&lab, queue.done(lease.id), true, "The lease is good.");
    })
    .await;
}

async fn bounded(lab: Lab) {
    let settings = Settings {
        capacity: NonZeroUsize::new(3).expect("not zero"),
        attempts: NonZeroU32::new(2).expect("not zero"),
        ..settings()
    };
    let queue = queue_of(&lab, settings, &[]);
    let mut kept = Vec::new();
    let push = |name: &str, kept: &mut Vec<Weak<str>>| {
        let payload: Arc<str> = name.into();
        kept.push(Arc::downgrade(&payload));
        queue.push(u8::from(name == "a"), payload)
    };
    let expect = |got: Result<u64, PushError>, expected, why: &str| {
        lab.expect_eq(&got, &expected)
            .why(why)
            .pitfall("unbounded-queue")
            .or_fail();
    };
    for (name, id) in [("a", 1), ("b", 2), ("c", 3)] {
        expect(push(name, &mut kept), Ok(id), "There is room for three.");
    }
    let full = Err(PushError::Full);
    expect(push("d", &mut kept), full, "Three jobs are ready.");
    let lease = lease_now(&lab, &queue, "Job 1 is ready.").await.id;
    let why = "A job that is leased is kept as well: it may come back.";
    expect(push("e", &mut kept), full, why);
    expect_answered(&lab, queue.failed(lease, "no luck"), true, "It is good.");
    let why = "A job that is delayed is kept as well: it does come back.";
    expect(push("f", &mut kept), full, why);
    sleep(ms(30)).await;
    let lease = lease_now(&lab, &queue, "Job 1 is ready again.").await.id;
    expect_answered(&lab, queue.failed(lease, "no luck"), true, "It is good.");
    let why = "A dead letter is kept until it is taken. A list of them that only grows is an \
               unbounded queue, too.";
    expect(push("g", &mut kept), full, why);

    let lease = lease_now(&lab, &queue, "Job 2 is ready.").await.id;
    expect_answered(&lab, queue.done(lease), true, "It is good.");
    let why = "Job 2 is done, so there is room; job 4 is the next one that is accepted.";
    expect(push("h", &mut kept), Ok(4), why);
    expect(push("i", &mut kept), full, "Three are kept again.");
    let dead = queue.take_dead().len();
    lab.expect_eq(&dead, &1)
        .expected("1 dead letter")
        .why("Job 1 failed twice, and has two attempts.")
        .pitfall("wrong-result")
        .or_fail();
    let why = "The dead letter was taken, so there is room.";
    expect(push("j", &mut kept), Ok(5), why);

    lab.settle().await;
    let alive = kept.iter().filter(|payload| payload.strong_count() > 0);
    let alive = alive.count();
    lab.expect_eq(&alive, &3)
        .expected("3 payloads in memory: those of the jobs that are kept")
        .got(format!("{alive}"))
        .why("Of a job that is done, refused or taken the queue keeps nothing.")
        .pitfall("unbounded-queue")
        .or_fail();
}

async fn failing(lab: Lab) {
    let queue = queue_of(&lab, settings(), &[(5, "bad"), (1, "good")]);
    let ready = "A job is ready.";
    let delays = "After the first attempt that ends badly a job waits 20 ms, after the second one \
                  40. It is not ready before, and it is ready then.";
    let first = lease_now(&lab, &queue, ready).await;
    sleep(ms(10)).await;
    expect_answered(
        &lab,
        queue.failed(first.id, "one"),
        true,
        "It is 10 ms old.",
    );
    let why = "A lease is answered once.";
    expect_answered(&lab, queue.failed(first.id, "again"), false, why);
    expect_answered(&lab, queue.done(first.id), false, why);
    let other = lease_now(&lab, &queue, "The other job is ready.").await;
    lab.expect_eq(&other.job.id, &2)
        .expected("job 2")
        .got(format!("job {}", other.job.id))
        .why(delays)
        .pitfall("wrong-result")
        .or_fail();
    expect_answered(&lab, queue.done(other.id), true, "It is good.");

    sleep(ms(19)).await;
    expect_none_ready(&lab, &queue, delays).await;
    sleep(ms(1)).await;
    let second = lease_now(&lab, &queue, delays).await;
    sleep(ms(5)).await;
    expect_answered(
        &lab,
        queue.failed(second.id, "two"),
        true,
        "It is 5 ms old.",
    );
    sleep(ms(39)).await;
    expect_none_ready(&lab, &queue, delays).await;
    sleep(ms(1)).await;
    let third = lease_now(&lab, &queue, delays).await;
    let attempts = [first.attempt, second.attempt, third.attempt];
    lab.expect_eq(&attempts, &[1, 2, 3])
        .why("Attempts are counted from 1.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_eq(&queue.take_dead(), &Vec::<Dead>::new())
        .expected("no dead letters yet")
        .why("The third attempt is under way.")
        .pitfall("wrong-result")
        .or_fail();
    expect_answered(&lab, queue.failed(third.id, "three"), true, "It is good.");
    let dead = vec![Dead {
        job: first.job.clone(),
        reason: "three".to_owned(),
    }];
    let why = "The third of three attempts has failed: the job is dead, at once, with what was \
               said last.";
    lab.expect_eq(&queue.take_dead(), &dead)
        .why(why)
        .pitfall("swallowed-error")
        .or_fail();
    lab.expect_eq(&queue.take_dead(), &Vec::<Dead>::new())
        .expected("no dead letters: they were taken")
        .why("A dead letter is handed out once.")
        .pitfall("wrong-result")
        .or_fail();
    sleep(ms(500)).await;
    expect_none_ready(&lab, &queue, why).await;
}

async fn expiring(lab: Lab) {
    let queue = queue_of(&lab, settings(), &[(1, "a")]);
    let notes = Notes::new(&lab);
    let first = lease_now(&lab, &queue, "A job is ready.").await;
    let waiter = waits(&queue, &notes);
    sleep(ms(300)).await;
    let why = "The lease expires at 100 ms, because nobody has answered. That is an attempt that \
               ended badly: the job is delayed by 20 ms, and then goes to whoever waits. Nobody \
               calls the queue at either instant.";
    notes.expect("job_1@120", why, "lost-wakeup");
    let second = joined(waiter).await.expect("it was noted");
    lab.expect_eq(&second.attempt, &2)
        .why("The attempt whose lease expired counts.")
        .pitfall("wrong-result")
        .or_fail();

    // The second one expires at 220, so at 260 there is the third.
    let third = lease_now(&lab, &queue, "The second lease expired at 220 ms.").await;
    let why = "This lease has expired, and somebody else has the job. The late worker has to learn \
               that, and the other one must not.";
    for lease in [first.id, second.id] {
        expect_answered(&lab, queue.done(lease), false, why);
        expect_answered(&lab, queue.failed(lease, "late"), false, why);
    }
    sleep(ms(99)).await;
    let why = "The lease is good for 100 ms, and 99 are over.";
    expect_answered(&lab, queue.done(third.id), true, why);
    expect_answered(&lab, queue.done(third.id), false, "It was answered.");
    expect_answered(&lab, queue.done(1_000), false, "There never was one.");

    // Nobody looks when it expires.
    let queue = queue_of(&lab, settings(), &[(1, "b")]);
    for pause_ms in [120, 140, 101] {
        let lease = lease_now(&lab, &queue, "It expired, and the delay is over.").await;
        sleep(ms(pause_ms)).await;
        let why = "It expired a while ago, whether anybody looked at that instant or not.";
        expect_answered(&lab, queue.done(lease.id), false, why);
    }
    let dead = queue.take_dead();
    let got: Vec<_> = dead.iter().map(|dead| dead.reason.as_str()).collect();
    lab.expect_eq(&got, &vec![EXPIRED])
        .expected(format!("one dead letter: {EXPIRED}"))
        .why("Three attempts, and each of their leases expired. The last one 1 ms ago.")
        .pitfall("swallowed-error")
        .or_fail();
}

// ----------------------------------------------- task 5: drain, API, faults

/// Drains the queue in a task of its own, and notes when that has ended.
fn drains(queue: &Arc<Queue>, notes: &Notes, grace: Duration) -> JoinHandle<Vec<Job>> {
    let (queue, notes) = (Arc::clone(queue), notes.clone());
    tokio::spawn(async move {
        let left = queue.drain(grace).await;
        notes.note("drained");
        left
    })
}

fn expect_closed(lab: &Lab, queue: &Queue) {
    let pushed = queue.push(1, "late".into());
    lab.expect_eq(&pushed, &Err(PushError::Closed))
        .why("From the beginning of `drain` on no job is accepted.")
        .pitfall("never-ends")
        .or_fail();
}

async fn draining(lab: Lab) {
    // Nothing to do, and somebody who waits.
    let queue = queue_of(&lab, settings(), &[]);
    let notes = Notes::new(&lab);
    let waiter = waits(&queue, &notes);
    sleep(ms(10)).await;
    let drain = drains(&queue, &notes, ms(60_000));
    sleep(ms(10)).await;
    let why = "The queue is empty, and takes no more jobs: the drain ends at once, and whoever \
               waits for a job learns that none will come.";
    notes.expect("drained@10 none@10", why, "never-ends");
    expect_closed(&lab, &queue);
    lab.expect_eq(
        &(joined(drain).await, joined(waiter).await),
        &(vec![], None),
    )
    .why(why)
    .pitfall("wrong-result")
    .or_fail();

    // Jobs in every state: 1 leased, 2 delayed, 3 dead, 4 and 5 ready.
    let jobs = [(9, "a"), (8, "b"), (7, "c"), (1, "d"), (1, "e")];
    let once = Settings {
        attempts: NonZeroU32::new(2).expect("not zero"),
        ..settings()
    };
    let queue = queue_of(&lab, once, &jobs);
    let notes = Notes::new(&lab);
    let leased = lease_now(&lab, &queue, "Five jobs are ready.").await;
    let delayed = lease_now(&lab, &queue, "Four jobs are ready.").await;
    expect_answered(
        &lab,
        queue.failed(delayed.id, "no luck"),
        true,
        "It is good.",
    );
    let begun_ms = lab.now_ms();
    let drain = drains(&queue, &notes, ms(60_000));
    lab.settle().await;
    expect_closed(&lab, &queue);
    let worker = {
        let (queue, notes) = (Arc::clone(&queue), notes.clone());
        tokio::spawn(async move {
            let mut leases = 0;
            while let Some(lease) = queue.lease().await {
                leases += 1;
                notes.note(format!("job_{}", lease.job.id));
                sleep(ms(8)).await;
                let _ = queue.done(lease.id);
            }
            notes.note("none");
            leases
        })
    };
    sleep(ms(50)).await;
    expect_answered(&lab, queue.done(leased.id), true, "It is 50 ms old.");
    sleep(ms(100)).await;
    let at = |after_ms: u64| begun_ms + after_ms;
    let jobs = format!(
        "job_3@{} job_4@{} job_5@{} job_2@{}",
        at(0),
        at(8),
        at(16),
        at(24)
    );
    let (why, pitfall) = if notes.line().starts_with(&jobs) && !notes.has_by("drained", at(50)) {
        (
            "The job that was leased before is done 50 ms after the drain began. Whoever waits in \
             `drain` has to be woken by the `done` of the last job.",
            "lost-wakeup",
        )
    } else {
        (
            "What was accepted is still done: the jobs that are ready, the one that is delayed \
             until 20 ms after the beginning, and the one that somebody has until 50 ms. With that \
             one, the last, the drain ends, and so does the worker who waits.",
            "cleanup-forgotten",
        )
    };
    let expected = format!("{jobs} drained@{} none@{}", at(50), at(50));
    notes.expect(&expected, why, pitfall);
    lab.expect_eq(&joined(drain).await, &Vec::<Job>::new())
        .expected("nothing is left")
        .why("All jobs are done.")
        .pitfall("wrong-result")
        .or_fail();
    joined(worker).await;
    let late = timeout(ms(10), queue.lease()).await;
    lab.expect_eq(&late, &Ok(None))
        .why("After the drain `lease` gives `None`, at once.")
        .pitfall("never-ends")
        .or_fail();
    expect_closed(&lab, &queue);

    // The last job is leased during the drain, and its worker vanishes.
    let once = Settings {
        attempts: NonZeroU32::MIN,
        ..settings()
    };
    let queue = queue_of(&lab, once, &[(1, "a")]);
    let notes = Notes::new(&lab);
    let drain = drains(&queue, &notes, ms(60_000));
    sleep(ms(30)).await;
    let end_ms = lab.now_ms() + 100;
    lease_now(&lab, &queue, "A job is ready, and can be leased.").await;
    sleep(ms(200)).await;
    notes.expect(
        &format!("drained@{end_ms}"),
        "When the drain began the job was ready, and there was no instant to wait for. Then it was \
         leased, for its only attempt, and the lease expired 100 ms later: the job is dead, and \
         the drain ends. It has to learn of the lease, to know of its expiry.",
        "lost-wakeup",
    );
    joined(drain).await;

    // The last job dies, by a failure or because its lease expires.
    for expires in [false, true] {
        let last = Settings {
            attempts: NonZeroU32::MIN,
            ..settings()
        };
        let queue = queue_of(&lab, last, &[(1, "a")]);
        let notes = Notes::new(&lab);
        let lease = lease_now(&lab, &queue, "A job is ready.").await;
        let begun_ms = lab.now_ms();
        let drain = drains(&queue, &notes, ms(60_000));
        let waiter = waits(&queue, &notes);
        sleep(ms(30)).await;
        let mut end_ms = begun_ms + 100;
        if !expires {
            end_ms = begun_ms + 30;
            expect_answered(&lab, queue.failed(lease.id, "bad"), true, "It is good.");
        }
        sleep(ms(200)).await;
        notes.expect(
            &format!("drained@{end_ms} none@{end_ms}"),
            "The last job has one attempt, and that ends badly: it fails at 30 ms, or its lease \
             expires at 100 ms. With it dead nothing is left to wait for.",
            "never-ends",
        );
        joined(drain).await;
        joined(waiter).await;
        lab.expect_eq(&queue.take_dead().len(), &1)
            .expected("1 dead letter, which can be taken after the drain")
            .why("Closed is closed for jobs that come in. What went wrong stays to be read.")
            .pitfall("swallowed-error")
            .or_fail();
    }
    lab.expect_no_tasks_left()
        .await
        .why("When a queue is drained nothing of it may run on: no timer of a lease or a delay.")
        .or_fail();
}

async fn out_of_grace(lab: Lab) {
    let slow = Settings {
        capacity: NonZeroUsize::new(3).expect("not zero"),
        lease: ms(10_000),
        first_delay: ms(1_000),
        ..settings()
    };
    let jobs = [(9, "leased"), (8, "delayed"), (1, "ready")];
    let queue = queue_of(&lab, slow, &jobs);
    let leased = lease_now(&lab, &queue, "Three jobs are ready.").await;
    let delayed = lease_now(&lab, &queue, "Two jobs are ready.").await;
    expect_answered(
        &lab,
        queue.failed(delayed.id, "no luck"),
        true,
        "It is good.",
    );

    // A drain that is given up.
    let given_up = timeout(ms(30), queue.drain(ms(60))).await;
    lab.expect(given_up.is_err())
        .expected("a drain that still waits after 30 ms: its grace is 60")
        .got("it has ended")
        .why("Three jobs are neither done nor dead.")
        .pitfall("cleanup-forgotten")
        .or_fail();
    sleep(ms(100)).await;
    expect_closed(&lab, &queue);
    let ready = lease_now(
        &lab,
        &queue,
        "A drain that was dropped hands nothing back: the queue stays closed, and goes on.",
    )
    .await;
    expect_answered(&lab, queue.failed(ready.id, "no luck"), true, "It is good.");

    // And one that is not: two jobs are delayed, one is leased, and somebody waits.
    let notes = Notes::new(&lab);
    let waiter = waits(&queue, &notes);
    let begun_ms = lab.now_ms();
    let drain = drains(&queue, &notes, ms(60));
    sleep(ms(200)).await;
    let end_ms = begun_ms + 60;
    notes.expect(
        &format!("drained@{end_ms} none@{end_ms}"),
        "The grace is over after 60 ms: the drain ends then, and whoever waits for a job learns \
         that none will come.",
        "never-ends",
    );
    joined(waiter).await;
    let expected: Vec<Job> = (1..)
        .zip(jobs)
        .map(|(id, (priority, payload))| Job {
            id,
            priority,
            payload: payload.into(),
        })
        .collect();
    lab.expect_eq(&joined(drain).await, &expected)
        .why(
            "What was accepted and is neither done nor dead is handed back, in the order of the \
             numbers: leased, delayed or ready.",
        )
        .pitfall("cleanup-forgotten")
        .or_fail();
    let why = "Its job was handed back, and will be done elsewhere: the lease is lost.";
    expect_answered(&lab, queue.done(leased.id), false, why);
    let late = timeout(ms(2_000), queue.lease()).await;
    lab.expect_eq(&late, &Ok(None))
        .why("The queue is drained: no job will ever come.")
        .pitfall("never-ends")
        .or_fail();
    lab.expect_eq(&queue.take_dead(), &Vec::<Dead>::new())
        .expected("no dead letters")
        .why("A job is handed back or dead, not both.")
        .pitfall("wrong-result")
        .or_fail();

    // One that nobody has leased yet is handed back as well.
    let queue = queue_of(&lab, slow, &[(1, "ready")]);
    let (left, took) = lab.timed(queue.drain(ms(60))).await;
    lab.expect_eq(&(left.len(), took), &(1, ms(60)))
        .expected("1 job is handed back after 60 ms")
        .got(format!("{} after {} ms", left.len(), took.as_millis()))
        .why("A job that is ready waits for a worker until the grace is over.")
        .pitfall("cleanup-forgotten")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("When a queue is drained nothing of it may run on: no timer of a lease or a delay.")
        .or_fail();
}

/// One request: its status, and its body if that is JSON.
async fn send(app: &Router, uri: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = Request::post(uri);
    let request = match body {
        Some(json) => request
            .header("content-type", "application/json")
            .body(Body::from(json.to_string())),
        None => request.body(Body::empty()),
    };
    let request = request.expect("a request in order");
    let Ok(response) = app.clone().oneshot(request).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await;
    let body = body.map_or(Value::Null, |bytes| {
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    });
    (status, body)
}

/// A new job's body.
fn new_job(priority: u8, payload: &str) -> Option<Value> {
    Some(json!({ "priority": priority, "payload": payload }))
}

/// What came is this status and this body; `Null` stands for any.
fn expect_response(
    lab: &Lab,
    what: &str,
    got: &(StatusCode, Value),
    expected: &(StatusCode, Value),
    why: &str,
) {
    let same = got.0 == expected.0 && (expected.1.is_null() || got.1 == expected.1);
    let shown = |(status, body): &(StatusCode, Value)| match body {
        Value::Null => format!("{what}: {status}"),
        body => format!("{what}: {status}, {body}"),
    };
    lab.expect(same)
        .expected(shown(expected))
        .got(shown(got))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

async fn api(lab: Lab) {
    let small = Settings {
        capacity: NonZeroUsize::new(2).expect("not zero"),
        attempts: NonZeroU32::new(2).expect("not zero"),
        ..settings()
    };
    let queue = Arc::new(Queue::new(small));
    let app = app(Arc::clone(&queue));
    let any = Value::Null;
    let expect = |what: &str, got: &(StatusCode, Value), status, body: &Value, why: &str| {
        expect_response(&lab, what, got, &(status, body.clone()), why);
    };

    // Nothing there: it waits for `poll`, and meanwhile everything else works.
    let (got, took) = lab.timed(send(&app, "/leases", None)).await;
    let why = "No job comes within the 40 ms of `settings.poll`.";
    expect("POST /leases", &got, StatusCode::NO_CONTENT, &any, why);
    lab.expect_took(took, 40)
        .why(why)
        .pitfall("never-ends")
        .or_fail();
    lab.settle().await;
    // What the queue itself may have running before it is drained.
    let tasks_before = lab.tasks_alive();
    let dropped = timeout(ms(20), send(&app, "/leases", None)).await;
    lab.expect(dropped.is_err())
        .expected("POST /leases still waits after 20 ms")
        .got(format!("{:?}", dropped.map(|(status, _)| status)))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    lab.settle().await;
    if lab.tasks_alive() > tasks_before {
        let why = "The client has gone, and the request was dropped with it. What it had spawned \
                   runs on, and takes a lease for nobody.";
        lab.expect_no_tasks_left().await.why(why).or_fail();
    }
    let waiting = {
        let app = app.clone();
        let lab = lab.clone();
        tokio::spawn(async move { lab.timed(send(&app, "/leases", None)).await })
    };
    sleep(ms(30)).await;
    let pushing = send(&app, "/jobs", new_job(3, "a"));
    let (got, took) = lab.timed(pushing).await;
    let why = "The job is accepted at once, also while another request waits for a lease.";
    let body = json!({ "job": 1 });
    expect("POST /jobs", &got, StatusCode::ACCEPTED, &body, why);
    lab.expect_took(took, 0)
        .why(why)
        .pitfall("lock-across-await")
        .or_fail();
    let (got, took) = joined(waiting).await;
    let lease = got.1["lease"].clone();
    let body = json!({ "lease": lease, "job": 1, "attempt": 1, "payload": "a" });
    let why = "The job came after 30 ms, and goes to the request that waits, at that instant: not \
               to the one that was dropped.";
    expect("POST /leases", &got, StatusCode::OK, &body, why);
    lab.expect(lease.is_u64())
        .expected("the number of the lease")
        .got(lease.to_string())
        .why("Whoever answers a lease names it.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, 30)
        .why(why)
        .pitfall("lost-wakeup")
        .or_fail();

    // Full.
    let got = send(&app, "/jobs", new_job(1, "b")).await;
    let body = json!({ "job": 2 });
    let why = "One job is leased, and there is room for two.";
    expect("POST /jobs", &got, StatusCode::ACCEPTED, &body, why);
    let got = send(&app, "/jobs", new_job(1, "c")).await;
    let (full, why) = (StatusCode::TOO_MANY_REQUESTS, "The queue keeps two jobs.");
    expect("POST /jobs", &got, full, &any, why);

    // Answers.
    let (ok, gone) = (StatusCode::NO_CONTENT, StatusCode::GONE);
    let done = format!("/leases/{lease}/done");
    let why = "The lease is good.";
    expect("done", &send(&app, &done, None).await, ok, &any, why);
    let why = "The lease was answered: there is no such lease any more.";
    expect("done", &send(&app, &done, None).await, gone, &any, why);
    let reason = || Some(json!({ "reason": "no luck" }));
    let failed = format!("/leases/{lease}/failed");
    let got = send(&app, &failed, reason()).await;
    expect("failed", &got, gone, &any, why);
    for attempt in [1, 2] {
        let got = send(&app, "/leases", None).await;
        let lease = got.1["lease"].clone();
        let body = json!({ "lease": lease, "job": 2, "attempt": attempt, "payload": "b" });
        let why = "Job 2 is ready, the second time after its delay of 20 ms.";
        expect("POST /leases", &got, StatusCode::OK, &body, why);
        let failed = format!("/leases/{lease}/failed");
        let got = send(&app, &failed, reason()).await;
        expect("failed", &got, ok, &any, "The lease is good.");
    }
    let dead: Vec<_> = queue
        .take_dead()
        .into_iter()
        .map(|dead| dead.reason)
        .collect();
    lab.expect_eq(&dead, &vec!["no luck".to_owned()])
        .expected("a dead letter, with the reason of the last request")
        .why("Job 2 failed twice, and has two attempts.")
        .pitfall("swallowed-error")
        .or_fail();

    // Draining.
    let got = send(&app, "/jobs", new_job(1, "d")).await;
    let body = json!({ "job": 3 });
    expect(
        "POST /jobs",
        &got,
        StatusCode::ACCEPTED,
        &body,
        "There is room.",
    );
    let notes = Notes::new(&lab);
    let drain = drains(&queue, &notes, ms(60_000));
    lab.settle().await;
    let got = send(&app, "/jobs", new_job(1, "e")).await;
    let (closed, why) = (
        StatusCode::SERVICE_UNAVAILABLE,
        "The queue is being drained.",
    );
    expect("POST /jobs", &got, closed, &any, why);
    let got = send(&app, "/leases", None).await;
    let lease = got.1["lease"].clone();
    let body = json!({ "lease": lease, "job": 3, "attempt": 1, "payload": "d" });
    let why = "While it is drained, leases of what it has are given.";
    expect("POST /leases", &got, StatusCode::OK, &body, why);
    let waiting = {
        let app = app.clone();
        tokio::spawn(async move { send(&app, "/leases", None).await })
    };
    sleep(ms(10)).await;
    let done = format!("/leases/{lease}/done");
    let got = send(&app, &done, None).await;
    expect("done", &got, ok, &any, "The lease is good.");
    let (got, took) = lab.timed(joined(waiting)).await;
    let why = "The last job is done, and no other will ever come: the worker has to learn that, at \
               once.";
    expect("POST /leases", &got, gone, &any, why);
    lab.expect_took(took, 0)
        .why(why)
        .pitfall("never-ends")
        .or_fail();
    joined(drain).await;
    let got = send(&app, "/leases", None).await;
    expect("POST /leases", &got, gone, &any, "The queue is drained.");
}

// ------------------------------------------------------- a schedule of faults

/// What the check knows of every job.
struct Ledger {
    lab: Lab,
    jobs: Mutex<BTreeMap<u64, History>>,
    complaint: Mutex<Option<Complaint>>,
}

#[derive(Default)]
struct History {
    events: Vec<String>,
    attempts: u32,
    /// When the lease of the latest attempt expires; `None`: it was answered.
    until: Option<Instant>,
    end: Option<&'static str>,
}

struct Complaint {
    expected: String,
    got: String,
    why: &'static str,
    pitfall: &'static str,
}

impl Ledger {
    fn new(lab: &Lab) -> Arc<Self> {
        Arc::new(Self {
            lab: lab.clone(),
            jobs: Mutex::default(),
            complaint: Mutex::default(),
        })
    }

    /// What happened to a job. The first thing that must not happen is kept.
    fn note(
        &self,
        id: u64,
        what: impl Display,
        change: impl FnOnce(&mut History) -> Result<(), (&'static str, &'static str, &'static str)>,
    ) {
        let mut jobs = lock(&self.jobs);
        let history = jobs.entry(id).or_default();
        history.events.push(format!("{what}@{}", self.lab.now_ms()));
        if let Err((expected, why, pitfall)) = change(history) {
            let complaint = Complaint {
                expected: expected.to_owned(),
                got: format!("job {id}: {}", history.events.join(" ")),
                why,
                pitfall,
            };
            lock(&self.complaint).get_or_insert(complaint);
        }
    }

    fn accepted(&self, id: u64) {
        self.note(id, "accepted", |_| Ok(()));
    }

    fn leased(&self, id: u64, attempt: u32) {
        let until = Instant::now() + ms(100);
        self.note(id, format!("attempt_{attempt}"), |history| {
            let before = history.attempts;
            let valid = history.until.replace(until);
            history.attempts = attempt;
            if history.end.is_some() {
                Err((
                    "a job that is done or dead is not leased again",
                    "It is gone: the queue must not know it any more.",
                    "shared-state-race",
                ))
            } else if valid.is_some_and(|until| Instant::now() < until) {
                Err((
                    "one lease of a job at a time",
                    "A second worker got the job while the first one's lease was good.",
                    "shared-state-race",
                ))
            } else if attempt != before + 1 {
                Err((
                    "every attempt is given to somebody",
                    "An attempt was counted whose lease nobody has: it was made for a worker, or \
                     a request, that was dropped meanwhile, and its job had to wait for the \
                     expiry. Or `attempt` counts wrongly.",
                    "cancellation-ignored",
                ))
            } else {
                Ok(())
            }
        });
    }

    /// The lease of this attempt was answered: well or badly, in time or too late.
    fn answered(&self, id: u64, attempt: u32, good: bool, accepted: bool) {
        let said = match (good, accepted) {
            (true, true) => "done",
            (false, true) => "failed",
            (_, false) => "refused",
        };
        self.note(id, said, |history| {
            let valid = history.attempts == attempt
                && history.until.is_some_and(|until| Instant::now() < until);
            if accepted && valid {
                history.until = None;
            }
            if accepted && good {
                history.end = Some("done");
            }
            match (valid, accepted) {
                (true, false) => Err((
                    "an answer in time is accepted",
                    "The lease was good, and the worker had done its work: now another one does \
                     it again.",
                    "wrong-result",
                )),
                (false, true) => Err((
                    "an answer that is too late is refused",
                    "The lease had expired, and the job was somebody else's, or dead.",
                    "shared-state-race",
                )),
                _ => Ok(()),
            }
        });
    }

    fn died(&self, dead: &Dead) {
        self.note(dead.job.id, "dead", |history| {
            if history.end.replace("dead").is_some() {
                Err((
                    "a job ends once",
                    "It was done, or dead already, and there is a dead letter.",
                    "shared-state-race",
                ))
            } else if history.attempts != 3 {
                Err((
                    "a job is dead after three attempts",
                    "It has three, and a lease that nobody got is none.",
                    "wrong-result",
                ))
            } else {
                Ok(())
            }
        });
    }

    /// How many jobs were accepted, and are neither done nor taken as dead letters.
    fn kept(&self) -> usize {
        let jobs = lock(&self.jobs);
        jobs.values().filter(|job| job.end.is_none()).count()
    }

    /// Fails the check if anything happened that must not.
    fn expect_no_complaint(&self) {
        let complaint = lock(&self.complaint).take();
        if let Some(complaint) = complaint {
            self.lab
                .expect(false)
                .expected(complaint.expected)
                .got(complaint.got)
                .why(complaint.why)
                .pitfall(complaint.pitfall)
                .or_fail();
        }
    }
}

/// What becomes of an attempt, by the seed.
#[derive(Clone, Copy)]
enum Fate {
    Done,
    Failed,
    TooLate,
    Vanished,
}

fn fate(seed: u64, id: u64, attempt: u32) -> (Fate, Duration) {
    let seed = seed.wrapping_mul(1_000_003) + id * 31 + u64::from(attempt);
    let mut rng = fastrand::Rng::with_seed(seed);
    match rng.u8(0..20) {
        0..=10 => (Fate::Done, ms(rng.u64(5..60))),
        11..=14 => (Fate::Failed, ms(rng.u64(1..40))),
        15..=17 => (Fate::TooLate, ms(rng.u64(105..160))),
        _ => (Fate::Vanished, Duration::ZERO),
    }
}

/// A lease, however it was got: its number, the job, the attempt. `Err(true)`: no job
/// will ever come; `Err(false)`: none came.
async fn try_lease(
    queue: &Queue,
    app: Option<&Router>,
    patience: Duration,
) -> Result<(u64, u64, u32), bool> {
    let Some(app) = app else {
        return match timeout(patience, queue.lease()).await {
            Ok(Some(lease)) => Ok((lease.id, lease.job.id, lease.attempt)),
            Ok(None) => Err(true),
            Err(_) => Err(false),
        };
    };
    match timeout(patience, send(app, "/leases", None)).await {
        Ok((StatusCode::OK, body)) => {
            let number = |name: &str| body[name].as_u64().unwrap_or(0);
            let attempt = u32::try_from(number("attempt")).unwrap_or(0);
            Ok((number("lease"), number("job"), attempt))
        }
        Ok((StatusCode::GONE, _)) => Err(true),
        Ok(_) | Err(_) => Err(false),
    }
}

/// A worker, which has little patience, and to which things happen.
async fn worker(ledger: Arc<Ledger>, queue: Arc<Queue>, app: Option<Router>, seed: u64) {
    let mut rng = ledger.lab.rng();
    loop {
        let patience = ms(rng.u64(3..60));
        let (lease, job, attempt) = match try_lease(&queue, app.as_ref(), patience).await {
            Ok(lease) => lease,
            Err(true) => return,
            Err(false) => continue,
        };
        ledger.leased(job, attempt);
        let (fate, takes) = fate(seed, job, attempt);
        let span = ledger
            .lab
            .span(format!("job {job}"), format!("attempt {attempt}"));
        sleep(takes).await;
        let good = match fate {
            Fate::Done | Fate::TooLate => true,
            Fate::Failed => false,
            // The worker has forgotten its lease, and asks for another one.
            Fate::Vanished => continue,
        };
        let accepted = match &app {
            None if good => queue.done(lease).is_ok(),
            None => queue.failed(lease, "no luck").is_ok(),
            Some(app) => {
                let (answer, body) = if good {
                    ("done", None)
                } else {
                    ("failed", Some(json!({ "reason": "no luck" })))
                };
                let uri = format!("/leases/{lease}/{answer}");
                send(app, &uri, body).await.0 == StatusCode::NO_CONTENT
            }
        };
        ledger.answered(job, attempt, good, accepted);
        if accepted && good {
            span.done();
        } else {
            span.failed();
        }
    }
}

async fn faults(lab: Lab) {
    const JOBS: usize = 40;
    const CAPACITY: usize = 8;
    let small = Settings {
        capacity: NonZeroUsize::new(CAPACITY).expect("not zero"),
        ..settings()
    };
    let queue = Arc::new(Queue::new(small));
    let app = app(Arc::clone(&queue));
    let ledger = Ledger::new(&lab);
    let workers: Vec<_> = (0..5)
        .map(|number| {
            let app = (number % 2 == 0).then(|| app.clone());
            let (ledger, queue) = (Arc::clone(&ledger), Arc::clone(&queue));
            tokio::spawn(worker(ledger, queue, app, lab.seed()))
        })
        .collect();

    // A producer, which waits while the queue is full, and reads the dead letters.
    let mut rng = lab.rng();
    let mut payloads: Vec<Weak<str>> = Vec::new();
    let mut accepted = 0;
    let give_up = Instant::now() + ms(20_000);
    while accepted < JOBS && Instant::now() < give_up {
        sleep(ms(rng.u64(1..12))).await;
        let priority = rng.u8(0..4);
        let id = if rng.bool() {
            let payload: Arc<str> = "directly".into();
            payloads.push(Arc::downgrade(&payload));
            queue.push(priority, payload).ok()
        } else {
            let (_, body) = send(&app, "/jobs", new_job(priority, "by request")).await;
            body["job"].as_u64()
        };
        if let Some(id) = id {
            accepted += 1;
            ledger.accepted(id);
        }
        for dead in queue.take_dead() {
            ledger.died(&dead);
        }
        let kept = ledger.kept();
        lab.settle().await;
        let alive = payloads.iter().filter(|payload| payload.strong_count() > 0);
        let alive = alive.count();
        lab.expect(kept <= CAPACITY && alive <= CAPACITY)
            .expected(format!("at most {CAPACITY} jobs are kept"))
            .got(format!("{kept} jobs, and {alive} payloads in memory"))
            .why("Every job counts, from the moment it is accepted until it is done or taken.")
            .pitfall("unbounded-queue")
            .or_fail();
        ledger.expect_no_complaint();
    }
    lab.expect(accepted == JOBS)
        .expected(format!("{JOBS} jobs are accepted in the course of time"))
        .got(format!("{accepted} within 20 s"))
        .why("Jobs are done or dead after a while, so there is room for others after a while.")
        .pitfall("leaked-resource")
        .or_fail();

    // The end: in this time every job is done or dead.
    let drain = queue.drain(ms(10_000));
    let why = "Five workers, eight jobs at most, three attempts each: all of them come to an end.";
    let (left, took) = lab.timed(drain).await;
    ledger.expect_no_complaint();
    lab.expect(left.is_empty() && took < ms(10_000))
        .expected("the drain ends when every job is done or dead")
        .got(format!(
            "after {} ms, with {} jobs left",
            took.as_millis(),
            left.len()
        ))
        .why(why)
        .pitfall("never-ends")
        .or_fail();
    lab.settle().await;
    for dead in queue.take_dead() {
        ledger.died(&dead);
    }
    ledger.expect_no_complaint();
    let lost = {
        let jobs = lock(&ledger.jobs);
        let lost = jobs.iter().find(|(_, history)| history.end.is_none());
        lost.map(|(id, history)| format!("job {id}: {}", history.events.join(" ")))
    };
    lab.expect(lost.is_none())
        .expected("every job that was accepted is done, or dead, after the drain")
        .got(lost.unwrap_or_default())
        .why(
            "At least once: a job may be done twice, but it must not vanish, and a drain does not \
             end before it. Where was it when its worker, or its request, was dropped?",
        )
        .pitfall("cleanup-forgotten")
        .or_fail();
    let until = Instant::now() + ms(1_000);
    for worker in workers {
        soon(&lab, "a worker", joined(worker), why, "never-ends").await;
    }
    sleep_until(until).await;
    ledger.expect_no_complaint();
    lab.expect_no_tasks_left()
        .await
        .why("When a queue is drained nothing of it may run on: no timer of a lease or a delay.")
        .or_fail();
}
