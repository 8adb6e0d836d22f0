//! Hidden checks of day 11: routes, layers, places, and the app that holds them all.

use std::future::poll_fn;
use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use exercise::{
    Bank, DeadlineLayer, Declined, LimitLayer, Limits, RequestIdLayer, ShedLayer, Show, Ticket,
    app, shop,
};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use kata_harness::{Cancel, Lab, Place, Service as Backend, SpanEnd, Suite, ms};
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .seeds(8)
        .task(1)
        .check("each route answers with the status and body of the table", 1, routes)
        .check("seats are held from the order to the payment, then sold", 2, held_then_sold)
        .check("a refused order says why, and takes no seats", 1, refused)
        .check("nobody waits while somebody else pays", 2, nobody_waits)
        .check("never more seats are sold than there are", 2, never_oversold)
        .seeds(2)
        .check("a handler that is dropped gives its seats back", 2, handler_dropped)
        .task(2)
        .check("request and response carry the same id, kept or given", 2, ids)
        .check("the id layer calls the service that said it is ready", 2, ids_contract)
        .seeds(8)
        .task(3)
        .check("a response that takes too long is 408, on the dot", 2, on_the_dot)
        .check("at its deadline the handler is dropped", 2, dropped_at_deadline)
        .check("the header shortens the deadline, or is answered with 400", 1, header)
        .seeds(2)
        .check("the deadline layer calls the service that said it is ready", 1, deadline_contract)
        .seeds(8)
        .task(4)
        .check("no more than the limit are in flight, the others in line", 2, limit_in_line)
        .seeds(2)
        .check("a place is kept for who is ready, and for nobody else", 3, place_of_the_ready)
        .check("a place is free when its response is there, or given up", 2, place_given_back)
        .check("the shed answers 503 at once, never calls the unready", 2, shed)
        .task(5)
        .check("a full app answers 503 at once, and health always", 3, full_app)
        .check("at the deadline the app has its seats and place back", 2, app_gives_up)
        .check("every answer of the app carries an id", 1, every_answer)
        .check("a request to the app may be dropped at any pending", 2, app_dropped)
        .run()
}

// ------------------------------------------------- requests and responses

/// Longer than any check waits.
const AGES_MS: u64 = 60_000;

fn get(path: &str) -> Request {
    request(Method::GET, path, Body::empty())
}

/// An order for so many seats.
fn order(show: &str, seats: u32) -> Request {
    let body = Body::from(format!("{{\"seats\":{seats}}}"));
    let mut request = request(Method::POST, &format!("/shows/{show}/tickets"), body);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert("content-type", json);
    request
}

fn request(method: Method, path: &str, body: Body) -> Request {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("a path of a check");
    request
}

fn with_header(mut request: Request, name: &'static str, value: &[u8]) -> Request {
    let value = HeaderValue::from_bytes(value).expect("a header of a check");
    request.headers_mut().insert(name, value);
    request
}

/// A response, read to its end.
#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await;
        Self {
            status: parts.status,
            headers: parts.headers,
            body: body.map(Vec::from).unwrap_or_default(),
        }
    }

    /// The status and what the body says: `200 {"free":3}`.
    fn drawn(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {body}", self.status.as_u16()).trim().to_owned()
    }

    fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

async fn ask(router: &Router, request: Request) -> Answer {
    let response = router.clone().oneshot(request).await;
    Answer::read(response.unwrap_or_else(|never| match never {})).await
}

fn in_words(result: &Result<Answer, Broken>) -> String {
    match result {
        Ok(answer) => answer.drawn(),
        Err(Broken) => "the inner service's error".to_owned(),
    }
}

fn non_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("a number of a check")
}

fn places(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("a number of a check")
}

fn expect_status(lab: &Lab, answer: &Answer, status: u16, what: &str, why: &str, pitfall: &str) {
    lab.expect(answer.status.as_u16() == status)
        .expected(format!("{what}: {status}"))
        .got(answer.drawn())
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

// ----------------------------------------------------------------- the bank

/// A bank in virtual time. It declines who wants 13 seats.
struct Till {
    calls: Backend,
}

impl Bank for Till {
    fn charge(&self, show: &str, seats: NonZeroU32) -> BoxFuture<'static, Result<u64, Declined>> {
        let call = self.calls.call(format!("{show} {seats}"));
        Box::pin(async move {
            let number = call.await.map_err(|_fault| Declined)?;
            Ok(1_000 + u64::try_from(number).expect("a small number"))
        })
    }
}

/// A bank whose calls take so long, and its log.
fn bank(lab: &Lab, takes_ms: u64) -> (Arc<dyn Bank>, Backend) {
    bank_in_row(lab, "charge", takes_ms)
}

/// A bank for one round of a sweep, whose calls are drawn apart from those of other rounds.
fn bank_of_round(lab: &Lab, cancel: &Cancel, takes_ms: u64) -> (Arc<dyn Bank>, Backend) {
    bank_in_row(
        lab,
        &format!("try {}: charge", cancel.round() + 1),
        takes_ms,
    )
}

fn bank_in_row(lab: &Lab, row: &str, takes_ms: u64) -> (Arc<dyn Bank>, Backend) {
    let calls = lab
        .service(row)
        .takes(takes_ms)
        .fails_with(|call| call.label.ends_with(" 13").then(|| "declined".to_owned()))
        .build();
    let till = Till {
        calls: calls.clone(),
    };
    (Arc::new(till), calls)
}

fn halls() -> Vec<(String, u32)> {
    vec![("hamlet".to_owned(), 20), ("faust".to_owned(), 3)]
}

/// How many seats a show has, as its page says.
async fn free(router: &Router, show: &str) -> Option<u32> {
    let answer = ask(router, get(&format!("/shows/{show}"))).await;
    let page = Json::<Show>::from_bytes(&answer.body).ok()?;
    Some(page.0.free)
}

async fn expect_free(lab: &Lab, router: &Router, show: &str, expected: u32, why: &str) {
    let got = free(router, show).await;
    lab.expect(got == Some(expected))
        .expected(format!(
            "{expected} seats of {show} are free at {} ms",
            lab.now_ms()
        ))
        .got(got.map_or_else(|| "a page without a number".to_owned(), |n| n.to_string()))
        .why(why)
        .pitfall("leaked-resource")
        .or_fail();
}

// ----------------------------------------------------------------- task 1

async fn routes(lab: Lab) {
    let (bank, calls) = bank(&lab, 0);
    let router = shop(halls(), bank);
    for (name, free) in halls() {
        let answer = ask(&router, get(&format!("/shows/{name}"))).await;
        let page = Json::<Show>::from_bytes(&answer.body)
            .ok()
            .map(|json| json.0);
        let expected = Show { name, free };
        lab.expect(answer.status == StatusCode::OK && page.as_ref() == Some(&expected))
            .expected(format!("200 and {expected:?} as JSON"))
            .got(answer.drawn())
            .why("The page of a show says its name, and how many of its seats are free.")
            .pitfall("wrong-result")
            .or_fail();
    }
    for request in [get("/shows/macbeth"), order("macbeth", 1)] {
        let answer = ask(&router, request).await;
        let why = "There is no such show: that is the asker's mistake, and none of the shop's.";
        expect_status(
            &lab,
            &answer,
            404,
            "a show that is not there",
            why,
            "wrong-result",
        );
    }
    let answer = ask(&router, order("faust", 2)).await;
    let ticket = Json::<Ticket>::from_bytes(&answer.body)
        .ok()
        .map(|json| json.0);
    let expected = Ticket {
        show: "faust".to_owned(),
        seats: non_zero(2),
        receipt: 1_000,
    };
    lab.expect(answer.status == StatusCode::CREATED && ticket.as_ref() == Some(&expected))
        .expected(format!("201 and {expected:?} as JSON"))
        .got(answer.drawn())
        .why("A ticket says for what it is, and carries the receipt that the bank gave.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_eq(&calls.labels(), &vec!["faust 2".to_owned()])
        .why("The bank is charged once for an order, for the show and the seats of that order.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn held_then_sold(lab: Lab) {
    let takes_ms = lab.pick(20..=200);
    let (bank, _calls) = bank(&lab, takes_ms);
    let router = shop(halls(), bank);
    let buying = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, order("hamlet", 4)).await }
    });
    sleep(ms(takes_ms / 2)).await;
    let why = "Four seats of twenty are being paid for. If they still counted as free, somebody \
               else would pay for them, too.";
    expect_free(&lab, &router, "hamlet", 16, why).await;
    let answer = joined(buying).await;
    let why = "The bank has paid: 201.";
    expect_status(&lab, &answer, 201, "the order", why, "wrong-result");
    lab.expect_took(lab.now(), takes_ms)
        .why("An order takes as long as its charge, and the page of a show takes no time.")
        .pitfall("sequential-awaits")
        .or_fail();
    let why = "The seats are sold. They must neither come back nor be taken twice.";
    expect_free(&lab, &router, "hamlet", 16, why).await;
}

async fn refused(lab: Lab) {
    let (bank, calls) = bank(&lab, 50);
    let router = shop(halls(), bank);
    let (answer, took) = lab.timed(ask(&router, order("faust", 4))).await;
    let why = "There are three seats. Whether an order can be served is known before it is paid.";
    expect_status(
        &lab,
        &answer,
        409,
        "four seats of three",
        why,
        "wrong-result",
    );
    lab.expect(took.is_zero() && calls.count() == 0)
        .expected("409 at once, and no charge")
        .got(format!(
            "{} ms, {} charges",
            took.as_millis(),
            calls.count()
        ))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    let answer = ask(&router, order("faust", 3)).await;
    let why = "Exactly as many as are free are not too many.";
    expect_status(
        &lab,
        &answer,
        201,
        "three seats of three",
        why,
        "wrong-result",
    );

    let answer = ask(&router, order("hamlet", 13)).await;
    let why = "The bank declined. That is an answer, and the buyer has to learn it.";
    expect_status(
        &lab,
        &answer,
        402,
        "an order that is declined",
        why,
        "swallowed-error",
    );
    let why = "Nobody paid for the thirteen seats, so they are free again.";
    expect_free(&lab, &router, "hamlet", 20, why).await;
}

async fn nobody_waits(lab: Lab) {
    let (bank, _calls) = bank(&lab, 100);
    let router = shop(halls(), bank);
    let buyers: Vec<_> = ["hamlet", "hamlet", "faust"]
        .map(|show| {
            let router = router.clone();
            tokio::spawn(async move { ask(&router, order(show, 1)).await })
        })
        .into();
    lab.settle().await;
    let page = timeout(ms(AGES_MS), ask(&router, get("/shows/hamlet"))).await;
    let why = "Three buyers pay at the same time. A lock that a handler holds while it awaits the \
               bank makes everybody else wait for that payment: lock, change, unlock, then await.";
    lab.expect(page.is_ok() && lab.now_ms() == 0)
        .expected("a page at 0 ms, while others pay")
        .got(format!("a page at {} ms", lab.now_ms()))
        .why(why)
        .pitfall("lock-across-await")
        .or_fail();
    for buyer in buyers {
        let _ = joined(buyer).await;
    }
    lab.expect_took(lab.now(), 100)
        .expected("all three have their tickets at 100 ms")
        .why(why)
        .pitfall("lock-across-await")
        .or_fail();
}

async fn never_oversold(lab: Lab) {
    let calls = lab.service("charge").takes_between(10..=100).build();
    let till = Till {
        calls: calls.clone(),
    };
    let router = shop(halls(), Arc::new(till));
    let buyers = (0..6).map(|_| {
        let router = router.clone();
        tokio::spawn(async move { ask(&router, order("faust", 1)).await })
    });
    let mut statuses = Vec::new();
    for buyer in buyers.collect::<Vec<_>>() {
        statuses.push(joined(buyer).await.status.as_u16());
    }
    statuses.sort_unstable();
    lab.expect_eq(&statuses, &vec![201, 201, 201, 409, 409, 409])
        .why(
            "Six buyers order one seat each of a hall with three, before anybody has paid. Who \
             looks first, pays, and takes the seat afterwards has looked at what is no longer so.",
        )
        .pitfall("shared-state-race")
        .or_fail();
    let why = "Three seats, three tickets.";
    expect_free(&lab, &router, "faust", 0, why).await;
}

async fn handler_dropped(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let (bank, calls) = bank_of_round(&lab, &cancel, 100);
        let router = shop(halls(), bank);
        let bought = cancel.drop_at(ask(&router, order("faust", 2))).await;
        lab.settle().await;
        let why = "The client hung up, and its handler was dropped: no line after its `.await` \
                   runs any more. What has to happen in any case belongs into a `Drop`.";
        let sold = if bought.is_some() { 2 } else { 0 };
        expect_free(&lab, &router, "faust", 3 - sold, why).await;
        lab.expect(bought.is_some() || calls.in_flight() == 0)
            .expected("no charge is in flight: nobody wants it any more")
            .got(format!("{} charges in flight", calls.in_flight()))
            .why("Dropped means cancelled. A charge in a task of its own has to be told so.")
            .pitfall("leaked-task")
            .or_fail();
    })
    .await;
}

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

// ------------------------------------------------------ an inner service

/// The inner service's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Broken;

/// An inner service that keeps book: it wants to be asked before each call.
struct Inner {
    desk: Arc<Desk>,
    /// Whether this very instance said that it is ready.
    ready: bool,
}

/// What all instances of an inner service share.
struct Desk {
    calls: Backend,
    misuse: Backend,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    broken: bool,
    waiting: Vec<Waker>,
    /// Where it was called without having said that it is ready.
    unready: Vec<Place>,
    /// The ids that the requests carried.
    ids: Vec<Option<String>>,
}

impl Desk {
    /// A service whose calls take so long. A call of `/broken` fails.
    fn new(lab: &Lab, takes_ms: u64) -> Arc<Self> {
        let failure = |label: &str| (label == "/broken").then(|| "broken".to_owned());
        let calls = lab.service("inner").takes(takes_ms);
        Arc::new(Self {
            calls: calls.fails_with(move |call| failure(&call.label)).build(),
            misuse: lab.service("unready").build(),
            state: Mutex::default(),
        })
    }

    fn inner(self: &Arc<Self>) -> Inner {
        let desk = Arc::clone(self);
        Inner { desk, ready: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nobody is told that it is ready.
    fn close(&self) {
        self.state().closed = true;
    }

    /// From now on everybody is.
    fn open(&self) {
        let mut state = self.state();
        state.closed = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }

    /// Nobody called an instance that had not said that it is ready.
    fn expect_ready_calls(&self, lab: &Lab) {
        let unready = self.state().unready.clone();
        lab.expect(unready.is_empty())
            .expected("each call goes to the instance whose `poll_ready` said that it is ready")
            .got("a call to an instance that was not asked, or not again since its last call")
            .at(unready.into_iter().next().unwrap_or_default())
            .why(
                "`poll_ready` may reserve something for one call, and it does so in this \
                 instance: a clone has nothing. Call the one that you asked; if you need a clone, \
                 leave the clone behind and take the original.",
            )
            .pitfall("wrong-result")
            .or_fail();
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        self.desk.inner()
    }
}

impl Service<Request> for Inner {
    type Response = Response;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<Response, Broken>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let mut state = self.desk.state();
        if state.broken {
            return Poll::Ready(Err(Broken));
        }
        if state.closed {
            state.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !std::mem::take(&mut self.ready) {
            // A call remembers the line that it was made from.
            let _ = self.desk.misuse.call("not asked").now_or_never();
            let place = self.desk.misuse.calls().pop().map(|call| call.location);
            self.desk.state().unready.push(place.unwrap_or_default());
        }
        let id = request.headers().get("x-request-id");
        let id = id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        self.desk.state().ids.push(id);
        let call = self.desk.calls.call(request.uri().path());
        Box::pin(async move {
            let number = call.await.map_err(|_fault| Broken)?;
            Ok(([("x-inner", "yes")], format!("call {number}")).into_response())
        })
    }
}

/// Asks a service whether it is ready, once.
fn ready_now<S: Service<Request>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

/// Asks a service until it is ready, then calls it, and reads the response.
async fn call<S>(service: &mut S, request: Request) -> Result<Answer, Broken>
where
    S: Service<Request, Response = Response, Error = Broken>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    let response = service.call(request).await?;
    Ok(Answer::read(response).await)
}

/// What holds of every layer that does no more than its own work: it asks, it
/// calls whom it asked, and it passes on what comes back.
async fn keeps_the_contract<L>(lab: &Lab, layer: &L)
where
    L: Layer<Inner>,
    L::Service: Service<Request, Response = Response, Error = Broken> + Clone,
{
    let desk = Desk::new(lab, 10);
    let mut service = layer.layer(desk.inner());
    desk.close();
    let mut asked = lab.probe(poll_fn(|cx| service.poll_ready(cx)));
    let waits = asked.poll().is_pending();
    desk.open();
    let woken = asked.is_woken();
    let then = asked.poll();
    drop(asked);
    lab.expect(waits && woken && then == Poll::Ready(Ok(())))
        .expected("`poll_ready` is pending while the inner service's is, then woken, and ready")
        .got(if !waits {
            "ready at once, although the inner service is not"
        } else if woken {
            "woken, but not ready"
        } else {
            "pending, and not woken when the inner service is ready"
        })
        .why(
            "A service that is not ready slows down who wants to call it. A layer that says \
             \"ready\" by itself takes in requests for which there is no room.",
        )
        .pitfall("unbounded-queue")
        .or_fail();

    // Two calls of one instance at the same time, and one of a clone.
    let mut other = service.clone();
    let first = call_only(&mut service, get("/1")).await;
    let second = call_only(&mut service, get("/2")).await;
    let third = call_only(&mut other, get("/3")).await;
    let answers = join_all([first, second, third].map(read)).await;
    desk.expect_ready_calls(lab);
    for answer in &answers {
        let passed_on = answer.as_ref().is_ok_and(|answer| {
            answer.status == StatusCode::OK && answer.headers.contains_key("x-inner")
        });
        lab.expect(passed_on)
            .expected("the inner service's response, with its status, headers and body")
            .got(in_words(answer))
            .why("A layer adds its own, and leaves the rest as it is.")
            .pitfall("wrong-result")
            .or_fail();
    }

    let failed = call(&mut service, get("/broken")).await;
    lab.expect(failed.is_err())
        .expected("the inner service's error")
        .got(in_words(&failed))
        .why("An error of the inner service belongs to the caller.")
        .pitfall("swallowed-error")
        .or_fail();
    desk.state().broken = true;
    let asked = ready_now(&mut service);
    lab.expect(asked == Poll::Ready(Err(Broken)))
        .expected("`poll_ready` gives the inner service's error")
        .got(format!("{asked:?}"))
        .why(
            "A service whose `poll_ready` fails will never be ready again. Who asks must learn it.",
        )
        .pitfall("swallowed-error")
        .or_fail();
    desk.expect_ready_calls(lab);
}

/// Asks until it is ready, and calls; the response is still to come.
async fn call_only<S>(service: &mut S, request: Request) -> S::Future
where
    S: Service<Request, Response = Response, Error = Broken>,
{
    let ready = poll_fn(|cx| service.poll_ready(cx)).await;
    ready.expect("the inner service is not broken yet");
    service.call(request)
}

async fn read(response: impl Future<Output = Result<Response, Broken>>) -> Result<Answer, Broken> {
    Ok(Answer::read(response.await?).await)
}

// ----------------------------------------------------------------- task 2

async fn ids(lab: Lab) {
    let desk = Desk::new(&lab, 10);
    let layer = RequestIdLayer::new();
    // Two services of one layer, as a router makes for two routes.
    let one = layer.layer(desk.inner());
    let other = layer.clone().layer(desk.inner());
    let mut services = [one.clone(), one, other];
    let own = |request| with_header(request, "x-request-id", b"from afar");
    let mut got = Vec::new();
    for (service, request) in [
        (1, get("/a")),
        (2, get("/b")),
        (1, own(get("/c"))),
        (0, get("/d")),
    ] {
        let answer = call(&mut services[service], request).await;
        let answered = answer.ok().and_then(|answer| answer.header("x-request-id"));
        got.push((desk.state().ids.last().cloned().flatten(), answered));
    }
    let drawn = |ids: &Option<String>| ids.clone().unwrap_or_else(|| "none".to_owned());
    let seen: Vec<_> = got.iter().map(|(seen, _)| drawn(seen)).collect();
    let answered: Vec<_> = got.iter().map(|(_, answered)| drawn(answered)).collect();
    let expected = ["r-1", "r-2", "from afar", "r-3"]
        .map(str::to_owned)
        .to_vec();
    for (who, ids) in [
        ("the responses", answered),
        ("the inner service's requests", seen),
    ] {
        lab.expect(ids == expected)
            .expected(format!("{who} carry {expected:?}"))
            .got(format!("{who} carry {ids:?}"))
            .why(
                "Four requests to two services of one layer, and to a clone; the third brings an \
                 id of its own. Who looks for a request in the logs needs one id, from end to \
                 end, and never the same for two requests.",
            )
            .pitfall("wrong-result")
            .or_fail();
    }
}

async fn ids_contract(lab: Lab) {
    keeps_the_contract(&lab, &RequestIdLayer::new()).await;
}

// ----------------------------------------------------------------- task 3

/// One call through a deadline layer: what came, and after how long.
async fn timed_call(
    lab: &Lab,
    max_ms: u64,
    desk: &Arc<Desk>,
    request: Request,
) -> (Result<Answer, Broken>, Duration) {
    let mut service = DeadlineLayer::new(ms(max_ms)).layer(desk.inner());
    let (answer, took) = lab
        .timed(timeout(ms(AGES_MS), call(&mut service, request)))
        .await;
    let patient = answer.is_ok();
    lab.expect(patient)
        .expected(format!("an answer after {max_ms} ms at the latest"))
        .got(format!("none after {AGES_MS} ms"))
        .why("Nobody looks at the clock while the inner service takes its time.")
        .pitfall("never-ends")
        .or_fail();
    (answer.unwrap_or(Err(Broken)), took)
}

fn expect_answer(
    lab: &Lab,
    (answer, took): &(Result<Answer, Broken>, Duration),
    status: u16,
    at_ms: u64,
    why: &str,
) {
    let got = answer.as_ref().map(|answer| answer.status.as_u16());
    lab.expect(got == Ok(status) && *took == ms(at_ms))
        .expected(format!("{status} after {at_ms} ms"))
        .got(format!(
            "{} after {} ms",
            in_words(answer),
            took.as_millis()
        ))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

async fn on_the_dot(lab: Lab) {
    let max_ms = lab.pick(50..=150);
    let late_ms = max_ms + lab.pick(1..=1_000);
    let desk = Desk::new(&lab, late_ms);
    let got = timed_call(&lab, max_ms, &desk, get("/late")).await;
    let why = format!("The response needs {late_ms} ms, and {max_ms} are allowed.");
    expect_answer(&lab, &got, 408, max_ms, &why);

    let early_ms = max_ms - lab.pick(1..=40);
    let desk = Desk::new(&lab, early_ms);
    let got = timed_call(&lab, max_ms, &desk, get("/early")).await;
    let why = "A response that comes in time is passed on at that instant.";
    expect_answer(&lab, &got, 200, early_ms, why);

    let desk = Desk::new(&lab, max_ms);
    let got = timed_call(&lab, max_ms, &desk, get("/just")).await;
    let why = "Response and deadline come at the same instant: then the response is given. Look \
               at it first, and not in a random order.";
    expect_answer(&lab, &got, 200, max_ms, why);
}

async fn dropped_at_deadline(lab: Lab) {
    let max_ms = lab.pick(50..=150);
    let desk = Desk::new(&lab, AGES_MS);
    let _ = timed_call(&lab, max_ms, &desk, get("/late")).await;
    lab.settle().await;
    expect_cancelled(
        &lab,
        &desk,
        max_ms,
        "The client has its 408, and nobody waits for the handler any more. A handler in a task \
         of its own runs on when its handle is dropped: locks, places and connections with it.",
    )
    .await;

    // Whoever calls may lose patience earlier than the deadline does.
    let desk = Desk::new(&lab, AGES_MS);
    let mut service = DeadlineLayer::new(ms(AGES_MS)).layer(desk.inner());
    let start_ms = lab.now_ms();
    let given_up = timeout(ms(30), call(&mut service, get("/late"))).await;
    lab.expect(given_up.is_err())
        .expected("no answer after 30 ms")
        .got("an answer")
        .why("The inner service takes a minute, and a minute is allowed.")
        .pitfall("wrong-result")
        .or_fail();
    lab.settle().await;
    let why = "The response's future was dropped, and the handler has to go with it.";
    expect_cancelled(&lab, &desk, start_ms + 30, why).await;
}

/// The only call of the inner service was dropped at that instant.
async fn expect_cancelled(lab: &Lab, desk: &Desk, at_ms: u64, why: &str) {
    let calls = desk.calls.calls();
    let ends: Vec<_> = calls.iter().map(|call| (call.end, call.ended_ms)).collect();
    let cancelled = ends == [(SpanEnd::Cancelled, Some(at_ms))];
    let left = lab.expect_no_tasks_left().await;
    let dropped = lab.expect(cancelled).pitfall("leaked-task");
    for expectation in [left, dropped] {
        expectation
            .expected(format!(
                "the handler was called once, and dropped at {at_ms} ms"
            ))
            .got(match ends.first() {
                None => "it was never called".to_owned(),
                Some((_, None)) => "it is still running".to_owned(),
                Some((end, Some(at_ms))) => format!("{end:?} at {at_ms} ms"),
            })
            .why(why)
            .or_fail();
    }
}

async fn header(lab: Lab) {
    let desk = Desk::new(&lab, 200);
    let wants = |value: &[u8]| with_header(get("/"), "x-timeout-ms", value);
    let short_ms = lab.pick(1..=99);
    let short = short_ms.to_string();
    for (said, expected_ms) in [
        (short.as_str(), short_ms),
        ("0", 0),
        ("500", 100),
        ("18446744073709551615", 100),
    ] {
        let got = timed_call(&lab, 100, &desk, wants(said.as_bytes())).await;
        let why = format!(
            "The response needs 200 ms. The layer allows 100 ms, and the request says {said}: it \
             may ask for less, never for more."
        );
        expect_answer(&lab, &got, 408, expected_ms, &why);
    }
    let quick = Desk::new(&lab, 0);
    let got = timed_call(&lab, 100, &quick, wants(b"0")).await;
    let why = "A response that is there at once is in time, even if no time is allowed.";
    expect_answer(&lab, &got, 200, 0, why);

    let before = desk.calls.count();
    for said in [&b"soon"[..], b"", b"-5", b"1.5", b"10ms", b"\xff"] {
        let got = timed_call(&lab, 100, &desk, wants(said)).await;
        let drawn = String::from_utf8_lossy(said);
        let why = format!(
            "The header says {drawn:?}, which is no number of milliseconds. Who takes it for no \
             header waits for longer than the client will."
        );
        expect_answer(&lab, &got, 400, 0, &why);
    }
    lab.expect_eq(&desk.calls.count(), &before)
        .expected("the inner service is not called for a request that is answered with 400")
        .why("Look at the header first: a request that is refused must not do anything.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn deadline_contract(lab: Lab) {
    keeps_the_contract(&lab, &DeadlineLayer::new(ms(1_000))).await;
}

// ----------------------------------------------------------------- task 4

async fn limit_in_line(lab: Lab) {
    let limit = usize::try_from(lab.pick(1..=3)).expect("a small number");
    let takes_ms = lab.pick(20..=90);
    let desk = Desk::new(&lab, takes_ms);
    let layer = LimitLayer::new(places(limit));
    let mut callers = Vec::new();
    for number in 0..7 {
        // A service of its own for each, as a router makes one for each route.
        let mut service = layer.clone().layer(desk.inner());
        callers.push(tokio::spawn(async move {
            let _ = call(&mut service, get(&format!("/{number}"))).await;
        }));
        lab.settle().await;
    }
    for (number, caller) in callers.into_iter().enumerate() {
        let served = timeout(ms(AGES_MS), joined(caller)).await;
        lab.expect(served.is_ok())
            .expected(format!("request {number} gets a place"))
            .got(format!("it still waits at {} ms", lab.now_ms()))
            .why(
                "Places are free again, and nobody was woken for them. What waits for a place has \
                 to live in the service from one `poll_ready` to the next: a wait that is begun \
                 anew each time is dropped with its turn, and with its waker. And a place comes \
                 back when its response is there.",
            )
            .pitfall("lost-wakeup")
            .or_fail();
    }
    let starts: Vec<_> = desk
        .calls
        .calls()
        .iter()
        .map(|call| format!("{} @{}", call.label, call.started_ms))
        .collect();
    let expected: Vec<_> = (0..7)
        .map(|number| {
            let turn = u64::try_from(number / limit).expect("a small number");
            format!("/{number} @{}", turn * takes_ms)
        })
        .collect();
    lab.expect(desk.calls.peak() <= limit)
        .expected(format!("at most {limit} in flight"))
        .got(format!("{} in flight", desk.calls.peak()))
        .why(
            "Seven services of one layer, one request each. What limits them must be one thing \
             that they share: made in `LimitLayer::new`, not in `layer`, and in no clone anew.",
        )
        .pitfall("unbounded-concurrency")
        .or_fail();
    lab.expect(starts == expected)
        .expected(expected.join(", "))
        .got(starts.join(", "))
        .why(
            "Each call starts at the instant at which there is a place for it, and who has waited \
             longest is next.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    desk.expect_ready_calls(&lab);
}

/// Whether it has a place.
fn expect_ready<S>(lab: &Lab, service: &mut S, ready: bool, what: &str, why: &str)
where
    S: Service<Request, Error = Broken>,
{
    let got = ready_now(service);
    lab.expect(got.is_ready() == ready)
        .expected(if ready {
            format!("{what}: ready")
        } else {
            format!("{what}: pending")
        })
        .got(if got.is_ready() { "ready" } else { "pending" })
        .why(why)
        .pitfall(if ready {
            "leaked-resource"
        } else {
            "unbounded-concurrency"
        })
        .or_fail();
}

async fn place_of_the_ready(lab: Lab) {
    keeps_the_contract(&lab, &LimitLayer::new(places(5))).await;

    let desk = Desk::new(&lab, 100);
    let layer = LimitLayer::new(places(2));
    let mut a = layer.layer(desk.inner());
    for _ in 0..3 {
        let why = "Two places, and nobody else wants one. Whoever was told \"ready\" may be asked \
                   again, and has its one place still.";
        expect_ready(
            &lab,
            &mut a,
            true,
            "the first service, asked again and again",
            why,
        );
    }
    let mut b = layer.layer(desk.inner());
    let why = "One of two places is taken: the first service was asked three times, which makes \
               one call, not three.";
    expect_ready(&lab, &mut b, true, "the second service", why);
    let mut c = layer.layer(desk.inner());
    let why = "Two services were told \"ready\" and may call any moment: both places are theirs, \
               although nobody has called yet. A place that is taken only in `call`, or in its \
               future, comes too late: by then the promise is given.";
    expect_ready(&lab, &mut c, false, "a third service, with two places", why);
    let mut twin = a.clone();
    let why = "The place belongs to the instance that was asked. Its clone was not: to copy the \
               promise is to promise one place twice.";
    expect_ready(
        &lab,
        &mut twin,
        false,
        "a clone of a service that is ready",
        why,
    );
    drop(twin);

    let mut waiting = lab.probe(poll_fn(|cx| c.poll_ready(cx)));
    let pending = waiting.poll().is_pending();
    drop(b);
    lab.settle().await;
    let woken = waiting.is_woken() && waiting.poll().is_ready();
    drop(waiting);
    lab.expect(pending && woken)
        .expected("the one who waits is woken, and ready")
        .got("it still waits")
        .why(
            "A service that was ready was dropped without a call, and its place with it. Whoever \
             waits must have it now; and what waits for it has to be kept from one `poll_ready` \
             to the next, or nobody is there to be woken.",
        )
        .pitfall("lost-wakeup")
        .or_fail();

    // One who waits and leaves takes no place along.
    let mut d = layer.layer(desk.inner());
    let mut e = layer.layer(desk.inner());
    let why = "Both places are taken.";
    expect_ready(&lab, &mut d, false, "a fourth service", why);
    expect_ready(&lab, &mut e, false, "a fifth service", why);
    drop(d);
    let response = a.call(get("/a"));
    let why = "The call uses the place up. Before the next one it needs another.";
    expect_ready(
        &lab,
        &mut a,
        false,
        "the first service, during its call",
        why,
    );
    drop(response);
    lab.settle().await;
    let why = "The fourth waited first, and left. Its turn is the fifth's, who came before the \
               first service asked again.";
    expect_ready(
        &lab,
        &mut e,
        true,
        "the fifth service, with a place free",
        why,
    );
    desk.expect_ready_calls(&lab);
}

async fn place_given_back(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let desk = Desk::new(&lab, 100);
        let layer = LimitLayer::new(places(1));
        let mut service = layer.layer(desk.inner());
        let response = call_only(&mut service, get("/1")).await;
        let mut other = layer.layer(desk.inner());
        let why = "The only place belongs to the call that was made.";
        expect_ready(
            &lab,
            &mut other,
            false,
            "another service during the call",
            why,
        );
        let _ = cancel.drop_at(response).await;
        lab.settle().await;
        let why = "The response is there, or its future was dropped: its place is free again, at \
                   that instant.";
        expect_ready(
            &lab,
            &mut other,
            true,
            "another service, after the call",
            why,
        );
    })
    .await;

    let desk = Desk::new(&lab, 100);
    let layer = LimitLayer::new(places(1));
    let mut service = layer.layer(desk.inner());
    let response = call_only(&mut service, get("/never")).await;
    drop(response);
    let failed = timeout(ms(1_000), call(&mut service, get("/broken"))).await;
    let got = failed.as_ref().map(in_words);
    lab.expect(matches!(failed, Ok(Err(Broken))))
        .expected("the inner service's error after 100 ms")
        .got(got.unwrap_or_else(|_| "no place after 1000 ms".to_owned()))
        .why("A future that is dropped before its first poll has a place, too: it gives it back.")
        .pitfall("leaked-resource")
        .or_fail();
    let why = "A call that failed is over: its place is free.";
    expect_ready(
        &lab,
        &mut service,
        true,
        "the same service after an error",
        why,
    );
}

async fn shed(lab: Lab) {
    let desk = Desk::new(&lab, 100);
    let mut service = ShedLayer::new().layer(desk.inner());
    for (closed, status) in [(false, 200), (true, 503), (true, 503), (false, 200)] {
        if closed {
            desk.close();
        } else {
            desk.open();
        }
        let (answer, took) = lab
            .timed(timeout(ms(AGES_MS), call(&mut service, get("/"))))
            .await;
        let at_ms = if closed { 0 } else { 100 };
        let answer = answer.ok().and_then(Result::ok);
        let got = answer.as_ref().map(|answer| answer.status.as_u16());
        lab.expect(got == Some(status) && took == ms(at_ms))
            .expected(format!("{status} after {at_ms} ms"))
            .got(answer.as_ref().map_or_else(
                || format!("nothing after {} ms", took.as_millis()),
                |answer| format!("{} after {} ms", answer.drawn(), took.as_millis()),
            ))
            .why(if closed {
                "The inner service is not ready. Who would have to wait is told so at once, and \
                 costs nothing."
            } else {
                "The inner service is ready, so the request is for it."
            })
            .pitfall("unbounded-queue")
            .or_fail();
        let retry = answer.and_then(|answer| answer.header("retry-after"));
        lab.expect(!closed || retry.as_deref() == Some("1"))
            .expected("the header retry-after: 1")
            .got(retry.unwrap_or_else(|| "no such header".to_owned()))
            .why("A client that is sent away wants to know when it is worth another try.")
            .pitfall("wrong-result")
            .or_fail();
    }
    desk.expect_ready_calls(&lab);

    // A clone was not asked, and its inner service is not ready.
    let _ = ready_now(&mut service);
    let mut clone = service.clone();
    desk.close();
    let answer = call(&mut clone, get("/")).await;
    desk.expect_ready_calls(&lab);
    lab.expect(matches!(&answer, Ok(answer) if answer.status.as_u16() == 503))
        .expected("503 from a clone whose inner service is not ready")
        .got(in_words(&answer))
        .why("A clone has an inner service of its own, which has to be asked.")
        .pitfall("wrong-result")
        .or_fail();

    // Two calls after one another want to be asked for twice.
    desk.open();
    let first = call_only(&mut service, get("/")).await;
    desk.close();
    let second = call_only(&mut service, get("/")).await;
    let answers = join_all([first, second].map(read)).await;
    let statuses: Vec<_> = answers.iter().map(in_words).collect();
    desk.expect_ready_calls(&lab);
    lab.expect(statuses[0].starts_with("200") && statuses[1].starts_with("503"))
        .expected("200, then 503")
        .got(statuses.join(", "))
        .why("\"Ready\" holds for one call. Before the second one it is \"not ready\".")
        .pitfall("wrong-result")
        .or_fail();

    // Who calls without having asked: a clone, and an instance after its call.
    desk.open();
    let why = "\"Ready\" was said to one instance, for one call. A clone was not asked, and after \
               its call nor was the instance: what their inner services would say is not known, \
               and whom one has not asked one must not call. Do not copy what you remember into a \
               clone, and forget it with the call.";
    let _ = ready_now(&mut service);
    let mut clone = service.clone();
    for (unasked, what, status) in [
        (
            true,
            "a clone of one that is ready, called without being asked",
            503,
        ),
        (false, "the one that is ready", 200),
        (false, "the same again, without being asked anew", 503),
    ] {
        let service = if unasked { &mut clone } else { &mut service };
        let answer = read(service.call(get("/"))).await;
        let place = desk.state().unready.first().cloned();
        let got = answer.as_ref().map(|answer| answer.status.as_u16());
        lab.expect(got == Ok(status))
            .expected(format!("{what}: {status}"))
            .got(in_words(&answer))
            .at(place.unwrap_or_default())
            .why(why)
            .pitfall("wrong-result")
            .or_fail();
    }
    desk.expect_ready_calls(&lab);

    desk.state().broken = true;
    let asked = ready_now(&mut service);
    lab.expect(asked == Poll::Ready(Err(Broken)))
        .expected("`poll_ready` gives the inner service's error")
        .got(format!("{asked:?}"))
        .why("A service that is broken is not busy: another try later will not help.")
        .pitfall("swallowed-error")
        .or_fail();
}

// ----------------------------------------------------------------- task 5

fn limits(in_flight: usize, patience_ms: u64) -> Limits {
    Limits {
        in_flight: places(in_flight),
        patience: ms(patience_ms),
    }
}

async fn full_app(lab: Lab) {
    let (bank, _calls) = bank(&lab, 100);
    let app = app(halls(), bank, limits(2, 1_000));
    let buyers = ["hamlet", "faust"].map(|show| {
        let app = app.clone();
        tokio::spawn(async move { ask(&app, order(show, 1)).await })
    });
    lab.settle().await;
    for (request, what) in [
        (order("hamlet", 1), "a third order"),
        (get("/shows/faust"), "a page, while two orders are paid"),
    ] {
        let (answer, took) = lab.timed(timeout(ms(AGES_MS), ask(&app, request))).await;
        let status = answer.as_ref().map(|answer| answer.status.as_u16());
        lab.expect(status == Ok(503) && took.is_zero())
            .expected(format!("{what}: 503 at once"))
            .got(answer.map_or_else(
                |_| "no answer".to_owned(),
                |answer| format!("{} after {} ms", answer.drawn(), took.as_millis()),
            ))
            .why(
                "Two requests are in flight, and two is the limit for all routes of the shop \
                 together. Between two calls of `Router::layer` stands a route that is always \
                 ready, and behind which requests wait unseen: then the shed never learns that \
                 the limit is reached.",
            )
            .pitfall("unbounded-queue")
            .or_fail();
    }
    let (answer, took) = lab
        .timed(timeout(ms(AGES_MS), ask(&app, get("/health"))))
        .await;
    let healthy = answer
        .as_ref()
        .is_ok_and(|answer| answer.drawn() == "200 ok");
    lab.expect(healthy && took.is_zero())
        .expected("200 ok at once")
        .got(answer.map_or_else(|_| "no answer".to_owned(), |answer| answer.drawn()))
        .why(
            "A shop that is busy is not ill. Whoever starts a program anew because its health \
             route is shed makes a busy hour a breakdown.",
        )
        .pitfall("wrong-result")
        .or_fail();
    for buyer in buyers {
        let answer = joined(buyer).await;
        let why = "These two were in time.";
        expect_status(
            &lab,
            &answer,
            201,
            "an order within the limit",
            why,
            "wrong-result",
        );
    }
    for _ in 0..3 {
        let answer = ask(&app, get("/shows/faust")).await;
        let why = "The two orders are served, and their places are free.";
        expect_status(&lab, &answer, 200, "a page", why, "leaked-resource");
    }
}

async fn app_gives_up(lab: Lab) {
    let (bank, calls) = bank(&lab, 80);
    let app = app(halls(), bank, limits(1, 60));
    for (request, at_ms) in [
        (order("faust", 2), 60),
        (with_header(order("faust", 2), "x-timeout-ms", b"25"), 25),
    ] {
        let (answer, took) = lab.timed(timeout(ms(AGES_MS), ask(&app, request))).await;
        let status = answer.as_ref().map(|answer| answer.status.as_u16());
        lab.expect(status == Ok(408) && took == ms(at_ms))
            .expected(format!("408 after {at_ms} ms"))
            .got(answer.map_or_else(
                |_| "no answer".to_owned(),
                |answer| format!("{} after {} ms", answer.drawn(), took.as_millis()),
            ))
            .why("A charge takes 80 ms, the app's patience is 60 ms, and the second one said 25.")
            .pitfall("wrong-result")
            .or_fail();
        lab.settle().await;
        let in_flight = calls.in_flight();
        lab.expect_eq(&in_flight, &0)
            .expected("no charge is in flight after the 408")
            .why("The handler has to be dropped, and its charge with it.")
            .pitfall("leaked-task")
            .or_fail();
        let why = "The order came to nothing: its place and its two seats are free, and the page \
                   says so.";
        expect_free(&lab, &app, "faust", 3, why).await;
    }
}

async fn every_answer(lab: Lab) {
    let (bank, _calls) = bank(&lab, 80);
    let app = app(halls(), bank, limits(1, 60));
    let mut got = Vec::new();
    for (request, status) in [
        (get("/health"), 200),
        (get("/shows/faust"), 200),
        (get("/shows/macbeth"), 404),
        (get("/nothing/here"), 404),
        (order("faust", 1), 408),
        (with_header(get("/shows/faust"), "x-timeout-ms", b"x"), 400),
        (with_header(get("/health"), "x-request-id", b"mine"), 200),
    ] {
        let path = request.uri().path().to_owned();
        let answer = ask(&app, request).await;
        let why = "What is asked of the app's parts holds in the app, too.";
        expect_status(&lab, &answer, status, &path, why, "wrong-result");
        got.push((status, path, answer.header("x-request-id")));
    }
    let busy = tokio::spawn({
        let app = app.clone();
        async move { ask(&app, order("faust", 1)).await }
    });
    lab.settle().await;
    let answer = ask(&app, order("faust", 1)).await;
    let why = "The only place is taken.";
    expect_status(
        &lab,
        &answer,
        503,
        "an order too many",
        why,
        "unbounded-queue",
    );
    got.push((503, "an order".to_owned(), answer.header("x-request-id")));
    let _ = joined(busy).await;

    let mut ids = Vec::new();
    for (status, path, id) in got {
        lab.expect(id.is_some())
            .expected(format!("{status} for {path} has an x-request-id"))
            .got("it has none")
            .why(
                "Those that are refused, late or lost are the ones that somebody will look for. \
                 The layer that gives ids has to be outermost, around routes, fallback and all.",
            )
            .pitfall("wrong-result")
            .or_fail();
        ids.extend(id);
    }
    // The order that took the place has r-7.
    let expected = ["r-1", "r-2", "r-3", "r-4", "r-5", "r-6", "mine", "r-8"];
    lab.expect(ids == expected)
        .expected(format!("{expected:?}"))
        .got(format!("{ids:?}"))
        .why("The ids are given in the order of the calls, over all routes.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn app_dropped(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let (bank, calls) = bank_of_round(&lab, &cancel, 40);
        let app = app(halls(), bank, limits(1, 1_000));
        let bought = cancel.drop_at(ask(&app, order("faust", 1))).await;
        lab.settle().await;
        let sold = u32::from(bought.is_some());
        let why = "A client may hang up at any time. Its order must leave nothing behind: no seat, \
                   and no place, or the app is full for ever after.";
        expect_free(&lab, &app, "faust", 3 - sold, why).await;
        lab.expect_eq(&calls.in_flight(), &0)
            .expected("no charge is in flight")
            .why(why)
            .pitfall("leaked-task")
            .or_fail();
        lab.expect_no_tasks_left().await.why(why).or_fail();
    })
    .await;
}
