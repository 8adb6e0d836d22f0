//! Hidden checks of day 16: leases, heartbeats, a breaker, health, and a client of it all.

use std::future::poll_fn;
use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use exercise::{
    BreakerLayer, CallError, Check, Client, Dependency, Expired, Health, HealthBoard, Lease,
    Network, Part, Refused, Registry, Report, Settings, State, Trouble, keep_alive,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use kata_harness::{Call, CallInfo, Cancel, Lab, Place, Service as Backend, Suite, ms};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .seeds(8)
        .task(1)
        .check("a lookup gives who is there, in order of registration", 1, lookup)
        .check("a lease is good for less than its ttl, then it is over", 2, lease_ends)
        .check("a dropped or replaced lease takes nobody else along", 2, lease_dropped)
        .task(2)
        .check("good beats keep an instance, and do not drift", 2, beats)
        .check("a few missed beats are forgiven, more end the lease", 2, missed_beats)
        .check("a check that hangs is given up at the next beat", 1, hanging_check)
        .seeds(2)
        .check("a heartbeat that is dropped takes its instance along", 1, heartbeat_dropped)
        .seeds(8)
        .task(3)
        .check("so many failures in a row open the breaker", 2, opens)
        .check("open, it refuses at once and calls nobody, for so long", 2, refuses)
        .check("half open, one probe decides, the others are refused", 3, one_probe)
        .seeds(2)
        .check("a probe that is dropped makes way for the next", 2, probe_dropped)
        .seeds(8)
        .check("what began before the last change decides nothing", 2, late_results)
        .seeds(2)
        .check("the breaker asks before it calls, unless it refuses", 2, breaker_contract)
        .seeds(8)
        .task(4)
        .check("the checks overlap, and each has its patience", 2, checks_overlap)
        .check("the worst part decides, and every part is told", 2, worst_part)
        .check("one round for all who ask, and good while it is fresh", 2, shared_round)
        .seeds(2)
        .check("a round belongs to all who wait for it", 2, round_dropped)
        .seeds(8)
        .task(5)
        .check("calls go round, and on to the next after a failure", 2, goes_round)
        .check("who fails too often is spared, then probed by one call", 3, spared)
        .seeds(2)
        .check("nobody who has left is called, no call leaves a trace", 2, nobody_gone)
        .run()
}

// ---------------------------------------------------------------- helpers

/// Longer than any check waits.
const AGES_MS: u64 = 60_000;

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// The output of what must end within a minute; if it does not, `why` says why.
async fn soon<T>(
    lab: &Lab,
    what: &str,
    future: impl Future<Output = T>,
    why: &str,
    pitfall: &str,
) -> T {
    let output = timeout(ms(AGES_MS), future).await;
    lab.expect(output.is_ok())
        .expected(format!("{what} ends"))
        .got(format!("{what} still waits after {AGES_MS} ms"))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
    output.expect("a failed expectation ends the check")
}

/// Sleeps until so many milliseconds after the run's beginning.
async fn until(lab: &Lab, at_ms: u64) {
    sleep(ms(at_ms).saturating_sub(lab.now())).await;
    lab.settle().await;
}

fn count(number: u64) -> NonZeroU32 {
    let number = u32::try_from(number).expect("a small number");
    NonZeroU32::new(number).expect("not zero")
}

/// A service whose calls are numbered; each takes so long, and fails or not.
fn numbered(
    lab: &Lab,
    name: &str,
    takes_ms: impl Fn(usize) -> u64 + Send + Sync + 'static,
    well: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> Backend {
    lab.service(name)
        .takes_with(move |call| takes_ms(call.number))
        .fails_with(move |call| (!well(call.number)).then(|| format!("failure {}", call.number)))
        .build()
}

/// A check in virtual time.
struct Look {
    calls: Backend,
}

impl Check for Look {
    fn check(&self) -> BoxFuture<'static, Result<(), String>> {
        let call = self.calls.call("check");
        Box::pin(async move { call.await.map(drop).map_err(|fault| fault.message) })
    }
}

fn look(calls: &Backend) -> Arc<dyn Check> {
    let calls = calls.clone();
    Arc::new(Look { calls })
}

// ----------------------------------------------------------------- task 1

/// `1 at a, 2 at b`
fn who(registry: &Registry, service: &str) -> String {
    let live = registry.lookup(service).into_iter();
    let words: Vec<_> = live
        .map(|instance| format!("{} at {}", instance.id, instance.address))
        .collect();
    if words.is_empty() {
        return "nobody".to_owned();
    }
    words.join(", ")
}

fn expect_who(lab: &Lab, registry: &Registry, expected: &str, why: &str) {
    let got = who(registry, "users");
    let at_ms = lab.now_ms();
    lab.expect(got == expected)
        .expected(format!("{expected} (id at address), at {at_ms} ms"))
        .got(got)
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

fn expect_renewed(lab: &Lab, lease: &Lease, expected: Result<(), Expired>, why: &str) {
    let got = lease.renew();
    let at_ms = lab.now_ms();
    lab.expect(got == expected)
        .expected(format!("`renew` at {at_ms} ms gives {expected:?}"))
        .got(format!("{got:?}"))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

async fn lookup(lab: Lab) {
    let registry = Registry::new(ms(1_000));
    let why = "Nobody was registered yet.";
    expect_who(&lab, &registry, "nobody", why);
    let clone = registry.clone();
    let z = registry.register("users", "z");
    let mail = clone.register("mail", "m");
    let a = clone.register("users", "a");
    let _k = registry.register("users", "k");
    let why = "Four registrations of two services, through two clones of one registry. The order \
               is that in which they were made, not that of the addresses.";
    for registry in [&registry, &clone] {
        expect_who(&lab, registry, "1 at z, 3 at a, 4 at k", why);
    }
    lab.expect_eq(&who(&registry, "mail"), &"2 at m".to_owned())
        .why("Each service has instances of its own, and ids are counted over all of them.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_eq(&[z.id(), mail.id(), a.id()], &[1, 2, 3])
        .why("A lease tells the id of its registration.")
        .pitfall("wrong-result")
        .or_fail();
    sleep(ms(lab.pick(1..=500))).await;
    let renewed = z.renew();
    lab.expect_eq(&renewed, &Ok(()))
        .why("The lease is good: half of its time is left.")
        .pitfall("wrong-result")
        .or_fail();
    let why = "To renew a lease moves nobody in the order.";
    expect_who(&lab, &registry, "1 at z, 3 at a, 4 at k", why);
    drop(mail);
    let again = registry.register("mail", "m");
    lab.expect_eq(&again.id(), &5)
        .why("An id is never used twice, also if its registration is gone.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn lease_ends(lab: Lab) {
    let ttl = lab.pick(50..=150);
    let registry = Registry::new(ms(ttl));
    let a = registry.register("users", "a");
    let _b = registry.register("users", "b");
    let half = ttl / 2;
    until(&lab, half).await;
    let why = "Half of the time is over.";
    expect_renewed(&lab, &a, Ok(()), why);
    until(&lab, ttl - 1).await;
    let why = format!("A lease is good for {ttl} ms. One of them is left.");
    expect_who(&lab, &registry, "1 at a, 2 at b", &why);
    until(&lab, ttl).await;
    let why = format!(
        "The leases are good for {ttl} ms. At this instant that of b is over, which was never \
         renewed; that of a counts from its renewal at {half} ms. The clock is tokio's: that of \
         `std` does not move here."
    );
    expect_who(&lab, &registry, "1 at a", &why);
    until(&lab, half + ttl - 1).await;
    expect_who(&lab, &registry, "1 at a", &why);
    expect_renewed(&lab, &a, Ok(()), &why);
    let last_ms = half + 2 * ttl - 1;
    until(&lab, last_ms - 1).await;
    let why = format!("It was renewed {} ms ago.", ttl - 1);
    expect_who(&lab, &registry, "1 at a", &why);

    // Nobody looks at the instant at which it ends: it ends all the same.
    until(&lab, last_ms).await;
    let why = "The time is over, whether anybody has looked or not. A lease that has run out \
               cannot be renewed: meanwhile others were told that the instance is gone.";
    expect_renewed(&lab, &a, Err(Expired), why);
    expect_who(&lab, &registry, "nobody", why);
    expect_renewed(&lab, &a, Err(Expired), why);
}

async fn lease_dropped(lab: Lab) {
    let ttl = lab.pick(50..=150);
    let registry = Registry::new(ms(ttl));
    let a = registry.register("users", "a");
    let b = registry.register("users", "b");
    drop(a);
    let why = "A lease that is dropped is given back, at that instant.";
    expect_who(&lab, &registry, "2 at b", why);

    let _c = registry.register("users", "c");
    sleep(ms(ttl / 2)).await;
    let newer = registry.register("users", "b");
    let why = "The program at b was started anew and registered again, before the lease of the \
               old one had run out. There is one program at b, and the newer registration is it.";
    expect_who(&lab, &registry, "3 at c, 4 at b", why);
    let why = "Its registration was replaced: the older lease is over.";
    expect_renewed(&lab, &b, Err(Expired), why);
    drop(b);
    let why = "The older lease is dropped after it was replaced. It may take along its own \
               registration, number 2, and not whoever has the same address.";
    expect_who(&lab, &registry, "3 at c, 4 at b", why);

    sleep(ms(ttl)).await;
    let _again = registry.register("users", "b");
    let why = "Everybody's lease ran out, and b has come back.";
    expect_who(&lab, &registry, "5 at b", why);
    drop(newer);
    let why = "A lease that ran out long ago is dropped: it has nothing left to give back.";
    expect_who(&lab, &registry, "5 at b", why);
}

// ----------------------------------------------------------------- task 2

fn beating(registry: &Registry, every_ms: u64, calls: &Backend) -> JoinHandle<()> {
    let (registry, check) = (registry.clone(), look(calls));
    tokio::spawn(async move {
        let (service, address) = ("users".to_owned(), "a".to_owned());
        keep_alive(registry, service, address, ms(every_ms), check).await;
    })
}

/// Ends a heartbeat; its panic goes on in the check.
async fn stop(heartbeat: JoinHandle<()>) {
    heartbeat.abort();
    if let Err(error) = heartbeat.await
        && error.is_panic()
    {
        resume_unwind(error.into_panic());
    }
}

/// When the checks began: `0, 100, 200`.
fn begun(calls: &Backend) -> Vec<u64> {
    calls.calls().iter().map(|call| call.started_ms).collect()
}

async fn beats(lab: Lab) {
    let every_ms = lab.pick(60..=120);
    let first_ms = lab.pick(5..=50);
    let later = lab.pick(1..=50);
    let takes_ms = move |number| match number {
        0 => first_ms,
        n if n % 2 == 1 => later,
        _ => 1,
    };
    let calls = numbered(&lab, "check", takes_ms, |_| true);
    let registry = Registry::new(ms(every_ms + 60));
    let heartbeat = beating(&registry, every_ms, &calls);
    until(&lab, first_ms - 1).await;
    if heartbeat.is_finished() {
        joined(heartbeat).await;
        return;
    }
    let why = "The first check is under way. Nobody is sent to an instance before it is known to \
               be well.";
    expect_who(&lab, &registry, "nobody", why);
    until(&lab, first_ms).await;
    let why = "The first check was good.";
    expect_who(&lab, &registry, "1 at a", why);
    let why = format!(
        "Every beat is good, and the lease is good for {} ms: it is the same registration all the \
         time. A beat renews a lease; it does not register again.",
        every_ms + 60
    );
    for beat in 1..=5 {
        until(&lab, beat * every_ms - 1).await;
        expect_who(&lab, &registry, "1 at a", &why);
        until(&lab, beat * every_ms + 55).await;
        expect_who(&lab, &registry, "1 at a", &why);
    }
    let expected: Vec<_> = (0..=5).map(|beat| beat * every_ms).collect();
    lab.expect(begun(&calls) == expected)
        .expected(format!("checks begin at {expected:?} ms"))
        .got(format!("at {:?} ms", begun(&calls)))
        .why(
            "A beat comes so many milliseconds after the last *beat*. Who sleeps for that long \
             after each check adds the check's time to every beat, until the lease runs out in \
             between.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    stop(heartbeat).await;
}

async fn missed_beats(lab: Lab) {
    let takes_ms = lab.pick(5..=20);
    // Beats 1, 3, 4 and 5 are bad.
    let calls = numbered(
        &lab,
        "check",
        move |_| takes_ms,
        |number| ![1, 3, 4, 5].contains(&number),
    );
    let registry = Registry::new(ms(250));
    let heartbeat = beating(&registry, 100, &calls);
    until(&lab, 200 + takes_ms).await;
    if heartbeat.is_finished() {
        joined(heartbeat).await;
        return;
    }
    let why = "One check has failed, the beat after it was good, and the lease had not run out. A \
               single bad beat ends nothing: that is what the rest of the lease is for.";
    expect_who(&lab, &registry, "1 at a", why);
    let end_ms = 200 + takes_ms + 250;
    until(&lab, end_ms - 1).await;
    let why = format!(
        "The last good beat was at {} ms, and the lease is good for 250 ms from then on. A check \
         that fails renews nothing, and gives nothing back either.",
        200 + takes_ms
    );
    expect_who(&lab, &registry, "1 at a", &why);
    until(&lab, end_ms).await;
    expect_who(&lab, &registry, "nobody", &why);
    until(&lab, 600 + takes_ms - 1).await;
    expect_who(&lab, &registry, "nobody", &why);
    until(&lab, 600 + takes_ms).await;
    let why = "The check is good again. The old lease is over and cannot be renewed: the instance \
               has to be registered anew.";
    expect_who(&lab, &registry, "2 at a", why);
    until(&lab, 1_000).await;
    let why = "From then on the beats renew the new lease.";
    expect_who(&lab, &registry, "2 at a", why);
    stop(heartbeat).await;
}

async fn hanging_check(lab: Lab) {
    let every_ms = lab.pick(60..=120);
    let takes_ms = |number| if number == 1 { AGES_MS } else { 10 };
    let calls = numbered(&lab, "check", takes_ms, |_| true);
    let registry = Registry::new(ms(2 * every_ms + 50));
    let heartbeat = beating(&registry, every_ms, &calls);
    until(&lab, 3 * every_ms - 1).await;
    if heartbeat.is_finished() {
        joined(heartbeat).await;
        return;
    }
    let ends: Vec<_> = calls.calls().iter().map(drawn).collect();
    let expected = vec![
        "begins at 0 ms, Done at 10 ms".to_owned(),
        format!("begins at {every_ms} ms, Cancelled at {} ms", 2 * every_ms),
        format!(
            "begins at {} ms, Done at {} ms",
            2 * every_ms,
            2 * every_ms + 10
        ),
    ];
    lab.expect(ends == expected && calls.peak() == 1)
        .expected(expected.join("; "))
        .got(ends.join("; "))
        .why(
            "The second check never answers. It has until the next beat; then it is dropped, and \
             counts as a bad one. There are never two at once, and no beat is left out.",
        )
        .pitfall("never-ends")
        .or_fail();
    let why = "The third beat was good, and came in time.";
    expect_who(&lab, &registry, "1 at a", why);
    stop(heartbeat).await;
}

fn drawn(call: &Call) -> String {
    let end = match call.ended_ms {
        None => "still under way".to_owned(),
        Some(at_ms) => format!("{:?} at {at_ms} ms", call.end),
    };
    format!("begins at {} ms, {end}", call.started_ms)
}

async fn heartbeat_dropped(lab: Lab) {
    // In the first check; between two; in a later check.
    for after_ms in [5, 60, 210] {
        let calls = numbered(&lab, "check", |_| 20, |_| true);
        let registry = Registry::new(ms(1_000));
        let (service, address) = ("users".to_owned(), "a".to_owned());
        let beats = keep_alive(registry.clone(), service, address, ms(100), look(&calls));
        let ended = timeout(ms(after_ms), beats).await;
        lab.expect(ended.is_err())
            .expected("a heartbeat does not end by itself")
            .got("it did")
            .why("It goes on until it is dropped.")
            .pitfall("wrong-result")
            .or_fail();
        lab.settle().await;
        let why = format!(
            "The heartbeat was dropped {after_ms} ms after its beginning. The program is going \
             down: nobody is to be sent to it for the rest of a lease."
        );
        lab.expect(after_ms < 20 || calls.count() > 0)
            .expected("a check with each beat")
            .got("none")
            .why("There is a beat at once, and each begins a check.")
            .pitfall("wrong-result")
            .or_fail();
        expect_who(&lab, &registry, "nobody", &why);
        lab.expect_eq(&calls.in_flight(), &0)
            .expected("no check is under way")
            .why(why.clone())
            .pitfall("leaked-task")
            .or_fail();
        lab.expect_no_tasks_left().await.why(why).or_fail();
    }
}

// ----------------------------------------------------------------- task 3

/// What a request through a breaker is to come to, and after how long.
#[derive(Debug, Clone, Copy)]
struct Job {
    well: bool,
    takes_ms: u64,
}

fn good(takes_ms: u64) -> Job {
    let well = true;
    Job { well, takes_ms }
}

fn bad(takes_ms: u64) -> Job {
    let well = false;
    Job { well, takes_ms }
}

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
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    closed: bool,
    broken: bool,
    asked: usize,
    waiting: Vec<Waker>,
    /// Where it was called without having said that it is ready.
    unready: Vec<Place>,
}

impl Desk {
    fn new(lab: &Lab) -> Arc<Self> {
        let job = |call: &CallInfo| -> (bool, u64) {
            let (end, takes_ms) = call.label.split_once(' ').expect("a label made below");
            (end == "good", takes_ms.parse().expect("a label made below"))
        };
        let calls = lab
            .service("inner")
            .takes_with(move |call| job(call).1)
            .fails_with(move |call| (!job(call).0).then(|| "bad".to_owned()));
        Arc::new(Self {
            calls: calls.build(),
            misuse: lab.service("unready").build(),
            book: Mutex::default(),
        })
    }

    fn inner(self: &Arc<Self>) -> Inner {
        let desk = Arc::clone(self);
        Inner { desk, ready: false }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on everybody who asks is ready.
    fn open(&self) {
        let mut book = self.book();
        book.closed = false;
        let waiting = std::mem::take(&mut book.waiting);
        drop(book);
        for waker in waiting {
            waker.wake();
        }
    }

    /// Nobody called an instance that had not said that it is ready.
    fn expect_ready_calls(&self, lab: &Lab) {
        let unready = self.book().unready.clone();
        lab.expect(unready.is_empty())
            .expected("each call goes to the instance whose `poll_ready` said that it is ready")
            .got("a call to an instance that was not asked, or not again since its last call")
            .at(unready.into_iter().next().unwrap_or_default())
            .why(
                "`poll_ready` may reserve something for one call, in this very instance: a clone \
                 has nothing. And what was not asked because it was to be refused must not be \
                 called, even if the breaker would let it through by now.",
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

impl Service<Job> for Inner {
    type Response = usize;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<usize, Broken>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let mut book = self.desk.book();
        book.asked += 1;
        if book.broken {
            return Poll::Ready(Err(Broken));
        }
        if book.closed {
            book.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, job: Job) -> Self::Future {
        if !std::mem::take(&mut self.ready) {
            // A call remembers the line that it was made from.
            let _ = self.desk.misuse.call("not asked").now_or_never();
            let place = self.desk.misuse.calls().pop().map(|call| call.location);
            self.desk.book().unready.push(place.unwrap_or_default());
        }
        let end = if job.well { "good" } else { "bad" };
        let call = self.desk.calls.call(format!("{end} {}", job.takes_ms));
        Box::pin(async move { call.await.map_err(|_fault| Broken) })
    }
}

type Outcome = Result<usize, Refused<Broken>>;

/// A breaker, the layer that made it, and the service behind it.
struct Bench {
    lab: Lab,
    desk: Arc<Desk>,
    layer: BreakerLayer,
}

impl Bench {
    fn new(lab: &Lab, failures: u64, open_for_ms: u64) -> Self {
        let settings = Settings {
            failures: count(failures),
            open_for: ms(open_for_ms),
        };
        Self {
            lab: lab.clone(),
            desk: Desk::new(lab),
            layer: BreakerLayer::new(settings),
        }
    }

    /// Sends one request through a service of its own.
    async fn send(&self, job: Job) -> Outcome {
        self.layer.layer(self.desk.inner()).oneshot(job).await
    }

    /// The same in a task, begun when this returns.
    async fn begin(&self, job: Job) -> JoinHandle<Outcome> {
        let sending = self.layer.layer(self.desk.inner()).oneshot(job);
        let task = tokio::spawn(sending);
        self.lab.settle().await;
        task
    }

    fn expect_state(&self, expected: State, why: &str) {
        let (got, at_ms) = (self.layer.state(), self.lab.now_ms());
        self.lab
            .expect(got == expected)
            .expected(format!("{expected:?} at {at_ms} ms"))
            .got(format!("{got:?}"))
            .why(why)
            .pitfall("wrong-result")
            .or_fail();
    }

    /// Fails so often that it opens, which takes so many milliseconds.
    async fn break_it(&self, failures: u64) {
        for _ in 0..failures {
            let outcome = self.send(bad(1)).await;
            let why = "A closed breaker lets everything through, and passes errors on.";
            expect_outcome(&self.lab, &outcome, Err(&Refused::Failed(Broken)), why);
        }
        let why = format!("It was closed, and then there were {failures} failures in a row.");
        self.expect_state(State::Open, &why);
    }
}

fn expect_outcome(lab: &Lab, got: &Outcome, expected: Result<(), &Refused<Broken>>, why: &str) {
    let at_ms = lab.now_ms();
    lab.expect(got.as_ref().map(|_number| ()) == expected)
        .expected(match expected {
            Ok(()) => format!("Ok at {at_ms} ms"),
            Err(error) => format!("Err({error:?}) at {at_ms} ms"),
        })
        .got(format!("{got:?}"))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

async fn opens(lab: Lab) {
    let failures = lab.pick(2..=4);
    let bench = Bench::new(&lab, failures, 1_000);
    let why = "Nothing has failed yet.";
    bench.expect_state(State::Closed, why);
    let outcome = bench.send(good(10)).await;
    let why = "A closed breaker lets everything through. A success counts for nothing.";
    expect_outcome(&lab, &outcome, Ok(()), why);
    for _round in 0..2 {
        for _ in 1..failures {
            let _ = bench.send(bad(10)).await;
        }
        let why = format!(
            "{failures} failures in a row open it, and there were {}. A success in between makes \
             the count begin anew.",
            failures - 1
        );
        bench.expect_state(State::Closed, &why);
        let outcome = bench.send(good(10)).await;
        expect_outcome(&lab, &outcome, Ok(()), &why);
    }
    for _ in 1..failures {
        let _ = bench.send(bad(10)).await;
    }
    // Dropped is neither a failure nor a success.
    let given_up = timeout(ms(5), bench.send(bad(10))).await;
    let why = "A call that its caller gave up has neither failed nor succeeded: it does not count.";
    lab.expect(given_up.is_err())
        .expected("the call takes 10 ms")
        .got("it ended within 5 ms")
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    bench.expect_state(State::Closed, why);
    let outcome = bench.send(bad(10)).await;
    let why = format!("This is failure number {failures} in a row: the error itself is passed on.");
    expect_outcome(&lab, &outcome, Err(&Refused::Failed(Broken)), &why);
    let why = format!("{failures} failures in a row, at this instant.");
    bench.expect_state(State::Open, &why);

    let touchy = Bench::new(&lab, 1, 1_000);
    let _ = touchy.send(good(1)).await;
    let _ = touchy.send(bad(1)).await;
    touchy.expect_state(State::Open, "One failure is enough for this one.");
}

async fn refuses(lab: Lab) {
    let open_for = lab.pick(50..=150);
    let bench = Bench::new(&lab, 2, open_for);
    bench.break_it(2).await;
    let open_ms = lab.now_ms();
    let called = bench.desk.calls.count();
    for after_ms in [0, open_for / 2, open_for - 1] {
        until(&lab, open_ms + after_ms).await;
        let (outcome, took) = lab.timed(bench.send(good(10))).await;
        let why = format!(
            "It opened at {open_ms} ms, for {open_for} ms. Till then it refuses at once, and does \
             not trouble a service that has troubles of its own."
        );
        expect_outcome(&lab, &outcome, Err(&Refused::Open), &why);
        lab.expect(took.is_zero() && bench.desk.calls.count() == called)
            .expected("refused after 0 ms, and the inner service is not called")
            .got(format!(
                "after {} ms, {} calls",
                took.as_millis(),
                bench.desk.calls.count() - called
            ))
            .why(why.clone())
            .pitfall("wrong-result")
            .or_fail();
        bench.expect_state(State::Open, &why);
    }
    until(&lab, open_ms + open_for).await;
    let why = format!(
        "It opened at {open_ms} ms, for {open_for} ms: that time is over, whether somebody has \
         called meanwhile or not. It is counted on tokio's clock (`std::time::Instant` does not \
         move in virtual time), and from the instant at which it opened, not from the last call."
    );
    bench.expect_state(State::HalfOpen, &why);
    let outcome = bench.send(good(10)).await;
    expect_outcome(&lab, &outcome, Ok(()), &why);
    let why = "The probe was a success.";
    bench.expect_state(State::Closed, why);
}

async fn one_probe(lab: Lab) {
    for well in [true, false] {
        let open_for = lab.pick(50..=150);
        let takes_ms = lab.pick(10..=40);
        let bench = Bench::new(&lab, 2, open_for);
        bench.break_it(2).await;
        sleep(ms(open_for)).await;
        let probe = Job { well, takes_ms };
        let mut tasks = Vec::new();
        for _ in 0..5 {
            let sending = bench.layer.layer(bench.desk.inner()).oneshot(probe);
            tasks.push(tokio::spawn(sending));
        }
        lab.settle().await;
        let start_ms = lab.now_ms();
        let why = "Five calls come at the same instant. Half open means that one of them is let \
                   through, to see; if all are, a service that is just getting up is trampled \
                   down.";
        lab.expect(bench.desk.calls.count() == 3)
            .expected("two calls that failed, and one probe: 3 calls of the inner service")
            .got(format!("{} calls", bench.desk.calls.count()))
            .why(why)
            .pitfall("unbounded-concurrency")
            .or_fail();
        let late = bench.send(probe).await;
        let why = "One more call comes while the probe is on its way: it is refused at once.";
        expect_outcome(&lab, &late, Err(&Refused::Open), why);
        lab.expect_eq(&lab.now_ms(), &start_ms)
            .why(why)
            .pitfall("sequential-awaits")
            .or_fail();
        let why = "The probe is on its way.";
        bench.expect_state(State::HalfOpen, why);
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(joined(task).await);
        }
        let refused = outcomes
            .iter()
            .filter(|outcome| **outcome == Err(Refused::Open))
            .count();
        lab.expect_eq(&refused, &4)
            .expected("4 of 5 calls are refused")
            .why("Five calls came at once, and one of them was the probe.")
            .pitfall("unbounded-concurrency")
            .or_fail();
        lab.expect_took(lab.now(), start_ms + takes_ms)
            .expected("the probe ends as it would without a breaker")
            .why("Those that are refused are refused at once, and nobody waits for the probe.")
            .pitfall("sequential-awaits")
            .or_fail();
        if well {
            let why = "The probe was a success: at this instant all is well again.";
            bench.expect_state(State::Closed, why);
            let _ = bench.send(bad(1)).await;
            let why = "Closed, it counts from 0 again: one failure of two.";
            bench.expect_state(State::Closed, why);
            let _ = bench.send(bad(1)).await;
            bench.expect_state(State::Open, "Two failures in a row.");
            continue;
        }
        let why = format!(
            "The probe has failed: one is enough. It is open for another {open_for} ms, from this \
             instant on."
        );
        bench.expect_state(State::Open, &why);
        sleep(ms(open_for - 1)).await;
        bench.expect_state(State::Open, &why);
        sleep(ms(1)).await;
        bench.expect_state(State::HalfOpen, &why);
        let outcome = bench.send(good(1)).await;
        let why = "Time for another probe.";
        expect_outcome(&lab, &outcome, Ok(()), why);
        bench.expect_state(State::Closed, why);
    }

    // Two were told that they may call; the second one does so first.
    let bench = Bench::new(&lab, 1, 50);
    bench.break_it(1).await;
    sleep(ms(50)).await;
    let [mut first, mut second] = [0, 1].map(|_| bench.layer.layer(bench.desk.inner()));
    for service in [&mut first, &mut second] {
        let asked = poll_fn(|cx| service.poll_ready(cx)).await;
        lab.expect_eq(&asked, &Ok(()))
            .why("It is half open, nobody probes yet, and the inner service is ready.")
            .pitfall("wrong-result")
            .or_fail();
    }
    let probe = tokio::spawn(second.call(good(20)));
    lab.settle().await;
    let late = first.call(good(10)).await;
    let why = "Two services were ready, and the one that was asked last is called first: it is the \
               probe. To be ready reserves nothing. If it did, whoever asks and never calls would \
               keep everybody else out.";
    expect_outcome(&lab, &joined(probe).await, Ok(()), why);
    let why = "It was ready, but when it was called the probe of another one was on its way. What \
               holds is what the breaker says at the instant of the call.";
    expect_outcome(&lab, &late, Err(&Refused::Open), why);
    let why = "The probe was a success.";
    bench.expect_state(State::Closed, why);
}

async fn probe_dropped(lab: Lab) {
    let why = "The one who probed was dropped on the way, and nobody knows how it would have \
               ended. A breaker that waits for the end of that probe waits for ever: whatever is \
               taken for the time of a call has to be given back by a `Drop`.";
    lab.cancel_sweep(async |cancel: Cancel| {
        let bench = Bench::new(&lab, 2, 50);
        bench.break_it(2).await;
        sleep(ms(50)).await;
        let probe = bench.send(good(20));
        let ended = cancel.drop_at(probe).await.is_some();
        lab.settle().await;
        let state = if ended {
            State::Closed
        } else {
            State::HalfOpen
        };
        bench.expect_state(state, why);
        let outcome = bench.send(good(10)).await;
        expect_outcome(&lab, &outcome, Ok(()), why);
        bench.expect_state(State::Closed, why);
    })
    .await;

    // A call that is made and never polled.
    let bench = Bench::new(&lab, 1, 50);
    bench.break_it(1).await;
    sleep(ms(50)).await;
    let mut service = bench.layer.layer(bench.desk.inner());
    let asked = poll_fn(|cx| service.poll_ready(cx)).await;
    lab.expect_eq(&asked, &Ok(()))
        .why("The inner service is ready.")
        .pitfall("wrong-result")
        .or_fail();
    drop(service.call(good(10)));
    let outcome = bench.send(bad(10)).await;
    expect_outcome(&lab, &outcome, Err(&Refused::Failed(Broken)), why);
    bench.expect_state(State::Open, "The second probe has failed.");
}

async fn late_results(lab: Lab) {
    let bench = Bench::new(&lab, 2, 100);
    // All of these begin while it is closed, and end long after.
    for job in [good(50), bad(115), bad(140), bad(145), good(155)] {
        drop(bench.begin(job).await);
    }
    for _ in 0..2 {
        drop(bench.begin(bad(10)).await);
    }
    until(&lab, 10).await;
    bench.expect_state(State::Open, "Two failures in a row, at 10 ms.");
    until(&lab, 51).await;
    let why = "A call that began at 0 ms, before the breaker opened, was a success at 50 ms. It \
               says nothing about how the service is since then: only a probe closes the breaker.";
    bench.expect_state(State::Open, why);
    until(&lab, 112).await;
    bench.expect_state(State::HalfOpen, "It opened at 10 ms, for 100 ms.");
    drop(bench.begin(good(20)).await);
    until(&lab, 116).await;
    let why = "The probe is on its way since 112 ms. At 115 ms a call has failed that began at 0 \
               ms: it is not the probe, and decides nothing.";
    bench.expect_state(State::HalfOpen, why);
    let outcome = bench.send(good(1)).await;
    let why = "Nor does it make way for another probe.";
    expect_outcome(&lab, &outcome, Err(&Refused::Open), why);
    until(&lab, 133).await;
    bench.expect_state(State::Closed, "The probe was a success, at 132 ms.");
    until(&lab, 146).await;
    let why = "At 140 and 145 ms two calls have failed that began at 0 ms. They are failures of \
               another time: since the breaker closed, nothing has failed.";
    bench.expect_state(State::Closed, why);
    let _ = bench.send(bad(1)).await;
    until(&lab, 156).await;
    let _ = bench.send(bad(1)).await;
    let why = "Two calls that began after it closed have failed, at 147 and 157 ms. In between, at \
               155 ms, a call from 0 ms was a success: it does not count, for good or ill.";
    bench.expect_state(State::Open, why);
}

async fn breaker_contract(lab: Lab) {
    let bench = Bench::new(&lab, 2, 100);
    let desk = &bench.desk;
    let mut service = bench.layer.layer(desk.inner());
    desk.book().closed = true;
    let mut asked = lab.probe(poll_fn(|cx| service.poll_ready(cx)));
    let waits = asked.poll().is_pending();
    desk.open();
    let woken = asked.is_woken();
    let then = asked.poll();
    drop(asked);
    lab.expect(waits && woken && then == Poll::Ready(Ok(())))
        .expected("closed, it is pending while the inner service is, then woken, and ready")
        .got(if !waits {
            "ready at once, although the inner service is not"
        } else if woken {
            "woken, but not ready"
        } else {
            "pending, and not woken when the inner service is ready"
        })
        .why("A breaker that lets a request through needs an inner service that is ready for it.")
        .pitfall("unbounded-queue")
        .or_fail();

    // Another service of the same layer, and a clone: one breaker.
    let first = service.call(bad(5)).await;
    expect_outcome(
        &lab,
        &first,
        Err(&Refused::Failed(Broken)),
        "Closed, it lets everything through.",
    );
    let mut clone = service.clone();
    let asked = poll_fn(|cx| clone.poll_ready(cx)).await;
    let second = match asked {
        Ok(()) => clone.call(bad(5)).await,
        Err(error) => Err(error),
    };
    desk.expect_ready_calls(&lab);
    let why = "Closed, it lets everything through.";
    expect_outcome(&lab, &second, Err(&Refused::Failed(Broken)), why);
    let why = "One failure through a service, and one through its clone. All services of a layer \
               and their clones have one breaker: a router, or a pool, makes many of them.";
    bench.expect_state(State::Open, why);

    desk.book().closed = true;
    let asked_before = desk.book().asked;
    let mut service = bench.layer.clone().layer(desk.inner());
    let asked = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    lab.expect(asked == Poll::Ready(Ok(())) && desk.book().asked == asked_before)
        .expected("open, it is ready at once, and the inner service is not even asked")
        .got(if asked.is_pending() {
            "pending".to_owned()
        } else {
            let times = desk.book().asked - asked_before;
            format!("{asked:?}, and the inner service was asked {times} times")
        })
        .why(
            "To refuse, nothing is needed. Who waits until an inner service is ready that is out \
             of order waits for the very thing that a breaker is to spare it.",
        )
        .pitfall("wrong-result")
        .or_fail();
    desk.open();
    sleep(ms(100)).await;
    let late = service.call(good(5)).await;
    desk.expect_ready_calls(&lab);
    let why = "When it was asked it was open, and did not ask the inner service. Meanwhile it is \
               half open, but it cannot call whom it has not asked.";
    expect_outcome(&lab, &late, Err(&Refused::Open), why);
    let outcome = bench.send(good(5)).await;
    let why = "That was no probe: the next one who asks is.";
    expect_outcome(&lab, &outcome, Ok(()), why);

    // Ready holds for one call, of the instance that was asked.
    let asked = poll_fn(|cx| service.poll_ready(cx)).await;
    let mut clone = service.clone();
    let one = match asked {
        Ok(()) => service.call(good(5)).await,
        Err(error) => Err(error),
    };
    expect_outcome(&lab, &one, Ok(()), "It is closed again.");
    for (service, why) in [
        (
            &mut service,
            "It was ready for one call, and that was made. Before this one it was not asked, and \
             nobody knows whether its inner service would take it. Forget with each call what \
             `poll_ready` has said.",
        ),
        (
            &mut clone,
            "The clone of one that is ready was not asked itself: its inner service has promised \
             nothing. Do not copy into a clone what `poll_ready` has said.",
        ),
    ] {
        let unasked = service.call(good(5)).await;
        expect_outcome(&lab, &unasked, Err(&Refused::Open), why);
    }
    desk.expect_ready_calls(&lab);
    desk.book().broken = true;
    let asked = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    lab.expect(asked == Poll::Ready(Err(Refused::Failed(Broken))))
        .expected("`poll_ready` gives the inner service's error, as `Refused::Failed`")
        .got(format!("{asked:?}"))
        .why("A service whose `poll_ready` fails will never be ready again. Who asks must know.")
        .pitfall("swallowed-error")
        .or_fail();
    desk.expect_ready_calls(&lab);
}

// ----------------------------------------------------------------- task 4

fn dependency(name: &str, critical: bool, calls: &Backend) -> Dependency {
    Dependency {
        name: name.to_owned(),
        critical,
        check: look(calls),
    }
}

fn part(name: &str, trouble: Option<Trouble>) -> Part {
    let name = name.to_owned();
    Part { name, trouble }
}

fn expect_report(lab: &Lab, got: &Report, health: Health, parts: Vec<Part>, why: &str) {
    let expected = Report { health, parts };
    lab.expect(*got == expected)
        .expected(in_words(&expected))
        .got(in_words(got))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

/// `Down: cache well, db Failed("failure 0")`
fn in_words(report: &Report) -> String {
    let part = |part: &Part| match &part.trouble {
        None => format!("{} well", part.name),
        Some(trouble) => format!("{} {trouble:?}", part.name),
    };
    let parts: Vec<_> = report.parts.iter().map(part).collect();
    format!("{:?}: {}", report.health, parts.join(", "))
}

async fn checks_overlap(lab: Lab) {
    let patience = lab.pick(100..=150);
    let (one, other) = (lab.pick(10..=90), lab.pick(10..=90));
    let db = numbered(&lab, "db", move |_| one, |_| true);
    let cache = numbered(&lab, "cache", move |_| other, |_| true);
    let just = numbered(&lab, "mail", move |_| patience, |_| true);
    let hangs = numbered(&lab, "search", |_| AGES_MS, |_| true);

    let dependencies = vec![
        dependency("db", true, &db),
        dependency("cache", false, &cache),
    ];
    let board = HealthBoard::new(dependencies, ms(patience), ms(10));
    let (report, took) = lab.timed(board.report()).await;
    lab.expect_took(took, one.max(other))
        .why("The checks run at the same time, and the report is there with the last of them.")
        .pitfall("sequential-awaits")
        .or_fail();
    let why = "Both checks were good.";
    let well = vec![part("db", None), part("cache", None)];
    expect_report(&lab, &report, Health::Up, well, why);

    let dependencies = vec![
        dependency("search", false, &hangs),
        dependency("mail", true, &just),
    ];
    let board = HealthBoard::new(dependencies, ms(patience), ms(10));
    let why = format!("A check that hangs is given up after {patience} ms.");
    let report = lab.timed(board.report());
    let (report, took) = soon(&lab, "report", report, &why, "never-ends").await;
    lab.expect_took(took, patience)
        .why(why)
        .pitfall("never-ends")
        .or_fail();
    lab.settle().await;
    lab.expect_eq(&hangs.in_flight(), &0)
        .expected("the check that hangs is dropped with the report")
        .why("Nobody waits for it any more; and every report would leave another one behind.")
        .pitfall("leaked-task")
        .or_fail();
    let why = "The check of search hangs. That of mail is good at the very instant at which time \
               is up: that is in time.";
    let parts = vec![part("search", Some(Trouble::Late)), part("mail", None)];
    expect_report(&lab, &report, Health::Degraded, parts, why);
}

/// A check that panics on its way.
struct Panicky;

impl Check for Panicky {
    fn check(&self) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async {
            sleep(ms(5)).await;
            panic!("the check is out of order")
        })
    }
}

async fn worst_part(lab: Lab) {
    let well = numbered(&lab, "well", |_| 10, |_| true);
    let ill = numbered(&lab, "ill", |_| 20, |_| false);
    // Name, critical, ill.
    let cases = [
        (vec![("a", true, false), ("b", false, false)], Health::Up),
        (
            vec![("a", true, false), ("b", false, true)],
            Health::Degraded,
        ),
        (vec![("b", true, true), ("a", true, false)], Health::Down),
        (vec![("a", true, true), ("b", false, true)], Health::Down),
        (vec![("a", false, true), ("b", true, true)], Health::Down),
        (vec![], Health::Up),
    ];
    for (list, health) in cases {
        let mut failures = ill.count();
        let mut parts = Vec::new();
        let mut dependencies = Vec::new();
        for (name, critical, is_ill) in list {
            let trouble = is_ill.then(|| {
                failures += 1;
                Trouble::Failed(format!("failure {}", failures - 1))
            });
            parts.push(part(name, trouble));
            let calls = if is_ill { &ill } else { &well };
            dependencies.push(dependency(name, critical, calls));
        }
        let board = HealthBoard::new(dependencies, ms(100), ms(10));
        let report = board.report().await;
        let why = "Something critical that is wrong means Down, anything else that is wrong \
                   Degraded. Every part is told, in the order of the dependencies, with what is \
                   wrong with it.";
        expect_report(&lab, &report, health, parts, why);
    }

    let panicky = Dependency {
        name: "odd".to_owned(),
        critical: true,
        check: Arc::new(Panicky),
    };
    let board = HealthBoard::new(vec![dependency("a", true, &well), panicky], ms(100), ms(10));
    let report = board.report().await;
    let why = "A check that panics is a check that is not good. It must neither take down the \
               report, nor keep anybody from learning how the other parts are.";
    let parts = vec![part("a", None), part("odd", Some(Trouble::Panicked))];
    expect_report(&lab, &report, Health::Down, parts, why);
}

async fn shared_round(lab: Lab) {
    let fresh_for = lab.pick(50..=150);
    // Well at first, ill from the second time on.
    let calls = numbered(&lab, "db", |_| 100, |number| number == 0);
    let board = HealthBoard::new(
        vec![dependency("db", true, &calls)],
        ms(1_000),
        ms(fresh_for),
    );
    let board = Arc::new(board);
    let asks = || {
        let board = Arc::clone(&board);
        tokio::spawn(async move { board.report().await })
    };
    let mut tasks = vec![asks(), asks()];
    sleep(ms(30)).await;
    tasks.push(asks());
    let why = "Three ask while the first round is under way. One round is enough for all of them: \
               who is asked how it is must not cause more work, the more people ask.";
    let mut reports = Vec::new();
    for task in tasks {
        reports.push(soon(&lab, "report", joined(task), why, "lost-wakeup").await);
    }
    lab.expect_eq(&calls.count(), &1)
        .expected("1 check for three who ask")
        .why(why)
        .pitfall("shared-state-race")
        .or_fail();
    for report in reports {
        expect_report(&lab, &report, Health::Up, vec![part("db", None)], why);
    }
    lab.expect_took(lab.now(), 100)
        .why(why)
        .pitfall("sequential-awaits")
        .or_fail();

    until(&lab, 100 + fresh_for - 1).await;
    let (report, took) = lab.timed(board.report()).await;
    let why = format!(
        "The report was made at 100 ms, and is good for {fresh_for} ms. Who asks meanwhile gets it \
         at once."
    );
    lab.expect(took.is_zero() && calls.count() == 1)
        .expected("the report of 100 ms, at once")
        .got(format!(
            "{} after {} ms",
            in_words(&report),
            took.as_millis()
        ))
        .why(why.clone())
        .pitfall("wrong-result")
        .or_fail();
    until(&lab, 100 + fresh_for).await;
    let (report, took) = lab.timed(board.report()).await;
    let ill = vec![part("db", Some(Trouble::Failed("failure 1".to_owned())))];
    lab.expect_took(took, 100)
        .expected("a new round of 100 ms")
        .why(why.clone())
        .pitfall("wrong-result")
        .or_fail();
    expect_report(&lab, &report, Health::Down, ill, &why);

    // Two ask, and again as soon as they know. Whoever is first to ask again does so while the
    // other one has not got its report yet.
    let calls = numbered(&lab, "never fresh", |_| 100, |_| true);
    let list = vec![dependency("db", true, &calls)];
    let board = Arc::new(HealthBoard::new(list, ms(1_000), ms(0)));
    let start_ms = lab.now_ms();
    let twice = [0, 1].map(|_| {
        let (board, lab) = (Arc::clone(&board), lab.clone());
        tokio::spawn(async move {
            board.report().await;
            let once_ms = lab.now_ms() - start_ms;
            board.report().await;
            (once_ms, lab.now_ms() - start_ms)
        })
    });
    let why = "A report that is good for 0 ms is good for nobody who asks after its round's end. A \
               round that has ended is not under way, even if one who waited for it has not run \
               since: who asks now gets a new round.";
    for asks in twice {
        let got = soon(&lab, "report", joined(asks), why, "lost-wakeup").await;
        lab.expect(got == (100, 200))
            .expected("two rounds of 100 ms: reports after 100 and 200 ms")
            .got(format!("reports after {} and {} ms", got.0, got.1))
            .why(why)
            .pitfall("wrong-result")
            .or_fail();
    }
    lab.expect_eq(&calls.count(), &2)
        .expected("2 checks for two who ask twice")
        .why("They ask at the same time, the second time as well: one round for both.")
        .pitfall("shared-state-race")
        .or_fail();
}

async fn round_dropped(lab: Lab) {
    let why = "Two wait for the same round, and one of them leaves. The round belongs to all who \
               wait for it, not to who came first.";
    for leaver in [0, 1] {
        let calls = numbered(&lab, "db", |_| 100, |_| true);
        let board = HealthBoard::new(vec![dependency("db", true, &calls)], ms(1_000), ms(50));
        let board = Arc::new(board);
        let start_ms = lab.now_ms();
        let mut tasks: Vec<_> = [0, 1]
            .map(|_| {
                let board = Arc::clone(&board);
                tokio::spawn(async move { board.report().await })
            })
            .into();
        sleep(ms(40)).await;
        tasks.swap_remove(leaver).abort();
        let stays = joined(tasks.remove(0));
        let report = soon(&lab, "report", stays, why, "cancellation-ignored").await;
        lab.expect(report.health == Health::Up && lab.now_ms() == start_ms + 100)
            .expected(format!(
                "Up at {} ms, for the one who stays",
                start_ms + 100
            ))
            .got(format!("{} at {} ms", in_words(&report), lab.now_ms()))
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
        lab.expect_eq(&calls.count(), &1)
            .expected("1 check")
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    }
    lab.cancel_sweep(async |cancel: Cancel| {
        let calls = numbered(&lab, "db", |_| 100, |_| true);
        let board = HealthBoard::new(vec![dependency("db", true, &calls)], ms(1_000), ms(50));
        let _ = cancel.drop_at(board.report()).await;
        lab.settle().await;
        let why = "The only one who waited was dropped: nobody wants the round any more, so its \
                   checks are dropped. Who asks later begins a new one.";
        lab.expect_eq(&calls.in_flight(), &0)
            .expected("no check is under way")
            .why(why)
            .pitfall("leaked-task")
            .or_fail();
        let report = soon(&lab, "report", board.report(), why, "cancellation-ignored").await;
        let well = vec![part("db", None)];
        expect_report(&lab, &report, Health::Up, well, why);
    })
    .await;
}

// ----------------------------------------------------------------- task 5

/// A network in virtual time. Calls are labelled with the address.
struct Wire {
    calls: Backend,
}

impl Network for Wire {
    fn send(&self, address: &str, request: &str) -> BoxFuture<'static, Result<String, String>> {
        let call = self.calls.call(address);
        let reply = format!("{address} has {request}");
        Box::pin(async move {
            let ended = call.await;
            ended.map(|_number| reply).map_err(|fault| fault.message)
        })
    }
}

/// A world of services: a registry, a client, and the network between them.
struct World {
    lab: Lab,
    registry: Registry,
    client: Arc<Client>,
    calls: Backend,
    /// Who is out of order at the moment.
    ill: Arc<Mutex<Vec<String>>>,
    seen: Mutex<usize>,
}

impl World {
    fn new(lab: &Lab, settings: Settings) -> Self {
        let ill: Arc<Mutex<Vec<String>>> = Arc::default();
        let now_ill = Arc::clone(&ill);
        let calls = lab
            .service("send")
            .takes(10)
            .fails_with(move |call| {
                let ill = now_ill.lock().unwrap_or_else(PoisonError::into_inner);
                let failure = || format!("{} is ill", call.label);
                ill.contains(&call.label).then(failure)
            })
            .build();
        let registry = Registry::new(ms(10 * AGES_MS));
        let wire = Wire {
            calls: calls.clone(),
        };
        let client = Client::new(registry.clone(), Arc::new(wire), settings);
        Self {
            lab: lab.clone(),
            registry,
            client: Arc::new(client),
            calls,
            ill,
            seen: Mutex::new(0),
        }
    }

    fn ill(&self, addresses: &[&str]) {
        let mut ill = self.ill.lock().unwrap_or_else(PoisonError::into_inner);
        *ill = addresses
            .iter()
            .map(|&address| address.to_owned())
            .collect();
    }

    /// Calls once, and compares the addresses that were tried, and the reply.
    async fn expect_call(
        &self,
        tried: &str,
        expected: Result<&str, CallError>,
        why: &str,
        pitfall: &str,
    ) {
        let call = self.client.call("users", "it");
        let got = soon(&self.lab, "call", call, why, pitfall).await;
        let now_tried = self.tried();
        let expected = expected.map(|address| format!("{address} has it"));
        self.lab
            .expect(now_tried == tried && got == expected)
            .expected(format!("tried: {tried}; {expected:?}"))
            .got(format!("tried: {now_tried}; {got:?}"))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    /// The addresses of the calls since this was last asked: `a b`.
    fn tried(&self) -> String {
        let labels = self.calls.labels();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = labels[*seen..].join(" ");
        *seen = labels.len();
        if fresh.is_empty() {
            return "nobody".to_owned();
        }
        fresh
    }
}

fn settings(failures: u64, open_for_ms: u64) -> Settings {
    Settings {
        failures: count(failures),
        open_for: ms(open_for_ms),
    }
}

fn all_failed(addresses: &[&str]) -> CallError {
    let error = |&address: &&str| (address.to_owned(), format!("{address} is ill"));
    CallError::AllFailed(addresses.iter().map(error).collect())
}

async fn goes_round(lab: Lab) {
    let world = World::new(&lab, settings(100, 1_000));
    let why = "Nobody is there, so nobody can be tried.";
    world
        .expect_call("nobody", Err(CallError::Unavailable), why, "wrong-result")
        .await;
    let _leases = ["a", "b"].map(|address| world.registry.register("users", address));
    let why = "The first call found nobody, and counts: call number 1 begins with b. Every call \
               counts, however it ends.";
    world.expect_call("b", Ok("b"), why, "wrong-result").await;
    let given_up = timeout(ms(5), world.client.call("users", "it")).await;
    let why = "Call number 2 began with a, and was dropped on the way. It counts, too: number 3 \
               begins with b.";
    lab.expect(given_up.is_err() && world.tried() == "a")
        .expected("a call of 10 ms to a, dropped after 5 ms")
        .got(format!("{given_up:?}"))
        .why("A request takes 10 ms, and it is a's turn.")
        .pitfall("wrong-result")
        .or_fail();
    world.expect_call("b", Ok("b"), why, "wrong-result").await;

    let world = World::new(&lab, settings(100, 1_000));
    let _leases = ["a", "b", "c"].map(|address| world.registry.register("users", address));
    let _mail = world.registry.register("mail", "m");
    let why = "Three instances take turns: each call begins with the next one.";
    for address in ["a", "b", "c", "a"] {
        world
            .expect_call(address, Ok(address), why, "wrong-result")
            .await;
    }
    let mail = world.client.call("mail", "it").await;
    lab.expect_eq(&mail, &Ok("m has it".to_owned()))
        .why("Each service has its own instances, and its own turns.")
        .pitfall("wrong-result")
        .or_fail();
    let _ = world.tried();
    world.ill(&["b"]);
    let why = "It is b's turn, and b fails: the request goes on to the next one, at once.";
    world
        .expect_call("b c", Ok("c"), why, "swallowed-error")
        .await;
    let why = "The turn moves on by one with each call, however many were tried: c follows b.";
    world.expect_call("c", Ok("c"), why, "wrong-result").await;
    world.expect_call("a", Ok("a"), why, "wrong-result").await;
    world.ill(&["a", "b", "c"]);
    let (began, why) = (
        lab.now(),
        "All three fail, beginning with b. Each is tried once, and each error is told, in the \
         order of the tries.",
    );
    let error = all_failed(&["b", "c", "a"]);
    world
        .expect_call("b c a", Err(error), why, "swallowed-error")
        .await;
    lab.expect_took(lab.now().saturating_sub(began), 30)
        .why("Three tries of 10 ms, one after the other, without a pause.")
        .pitfall("unbounded-concurrency")
        .or_fail();
}

async fn spared(lab: Lab) {
    let open_for = lab.pick(500..=900);
    let world = World::new(&lab, settings(2, open_for));
    let mut leases = ["a", "b"].map(|address| Some(world.registry.register("users", address)));
    world.ill(&["b"]);
    let why = "Turns alternate, and b fails: a has to step in.";
    world.expect_call("a", Ok("a"), why, "wrong-result").await;
    world.expect_call("b a", Ok("a"), why, "wrong-result").await;
    world.expect_call("a", Ok("a"), why, "wrong-result").await;
    world.expect_call("b a", Ok("a"), why, "wrong-result").await;
    // b's second failure ended 10 ms ago.
    let opened_ms = lab.now_ms() - 10;
    let why = "b has failed twice in a row, over two calls: its breaker is open. Nobody is sent \
               there, and to pass it by takes no time. (A breaker has to outlive the call, and to \
               be b's own: a is well.)";
    for _ in 0..4 {
        world.expect_call("a", Ok("a"), why, "wrong-result").await;
    }

    world.ill(&["a", "b"]);
    let why = "b is spared, and a fails: that is all who were tried.";
    for _ in 0..2 {
        let error = all_failed(&["a"]);
        world
            .expect_call("a", Err(error), why, "wrong-result")
            .await;
    }
    let why = "Both breakers are open: nobody may be tried.";
    let (began, nobody) = (lab.now(), Err(CallError::Unavailable));
    world
        .expect_call("nobody", nobody, why, "wrong-result")
        .await;
    lab.expect_eq(&lab.now(), &began)
        .expected("Unavailable at once")
        .why(why)
        .pitfall("wrong-result")
        .or_fail();

    // b is half open before a is. Three calls come at once.
    until(&lab, opened_ms + open_for).await;
    world.ill(&["a"]);
    let tasks = [0, 1, 2].map(|_| {
        let client = Arc::clone(&world.client);
        tokio::spawn(async move { client.call("users", "it").await })
    });
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(joined(task).await);
    }
    let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let tried = world.tried();
    lab.expect(tried == "b" && served == 1)
        .expected("three calls at once, one of them probes: tried: b; 1 is served")
        .got(format!("tried: {tried}; {served} are served"))
        .why(
            "b's breaker is half open, and a's still open. One call is let through to b, the \
             others find nobody.",
        )
        .pitfall("unbounded-concurrency")
        .or_fail();
    let why = "The probe was a success: b is back, and a still spared.";
    for _ in 0..2 {
        world.expect_call("b", Ok("b"), why, "wrong-result").await;
    }

    // a is started anew.
    world.ill(&[]);
    drop(leases[0].take());
    let _again = world.registry.register("users", "a");
    let mut tried = Vec::new();
    for _ in 0..2 {
        let _ = world.client.call("users", "it").await;
        tried.push(world.tried());
    }
    tried.sort_unstable();
    lab.expect(tried == ["a", "b"])
        .expected("two calls, one tries a and one tries b")
        .got(format!("tried: {}", tried.join(" and ")))
        .why(
            "The program at a was started anew, and has registered again. What is known of the old \
             one does not count for it: a new registration begins with a closed breaker.",
        )
        .pitfall("wrong-result")
        .or_fail();

    // Nobody else is there to step in.
    let world = World::new(&lab, settings(2, open_for));
    let _lease = world.registry.register("users", "a");
    world.ill(&["a"]);
    let why = "a is the only one, and fails: that is all who were tried.";
    for _ in 0..2 {
        let error = all_failed(&["a"]);
        world
            .expect_call("a", Err(error), why, "wrong-result")
            .await;
    }
    let why = "a has failed twice in a row, over two calls: it is spared, also when nobody else is \
               there.";
    let nobody = Err(CallError::Unavailable);
    world
        .expect_call("nobody", nobody, why, "wrong-result")
        .await;
}

async fn nobody_gone(lab: Lab) {
    let world = World::new(&lab, settings(100, 1_000));
    let mut leases = ["a", "b", "c"].map(|address| Some(world.registry.register("users", address)));
    world.ill(&["a", "c"]);
    let calling = tokio::spawn({
        let client = Arc::clone(&world.client);
        async move { client.call("users", "it").await }
    });
    lab.settle().await;
    sleep(ms(5)).await;
    drop(leases[1].take());
    let outcome = joined(calling).await;
    let tried = world.tried();
    lab.expect(tried == "a c" && outcome == Err(all_failed(&["a", "c"])))
        .expected(format!("tried: a c; {:?}", all_failed(&["a", "c"])))
        .got(format!("tried: {tried}; {outcome:?}"))
        .why(
            "While a was tried, b left. What was looked up before an `.await` may be no longer so \
             after it: before each try, see whether the instance is still there.",
        )
        .pitfall("shared-state-race")
        .or_fail();

    lab.cancel_sweep(async |cancel: Cancel| {
        let world = World::new(&lab, settings(1, 50));
        let _lease = world.registry.register("users", "a");
        world.ill(&["a"]);
        let _ = world.client.call("users", "it").await;
        sleep(ms(50)).await;
        world.ill(&[]);
        let _ = cancel.drop_at(world.client.call("users", "it")).await;
        lab.settle().await;
        let why = "A call that probed was dropped. It must leave nothing behind: no request on its \
                   way, and no breaker that waits for its end.";
        lab.expect_eq(&world.calls.in_flight(), &0)
            .expected("no request is on its way")
            .why(why)
            .pitfall("leaked-task")
            .or_fail();
        let _ = world.tried();
        world
            .expect_call("a", Ok("a"), why, "cancellation-ignored")
            .await;
        lab.expect_no_tasks_left().await.why(why).or_fail();
    })
    .await;
}
