//! Hidden checks of day 15: the questions of days 11 to 14, and a shop with five planted bugs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exercise::{
    Bank, Conn, DbError, Deadline, DeadlineLayer, Declined, Gate, Log, Order, Parts, Pool, Printer,
    Shop, Worker, answer_14, answer_15, answer_16, q15, q16, shift, test_gate,
};
use futures::future::BoxFuture;
use kata_harness::{CallInfo, Cancel, Lab, Place, SpanEnd, ms};
use kata_harness::{Service as Calls, Suite};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::{Instant, MissedTickBehavior, Sleep, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, ServiceExt, service_fn};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .seeds(1) // the questions leave nothing to chance
        .check("question 15: burst, delay and skip after a stall", 1, question_15)
        .check("question 16: the thread sleeps, the clock stands", 1, question_16)
        .task(2)
        .seeds(4)
        .check("question 13: 408 at the limit, and the handler is dropped", 2, question_13)
        .check("question 13: it is ready when the inner service is", 1, readiness)
        .check("question 14: a shift that is dropped leaves no half", 2, question_14)
        .check("question 17: a test that catches three mutants", 2, question_17)
        .seeds(8)
        .task(3)
        .check("an order and a delivery of one item both end", 2, both_end)
        .check("orders of other items wait for nobody", 3, others_wait_for_nobody)
        .check("an invoice is printed off the runtime's thread", 2, printed)
        .task(4)
        .check("a client who leaves leaves nothing running", 2, leaves)
        .seeds(4) // a sweep, and whole days, cost more
        .check("an order dropped at any pending is whole or was never there", 3, dropped_order)
        .check("an order whose commit fails was never there", 2, commit_fails)
        .task(5)
        .check("an order that is declined says so", 2, declined)
        .check("a printer that panics fails its own order alone", 2, printer_panics)
        .check("a whole day, mended in few lines", 3, whole_day)
        .run()
}

/// The questions and the mends together change at most so many lines of the stub.
const FEW: usize = 200;

// ---------------------------------------------------------------- helpers

/// How long a check waits for what must come before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(5);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        locked(&self.notes).push(note);
    }

    /// `a@0 b@100`, those of one instant in the order of the alphabet.
    fn line(&self) -> String {
        let mut notes = locked(&self.notes).clone();
        notes.sort();
        let words: Vec<_> = notes
            .iter()
            .map(|(at_ms, what)| format!("{what}@{at_ms}"))
            .collect();
        words.join(" ")
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

/// The output of what must end within some seconds; if it does not, `why` says why.
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

// --------------------------------------------------------------- the questions

/// Compares an answer with what the snippet has noted.
fn expect_answer(lab: &Lab, which: &str, answer: &str, truth: &str, rule: &str, pitfall: &str) {
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
        .expected(format!("{which}{}", noted.join(" ")))
        .got(if said.is_empty() {
            format!("{which}nothing")
        } else {
            format!("{which}{}", said.join(" "))
        })
        .why(format!("At place {}: {difference}. {rule}", place + 1))
        .pitfall(pitfall)
        .or_fail();
}

async fn question_15(lab: Lab) {
    let [burst, delay, skip] = answer_15();
    let rows = [
        (
            "Burst: ",
            burst,
            MissedTickBehavior::Burst,
            "Burst makes up for every tick that was missed, at once, and is then back at the old \
             instants: 100 and 200 are given at 250, then 300 is due.",
        ),
        (
            "Delay: ",
            delay,
            MissedTickBehavior::Delay,
            "Delay gives one late tick, and counts the period anew from it.",
        ),
        (
            "Skip: ",
            skip,
            MissedTickBehavior::Skip,
            "Skip gives one late tick, and the next one at the next multiple of the period since \
             the interval began.",
        ),
    ];
    for (which, answer, behavior, rule) in rows {
        let log = Log::new();
        q15(log.clone(), behavior).await;
        expect_answer(&lab, which, answer, &log.events(), rule, "wrong-result");
    }
}

async fn question_16(lab: Lab) {
    let answer = answer_16();
    // In a runtime of its own, on a thread of its own: on this one nobody may sleep.
    let noting = spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let log = Log::new();
            q16(log.clone()).await;
            log.events()
        })
    });
    let truth = joined(noting).await;
    let rule = "The paused clock is moved by the runtime alone, to the next timer, and only when \
                nothing can run and no blocking job is at work. A thread that sleeps keeps the \
                runtime from its turn: for the clock no time goes by. In real time the timer \
                would come 20 ms late, and the job too late.";
    expect_answer(&lab, "", answer, &truth, rule, "blocking-the-runtime");
}

/// A handler in virtual time, under a limit.
fn limited(
    calls: &Calls,
    limit_ms: u64,
) -> impl Service<
    Request,
    Response = Response,
    Error = Infallible,
    Future = BoxFuture<'static, Result<Response, Infallible>>,
> {
    let calls = calls.clone();
    let inner = service_fn(move |request: Request| {
        let call = calls.call(request.uri().path());
        async move {
            let _ = call.await;
            Ok((StatusCode::ACCEPTED, "done").into_response())
        }
    });
    DeadlineLayer::new(ms(limit_ms)).layer(inner)
}

async fn question_13(lab: Lab) {
    let (quick_ms, slow_ms) = (lab.pick(10..=90), lab.pick(110..=300));
    let calls = lab
        .service("handler")
        .takes_with(move |call| match call.label.as_str() {
            "/quick" => quick_ms,
            _ => slow_ms,
        })
        .build();
    let request = |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty());
        request.expect("a request")
    };

    let (answer, took) = lab
        .timed(limited(&calls, 100).oneshot(request("/quick")))
        .await;
    let Ok(answer) = answer;
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 100).await.unwrap_or_default();
    lab.expect(status == 202 && body == "done")
        .expected("202 and `done`, as the handler gives it")
        .got(format!("{status} and `{}`", String::from_utf8_lossy(&body)))
        .why("An answer in time goes out as it is.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, quick_ms)
        .why("An answer in time goes out at once.")
        .pitfall("wrong-result")
        .or_fail();

    let (answer, took) = lab
        .timed(limited(&calls, 100).oneshot(request("/slow")))
        .await;
    let Ok(answer) = answer;
    lab.expect_eq(&answer.status().as_u16(), &408)
        .why(
            "The handler needs more than the limit. When the limit is over the answer is 408, \
             whatever the handler would have said.",
        )
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, 100)
        .why("The client is told when the limit is over, not when the handler has ended.")
        .pitfall("wrong-result")
        .or_fail();
    lab.settle().await;
    let call = calls.calls().into_iter().next_back();
    let end = call.map_or(SpanEnd::Running, |call| call.end);
    lab.expect(end == SpanEnd::Cancelled)
        .expected("the handler's call is dropped when the limit is over")
        .got(format!("the call: {end:?}"))
        .why(
            "Nobody waits for its answer any more. A handler that runs on in a task of its own \
             does work for nobody, and holds what it holds.",
        )
        .pitfall("leaked-task")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("The handler is a future: whoever drops it has stopped it. It needs no task.")
        .or_fail();
}

/// A service that needs some time before it may be called.
struct Sleepy {
    nap: Pin<Box<Sleep>>,
    ready: bool,
    notes: Notes,
}

impl Service<Request> for Sleepy {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        let polled = self.nap.as_mut().poll(context);
        self.ready = polled.is_ready();
        polled.map(Ok)
    }

    fn call(&mut self, _request: Request) -> Self::Future {
        self.notes.note(if self.ready {
            "called"
        } else {
            "called_unready"
        });
        std::future::ready(Ok(StatusCode::NO_CONTENT.into_response()))
    }
}

async fn readiness(lab: Lab) {
    let notes = Notes::new(&lab);
    let nap_ms = lab.pick(150..=250);
    let sleepy = Sleepy {
        nap: Box::pin(sleep(ms(nap_ms))),
        ready: false,
        notes: notes.clone(),
    };
    let deadline: Deadline<Sleepy> = DeadlineLayer::new(ms(100)).layer(sleepy);
    let Ok(answer) = deadline.oneshot(Request::new(Body::empty())).await;
    let why = "A service is called only when its `poll_ready` has said that it may be. Around a \
               service that is not ready the layer is not ready either: ask the inner one. The \
               limit counts from the call.";
    notes.expect(&format!("called@{nap_ms}"), why, "wrong-result");
    lab.expect_eq(&answer.status().as_u16(), &204)
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

/// What the README lists for question 14.
const SHIFT: &str = "\
pub async fn shift(pool: &Pool, from: &str, to: &str, count: u32)
    -> Result<(), DbError> {
    let mut conn = pool.get().await;
    conn.begin().await?;
    let mut outcome = rebook(&mut conn, from, to, count).await;
    if outcome.is_ok() {
        outcome = conn.commit().await;
    }
    if outcome.is_err() {
        conn.rollback();
    }
    outcome
}

async fn rebook(conn: &mut Pooled, from: &str, to: &str, count: u32)
    -> Result<(), DbError> {
    let has = conn.stock(from).await?.unwrap_or(0);
    let gets = conn.stock(to).await?.unwrap_or(0);
    let Some(left) = has.checked_sub(count) else {
        return Err(DbError(\"not so many\".to_owned()));
    };
    conn.set_stock(from, left).await?;
    conn.set_stock(to, gets.saturating_add(count)).await
}
";

async fn question_14(lab: Lab) {
    let said = answer_14();
    let place = SHIFT.lines().position(|line| line.contains("rollback"));
    let truth = place.and_then(|place| u32::try_from(place + 1).ok());
    let index = usize::try_from(said).unwrap_or_default().wrapping_sub(1);
    lab.expect(Some(said) == truth)
        .expected("the line that undoes what was begun")
        .got(match SHIFT.lines().nth(index) {
            Some(source) => format!("line {said}: {}", source.trim()),
            None => format!("line {said}, which the listing does not have"),
        })
        .why(
            "A future that is dropped goes nowhere from the `.await` at which it waits: no line \
             behind it is run, not even one for errors. Which of them would have been needed?",
        )
        .pitfall("cleanup-forgotten")
        .or_fail();

    lab.cancel_sweep(async |cancel: Cancel| {
        let db = Db::new(&lab, 10, |_| false);
        let pool = db.pool(1);
        let _ = cancel.drop_at(shift(&pool, "apples", "pears", 3)).await;
        let why = "The shift was dropped while its transaction was open, and the connection went \
                   back to the pool as it was. The next one who uses it writes into the same \
                   transaction, and commits both. Only `Drop` runs whatever happens: let a guard \
                   roll back.";
        let next = somebody_else(&pool);
        soon(&lab, "the next one", next, why, "cleanup-forgotten").await;
        let got = db.stock_line();
        let none = "apples 10, pears 10, plums 10";
        let all = "apples 7, pears 13, plums 10";
        lab.expect(got == none || got == all)
            .expected(format!("{none}; or, all of it, {all}"))
            .got(got)
            .why(why)
            .pitfall("cleanup-forgotten")
            .at(last_place_of(&db.calls, SpanEnd::Cancelled))
            .or_fail();
    })
    .await;

    let db = Db::new(&lab, 10, |call| call.number == 4);
    let pool = db.pool(1);
    let failed = shift(&pool, "apples", "pears", 3).await;
    let why = "The second `set_stock` fails: the shift says so, and the first one is undone.";
    lab.expect(failed.is_err())
        .expected("the database's error")
        .got("Ok(())")
        .why(why)
        .pitfall("swallowed-error")
        .or_fail();
    somebody_else(&pool).await;
    lab.expect_eq(db.stock_line().as_str(), "apples 10, pears 10, plums 10")
        .why(why)
        .pitfall("cleanup-forgotten")
        .or_fail();
    let done = shift(&pool, "apples", "pears", 3).await;
    lab.expect_eq(
        &(done, db.stock_line().as_str()),
        &(Ok(()), "apples 7, pears 13, plums 10"),
    )
    .why("A shift that comes to its end is committed.")
    .pitfall("wrong-result")
    .or_fail();
}

// ---------------------------------------------------------------- question 17

/// What a gate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Right: the lock is the line.
    Lock,
    /// Right, too: a permit is the line, and it gives way once.
    Permit,
    /// Wrong: turns that nobody used are good later.
    Saves,
    /// Wrong: a turn is taken on arrival, and kept by who leaves.
    Books,
    /// Wrong: all who wait look at the same last one.
    Crowds,
}

struct TestedGate {
    kind: Kind,
    line: tokio::sync::Mutex<()>,
    permit: Semaphore,
    /// When the next one may pass.
    next: Mutex<Option<Instant>>,
}

impl TestedGate {
    fn of(kind: Kind) -> Arc<dyn Gate> {
        Arc::new(Self {
            kind,
            line: tokio::sync::Mutex::default(),
            permit: Semaphore::new(1),
            next: Mutex::default(),
        })
    }

    fn due(&self) -> Instant {
        let now = Instant::now();
        locked(&self.next).map_or(now, |next| match self.kind {
            Kind::Saves => next,
            _ => next.max(now),
        })
    }

    fn set_next(&self, after: Instant) {
        *locked(&self.next) = Some(after + ms(100));
    }
}

impl Gate for TestedGate {
    fn pass(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match self.kind {
                Kind::Lock | Kind::Saves => {
                    let _line = self.line.lock().await;
                    let due = self.due();
                    sleep_until(due).await;
                    self.set_next(due);
                }
                Kind::Permit => {
                    let _permit = self.permit.acquire().await;
                    while self.due() > Instant::now() {
                        sleep_until(self.due()).await;
                    }
                    self.set_next(Instant::now());
                    yield_now().await;
                }
                Kind::Books => {
                    let due = self.due();
                    self.set_next(due);
                    sleep_until(due).await;
                }
                Kind::Crowds => {
                    sleep_until(self.due()).await;
                    self.set_next(Instant::now());
                }
            }
        })
    }
}

/// How the test ends on a gate: by itself, by a panic (which says so), or not at all.
async fn tested(kind: Kind) -> Option<Result<(), String>> {
    let test = tokio::spawn(test_gate(TestedGate::of(kind)));
    match timeout(ms(60_000), test).await {
        Err(_) => None,
        Ok(Ok(())) => Some(Ok(())),
        Ok(Err(error)) => {
            let panic = error.into_panic();
            let message = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Some(Err(message.unwrap_or_default()))
        }
    }
}

/// What panics meanwhile is not told of: it is what the check hopes for.
async fn quietly<T>(future: impl Future<Output = T>) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let output = future.await;
    std::panic::set_hook(hook);
    output
}

async fn question_17(lab: Lab) {
    for kind in [Kind::Lock, Kind::Permit] {
        let outcome = tested(kind).await;
        if let Some(Err(message)) = &outcome
            && message.starts_with("not yet implemented")
        {
            resume_unwind(Box::new(message.clone()));
        }
        lab.expect(outcome == Some(Ok(())))
            .expected("a gate that keeps to what is promised passes the test")
            .got(match outcome {
                // Its words and its place stand below, as of every panic.
                Some(Err(_)) => "the test panics on one (see `panics`)".to_owned(),
                _ => "the test does not end within 60 s".to_owned(),
            })
            .why(
                "Ask for nothing that `Gate` does not promise. Mind that each `pass` moves the \
                 next turn, and that an instant is not a poll: what passes at once may have to \
                 be polled again.",
            )
            .pitfall("wrong-result")
            .or_fail();
    }
    let mutants = [
        (
            Kind::Saves,
            "a gate that saves up turns",
            "After a pause this one lets several pass at the same instant. Let nobody come for \
             some hundred milliseconds, and then two.",
        ),
        (
            Kind::Books,
            "a gate at which who leaves has taken a turn",
            "Let one wait, and leave before its turn (`timeout`): the next one behind passes as \
             early as if nobody had been there.",
        ),
        (
            Kind::Crowds,
            "a gate at which all who wait pass together",
            "Let two wait at the same time: the second one passes 100 ms after the first. Callers \
             who come one after the other never show it.",
        ),
    ];
    for (kind, what, why) in mutants {
        let outcome = quietly(tested(kind)).await;
        lab.expect(matches!(outcome, Some(Err(_))))
            .expected(format!("the test catches {what}"))
            .got(match outcome {
                None => "the test does not end within 60 s",
                _ => "the test passes it",
            })
            .why(why)
            .pitfall("wrong-result")
            .or_fail();
    }
}

// ---------------------------------------------------------------- the database

/// What is written in the database.
#[derive(Clone, Default)]
struct Data {
    stock: BTreeMap<String, u32>,
    orders: BTreeMap<u64, (String, u32)>,
    deliveries: Vec<(String, u32)>,
}

/// A database in virtual time: each statement is a call of a service.
#[derive(Clone)]
struct Db {
    calls: Calls,
    data: Arc<Mutex<Data>>,
    next_id: Arc<Mutex<u64>>,
}

impl Db {
    /// Ten pieces each of three items; statements take `unit_ms`, and fail if `fails` says so.
    fn new(
        lab: &Lab,
        unit_ms: u64,
        fails: impl Fn(&CallInfo) -> bool + Send + Sync + 'static,
    ) -> Self {
        let calls = lab
            .service("db")
            .takes(unit_ms)
            .fails_with(move |call| fails(call).then(|| format!("{} refused", call.label)))
            .build();
        let items = ["apples", "pears", "plums"];
        let data = Data {
            stock: items.map(|item| (item.to_owned(), 10)).into(),
            ..Data::default()
        };
        Self {
            calls,
            data: Arc::new(Mutex::new(data)),
            next_id: Arc::default(),
        }
    }

    fn pool(&self, conns: usize) -> Pool {
        let link = || -> Box<dyn Conn> {
            Box::new(Link {
                db: self.clone(),
                open: None,
            })
        };
        Pool::new((0..conns).map(|_| link()).collect())
    }

    fn data(&self) -> Data {
        locked(&self.data).clone()
    }

    /// `apples 10, pears 10, plums 10`
    fn stock_line(&self) -> String {
        let stock = self.data().stock;
        let words: Vec<_> = stock
            .iter()
            .map(|(item, count)| format!("{item} {count}"))
            .collect();
        words.join(", ")
    }
}

/// Where the learner's code made the last call that ended so.
fn last_place_of(calls: &Calls, end: SpanEnd) -> Place {
    let mut calls = calls.calls().into_iter();
    calls
        .rfind(|call| call.end == end)
        .map(|call| call.location)
        .unwrap_or_default()
}

/// Another program that uses the pool: a transaction of its own, with nothing in it.
async fn somebody_else(pool: &Pool) {
    let mut conn = pool.get().await;
    let began = conn.begin().await;
    let committed = conn.commit().await;
    assert_eq!((began, committed), (Ok(()), Ok(())));
}

/// A connection. What an open transaction wrote is seen by itself alone until the commit, which
/// writes over what others have committed meanwhile.
struct Link {
    db: Db,
    open: Option<Change>,
}

/// What a transaction would change.
#[derive(Default)]
struct Change {
    stock: BTreeMap<String, u32>,
    orders: BTreeMap<u64, (String, u32)>,
    deliveries: Vec<(String, u32)>,
}

impl Link {
    fn call(&self, label: &str) -> BoxFuture<'static, Result<(), DbError>> {
        let call = self.db.calls.call(label);
        Box::pin(async move {
            match call.await {
                Ok(_) => Ok(()),
                Err(fault) => Err(DbError(fault.message)),
            }
        })
    }

    /// Writes into the open transaction, or, if there is none, at once.
    fn write(&mut self, change: impl FnOnce(&mut Change)) {
        if let Some(open) = &mut self.open {
            change(open);
        } else {
            let mut single = Change::default();
            change(&mut single);
            self.apply(single);
        }
    }

    fn apply(&self, change: Change) {
        let mut data = locked(&self.db.data);
        data.stock.extend(change.stock);
        data.orders.extend(change.orders);
        data.deliveries.extend(change.deliveries);
    }
}

impl Conn for Link {
    fn begin(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        let call = self.call("begin");
        Box::pin(async move {
            call.await?;
            self.open.get_or_insert_default();
            Ok(())
        })
    }

    fn stock<'a>(&'a mut self, item: &'a str) -> BoxFuture<'a, Result<Option<u32>, DbError>> {
        let call = self.call(&format!("stock of {item}"));
        Box::pin(async move {
            call.await?;
            let own = self.open.as_ref().and_then(|open| open.stock.get(item));
            Ok(own
                .copied()
                .or_else(|| self.db.data().stock.get(item).copied()))
        })
    }

    fn set_stock<'a>(
        &'a mut self,
        item: &'a str,
        count: u32,
    ) -> BoxFuture<'a, Result<(), DbError>> {
        let call = self.call(&format!("{item} = {count}"));
        Box::pin(async move {
            call.await?;
            self.write(|change| {
                change.stock.insert(item.to_owned(), count);
            });
            Ok(())
        })
    }

    fn insert_order<'a>(
        &'a mut self,
        item: &'a str,
        count: u32,
    ) -> BoxFuture<'a, Result<u64, DbError>> {
        let call = self.call(&format!("order: {item} {count}"));
        Box::pin(async move {
            call.await?;
            let id = {
                let mut next_id = locked(&self.db.next_id);
                *next_id += 1;
                *next_id
            };
            self.write(|change| {
                change.orders.insert(id, (item.to_owned(), count));
            });
            Ok(id)
        })
    }

    fn insert_delivery<'a>(
        &'a mut self,
        item: &'a str,
        count: u32,
    ) -> BoxFuture<'a, Result<(), DbError>> {
        let call = self.call(&format!("delivery: {item} {count}"));
        Box::pin(async move {
            call.await?;
            self.write(|change| change.deliveries.push((item.to_owned(), count)));
            Ok(())
        })
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        let call = self.call("commit");
        Box::pin(async move {
            call.await?;
            if let Some(change) = self.open.take() {
                self.apply(change);
            }
            Ok(())
        })
    }

    fn rollback(&mut self) {
        self.open = None;
    }
}

// ---------------------------------------------------------------- the shop's world

/// The bank in virtual time: each order is a call of a service.
struct TestedBank {
    calls: Calls,
}

impl Bank for TestedBank {
    fn charge(&self, order: &Order) -> BoxFuture<'static, Result<(), Declined>> {
        let call = self.calls.call(format!("order {}", order.id));
        Box::pin(async move {
            match call.await {
                Ok(_) => Ok(()),
                Err(fault) => Err(Declined(fault.message)),
            }
        })
    }
}

/// What a printer does with an order of so many pieces.
type Prints = fn(u32) -> bool;

struct TestedPrinter {
    lab: Lab,
    /// Whether it takes its time, and keeps its thread meanwhile.
    slow: bool,
    works: Prints,
}

impl Printer for TestedPrinter {
    fn print(&self, order: &Order) -> String {
        self.lab.heavy(format!("invoice {}", order.id), 1);
        if self.slow {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!((self.works)(order.count), "out of paper");
        format!("invoice {}: {} {}", order.id, order.item, order.count)
    }
}

/// How the shop's world behaves.
struct Setting {
    conns: usize,
    unit_ms: u64,
    slow_printer: bool,
    prints: Prints,
    declines: fn(&CallInfo) -> Option<String>,
    fails: fn(&CallInfo) -> bool,
}

impl Setting {
    /// One connection; everything works.
    fn new(unit_ms: u64) -> Self {
        Self {
            conns: 1,
            unit_ms,
            slow_printer: false,
            prints: |_| true,
            declines: |_| None,
            fails: |_| false,
        }
    }
}

/// A charge takes so long.
const CHARGE_MS: u64 = 30;

/// A request under way: its code and its body.
type Answer = BoxFuture<'static, (u16, Value)>;

/// A shop in a world of its own.
struct World {
    lab: Lab,
    db: Db,
    pool: Pool,
    bank: Calls,
    router: Router,
    /// Only the worker's owner knows when it runs.
    worker: Option<Worker>,
}

impl World {
    fn new(lab: &Lab, setting: &Setting) -> Self {
        let db = Db::new(lab, setting.unit_ms, setting.fails);
        let bank = lab
            .service("bank")
            .takes(CHARGE_MS)
            .fails_with(setting.declines)
            .build();
        let pool = db.pool(setting.conns);
        let (shop, worker) = Shop::open(Parts {
            pool: pool.clone(),
            bank: Arc::new(TestedBank {
                calls: bank.clone(),
            }),
            printer: Arc::new(TestedPrinter {
                lab: lab.clone(),
                slow: setting.slow_printer,
                works: setting.prints,
            }),
        });
        Self {
            lab: lab.clone(),
            db,
            pool,
            bank,
            router: shop.router(),
            worker: Some(worker),
        }
    }

    /// Lets the worker work, until the token is cancelled.
    fn run(&mut self) -> (JoinHandle<()>, CancellationToken) {
        let closing = CancellationToken::new();
        let worker = self.worker.take().expect("it runs once");
        let task = tokio::spawn(worker.run(closing.clone()));
        (task, closing)
    }

    /// A request and its answer.
    fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let answering = self.router.clone().oneshot(request);
        Box::pin(async move {
            let Ok(answer) = answering.await;
            let status = answer.status().as_u16();
            let body = to_bytes(answer.into_body(), 10_000)
                .await
                .unwrap_or_default();
            (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
        })
    }

    fn order(&self, item: &str, count: u32) -> Answer {
        let body = json!({"item": item, "count": count});
        self.ask(Method::POST, "/orders", &body)
    }

    fn delivery(&self, item: &str, count: u32) -> Answer {
        let path = format!("/items/{item}");
        self.ask(Method::POST, &path, &json!({"count": count}))
    }

    /// `done: invoice 1: pears 2`, or the answer's code.
    async fn status(&self, id: u64) -> String {
        let path = format!("/orders/{id}");
        in_words(self.ask(Method::GET, &path, &Value::Null).await)
    }

    fn outcome(&self, id: u64) -> BoxFuture<'static, String> {
        let path = format!("/orders/{id}/outcome");
        let answer = self.ask(Method::GET, &path, &Value::Null);
        Box::pin(async move { in_words(answer.await) })
    }

    /// An order that must be accepted; its number.
    async fn accepted(&self, item: &str, count: u32) -> u64 {
        let (code, body) = self.order(item, count).await;
        let id = body["id"].as_u64();
        self.lab
            .expect(code == 201 && id.is_some())
            .expected("201, and the order's number")
            .got(format!("{code} {body}"))
            .why(
                "There are pieces enough, a connection is free, and the shop is open: the order \
                 is accepted. 503 would say that the worker has ended.",
            )
            .pitfall("wrong-result")
            .or_fail();
        id.unwrap_or_default()
    }

    /// In which statement somebody was dropped, if it was in one.
    fn dropped_in(&self) -> String {
        let calls = self.db.calls.calls().into_iter();
        let dropped = calls.filter(|call| call.end == SpanEnd::Cancelled);
        let dropped = dropped.last();
        dropped.map_or_else(String::new, |call| format!("; dropped in `{}`", call.label))
    }

    /// Every order that is written down is known, and the stock is what the orders left of it.
    async fn expect_whole(&self, item: &str, why: &str, pitfall: &str) {
        let data = self.db.data();
        for id in data.orders.keys() {
            let status = self.status(*id).await;
            self.lab
                .expect(status != "404")
                .expected(format!(
                    "order {id}, which is written down, is known to the shop"
                ))
                .got(format!(
                    "order {id} is written down, and nobody knows it{}",
                    self.dropped_in()
                ))
                .why(why)
                .pitfall("cleanup-forgotten")
                .at(last_place_of(&self.db.calls, SpanEnd::Cancelled))
                .or_fail();
        }
        let orders = data.orders.values();
        let sold: u32 = orders.filter(|row| row.0 == item).map(|row| row.1).sum();
        let deliveries = data.deliveries.iter();
        let came: u32 = deliveries
            .filter(|row| row.0 == item)
            .map(|row| row.1)
            .sum();
        let expected = (10 + came).checked_sub(sold);
        let got = data.stock.get(item).copied();
        self.lab
            .expect(got == expected)
            .expected(format!(
                "10 {item} at first, {came} delivered, {sold} sold: {} left",
                expected.map_or("fewer than none".to_owned(), |left| left.to_string())
            ))
            .got(format!(
                "{} left{}",
                got.unwrap_or_default(),
                self.dropped_in()
            ))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }
}

fn in_words((code, body): (u16, Value)) -> String {
    let status = body["status"].as_str().unwrap_or_default();
    let detail = body["detail"].as_str().unwrap_or_default();
    match code {
        200 if detail.is_empty() => status.to_owned(),
        200 => format!("{status}: {detail}"),
        code => code.to_string(),
    }
}

/// Somebody who asks at `at_ms`, in a task of its own, and notes the answer's code.
fn asks(notes: &Notes, who: &str, at_ms: u64, answer: Answer) -> JoinHandle<()> {
    let (notes, who) = (notes.clone(), who.to_owned());
    tokio::spawn(async move {
        sleep(ms(at_ms)).await;
        let (code, _) = answer.await;
        notes.note(format!("{who}:{code}"));
    })
}

/// What a statement takes: an even number.
fn unit(lab: &Lab) -> u64 {
    2 * lab.pick(4..=10)
}

// ----------------------------------------------------------------- task 3

async fn both_end(lab: Lab) {
    let unit = unit(&lab);
    let world = World::new(&lab, &Setting::new(unit));
    let notes = Notes::new(&lab);
    let delivery = asks(&notes, "delivery", 0, world.delivery("pears", 5));
    let order = asks(&notes, "order", unit / 2, world.order("pears", 2));
    // Without a deadline of its own: whoever waits for ever is reported with its place.
    joined(delivery).await;
    joined(order).await;
    let why = "Each of them needs the item and the only connection, for five statements. The \
               delivery came first, and the order goes on when it has ended. Nobody is sent away: \
               a deadline for a wait that would never end hides the deadlock, and lets a customer \
               pay for it.";
    notes.expect(
        &format!("delivery:204@{} order:201@{}", 5 * unit, 10 * unit),
        why,
        "deadlock",
    );
    world.expect_whole("pears", why, "shared-state-race").await;
}

async fn others_wait_for_nobody(lab: Lab) {
    let unit = unit(&lab);
    let setting = Setting {
        conns: 3,
        ..Setting::new(unit)
    };
    let world = World::new(&lab, &setting);
    let notes = Notes::new(&lab);
    let mut tasks = Vec::new();
    for number in 1..=3 {
        let delivery = world.delivery("pears", 5);
        tasks.push(asks(&notes, &format!("delivery{number}"), 0, delivery));
        lab.settle().await;
    }
    for item in ["pears", "plums", "apples"] {
        tasks.push(asks(&notes, item, unit / 2, world.order(item, 2)));
        lab.settle().await;
    }
    for task in tasks {
        joined(task).await;
    }
    let why = "Whoever changes a stock reads it first, and nobody may change it in between: that \
               is what the item's lock is for.";
    world.expect_whole("pears", why, "shared-state-race").await;
    let others = 5 * unit + unit / 2;
    notes.expect(
        &format!(
            "delivery1:204@{} apples:201@{others} plums:201@{others} delivery2:204@{} \
             delivery3:204@{} pears:201@{}",
            5 * unit,
            10 * unit,
            15 * unit,
            20 * unit
        ),
        "Three deliveries and an order of pears come one after the other: five statements each. \
         Those of plums and apples have nothing to do with them, and two of the three connections \
         are free: they begin at once. One lock for everything makes them wait; so does who holds \
         a connection while waiting for an item.",
        "lock-across-await",
    );
}

async fn printed(lab: Lab) {
    let unit = unit(&lab);
    let setting = Setting {
        slow_printer: true,
        ..Setting::new(unit)
    };
    let mut world = World::new(&lab, &setting);
    let (_worker, _closing) = world.run();
    let id = world.accepted("pears", 2).await;
    let why = "The printer is a plain function that keeps its thread for a while, and that must \
               not be the runtime's: a plain function that keeps its thread belongs into \
               `spawn_blocking`. In virtual time it takes nothing; the bank takes 30 ms.";
    sleep(ms(CHARGE_MS - 1)).await;
    let before = world.status(id).await;
    sleep(ms(2)).await;
    let after = world.status(id).await;
    lab.expect_eq(
        &[before.as_str(), after.as_str()],
        &["accepted", "done: invoice 1: pears 2"],
    )
    .why(why)
    .pitfall("blocking-the-runtime")
    .or_fail();
    let prints = lab.heavy_calls();
    let blocking = prints.iter().find(|print| print.on_runtime);
    lab.expect(blocking.is_none() && prints.len() == 1)
        .expected("one invoice, printed on a thread for blocking jobs")
        .got(format!(
            "{} printed, on the runtime's thread or not",
            prints.len()
        ))
        .why(why)
        .pitfall("blocking-the-runtime")
        .at(blocking
            .map(|print| print.location.clone())
            .unwrap_or_default())
        .or_fail();
}

// ----------------------------------------------------------------- task 4

async fn leaves(lab: Lab) {
    let unit = unit(&lab);
    let mut world = World::new(&lab, &Setting::new(unit));
    let id = world.accepted("pears", 2).await;

    // The worker does not run yet: there is nothing that could end.
    let leaver = tokio::spawn(world.outcome(id));
    sleep(ms(lab.pick(120..=180))).await;
    leaver.abort();
    lab.expect_no_tasks_left()
        .await
        .why(
            "The client waited for the outcome, and has left: the request was dropped. What was \
             spawned for it goes on without it, and looks for an outcome that nobody will read.",
        )
        .or_fail();

    let stays = tokio::spawn(world.outcome(id));
    let leaver = tokio::spawn(world.outcome(id));
    sleep(ms(50)).await;
    leaver.abort();
    let (worker, closing) = world.run();
    let began = lab.now();
    let why = "Somebody else waits for the same order, and stays.";
    let outcome = soon(&lab, "the outcome", joined(stays), why, "lost-wakeup").await;
    let took = lab.now().saturating_sub(began);
    lab.expect_eq(&outcome.as_str(), &"done: invoice 1: pears 2")
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    lab.expect(took >= ms(CHARGE_MS) && took <= ms(CHARGE_MS + 100))
        .expected("the outcome, at most 100 ms after the order was done")
        .got(format!("it came {} ms after that", took.as_millis()))
        .why("Whoever waits for an outcome gets it soon.")
        .pitfall("wrong-result")
        .or_fail();
    closing.cancel();
    let why = "The shop is closed, and every order is done: the worker ends.";
    soon(&lab, "the worker", joined(worker), why, "never-ends").await;
    lab.expect_no_tasks_left().await.why(why).or_fail();
}

async fn dropped_order(lab: Lab) {
    let unit = unit(&lab);
    lab.cancel_sweep(async |cancel: Cancel| {
        let world = World::new(&lab, &Setting::new(unit));
        let _ = cancel.drop_at(world.order("pears", 2)).await;
        let why = "The first order was dropped half way, and its connection went back to the pool \
                   inside of its transaction: the next one who uses it commits that, too. But the \
                   worker never heard of that order. A transaction that has not ended has to be \
                   rolled back, and it has not ended before the commit has.";
        let next = somebody_else(&world.pool);
        soon(&lab, "the next one", next, why, "cleanup-forgotten").await;
        world.expect_whole("pears", why, "cleanup-forgotten").await;
        let next = world.order("pears", 3);
        let (code, _) = soon(&lab, "the next order", next, why, "cleanup-forgotten").await;
        lab.expect_eq(&code, &201)
            .why("The next order finds all as if the first had never been, or had come to its end.")
            .pitfall("cleanup-forgotten")
            .or_fail();
        world.expect_whole("pears", why, "cleanup-forgotten").await;
    })
    .await;

    lab.cancel_sweep(async |cancel: Cancel| {
        let world = World::new(&lab, &Setting::new(unit));
        let _ = cancel.drop_at(world.delivery("pears", 5)).await;
        let why = "A delivery was dropped half way: it is written down and its pieces are on the \
                   shelf, or neither. Both belong into one transaction.";
        let next = somebody_else(&world.pool);
        soon(&lab, "the next one", next, why, "cleanup-forgotten").await;
        world.expect_whole("pears", why, "cleanup-forgotten").await;
    })
    .await;
}

async fn commit_fails(lab: Lab) {
    let unit = unit(&lab);
    let setting = Setting {
        fails: |call| call.number == 4, // the first order's commit
        ..Setting::new(unit)
    };
    let world = World::new(&lab, &setting);
    let (code, _) = world.order("pears", 2).await;
    lab.expect_eq(&code, &503)
        .why("The database refuses the commit, and the customer has to know it.")
        .pitfall("swallowed-error")
        .or_fail();
    let _ = world.accepted("pears", 3).await;
    let data = world.db.data();
    let orders: Vec<_> = data.orders.values().map(|row| row.1).collect();
    lab.expect(orders == [3] && data.stock.get("pears") == Some(&7))
        .expected("one order, of 3 pears; 7 are left")
        .got(format!(
            "orders of {orders:?} pears; {} are left",
            data.stock.get("pears").copied().unwrap_or_default()
        ))
        .why(
            "The commit of the first order, of 2 pears, failed, and its customer was told so. The \
             transaction is open still: the connection went back to the pool with it, and the \
             next order has committed both.",
        )
        .pitfall("cleanup-forgotten")
        .at(last_place_of(&world.db.calls, SpanEnd::Failed))
        .or_fail();
}

// ----------------------------------------------------------------- task 5

async fn declined(lab: Lab) {
    let unit = unit(&lab);
    let setting = Setting {
        declines: |call| Some(format!("card {} has expired", call.number + 1)),
        ..Setting::new(unit)
    };
    let mut world = World::new(&lab, &setting);
    let (worker, closing) = world.run();
    for number in 1..=2 {
        let id = world.accepted("pears", 1).await;
        sleep(ms(CHARGE_MS + 1)).await;
        let status = world.status(id).await;
        let reason = format!("card {number} has expired");
        lab.expect(status.starts_with("failed") && status.contains(&reason))
            .expected(format!("failed, and why: {reason}"))
            .got(status)
            .why(
                "The bank has declined, and the worker knows it. An error that ends there leaves \
                 the order as it was: the customer waits for an outcome that will never come. Of \
                 a `Result` both arms have to go somewhere.",
            )
            .pitfall("swallowed-error")
            .at(last_place_of(&world.bank, SpanEnd::Failed))
            .or_fail();
        let outcome = world.outcome(id);
        let why = "A failure is an outcome, too.";
        let outcome = soon(&lab, "the outcome", outcome, why, "swallowed-error").await;
        lab.expect(outcome.starts_with("failed"))
            .expected("failed")
            .got(outcome)
            .why(why)
            .pitfall("swallowed-error")
            .or_fail();
    }
    closing.cancel();
    let why = "The shop is closed, and no order is left: the worker ends.";
    soon(&lab, "the worker", joined(worker), why, "never-ends").await;
}

async fn printer_panics(lab: Lab) {
    let unit = unit(&lab);
    let setting = Setting {
        prints: |count| count != 2,
        ..Setting::new(unit)
    };
    let mut world = World::new(&lab, &setting);
    let (worker, closing) = world.run();
    let first = world.accepted("pears", 2).await;
    let second = world.accepted("pears", 3).await;
    sleep(ms(2 * CHARGE_MS + 1)).await;
    let got = [world.status(first).await, world.status(second).await];
    lab.expect(got[0].starts_with("failed") && got[1] == "done: invoice 2: pears 3")
        .expected("order 1 failed; order 2 done: invoice 2: pears 3")
        .got(format!("order 1 {}; order 2 {}", got[0], got[1]))
        .why(
            "The printer panics on order 1. In the worker's own task that ends the worker, and \
             nobody hears of it. In a job of its own it comes back as a `JoinError`: an error \
             like others, of this order alone.",
        )
        .pitfall("lost-panic")
        .at(lab
            .panics()
            .into_iter()
            .next()
            .map(|panic| panic.location)
            .unwrap_or_default())
        .or_fail();
    closing.cancel();
    let why = "The shop is closed, and no order is left: the worker ends.";
    soon(&lab, "the worker", joined(worker), why, "never-ends").await;
}

async fn whole_day(lab: Lab) {
    // Before anything runs: what a whole day would draw says nothing about this one.
    let changed = lab.changed_lines().unwrap_or_default();
    lab.expect(changed <= FEW)
        .expected(format!(
            "at most {FEW} lines of code differ from the stub, the answers to the questions \
             included"
        ))
        .got(format!("{changed} lines differ"))
        .why(
            "Five bugs, a few lines each. Whoever rewrites a service to mend it has made new bugs \
             that no report has named yet, and a change that nobody can review. Go back to the \
             stub, and mend where the reports point. (The answers count, too. A long test of \
             question 17 can be made shorter.)",
        )
        .pitfall("over-engineered")
        .or_fail();

    let unit = unit(&lab);
    let setting = Setting {
        conns: 2,
        slow_printer: true,
        declines: |call| (call.label == "order 2").then(|| "no money".to_owned()),
        prints: |count| count != 4,
        ..Setting::new(unit)
    };
    let mut world = World::new(&lab, &setting);
    let (worker, closing) = world.run();
    let why = "Everything of tasks 3 to 5 at once. Mend those first: their reports say more.";
    let mut ids = Vec::new();
    for count in [1, 2, 4] {
        ids.push(world.accepted("pears", count).await);
    }
    let leaver = tokio::spawn(world.outcome(ids[2]));
    sleep(ms(10)).await;
    leaver.abort();
    let notes = Notes::new(&lab);
    let began = lab.now_ms();
    let tasks = [
        asks(&notes, "delivery1", 0, world.delivery("plums", 5)),
        asks(&notes, "delivery2", 0, world.delivery("plums", 5)),
        asks(&notes, "plums", unit / 2, world.order("plums", 3)),
        asks(&notes, "unknown", unit, world.order("stones", 1)),
        asks(&notes, "too_many", unit, world.order("apples", 11)),
    ];
    for task in tasks {
        soon(&lab, "a request", joined(task), why, "deadlock").await;
    }
    world.expect_whole("plums", why, "shared-state-race").await;
    let at = |units: u64| began + units * unit;
    notes.expect(
        &format!(
            "unknown:404@{} delivery1:204@{} too_many:409@{} delivery2:204@{} plums:201@{}",
            at(3),
            at(5),
            at(5),
            at(10),
            at(15)
        ),
        why,
        "deadlock",
    );
    // Two more, accepted at the same instant: one of them is still in the queue when the shop
    // closes.
    let (one, other) = tokio::join!(world.accepted("pears", 1), world.accepted("apples", 1));
    ids.extend([one, other]);
    closing.cancel();
    soon(&lab, "the worker", joined(worker), why, "never-ends").await;
    let (code, _) = world.order("pears", 1).await;
    lab.expect_eq(&code, &503)
        .why("A shop whose worker has ended takes no more orders.")
        .pitfall("wrong-result")
        .or_fail();
    let mut got = Vec::new();
    for id in ids {
        got.push(world.status(id).await);
    }
    lab.expect(
        got[0] == "done: invoice 1: pears 1"
            && got[1] == "failed: declined: no money"
            && got[2].starts_with("failed")
            && got[3..].iter().all(|status| status.starts_with("done")),
    )
    .expected(
        "order 1 done; order 2 failed: no money; order 3 failed: the printer; those that came \
         last done",
    )
    .got(got.join("; "))
    .why("An order that was accepted has an outcome, also if the shop closes meanwhile.")
    .pitfall("swallowed-error")
    .or_fail();
    world.expect_whole("pears", why, "shared-state-race").await;
    lab.expect_no_tasks_left().await.why(why).or_fail();
}
