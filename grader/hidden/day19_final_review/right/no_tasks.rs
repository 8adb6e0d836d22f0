//! No task anywhere: futures in one future, cancelled by being dropped.

mod given;
pub use given::*;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use futures::stream::{self, FuturesUnordered, Stream, StreamExt, TryStreamExt};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

// ------------------------------------------------- Task 1: predict

// What does the code note, and when? Answer with all events in their order, as
// in `"begin@0 end@250"`: name, `@`, milliseconds; a space in between.

/// Question 1: what does [`q1`] note?
pub fn answer_1() -> &'static str {
    "list@0 milk@20 got@50 home@50"
}

/// Question 2: what does [`q2`] note?
pub fn answer_2() -> &'static str {
    "mixed@90 joined@170 sleeps@270"
}

/// Question 4: what does [`q4`] note?
pub fn answer_4() -> &'static str {
    "key@120 inside@120 lamp@300 coat@300 late@300 gone@350"
}

/// Question 6: what does [`q6`] note?
pub fn answer_6() -> &'static str {
    "late@50 lent@120 bell@120 well@120 late@150 given@190 bell@190 end@250"
}

/// Question 7: what does [`q7`] note?
pub fn answer_7() -> &'static str {
    "begin@0 begin@10 quick@20 ticket@20 lamp@20 aborted@30 well@30 lamp@30 voucher@30 cut@30 \
     coupon@30 end@45"
}

/// Question 8: what does [`q8`] note?
pub fn answer_8() -> &'static str {
    "cold@90 look@90 cold@180 look@180 first@180 look@270 cake@300 off@300 second@300"
}

/// Question 12: what does [`q12`] note?
pub fn answer_12() -> &'static str {
    "try@0 try@70 try@240 try@660 try@1080 gave_up@1100"
}

/// Question 15: what does [`q15`] note with `Burst`, with `Delay` and with
/// `Skip`?
pub fn answer_15() -> [&'static str; 3] {
    [
        "stall@0 tick@200 tick@200 tick@240 tick@320",
        "stall@0 tick@200 tick@280 tick@360 tick@440",
        "stall@0 tick@200 tick@240 tick@320 tick@400",
    ]
}

/// Question 16: what does [`q16`] note, in virtual time?
pub fn answer_16() -> &'static str {
    "begin@5 slept@5 job@5 timer@15 well@15"
}

// ------------------------------------------------- Task 2: spot

/// Question 3: the first letter that is no advertisement; `None` if none comes.
///
/// Advertisements that are there already do not hold it up.
pub struct FirstLetter {
    letters: UnboundedReceiver<String>,
    thrown_away: u32,
}

impl FirstLetter {
    /// Waits for what comes out of this channel.
    pub fn new(letters: UnboundedReceiver<String>) -> Self {
        let thrown_away = 0;
        Self {
            letters,
            thrown_away,
        }
    }
}

impl Future for FirstLetter {
    type Output = Option<String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<String>> {
        match self.letters.poll_recv(cx) {
            Poll::Ready(Some(letter)) if letter.starts_with("ad:") => {
                self.thrown_away += 1;
                cx.waker().wake_by_ref(); // poll me again, there may be more
                Poll::Pending
            }
            poll => poll,
        }
    }
}

/// Question 3: the number of the line, in the README's listing, that breaks the
/// promise of a future.
pub fn answer_3() -> u32 {
    11
}

/// Question 9: makes pairs of what comes in, and beats meanwhile, until there is
/// nothing more to come.
///
/// A last number without another one is left out.
pub async fn pair_up(mut from: Receiver<u32>, to: UnboundedSender<(u32, u32)>, beat: fn()) {
    let mut beats = interval(Duration::from_millis(40));
    let pairing = async {
        while let (Some(first), Some(second)) = (from.recv().await, from.recv().await) {
            let _ = to.send((first, second));
        }
    };
    // By reference: a beat does not drop it.
    let mut pairing = pin!(pairing);
    loop {
        tokio::select! {
            _ = beats.tick() => beat(),
            () = &mut pairing => return,
        }
    }
}

/// Question 9: the number of the line, in the README's listing, at whose
/// `.await` a number is lost.
pub fn answer_9() -> u32 {
    18
}

/// Question 10: a bank.
#[derive(Debug)]
pub struct Bank {
    sums: Mutex<Vec<u32>>,
}

impl Bank {
    pub fn new(accounts: usize, sum: u32) -> Self {
        let sums = Mutex::new(vec![sum; accounts]);
        Self { sums }
    }

    async fn write_slip(&self) {
        sleep(Duration::from_millis(10)).await;
    }

    pub async fn transfer(&self, from: usize, to: usize, amount: u32) {
        self.write_slip().await;
        let mut sums = self.sums.lock().await;
        sums[from] -= amount;
        sums[to] += amount;
    }

    pub async fn sums(&self) -> Vec<u32> {
        self.sums.lock().await.clone()
    }
}

/// Question 10: the number of the line, in the README's listing, at which both
/// of them wait.
pub fn answer_10() -> u32 {
    4
}

/// Question 14: moves `amount` from one account to another, all of it or nothing.
///
/// # Errors
/// What the database says; nothing has been moved then.
pub async fn book(db: &Db, from: &str, to: &str, amount: i64) -> Result<(), DbError> {
    db.begin().await?;
    let undo = DropGuard(Some(|| db.rollback()));
    db.add(from, -amount).await?;
    db.add(to, amount).await?;
    db.commit().await?;
    undo.defuse();
    Ok(())
}

struct DropGuard<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> DropGuard<F> {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for DropGuard<F> {
    fn drop(&mut self) {
        if let Some(undo) = self.0.take() {
            undo();
        }
    }
}

/// Question 14: the number of the line, in the README's listing, that a caller
/// who leaves jumps over.
pub fn answer_14() -> u32 {
    12
}

// ------------------------------------------------- Task 3: complete

/// Question 5: every value of the meter, page by page; an error comes once, and
/// then the end.
pub fn readings(meter: &dyn Meter) -> impl Stream<Item = Result<u32, Broken>> {
    let pages = stream::try_unfold(Some(0), move |next: Option<u64>| async move {
        let Some(mark) = next else { return Ok(None) };
        let page = meter.page(mark).await?;
        Ok(Some((page.values, page.next)))
    });
    pages
        .map_ok(|values| stream::iter(values.into_iter().map(Ok)))
        .try_flatten()
}

/// Question 11: runs all jobs, `limit` of them at a time, each as soon as there
/// is room. The results keep the order of the jobs.
pub async fn in_a_window(limit: usize, jobs: Vec<BoxFuture<'_, u32>>) -> Vec<u32> {
    let mut results = vec![0; jobs.len()];
    let mut waiting = jobs.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < limit
            && let Some((index, job)) = waiting.next()
        {
            running.push(job.map(move |result| (index, result)));
        }
        match running.next().await {
            Some((index, result)) => results[index] = result,
            None => return results,
        }
    }
}

/// Question 13: a layer that answers 408 for whatever takes too long.
#[derive(Debug, Clone)]
pub struct DeadlineLayer {
    limit: Duration,
}

impl DeadlineLayer {
    /// A layer that allows `limit` for each answer.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        let limit = self.limit;
        Deadline { inner, limit }
    }
}

/// The service of [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
    limit: Duration,
}

impl<S> Service<Request> for Deadline<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (answer, limit) = (self.inner.call(request), sleep(self.limit));
        Box::pin(async move {
            tokio::select! {
                answer = answer => answer,
                () = limit => {
                    let (status, body) = (408, String::new());
                    Ok(Response { status, body })
                }
            }
        })
    }
}

/// Question 17: a test for lamps of every make: it panics if one does not keep
/// the rules of [`Lamp`]. Time is paused.
///
/// # Panics
/// If a lamp is on when it should be off, or off when it should be on.
pub async fn test_lamp(make: &dyn Fn() -> Box<dyn Lamp>) {
    let tick = Duration::from_millis(1);
    let hundred = Duration::from_millis(100);
    let mut lamp = make();
    sleep(hundred).await;
    assert!(!lamp.is_on());

    let mut lamp = make();
    lamp.touch();
    sleep(hundred).await;
    assert!(!lamp.is_on());

    let mut lamp = make();
    lamp.touch();
    sleep(hundred - tick).await;
    assert!(lamp.is_on());
    sleep(tick).await;
    assert!(!lamp.is_on(), "looking changes nothing");

    let mut lamp = make();
    for _ in 0..2 {
        lamp.touch();
        sleep(hundred - 2 * tick).await;
    }
    assert!(lamp.is_on(), "each touch counts");
}

type Outcome = Result<u32, Vec<Failure>>;

pub async fn gather(jobs: Vec<Job>) -> Vec<Outcome> {
    join_all(jobs.into_iter().map(|job| lead(job, None))).await
}

pub async fn task_group(jobs: Vec<Job>) -> Result<Vec<u32>, Vec<Failure>> {
    let token = CancellationToken::new();
    let jobs = jobs.into_iter();
    let outcomes = join_all(jobs.map(|job| lead(job, Some(token.clone())))).await;
    together(outcomes)
}

pub async fn scope(
    stop: CancellationToken,
    body: impl FnOnce(Crew) -> Job + Send,
) -> Result<Vec<u32>, Vec<Failure>> {
    let token = stop.child_token();
    let (crew, mut added) = crew();
    let mut outcomes = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    let mut count = 0;
    let mut next = Some(body(crew));
    loop {
        if let Some(job) = next.take() {
            let index = count;
            count += 1;
            let leading = lead(job, Some(token.clone()));
            running.push(leading.map(move |outcome| (index, outcome)));
        }
        if token.is_cancelled() {
            added.close();
        }
        if let Ok(job) = added.try_recv() {
            next = Some(job);
            continue;
        }
        if running.is_empty() {
            added.close();
            match added.try_recv() {
                Ok(job) => next = Some(job),
                Err(_) => return together(outcomes.into_values().collect()),
            }
            continue;
        }
        tokio::select! {
            Some((index, outcome)) = running.next() => {
                outcomes.insert(index, outcome);
            }
            Some(job) = added.recv() => next = Some(job),
            () = token.cancelled(), if !token.is_cancelled() => {}
        }
    }
}

fn together(outcomes: Vec<Outcome>) -> Result<Vec<u32>, Vec<Failure>> {
    if outcomes.iter().all(Result::is_ok) {
        return Ok(outcomes.into_iter().flatten().collect());
    }
    let failures = outcomes.into_iter().filter_map(Result::err);
    Err(failures.flatten().collect())
}

/// With a token the job is cancelled by it, and cancels it when it fails.
async fn lead(job: Job, token: Option<CancellationToken>) -> Outcome {
    let failure = |cause| {
        if let Some(token) = &token {
            token.cancel();
        }
        let job = job.name.clone();
        vec![Failure { job, cause }]
    };
    let work = AssertUnwindSafe(job.work).catch_unwind();
    let worked = match &token {
        None => Some(work.await),
        Some(token) => token.run_until_cancelled(work).await,
    };
    let mut outcome = match worked {
        None => Err(Vec::new()),
        Some(Ok(Ok(value))) => Ok(value),
        Some(Ok(Err(fault))) => Err(failure(Cause::Failed(fault))),
        Some(Err(payload)) => Err(failure(Cause::Panicked(words_of(&*payload)))),
    };
    if let Err(fault) = job.cleanup.await {
        let mut failures = outcome.err().unwrap_or_default();
        failures.extend(failure(Cause::Cleanup(fault)));
        outcome = Err(failures);
    }
    outcome
}

/// The words of a panic.
fn words_of(payload: &(dyn Any + Send)) -> String {
    let words = payload.downcast_ref::<&str>().map(ToString::to_string);
    words
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}
