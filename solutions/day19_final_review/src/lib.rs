//! Day 19: Final Review.
//!
//! The questions of three weeks with other numbers, and a job runner that is
//! ported from callbacks to structured concurrency. `README.md` states what each
//! asks for; the code of the questions is in `given.rs` and below.

#[path = "../../../grader/hidden/day19_final_review/original/given.rs"]
mod given;
pub use given::*;

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec::IntoIter;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
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
        // `Ready` has used up the wake. Only a poll that is pending leaves our
        // waker with the channel: so go on until one is.
        loop {
            match ready!(self.letters.poll_recv(cx)) {
                Some(letter) if letter.starts_with("ad:") => self.thrown_away += 1,
                letter => return Poll::Ready(letter),
            }
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
    // Outside of what `select!` drops. `recv` has taken nothing when it is
    // dropped, so nothing is lost there.
    let mut first = None;
    loop {
        tokio::select! {
            _ = beats.tick() => beat(),
            number = from.recv() => {
                let Some(number) = number else { return };
                match first.take() {
                    None => first = Some(number),
                    Some(first) => {
                        let _ = to.send((first, number));
                    }
                }
            }
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
    accounts: Vec<Mutex<u32>>,
}

impl Bank {
    /// A bank with so many accounts, and so much on each.
    pub fn new(accounts: usize, sum: u32) -> Self {
        let accounts = (0..accounts).map(|_| Mutex::new(sum)).collect();
        Self { accounts }
    }

    /// Every transfer from one account to another writes one.
    async fn write_slip(&self) {
        sleep(Duration::from_millis(10)).await;
    }

    /// Moves `amount` from one account to another.
    pub async fn transfer(&self, from: usize, to: usize, amount: u32) {
        if from == to {
            return; // its lock cannot be had twice, and nothing changes
        }
        // Everybody locks in the order of the accounts, as `sums` does.
        let mut lower = self.accounts[from.min(to)].lock().await;
        self.write_slip().await;
        let mut upper = self.accounts[from.max(to)].lock().await;
        let (source, target) = if from < to {
            (&mut lower, &mut upper)
        } else {
            (&mut upper, &mut lower)
        };
        **source -= amount;
        **target += amount;
    }

    /// The sums of all accounts, as they are together at one instant.
    pub async fn sums(&self) -> Vec<u32> {
        let mut held = Vec::new();
        for account in &self.accounts {
            held.push(account.lock().await);
        }
        held.iter().map(|sum| **sum).collect()
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
    let open = Open(db);
    db.add(from, -amount).await?;
    db.add(to, amount).await?;
    db.commit().await?;
    std::mem::forget(open); // it is committed: nothing to undo
    Ok(())
}

/// An open transaction. Dropped, whyever, it is rolled back: on an error, and
/// when the caller leaves.
struct Open<'a>(&'a Db);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.rollback();
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
    // The state: what is left of a page, and the mark of the one that follows.
    type State = (IntoIter<u32>, Option<u64>);
    let state: State = (Vec::new().into_iter(), Some(0));
    stream::unfold(state, move |(mut values, mut next): State| async move {
        loop {
            if let Some(value) = values.next() {
                return Some((Ok(value), (values, next)));
            }
            match meter.page(next?).await {
                Ok(page) => (values, next) = (page.values.into_iter(), page.next),
                // No values and no mark: that is the end, the next time.
                Err(broken) => return Some((Err(broken), (values, None))),
            }
        }
    })
}

/// Question 11: runs all jobs, `limit` of them at a time, each as soon as there
/// is room. The results keep the order of the jobs.
pub async fn in_a_window(limit: usize, jobs: Vec<BoxFuture<'_, u32>>) -> Vec<u32> {
    let jobs = jobs.into_iter().enumerate();
    let numbered = jobs.map(|(index, job)| async move { (index, job.await) });
    let window = stream::iter(numbered).buffer_unordered(limit);
    let mut results: Vec<(usize, u32)> = window.collect().await;
    results.sort_unstable_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
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
        // `timeout` owns the answer that is awaited, and drops it at the limit.
        let answer = timeout(self.limit, self.inner.call(request));
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| {
                Ok(Response {
                    status: 408,
                    body: "too late".to_owned(),
                })
            })
        })
    }
}

/// Question 17: a test for lamps of every make: it panics if one does not keep
/// the rules of [`Lamp`]. Time is paused.
///
/// # Panics
/// If a lamp is on when it should be off, or off when it should be on.
pub async fn test_lamp(make: &dyn Fn() -> Box<dyn Lamp>) {
    let mut lamp = make();
    assert!(!lamp.is_on(), "nobody has touched it");
    lamp.touch();
    assert!(lamp.is_on(), "at 0 ms");
    sleep(Duration::from_millis(60)).await;
    lamp.touch();
    sleep(Duration::from_millis(99)).await;
    assert!(lamp.is_on(), "at 159 ms: the last touch was at 60");
    sleep(Duration::from_millis(1)).await;
    assert!(!lamp.is_on(), "at 160 ms: exactly 100 after the last touch");
}

// ------------------------------------------------- Tasks 4 to 6: the runner

/// Runs all jobs at the same time, each to its end, and returns what became of
/// each, in the order of the list.
///
/// A job is its work, and its cleanup when the work is gone. It has given its
/// value if both went well; else all its failures, of the work first.
pub async fn gather(jobs: Vec<Job>) -> Vec<Result<u32, Vec<Failure>>> {
    // Nobody ever cancels this one.
    let ends = run_all(jobs, &CancellationToken::new(), Policy::ToTheEnd).await;
    ends.into_iter().map(End::outcome).collect()
}

/// Runs all jobs at the same time until all have ended well, or one fails.
///
/// At the first failure the works that are under way are dropped, at that
/// instant. Every job is cleaned up, and it returns when all of that is done.
///
/// # Errors
/// All failures, in the order of the list; of one job that of the work first.
pub async fn task_group(jobs: Vec<Job>) -> Result<Vec<u32>, Vec<Failure>> {
    let ends = run_all(jobs, &CancellationToken::new(), Policy::FirstFailure).await;
    all_or_failures(ends)
}

/// A task group to which jobs are added while it runs, and that can be stopped.
///
/// `body` gets a crew, through which the first job and all others add jobs, and
/// gives the first job. Values and failures are in the order in which the jobs
/// were added.
///
/// # Errors
/// All failures. None, if it was stopped and nothing failed.
pub async fn scope(
    stop: CancellationToken,
    body: impl FnOnce(Crew) -> Job + Send,
) -> Result<Vec<u32>, Vec<Failure>> {
    let (crew, mut added) = crew();
    // A failure cancels this child, and leaves the caller's token alone.
    let cancelled = stop.child_token();
    let mut running = Running::new(&cancelled, Policy::FirstFailure);
    running.begin(body(crew));
    loop {
        tokio::select! {
            biased;
            () = cancelled.cancelled(), if !added.is_closed() => added.close(),
            Some(job) = added.recv() => running.begin(job),
            joined = running.next() => {
                if joined.is_none() {
                    // No job is left, none waits, and a crew may still be held
                    // somewhere: from here on it is refused. Should somebody on
                    // another thread have been quicker, the job is ours.
                    added.close();
                    let Ok(job) = added.try_recv() else { break };
                    running.begin(job);
                }
            }
        }
    }
    all_or_failures(running.into_ends())
}

/// What a failure means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    ToTheEnd,
    FirstFailure,
}

/// How a job ended. No value and no failure: its work was dropped.
struct End {
    value: Option<u32>,
    failures: Vec<Failure>,
}

impl End {
    fn outcome(self) -> Result<u32, Vec<Failure>> {
        match self.value {
            Some(value) if self.failures.is_empty() => Ok(value),
            _ => Err(self.failures),
        }
    }
}

/// Every value, or every failure.
fn all_or_failures(ends: Vec<End>) -> Result<Vec<u32>, Vec<Failure>> {
    let (mut values, mut failures, mut complete) = (Vec::new(), Vec::new(), true);
    for end in ends {
        match end.outcome() {
            Ok(value) => values.push(value),
            Err(own) => {
                complete = false;
                failures.extend(own);
            }
        }
    }
    if complete { Ok(values) } else { Err(failures) }
}

async fn run_all(jobs: Vec<Job>, cancelled: &CancellationToken, policy: Policy) -> Vec<End> {
    let mut running = Running::new(cancelled, policy);
    for job in jobs {
        running.begin(job);
    }
    while running.next().await.is_some() {}
    running.into_ends()
}

/// The jobs under way. They are tasks of this set, so they end with it: here
/// nobody lets go of a handle.
struct Running<'a> {
    tasks: JoinSet<(usize, End)>,
    cancelled: &'a CancellationToken,
    policy: Policy,
    /// How each job ended, at its own place.
    ends: Vec<Option<End>>,
}

impl<'a> Running<'a> {
    fn new(cancelled: &'a CancellationToken, policy: Policy) -> Self {
        Self {
            tasks: JoinSet::new(),
            cancelled,
            policy,
            ends: Vec::new(),
        }
    }

    fn begin(&mut self, job: Job) {
        let (index, cancelled, policy) = (self.ends.len(), self.cancelled.clone(), self.policy);
        self.ends.push(None);
        self.tasks
            .spawn(async move { (index, lead(job, &cancelled, policy).await) });
    }

    /// Waits until one more job has ended. `None`: there is none.
    async fn next(&mut self) -> Option<()> {
        // A work's panic is caught where it happens. This one would be ours: it
        // must not be lost either.
        match self.tasks.join_next().await? {
            Ok((index, end)) => self.ends[index] = Some(end),
            Err(error) => resume_unwind(error.into_panic()),
        }
        Some(())
    }

    fn into_ends(self) -> Vec<End> {
        let ends = self.ends.into_iter();
        ends.map(|end| end.expect("it was waited for")).collect()
    }
}

/// A job from its work to the end of its cleanup.
async fn lead(job: Job, cancelled: &CancellationToken, policy: Policy) -> End {
    let Job {
        name,
        work,
        cleanup,
    } = job;
    let (mut value, mut failures) = (None, Vec::new());
    let mut fail = |cause| {
        let job = name.clone();
        failures.push(Failure { job, cause });
        if policy == Policy::FirstFailure {
            cancelled.cancel(); // at this instant, and before our own cleanup
        }
    };
    // `select!` owns the work: when it is over, the work is gone, and the
    // cleanup may begin.
    tokio::select! {
        biased;
        () = cancelled.cancelled() => {}
        outcome = AssertUnwindSafe(work).catch_unwind() => match outcome {
            Ok(Ok(worked)) => value = Some(worked),
            Ok(Err(fault)) => fail(Cause::Failed(fault)),
            Err(payload) => fail(Cause::Panicked(words_of(&*payload))),
        },
    }
    // Nobody cancels a cleanup.
    if let Err(fault) = cleanup.await {
        fail(Cause::Cleanup(fault));
    }
    End { value, failures }
}

/// The words of a panic.
fn words_of(payload: &(dyn Any + Send)) -> String {
    let words = payload.downcast_ref::<&str>().map(ToString::to_string);
    words
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}
