//! Hidden checks of day 3: guards, leases, cleanup in the background, shutdown.

use std::collections::HashMap;
use std::fmt::Display;
use std::num::{NonZeroUsize, ParseIntError};
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use exercise::{
    BoxFuture, CloseError, Lease, LeaseError, OpenError, Pool, Report, Server, Session, defer,
};
use kata_harness::{Call, Cancel, Lab, Probe, Service, SpanEnd, SpanGuard, Suite, ms};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("a guard acts however its scope ends", 1, every_way_out)
        .check("a disarmed guard does nothing", 1, disarmed)
        .task(2)
        .check("a lease opens a session and lends it", 1, lends_a_session)
        .check("the limit is kept, and used to the full", 2, limit)
        .check("slots are given first come, first served", 2, in_order)
        .check(
            "a failed open gives its error and frees the slot",
            1,
            failed_open,
        )
        .check("a panic in the holder frees the slot", 1, holder_panics)
        .check(
            "a lease dropped at any pending loses no slot",
            2,
            dropped_lease,
        )
        .check(
            "a waiter dropped after its wake-up passes the slot on",
            2,
            woken_and_dropped,
        )
        .task(3)
        .check(
            "a dropped lease is closed at once, in the background",
            2,
            background,
        )
        .check(
            "the slot stays taken until the close has ended",
            2,
            slot_until_closed,
        )
        .check(
            "panic, timeout and abort of the holder close the session",
            2,
            every_holder_closes,
        )
        .check(
            "a failed close frees the slot all the same",
            1,
            failed_close,
        )
        .task(4)
        .check(
            "shutdown waits for every lease and every close",
            2,
            shutdown_waits,
        )
        .check("a pool that is shut down gives no lease", 1, shut_is_shut)
        .check("shutdown wakes whoever waits for a slot", 2, wakes_waiters)
        .check(
            "a slot handed over as shutdown begins is refused or waited for",
            1,
            handed_over,
        )
        .check("every shutdown gets the same whole report", 2, same_report)
        .check(
            "a shutdown dropped at any pending changes nothing",
            2,
            dropped_shutdown,
        )
        .check("in a storm nothing is lost", 3, storm)
        .run()
}

// ------------------------------------------------------------- the server

/// A server in virtual time: it knows who is there and what was left behind.
struct Front {
    lab: Lab,
    limit: usize,
    opening: Service,
    closing: Service,
    desk: Mutex<Desk>,
}

/// What is known at the server's desk. A session's number is that of its `open`.
#[derive(Default)]
struct Desk {
    /// Places taken: from the start of `open` to the end of `close`.
    taken: usize,
    /// The most places ever taken at once.
    peak: usize,
    /// The first `open` that came when every place was taken.
    one_too_many: Option<usize>,
    /// Sessions opened, in that order.
    opened: Vec<usize>,
    /// What was sent in the sessions that were given to `close`, in that order.
    sent: Vec<Vec<String>>,
    held: HashMap<usize, SpanGuard>,
}

/// How a server behaves: latencies in milliseconds, and which sessions fail.
struct Plan {
    limit: usize,
    open: RangeInclusive<u64>,
    close: RangeInclusive<u64>,
    open_fails: fn(usize) -> bool,
    close_fails: fn(usize) -> bool,
}

/// A server for so many sessions, with these latencies, where nothing fails.
fn plan(limit: usize, open_ms: u64, close_ms: u64) -> Plan {
    Plan {
        limit,
        open: open_ms..=open_ms,
        close: close_ms..=close_ms,
        open_fails: |_| false,
        close_fails: |_| false,
    }
}

impl Plan {
    /// Latencies from nothing up to those that were planned.
    fn varied(self) -> Self {
        let (open, close) = (0..=*self.open.end(), 0..=*self.close.end());
        Self {
            open,
            close,
            ..self
        }
    }

    fn open_fails(self, open_fails: fn(usize) -> bool) -> Self {
        Self { open_fails, ..self }
    }

    fn close_fails(self, close_fails: fn(usize) -> bool) -> Self {
        Self {
            close_fails,
            ..self
        }
    }
}

/// A pool over a fresh server.
fn pool(lab: &Lab, plan: Plan) -> (Arc<Pool>, Arc<Front>) {
    let (open_fails, close_fails) = (plan.open_fails, plan.close_fails);
    let opening = lab.service("open").takes_between(plan.open);
    let closing = lab.service("close").takes_between(plan.close);
    let no_licence = move |id| open_fails(id).then(|| format!("no licence for session {id}"));
    let no_goodbye = move |id| close_fails(id).then(|| no_goodbye(id).message);
    let front = Arc::new(Front {
        lab: lab.clone(),
        limit: plan.limit,
        opening: opening
            .fails_with(move |call| no_licence(call.number))
            .build(),
        closing: closing
            .fails_with(move |call| no_goodbye(session(&call.label)))
            .build(),
        desk: Mutex::default(),
    });
    let limit = NonZeroUsize::new(plan.limit).expect("every plan has a slot");
    let pool = Pool::new(Arc::clone(&front) as Arc<dyn Server>, limit);
    (Arc::new(pool), front)
}

/// The session that a call of `close` was for.
fn session(label: &str) -> usize {
    let number = label.trim_start_matches("session ").parse();
    number.expect("the label of a close names its session")
}

fn no_goodbye(session: usize) -> CloseError {
    let message = "no goodbye".to_owned();
    CloseError { session, message }
}

fn report_of(closed: usize, failed: &[usize]) -> Report {
    let failed = failed.iter().copied().map(no_goodbye).collect();
    Report { closed, failed }
}

impl Front {
    fn desk<T>(&self, at: impl FnOnce(&mut Desk) -> T) -> T {
        at(&mut self.desk.lock().expect("nobody panics at the desk"))
    }

    /// The sessions whose `close` was started, and when.
    fn closes(&self) -> Vec<(usize, u64)> {
        let calls = self.closing.calls().into_iter();
        calls
            .map(|call| (session(&call.label), call.started_ms))
            .collect()
    }

    /// Sessions that were opened and never closed to the end.
    fn left_open(&self) -> Vec<usize> {
        let ended = |call: &Call| matches!(call.end, SpanEnd::Done | SpanEnd::Failed);
        let calls = self.closing.calls().into_iter().filter(ended);
        let closed: Vec<usize> = calls.map(|call| session(&call.label)).collect();
        let mut opened = self.desk(|desk| desk.opened.clone());
        opened.retain(|id| !closed.contains(id));
        opened
    }

    /// What is known of a session that was not closed.
    fn story(&self, id: usize) -> String {
        let opened_ms = self.opening.calls()[id].ended_ms.unwrap_or_default();
        let mut closes = self.closing.calls().into_iter();
        let fate = match closes.find(|call| session(&call.label) == id) {
            None => "no close was started".to_owned(),
            Some(close) => match close.ended_ms {
                None => format!("its close began at {} ms and still runs", close.started_ms),
                Some(at_ms) => format!(
                    "its close began at {} ms and was dropped at {at_ms} ms",
                    close.started_ms
                ),
            },
        };
        format!("Session {id} was opened at {opened_ms} ms; {fate}")
    }

    /// No more sessions at once than there are places.
    fn expect_room(&self, why: &str, pitfall: &str) {
        let (peak, one_too_many) = self.desk(|desk| (desk.peak, desk.one_too_many));
        let opened = one_too_many.map(|id| self.opening.calls().remove(id));
        let got = opened.as_ref().map_or_else(String::new, |open| {
            let place = open.location.location();
            let place = place.map_or_else(String::new, |place| {
                format!(", in {}:{}", place.file, place.line)
            });
            let at_ms = open.started_ms;
            format!("{peak} at once: one too many began to open at {at_ms} ms{place}")
        });
        let at = opened.map(|open| open.location);
        self.lab
            .expect(peak <= self.limit)
            .expected(format!(
                "at most {} at the server at once: the limit",
                self.limit
            ))
            .got(got)
            .why(why)
            .pitfall(pitfall)
            .at(at.unwrap_or_default())
            .or_fail();
    }

    /// Nothing that was opened is open still.
    fn expect_all_closed(&self, expected: &str, why: &str) {
        let open = self.left_open();
        let stories: Vec<String> = open.iter().take(3).map(|id| self.story(*id)).collect();
        let more = if open.len() > 3 { "; and more" } else { "" };
        self.lab
            .expect(open.is_empty())
            .expected(expected)
            .got(format!(
                "sessions still open at {} ms: {open:?}. {}{more}",
                self.lab.now_ms(),
                stories.join("; ")
            ))
            .why(why)
            .pitfall("cleanup-forgotten")
            .or_fail();
    }
}

/// A place at the server, taken: given back when dropped, unless it is kept.
struct Place<'a>(Option<&'a Front>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(front) = self.0 {
            front.desk(|desk| desk.taken -= 1);
        }
    }
}

impl Server for Front {
    fn open(&self) -> BoxFuture<'_, Result<Session, OpenError>> {
        Box::pin(async move {
            let mut place = Place(Some(self));
            self.desk(|desk| {
                desk.taken += 1;
                desk.peak = desk.peak.max(desk.taken);
                if desk.taken > self.limit {
                    desk.one_too_many.get_or_insert(self.opening.count());
                }
            });
            let opened = self.opening.call("open").await;
            let id = opened.map_err(|fault| OpenError(fault.message))?;
            place.0 = None;
            self.desk(|desk| {
                desk.opened.push(id);
                desk.held
                    .insert(id, self.lab.span(format!("held {id}"), "held"));
            });
            Ok(Session::new(id))
        })
    }

    fn close(&self, session: Session) -> BoxFuture<'_, Result<(), CloseError>> {
        Box::pin(async move {
            let id = session.id();
            self.desk(|desk| {
                if let Some(span) = desk.held.remove(&id) {
                    span.done();
                }
                desk.sent.push(session.sent().to_vec());
            });
            let closed = self.closing.call(format!("session {id}")).await;
            self.desk(|desk| desk.taken -= 1);
            closed.map(drop).map_err(|fault| CloseError {
                session: id,
                message: fault.message,
            })
        })
    }
}

// ---------------------------------------------------------------- helpers

/// How long a check waits for what must come before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// A lease from a pool that has a slot, at a server that is well.
async fn lease(pool: &Pool) -> Lease {
    match pool.lease().await {
        Ok(lease) => lease,
        Err(error) => panic!("no lease, though there is a slot: {error}"),
    }
}

/// A lease that must be given within a second; if it is not, `why` says why.
async fn lease_soon(lab: &Lab, pool: &Pool, why: &str, pitfall: &str) -> Lease {
    match timeout(PATIENCE, pool.lease()).await {
        Ok(Ok(lease)) => lease,
        other => {
            let got = other.map_or("still waiting for a slot after 1000 ms".into(), in_words);
            lab.expect(false)
                .expected("a lease: a slot is free again")
                .got(got)
                .why(why)
                .pitfall(pitfall)
                .or_fail();
            unreachable!("a failed expectation ends the check")
        }
    }
}

/// A lease that must be refused at once.
async fn refused(lab: &Lab, pool: &Pool, why: &str) {
    let asked_ms = lab.now_ms();
    let outcome = timeout(PATIENCE, pool.lease()).await;
    let took_ms = lab.now_ms() - asked_ms;
    lab.expect(matches!(outcome, Ok(Err(LeaseError::Closed))) && took_ms == 0)
        .expected("LeaseError::Closed after 0 ms")
        .got(match outcome {
            Ok(outcome) => format!("{} after {took_ms} ms", in_words(outcome)),
            Err(_) => "still waiting for a slot after 1000 ms".to_owned(),
        })
        .why(why)
        .pitfall("cleanup-forgotten")
        .or_fail();
}

fn in_words(outcome: Result<Lease, LeaseError>) -> String {
    match outcome {
        Ok(lease) => format!("a lease on session {}", lease.id()),
        Err(LeaseError::Closed) => "LeaseError::Closed".to_owned(),
        Err(LeaseError::Open(error)) => format!("LeaseError::Open({:?})", error.0),
    }
}

/// A user in a task of its own, who holds a lease for so many milliseconds.
fn hold(pool: &Arc<Pool>, hold_ms: u64) -> JoinHandle<()> {
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        let _lease = lease(&pool).await;
        sleep(ms(hold_ms)).await;
    })
}

/// Drops a lease after so many milliseconds, in a task of its own.
fn drop_after(lease: Lease, delay_ms: u64) -> JoinHandle<()> {
    tokio::spawn(async move {
        sleep(ms(delay_ms)).await;
        drop(lease);
    })
}

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// A panic that is part of the check: it unwinds like any other, and prints nothing.
fn panics_as_planned() {
    resume_unwind(Box::new("planned by the check"));
}

/// Polls a future, at this instant, until it is ready or nothing goes on.
async fn ready_now<F: Future>(lab: &Lab, probe: &mut Probe<F>) -> Option<F::Output> {
    for _ in 0..8 {
        if let Poll::Ready(output) = probe.poll() {
            return Some(output);
        }
        lab.settle().await;
    }
    None
}

// ----------------------------------------------------------------- task 1

async fn every_way_out(lab: Lab) {
    fn early_return(lab: &Lab) -> Result<u32, ParseIntError> {
        let _guard = defer(|| lab.log("left by ?"));
        let number: u32 = "seven".parse()?;
        Ok(number)
    }

    {
        let _guard = defer(|| lab.log("left at the end"));
        lab.log("inside");
    }
    let _ = early_return(&lab);
    let own = lab.clone();
    let panicking = tokio::spawn(async move {
        let _guard = defer(|| own.log("left by panic"));
        panics_as_planned();
    });
    let _ = panicking.await;
    let cancelled = async {
        let _guard = defer(|| lab.log("left by timeout"));
        sleep(ms(300)).await;
        lab.log("slept to the end");
    };
    let _ = timeout(ms(100), cancelled).await;

    let expected = [
        (0, "inside"),
        (0, "left at the end"),
        (0, "left by ?"),
        (0, "left by panic"),
        (100, "left by timeout"),
    ];
    let events = lab.events();
    let got = events.iter().map(|(at_ms, event)| (*at_ms, event.as_str()));
    lab.expect(got.eq(expected))
        .expected(time_line(expected))
        .got(time_line(events))
        .why("The action runs in `drop`, and nowhere else: once, on every way out of a scope.")
        .pitfall("cleanup-forgotten")
        .or_fail();
}

async fn disarmed(lab: Lab) {
    let captured = Arc::new(());
    let kept = Arc::clone(&captured);
    {
        let _first = defer(|| lab.log("first acts"));
        let second = defer(|| {
            lab.log("second acts");
            drop(kept);
        });
        let _third = defer(|| lab.log("third acts"));
        second.disarm();
        lab.log("second is disarmed");
    }

    let expected = ["second is disarmed", "third acts", "first acts"];
    let events = lab.events();
    lab.expect(events.iter().map(|(_, event)| event).eq(expected))
        .expected(time_line(expected.map(|event| (0, event))))
        .got(time_line(events))
        .why("`disarm` takes the guard by value, so the guard is dropped there too: without its action.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect(Arc::strong_count(&captured) == 1)
        .expected("the disarmed action is dropped, and all that it captured")
        .got("what the action captured is never dropped")
        .why("A value that is forgotten is not dropped: neither are its fields.")
        .pitfall("leaked-resource")
        .or_fail();
}

fn time_line<E: Display>(events: impl IntoIterator<Item = (u64, E)>) -> String {
    let events = events.into_iter();
    let drawn: Vec<String> = events
        .map(|(at_ms, event)| format!("{event} @{at_ms}"))
        .collect();
    drawn.join(", ")
}

// ----------------------------------------------------------------- task 2

async fn lends_a_session(lab: Lab) {
    let (pool, front) = pool(&lab, plan(1, 30, 0));
    sleep(ms(10)).await;
    lab.expect_eq(&front.opening.count(), &0)
        .expected("no session is opened before the first lease")
        .why("A pool that nobody has leased from has nothing to open.")
        .pitfall("wrong-result")
        .or_fail();

    let (mut lease, took) = lab.timed(lease(&pool)).await;
    lease.send("hello");
    lease.send("again");
    lab.expect_took(took, 30)
        .why("With a slot free, a lease takes as long as the server's `open`, and no longer.")
        .pitfall("sequential-awaits")
        .or_fail();
    lab.expect_eq(
        &(lease.id(), lease.sent()),
        &(0, &["hello".into(), "again".into()][..]),
    )
    .expected("the lease is session 0, which sent \"hello\" and \"again\"")
    .why("The lease stands for the very session that the server opened for it.")
    .pitfall("wrong-result")
    .or_fail();
}

async fn limit(lab: Lab) {
    let limit = usize::try_from(lab.pick(1..=4)).expect("a small number");
    let plan = plan(limit, 20, 0);
    let (pool, front) = pool(&lab, plan);
    let users: Vec<_> = (0..12)
        .map(|_| {
            let (lab, pool) = (lab.clone(), Arc::clone(&pool));
            tokio::spawn(async move {
                let _lease = lease(&pool).await;
                sleep(ms(80)).await;
                lab.now_ms()
            })
        })
        .collect();
    let mut returned_ms = Vec::new();
    for user in users {
        returned_ms.push(joined(user).await);
    }
    returned_ms.sort_unstable();

    // From its `limit`th on, every open has to wait for a lease to come back.
    for (open, returned_ms) in front.opening.calls().iter().skip(limit).zip(&returned_ms) {
        let at_ms = open.started_ms;
        lab.expect(at_ms >= *returned_ms)
            .expected(format!(
                "at most {limit} sessions at once, opening or on loan"
            ))
            .got(format!("{} at {at_ms} ms", limit + 1))
            .why(
                "A slot has to be taken before `open`, and in one step: where looking and taking \
                 are apart, with an await between them, others look meanwhile.",
            )
            .pitfall("shared-state-race")
            .at(open.location.clone())
            .or_fail();
    }
    lab.expect_took(lab.now(), 1200 / limit as u64)
        .expected(format!(
            "{} ms: 12 users, {limit} at a time, each opens for 20 ms and holds for 80 ms",
            1200 / limit
        ))
        .why("A slot stood empty while somebody waited for one.")
        .pitfall("lock-across-await")
        .or_fail();
}

async fn in_order(lab: Lab) {
    let (pool_in_use, _front) = pool(&lab, plan(1, 0, 0));
    let served: Arc<Mutex<Vec<usize>>> = Arc::default();
    let mut users = Vec::new();
    for user in 0..6 {
        let (pool, served) = (Arc::clone(&pool_in_use), Arc::clone(&served));
        users.push(tokio::spawn(async move {
            let _lease = lease(&pool).await;
            served.lock().expect("never poisoned").push(user);
            sleep(ms(20)).await;
        }));
        lab.settle().await;
    }
    sleep(ms(10)).await;
    users.remove(2).abort();
    sleep(ms(190)).await;
    let served = served.lock().expect("never poisoned").clone();
    lab.expect_eq(&served, &vec![0, 1, 3, 4, 5])
        .expected("[0, 1, 3, 4, 5]: in the order in which they came; user 2 gave up")
        .why("A slot that becomes free belongs to whoever has waited longest, and still waits.")
        .pitfall("shared-state-race")
        .or_fail();

    let (pool, _front) = pool(&lab, plan(1, 0, 0));
    let holder = lease(&pool).await;
    let mut waiter = lab.probe(pool.lease());
    expect_waiting(&lab, &waiter.poll());
    drop(holder);
    lab.settle().await;
    let mut newcomer = lab.probe(pool.lease());
    let barged = ready_now(&lab, &mut newcomer).await.is_some();
    let served = ready_now(&lab, &mut waiter).await.is_some();
    lab.expect(!barged && served)
        .expected("the waiter gets the slot; one who comes after it was freed waits")
        .got(match (barged, served) {
            (true, _) => "the newcomer got the slot before the waiter could run",
            (false, _) => "neither of them gets the slot",
        })
        .why(
            "A slot that is put back for anybody to take goes to whoever looks first. \
             It has to be handed to the waiter.",
        )
        .pitfall("shared-state-race")
        .or_fail();
}

async fn failed_open(lab: Lab) {
    let (pool, _front) = pool(&lab, plan(1, 30, 0).open_fails(|id| id == 0));
    let first = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { in_words(pool.lease().await) })
    };
    lab.settle().await;
    let second = {
        let (lab, pool) = (lab.clone(), Arc::clone(&pool));
        let why = "The slot was taken before `open`, and the way out by `?` does not free it.";
        tokio::spawn(async move {
            let _lease = lease_soon(&lab, &pool, why, "leaked-resource").await;
            lab.now()
        })
    };
    let error = OpenError("no licence for session 0".to_owned());
    lab.expect_eq(&joined(first).await, &in_words(Err(error.into())))
        .why("The caller has to learn why there is no session, in the server's own words.")
        .pitfall("swallowed-error")
        .or_fail();
    lab.expect_took(joined(second).await, 60)
        .expected("60 ms: the first open fails after 30 ms, the next takes 30 ms")
        .why("The slot is free as soon as `open` has failed, and goes to who waits for it.")
        .pitfall("leaked-resource")
        .or_fail();
}

async fn holder_panics(lab: Lab) {
    let (pool, _front) = pool(&lab, plan(1, 0, 0));
    let own = Arc::clone(&pool);
    let holder = tokio::spawn(async move {
        let _lease = lease(&own).await;
        sleep(ms(50)).await;
        panics_as_planned();
    });
    lab.settle().await;
    let mut waiter = lab.probe(pool.lease());
    expect_waiting(&lab, &waiter.poll());
    let _ = holder.await;
    let given = ready_now(&lab, &mut waiter).await;
    lab.expect(matches!(given, Some(Ok(_))))
        .expected("the waiter gets the slot when the holder has panicked")
        .got(given.map_or("it still waits".to_owned(), in_words))
        .why("A panic drops the holder's locals, the lease among them. The slot was not in it.")
        .pitfall("leaked-resource")
        .or_fail();
}

async fn dropped_lease(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let (pool, front) = pool(&lab, plan(1, 10, 0));
        let holder = hold(&pool, 20);
        lab.settle().await;
        let given = cancel.drop_at(pool.lease()).await;
        if cancel.round() == 0 {
            lab.expect_eq(&front.opening.count(), &1)
                .expected("`lease` waits for a slot before it opens a session")
                .got("`lease` opened a session beside the one that has the slot")
                .why("More sessions were opened than the pool has slots.")
                .pitfall("unbounded-concurrency")
                .or_fail();
        }
        drop(given);
        joined(holder).await;
        let why = "A `lease` that was dropped on its way took a slot, or its turn, with it. \
                   From the moment it is taken a slot must belong to something with a `Drop`.";
        let _lease = lease_soon(&lab, &pool, why, "cancellation-ignored").await;
    })
    .await;
}

async fn woken_and_dropped(lab: Lab) {
    let (pool, _front) = pool(&lab, plan(1, 0, 0));
    let holder = lease(&pool).await;
    let mut first = lab.probe(pool.lease());
    expect_waiting(&lab, &first.poll());
    let why = "The slot was given to a waiter, which was dropped before it ran again. \
               What is on its way to somebody needs an owner, too.";
    let second = {
        let (lab, pool) = (lab.clone(), Arc::clone(&pool));
        tokio::spawn(async move { drop(lease_soon(&lab, &pool, why, "lost-wakeup").await) })
    };
    lab.settle().await;
    drop(holder);
    lab.settle().await;
    drop(first);
    joined(second).await;
    let _lease = lease_soon(&lab, &pool, why, "lost-wakeup").await;
}

fn expect_waiting<T>(lab: &Lab, poll: &Poll<T>) {
    lab.expect(poll.is_pending())
        .expected("`lease` waits: the only slot is taken")
        .got("`lease` was ready at its first poll")
        .why("More leases were given than the pool has slots.")
        .pitfall("unbounded-concurrency")
        .or_fail();
}

// ----------------------------------------------------------------- task 3

async fn background(lab: Lab) {
    let plan = plan(1, 10, 50);
    let (pool, front) = pool(&lab, plan);
    let mut lease = lease(&pool).await;
    lease.send("hello");
    sleep(ms(20)).await;
    drop(lease);
    lab.settle().await;
    let closes = front.closes();
    lab.expect_eq(&closes, &vec![(0, 30)])
        .expected("the close of session 0 starts at 30 ms, when its lease is dropped")
        .got(match closes.is_empty() {
            true => "no close was started".to_owned(),
            false => format!("closes started, as (session, ms): {closes:?}"),
        })
        .why("Nobody but `drop` knows that the holder is done: it has to set the close going.")
        .pitfall("cleanup-forgotten")
        .or_fail();

    sleep(ms(50)).await;
    lab.settle().await;
    let close = front.closing.calls().remove(0);
    lab.expect_eq(&(close.end, close.ended_ms), &(SpanEnd::Done, Some(80)))
        .expected("the close that was started at 30 ms is done at 80 ms")
        .got(match close.ended_ms {
            Some(at_ms) => format!("{:?} at {at_ms} ms", close.end),
            None => "it still runs at 80 ms".to_owned(),
        })
        .why("A future only goes on while somebody keeps it and polls it.")
        .pitfall("forgotten-await")
        .at(close.location)
        .or_fail();
    lab.expect_eq(
        &front.desk(|desk| desk.sent.clone()),
        &vec![vec!["hello".to_owned()]],
    )
    .expected("the session that is closed is the one the holder used")
    .why("The session itself moves from the lease into its close.")
    .pitfall("wrong-result")
    .or_fail();
}

async fn slot_until_closed(lab: Lab) {
    let plan = plan(1, 10, 50);
    let (pool, front) = pool(&lab, plan);
    let holder = hold(&pool, 20);
    lab.settle().await;
    let (_lease, took) = lab.timed(lease(&pool)).await;
    front.expect_room(
        "The slot went free with the lease. A session keeps its place at the server until its \
         close has ended, so the slot has to stay with it.",
        "cleanup-forgotten",
    );
    lab.expect_took(took, 90)
        .expected("90 ms: open 10, held 20, close 50, and the next open 10")
        .why("The slot goes to the next in the queue when the close has ended.")
        .pitfall("leaked-resource")
        .or_fail();
    joined(holder).await;
}

async fn every_holder_closes(lab: Lab) {
    let plan = plan(3, 10, 20);
    let (pool, front) = pool(&lab, plan);
    let user = |panic_at: Option<u64>| {
        let pool = Arc::clone(&pool);
        async move {
            let _lease = lease(&pool).await;
            sleep(ms(panic_at.unwrap_or(10_000))).await;
            panics_as_planned();
        }
    };
    let panicking = tokio::spawn(user(Some(20)));
    lab.settle().await;
    let timed_out = tokio::spawn(timeout(ms(40), user(None)));
    lab.settle().await;
    let aborted = tokio::spawn(user(None));
    sleep(ms(50)).await;
    aborted.abort();
    sleep(ms(50)).await;
    drop((panicking.await, timed_out.await, aborted.await));

    let closes = front.closes();
    lab.expect_eq(&closes, &vec![(0, 30), (1, 40), (2, 50)])
        .expected("closes at 30 ms (panic), 40 ms (timeout) and 50 ms (abort)")
        .got(format!("closes started, as (session, ms): {closes:?}"))
        .why(
            "Each of the three drops the lease at that instant, and runs no other line of its \
             holder. The close starts with the drop, and waits for no other close.",
        )
        .pitfall("cancellation-ignored")
        .or_fail();
    let why = "The close has to live apart from the holder, whose task is over.";
    front.expect_all_closed("all three closed by 70 ms", why);
}

async fn failed_close(lab: Lab) {
    let plan = plan(1, 0, 10).close_fails(|_| true);
    let (pool, _front) = pool(&lab, plan);
    drop(lease(&pool).await);
    let why = "The close failed, and its way out by error does not free the slot.";
    let (_lease, took) = lab
        .timed(lease_soon(&lab, &pool, why, "leaked-resource"))
        .await;
    lab.expect_took(took, 10)
        .expected("the next lease after 10 ms, when the failed close has ended")
        .why("The slot is to be free when `close` has ended, well or badly: not before, not later.")
        .pitfall("cleanup-forgotten")
        .or_fail();
}

// ----------------------------------------------------------------- task 4

async fn shutdown_waits(lab: Lab) {
    let plan = plan(3, 20, 50);
    let (pool, front) = pool(&lab, plan);
    let held = drop_after(lease(&pool).await, 80);
    let opening = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let outcome = pool.lease().await;
            sleep(ms(105)).await;
            in_words(outcome)
        })
    };
    sleep(ms(10)).await;
    let (report, took) = lab.timed(pool.shutdown()).await;
    let why = "`shutdown` returned before all was over. Whoever ends the program now ends \
               the holders, and the closes that still run, in the middle.";
    front.expect_all_closed("when shutdown returns, every session is closed", why);
    joined(held).await;
    let opening = joined(opening).await;
    lab.expect(opening == "a lease on session 1")
        .expected("the lease that was opening when shutdown began is given")
        .got(opening)
        .why("It had its slot already. Shutdown refuses those who have none, and waits for the rest.")
        .pitfall("cancellation-ignored")
        .or_fail();
    lab.expect_took(took, 165)
        .expected("165 ms: the last lease is dropped after 115 ms, and its close takes 50 ms")
        .why(
            "A close starts when its lease is dropped, whatever else is being closed. After the \
             last of them there is nothing left to wait for.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    lab.expect_eq(&report, &report_of(2, &[]))
        .why("Two sessions were opened, and both were closed in good order.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("What the pool spawned has to end before `shutdown` returns.")
        .or_fail();
}

async fn shut_is_shut(lab: Lab) {
    let (idle, front) = pool(&lab, plan(2, 0, 0));
    let (report, took) = lab.timed(idle.shutdown()).await;
    lab.expect_took(took, 0)
        .why("Nothing was ever opened, so there is nothing to wait for.")
        .pitfall("never-ends")
        .or_fail();
    lab.expect_eq(&report, &Report::default())
        .why("Nothing was ever opened.")
        .pitfall("wrong-result")
        .or_fail();
    refused(&lab, &idle, "The pool was shut down, and has to say so.").await;
    lab.expect_eq(&front.opening.count(), &0)
        .expected("no session is opened after shutdown")
        .why("The pool has to be asked whether it is shut before the server is asked to open.")
        .pitfall("wrong-result")
        .or_fail();

    let (busy, _front) = pool(&lab, plan(2, 0, 0));
    let held = drop_after(lease(&busy).await, 100);
    let shutdown = {
        let pool = Arc::clone(&busy);
        tokio::spawn(async move { pool.shutdown().await })
    };
    sleep(ms(10)).await;
    let why = "`shutdown` waits for a lease. While it does so a second slot is free, but nobody \
               may have it: a pool that goes on lending may never come to its end.";
    refused(&lab, &busy, why).await;
    joined(held).await;
    joined(shutdown).await;
}

async fn wakes_waiters(lab: Lab) {
    let (pool, _front) = pool(&lab, plan(1, 0, 0));
    let held = drop_after(lease(&pool).await, 100);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (lab, pool) = (lab.clone(), Arc::clone(&pool));
            tokio::spawn(async move {
                let outcome = timeout(PATIENCE, pool.lease()).await;
                let outcome = outcome.map_or("still waiting".into(), in_words);
                format!("{outcome} @{}", lab.now_ms())
            })
        })
        .collect();
    sleep(ms(50)).await;
    let shutdown = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.shutdown().await })
    };
    let mut got = Vec::new();
    for waiter in waiters {
        got.push(joined(waiter).await);
    }
    lab.expect(got.iter().all(|got| got == "LeaseError::Closed @50"))
        .expected("all three waiters: LeaseError::Closed @50, when shutdown begins")
        .got(got.join(", "))
        .why(
            "The three came before the pool was shut, and sleep. Shutdown has to wake them all: \
             no slot is theirs any more.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
    joined(held).await;
    joined(shutdown).await;
}

/// One session is closed at 20 ms, its slot is handed to a waiter, and before that one runs
/// shutdown begins. The waiter may then get the lease or `Closed`, or be dropped.
async fn handed_over(lab: Lab) {
    for dropped in [false, true] {
        let plan = plan(1, 0, 20);
        let (pool, front) = pool(&lab, plan);
        let holder = lease(&pool).await;
        let mut waiter = lab.probe(pool.lease());
        expect_waiting(&lab, &waiter.poll());
        drop(holder);
        sleep(ms(20)).await;
        lab.settle().await;
        let mut shutdown = lab.probe(pool.shutdown());
        let early = ready_now(&lab, &mut shutdown).await;
        let outcome = if dropped {
            drop(waiter);
            None
        } else {
            ready_now(&lab, &mut waiter).await
        };
        if early.is_some() {
            lab.expect(front.opening.count() == 1)
                .expected("when shutdown has returned, nothing is opened any more")
                .got("a session was opened after shutdown had returned its report")
                .why(
                    "A slot went free, and was handed to the longest waiter. Before that one ran, \
                     shutdown began, and saw nobody: what is on its way to a waiter has to count \
                     from the moment at which it is handed over. (Or else the waiter has to see, \
                     when it runs, that the pool was shut meanwhile.)",
                )
                .pitfall("cleanup-forgotten")
                .or_fail();
        }
        let mut closed = 1;
        match outcome {
            None if dropped => {}
            Some(Err(LeaseError::Closed)) => {}
            Some(Ok(lease)) => {
                closed = 2;
                sleep(ms(30)).await;
                drop(lease);
                let soon = ready_now(&lab, &mut shutdown).await;
                lab.expect(soon.is_none())
                    .expected("shutdown waits for the close of the lease that was given last")
                    .got("it returns while the session is being closed")
                    .why("Who gets a lease is waited for, however late they got it.")
                    .pitfall("cleanup-forgotten")
                    .or_fail();
                sleep(ms(20)).await;
                lab.settle().await;
            }
            other => lab
                .expect(false)
                .expected("the waiter gets the lease, or LeaseError::Closed")
                .got(other.map_or("it still waits".to_owned(), in_words))
                .why(
                    "It was handed a slot just before shutdown began. Whatever shutdown does to \
                     those who wait, this one must not be left asleep.",
                )
                .pitfall("lost-wakeup")
                .or_fail(),
        }
        let report = match early {
            Some(report) => Some(report),
            None => ready_now(&lab, &mut shutdown).await,
        };
        let after = if dropped {
            "the waiter is dropped"
        } else {
            "the waiter has had its answer and every close has ended"
        };
        lab.expect(report.is_some())
            .expected(format!("shutdown returns when {after}"))
            .got("it still waits")
            .why(
                "A slot went free, and was handed to the longest waiter just before shutdown \
                 began. However that waiter ends, its slot comes back, and nothing is out.",
            )
            .pitfall("leaked-resource")
            .or_fail();
        lab.expect_eq(&report.unwrap_or_default(), &report_of(closed, &[]))
            .why("Every session that was opened was closed in good order, and counts once.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

async fn same_report(lab: Lab) {
    let plan = plan(3, 0, 30).close_fails(|id| id > 0);
    let (pool, _front) = pool(&lab, plan);
    let held = [20, 40, 30].map(async |delay_ms| drop_after(lease(&pool).await, delay_ms));
    let mut holders = Vec::new();
    for held in held {
        holders.push(held.await);
    }
    let mut shutdowns = Vec::new();
    for _ in 0..2 {
        let (lab, pool) = (lab.clone(), Arc::clone(&pool));
        shutdowns.push(tokio::spawn(async move {
            (pool.shutdown().await, lab.now_ms())
        }));
        sleep(ms(10)).await;
    }
    let mut got = Vec::new();
    for shutdown in shutdowns {
        got.push(joined(shutdown).await);
    }
    got.push((pool.shutdown().await, lab.now_ms()));
    for holder in holders {
        joined(holder).await;
    }

    let report = report_of(1, &[2, 1]);
    for (call, (got, at_ms)) in ["first", "second", "third"].iter().zip(got) {
        lab.expect_eq(&at_ms, &70)
            .expected(format!(
                "the {call} call returns at 70 ms, with the last close"
            ))
            .got(format!("it returns at {at_ms} ms"))
            .why("The report is whole when sessions 0, 2 and 1 are closed, at 50, 60 and 70 ms.")
            .pitfall("cleanup-forgotten")
            .or_fail();
        lab.expect_eq(&got, &report)
            .why(format!(
                "This is what the {call} call got. Every close counts once, in `closed` or with \
                 its error in `failed`, and every call gets all of it.",
            ))
            .pitfall("swallowed-error")
            .or_fail();
    }
}

async fn dropped_shutdown(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let plan = plan(2, 0, 30);
        let (pool, front) = pool(&lab, plan);
        let first = drop_after(lease(&pool).await, 20);
        let second = drop_after(lease(&pool).await, 40);
        let _ = cancel.drop_at(pool.shutdown()).await;
        refused(&lab, &pool, "A pool that began to shut down stays shut.").await;
        let report = pool.shutdown().await;
        let why = "This call did not wait for what the one before it waited for. What shutdown waits \
                   for, and what it has learned, has to stay with the pool.";
        front.expect_all_closed("the next shutdown does the waiting", why);
        lab.expect_eq(
            &report,
            &report_of(2, &[]),
        )
        .why(why)
        .pitfall("cancellation-ignored")
        .or_fail();
        joined(first).await;
        joined(second).await;
    })
    .await;
}

async fn storm(lab: Lab) {
    let plan = plan(3, 30, 30)
        .varied()
        .open_fails(|id| id % 5 == 3)
        .close_fails(|id| id % 4 == 2);
    let (pool, front) = pool(&lab, plan);
    let users: Vec<_> = (0..24)
        .map(|_| {
            let pool = Arc::clone(&pool);
            let (arrives, patience, holds) =
                (lab.pick(0..=150), lab.pick(1..=200), lab.pick(0..=40));
            let panics = lab.pick(0..=3) == 0;
            tokio::spawn(async move {
                sleep(ms(arrives)).await;
                timeout(ms(patience), async {
                    let _lease = pool.lease().await?;
                    sleep(ms(holds)).await;
                    if panics {
                        panics_as_planned();
                    }
                    Ok::<(), LeaseError>(())
                })
                .await
            })
        })
        .collect();
    sleep(ms(lab.pick(50..=250))).await;
    let report = pool.shutdown().await;

    let why = "Users come, give up, fail and panic, and in the midst of it the pool is shut down. \
               Somewhere on one of these ways a session has no owner.";
    front.expect_all_closed("when shutdown returns, every session is closed", why);
    front.expect_room(
        "Somewhere on one of these ways a slot is free before its session is closed.",
        "unbounded-concurrency",
    );
    let opened = front.desk(|desk| desk.opened.clone());
    lab.expect(!opened.is_empty())
        .expected("users who come before shutdown get their sessions")
        .got("no session was ever opened")
        .why("Only shutdown may refuse a lease.")
        .pitfall("wrong-result")
        .or_fail();
    let mut failed: Vec<_> = report.failed.iter().map(|error| error.session).collect();
    failed.sort_unstable();
    let mut expected = opened.clone();
    expected.retain(|id| id % 4 == 2);
    expected.sort_unstable();
    lab.expect_eq(
        &(report.closed, failed),
        &(opened.len() - expected.len(), expected),
    )
    .why("The report has to count every close once. Drawn: (closed, sessions that failed).")
    .pitfall("swallowed-error")
    .or_fail();
    for user in users {
        let _ = user.await;
    }
    lab.expect_no_tasks_left()
        .await
        .why("All users are gone and the pool is shut down.")
        .or_fail();
}
