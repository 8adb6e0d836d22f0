//! Day 19: Final Review.
//!
//! The questions of three weeks with other numbers, and a job runner that is
//! ported from callbacks to structured concurrency. `README.md` states what each
//! asks for; the code of the questions is in `given.rs` and below.

mod given;
pub use given::*;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec::IntoIter;

use futures::future::BoxFuture;
use futures::stream::{self, Stream};
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
    todo!("question 1: what does q1 note, and when?")
}

/// Question 2: what does [`q2`] note?
pub fn answer_2() -> &'static str {
    todo!("question 2: what does q2 note, and when?")
}

/// Question 4: what does [`q4`] note?
pub fn answer_4() -> &'static str {
    todo!("question 4: what does q4 note, and when?")
}

/// Question 6: what does [`q6`] note?
pub fn answer_6() -> &'static str {
    todo!("question 6: what does q6 note, and when?")
}

/// Question 7: what does [`q7`] note?
pub fn answer_7() -> &'static str {
    todo!("question 7: what does q7 note, and when?")
}

/// Question 8: what does [`q8`] note?
pub fn answer_8() -> &'static str {
    todo!("question 8: what does q8 note, and when?")
}

/// Question 12: what does [`q12`] note?
pub fn answer_12() -> &'static str {
    todo!("question 12: what does q12 note, and when?")
}

/// Question 15: what does [`q15`] note with `Burst`, with `Delay` and with
/// `Skip`?
pub fn answer_15() -> [&'static str; 3] {
    todo!("question 15: what does q15 note with Burst, Delay and Skip?")
}

/// Question 16: what does [`q16`] note, in virtual time?
pub fn answer_16() -> &'static str {
    todo!("question 16: what does q16 note, and when?")
}

// ------------------------------------------------- Task 2: spot

/// Question 3: the first letter that is no advertisement; `None` if none comes.
///
/// Now and then a letter is not seen. Find the line, mend it here.
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
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(letter)) if letter.starts_with("ad:") => {
                self.thrown_away += 1;
                Poll::Pending
            }
            Poll::Ready(letter) => Poll::Ready(letter),
        }
    }
}

/// Question 3: the number of the line, in the README's listing, that breaks the
/// promise of a future.
pub fn answer_3() -> u32 {
    todo!("question 3: which line of the listing?")
}

/// Question 9: makes pairs of what comes in, and beats meanwhile, until there is
/// nothing more to come.
///
/// Now and then the pairs are wrong. Find the line, mend it here.
pub async fn pair_up(mut from: Receiver<u32>, to: UnboundedSender<(u32, u32)>, beat: fn()) {
    let mut beats = interval(Duration::from_millis(40));
    loop {
        tokio::select! {
            _ = beats.tick() => beat(),
            pair = next_pair(&mut from) => match pair {
                Some(pair) => { let _ = to.send(pair); }
                None => return,
            }
        }
    }
}

async fn next_pair(from: &mut Receiver<u32>) -> Option<(u32, u32)> {
    let first = from.recv().await?;
    let second = from.recv().await?;
    Some((first, second))
}

/// Question 9: the number of the line, in the README's listing, at whose
/// `.await` a number is lost.
pub fn answer_9() -> u32 {
    todo!("question 9: which line of the listing?")
}

/// Question 10: a bank. Now and then two of its clerks wait for ever. Mend it
/// here.
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
        let mut source = self.accounts[from].lock().await;
        self.write_slip().await;
        let mut target = self.accounts[to].lock().await;
        *source -= amount;
        *target += amount;
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
    todo!("question 10: which line of the listing?")
}

/// Question 14: moves `amount` from one account to another, all of it or nothing.
///
/// Now and then the database is left in the middle of it. Find the line, mend it
/// here.
///
/// # Errors
/// What the database says; nothing has been moved then.
pub async fn book(db: &Db, from: &str, to: &str, amount: i64) -> Result<(), DbError> {
    db.begin().await?;
    let moved = async {
        db.add(from, -amount).await?;
        db.add(to, amount).await
    };
    match moved.await {
        Ok(()) => db.commit().await,
        Err(error) => {
            db.rollback();
            Err(error)
        }
    }
}

/// Question 14: the number of the line, in the README's listing, that a caller
/// who leaves jumps over.
pub fn answer_14() -> u32 {
    todo!("question 14: which line of the listing?")
}

// ------------------------------------------------- Task 3: complete

/// Question 5: every value of the meter, page by page; an error comes once, and
/// then the end.
pub fn readings(meter: &dyn Meter) -> impl Stream<Item = Result<u32, Broken>> {
    // The state: what is left of a page, and the mark of the one that follows.
    type State = (IntoIter<u32>, Option<u64>);
    let state: State = (Vec::new().into_iter(), Some(0));
    stream::unfold(state, move |(mut values, next): State| async move {
        if let Some(value) = values.next() {
            return Some((Ok(value), (values, next)));
        }
        let _page = meter.page(next?);
        todo!("question 5: await the page; what does it give, and what is the next state?")
    })
}

/// Question 11: runs all jobs, `limit` of them at a time, each as soon as there
/// is room. The results keep the order of the jobs.
pub async fn in_a_window(limit: usize, jobs: Vec<BoxFuture<'_, u32>>) -> Vec<u32> {
    let _ = (limit, stream::iter(jobs));
    todo!("question 11: so many in flight, whichever ends first; then in order")
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
        let _ = (&mut self.inner, cx);
        todo!("question 13: when is this one ready?")
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let _ = (&mut self.inner, request, self.limit);
        todo!("question 13: the inner answer, or status 408 at the limit")
    }
}

/// Question 17: a test for lamps of every make: it panics if one does not keep
/// the rules of [`Lamp`]. Time is paused.
///
/// # Panics
/// If a lamp is on when it should be off, or off when it should be on.
pub async fn test_lamp(make: &dyn Fn() -> Box<dyn Lamp>) {
    let _lamp = make();
    todo!(
        "question 17: touch it, look at it; at which instants do three mutants give themselves away?"
    )
}

// ------------------------------------------------- Tasks 4 to 6: the runner

/// Runs all jobs at the same time, each to its end, and returns what became of
/// each, in the order of the list.
///
/// A job is its work, and its cleanup when the work is gone. It has given its
/// value if both went well; else all its failures, of the work first.
pub async fn gather(jobs: Vec<Job>) -> Vec<Result<u32, Vec<Failure>>> {
    let _ = jobs;
    todo!("task 4: all at the same time; work, then cleanup; a panic is a failure")
}

/// Runs all jobs at the same time until all have ended well, or one fails.
///
/// At the first failure the works that are under way are dropped, at that
/// instant. Every job is cleaned up, and it returns when all of that is done.
///
/// # Errors
/// All failures, in the order of the list; of one job that of the work first.
pub async fn task_group(jobs: Vec<Job>) -> Result<Vec<u32>, Vec<Failure>> {
    let _ = jobs;
    todo!("task 5: the first failure drops the works of the others, not their cleanups")
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
    let (crew, added) = crew();
    let first = body(crew);
    let _ = (stop, first, added);
    todo!("task 6: begin what is added; end when no job is left; stop when told to")
}
