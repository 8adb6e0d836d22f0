//! Hidden checks of day 14: off the loop, batches, a limit that adapts, the ingest.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, panic_any, resume_unwind};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use exercise::{
    BatchLimits, CpuPool, Failed, Limiter, Pack, Report, Settings, Sink, Slot, WriteError, batches,
    ingest,
};
use futures::future::{abortable, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use kata_harness::{Cancel, Lab, Probe, Suite, ms};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Sleep, sleep, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    // A job that is held up is waited for in real time: few seeds there.
    Suite::new()
        .seeds(4)
        .task(1)
        .check("the work runs off the loop, and its result comes back", 2, off_the_loop)
        .check("no more work is handed over than there are workers", 2, handed_over)
        .seeds(1)
        .check("work whose caller is gone keeps its place to its end", 2, keeps_its_place)
        .seeds(8)
        .task(2)
        .check("a batch is given the moment it is full", 1, full)
        .check("a line that does not fit opens the next batch", 2, does_not_fit)
        .check("a batch is given when its first line is of age", 2, of_age)
        .check("the last batch comes with the end of the lines", 1, the_tail)
        .check("no line is taken that the batch in the making does not need", 2, takes_no_more)
        .task(3)
        .check("as many slots as the limit, then first come, first served", 2, slots_in_line)
        .check("after as many successes as the limit it rises by one", 2, rises)
        .check("an overload halves the limit, once for all slots before it", 3, halves)
        .check("a lowered limit lets nobody in before enough slots ended", 2, lowered)
        .seeds(2)
        .check("an acquire that is dropped takes nobody's place", 2, acquire_dropped)
        .seeds(8)
        .task(4)
        .check("every block is written the moment its batch is complete", 2, blocks_in_time)
        .seeds(4)
        .check("packing runs off the loop, and the loop goes on meanwhile", 2, packs_off_the_loop)
        .check("no more lines are taken than the backlog has room for", 3, backlog)
        .check("an overloaded block comes again after the pause", 2, comes_again)
        .seeds(3)
        .check("the writes in flight find what the sink can bear", 3, converges)
        .seeds(4)
        .check("a failed write ends the ingest at that instant", 2, fails)
        .seeds(1)
        .check("an ingest that is dropped leaves nothing behind", 2, ingest_dropped)
        .run()
}

// ---------------------------------------------------------------- helpers

fn number(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("no check has a bound of 0")
}

/// A small number, chosen by the seed.
fn pick(lab: &Lab, range: std::ops::RangeInclusive<u64>) -> usize {
    usize::try_from(lab.pick(range)).expect("a small number")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics here")
}

/// What happened, and when: `a@0 b@100`.
#[derive(Clone)]
struct Notes {
    lab: Lab,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Notes {
    fn new(lab: &Lab) -> Self {
        let notes = Arc::default();
        let lab = lab.clone();
        Self { lab, notes }
    }

    fn note(&self, what: impl Display) {
        let at_ms = self.lab.now_ms();
        locked(&self.notes).push(format!("{what}@{at_ms}"));
    }

    /// Without the instants, for what takes no virtual time.
    fn order(&self, what: &str) {
        locked(&self.notes).push(what.to_owned());
    }

    fn line(&self) -> String {
        locked(&self.notes).join(" ")
    }

    /// What happened so far is exactly this.
    fn expect(&self, expected: &str, why: &str, pitfall: &str) {
        let got = self.line();
        let shown = |line: &str| match line {
            "" => "nothing".to_owned(),
            line => line.to_owned(),
        };
        self.lab
            .expect(got == expected)
            .expected(shown(expected))
            .got(shown(&got))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }
}

/// A job on the blocking pool that stands here holds up those behind it, until
/// the check opens the gate or ends.
struct Gate {
    inside: mpsc::Receiver<()>,
    lab: Lab,
}

fn gate(lab: &Lab) -> (mpsc::Sender<()>, Gate) {
    let (open, inside) = mpsc::channel();
    let lab = lab.clone();
    (open, Gate { inside, lab })
}

impl Gate {
    /// On the runtime's thread nobody would be left to open it: that is told by
    /// where the work ran.
    fn pass(&self) {
        if !self.lab.on_runtime_thread() {
            let _ = self.inside.recv();
        }
    }
}

/// Lines that come at known instants, in a stream that tells how it was read.
struct Feed {
    lab: Lab,
    start: Instant,
    lines: VecDeque<(u64, String)>,
    end_ms: u64,
    next: Pin<Box<Sleep>>,
    seen: Arc<FeedSeen>,
    /// Whether the chart has a mark for each line.
    draws: bool,
}

#[derive(Default)]
struct FeedSeen {
    taken: AtomicUsize,
    written: AtomicUsize,
    most_in_hand: AtomicUsize,
    ended: AtomicBool,
    polled_after_end: AtomicBool,
    polled_off_loop: AtomicBool,
}

impl FeedSeen {
    fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }
}

/// The feed's lines, each after so many milliseconds, and its end.
fn feed(
    lab: &Lab,
    lines: impl IntoIterator<Item = (u64, impl Into<String>)>,
    end_ms: u64,
) -> (Feed, Arc<FeedSeen>) {
    let lines = lines.into_iter().map(|(at, line)| (at, line.into()));
    let seen: Arc<FeedSeen> = Arc::default();
    let feed = Feed {
        lab: lab.clone(),
        start: Instant::now(),
        lines: lines.collect(),
        end_ms,
        next: Box::pin(sleep(Duration::ZERO)),
        seen: Arc::clone(&seen),
        draws: false,
    };
    (feed, seen)
}

impl Feed {
    fn drawn(mut self) -> Self {
        self.draws = true;
        self
    }
}

impl Stream for Feed {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<String>> {
        let feed = &mut *self;
        if !feed.lab.on_runtime_thread() {
            feed.seen.polled_off_loop.store(true, SeqCst);
        }
        if feed.seen.ended.load(SeqCst) {
            feed.seen.polled_after_end.store(true, SeqCst);
            return Poll::Ready(None);
        }
        let at_ms = feed.lines.front().map_or(feed.end_ms, |line| line.0);
        let at = feed.start + ms(at_ms);
        if Instant::now() < at {
            if feed.next.deadline() != at {
                feed.next.as_mut().reset(at);
            }
            std::task::ready!(feed.next.as_mut().poll(cx));
        }
        let Some((_, line)) = feed.lines.pop_front() else {
            feed.seen.ended.store(true, SeqCst);
            return Poll::Ready(None);
        };
        if feed.draws {
            feed.lab.span("lines", &line).done();
        }
        let taken = feed.seen.taken.fetch_add(1, SeqCst) + 1;
        let in_hand = taken - feed.seen.written.load(SeqCst);
        feed.seen.most_in_hand.fetch_max(in_hand, SeqCst);
        Poll::Ready(Some(line))
    }
}

fn limits(bytes: usize, age_ms: u64) -> BatchLimits {
    let age = ms(age_ms);
    BatchLimits { bytes, age }
}

/// Notes every batch when it is given, and the end; the chart shows lines and
/// batches.
async fn read_all(feed: Feed, limits: BatchLimits, notes: &Notes) {
    let mut stream = batches(feed.drawn(), limits);
    while let Some(batch) = stream.next().await {
        notes.lab.span("batches", drawn(&batch)).done();
        notes.note(drawn(&batch));
    }
    notes.note("end");
}

/// `aa+bb`
fn drawn(batch: &[String]) -> String {
    if batch.is_empty() {
        return "(empty)".to_owned();
    }
    batch.join("+")
}

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

// ----------------------------------------------------------------- task 1

async fn off_the_loop(lab: Lab) {
    let pool = CpuPool::new(number(2));
    let (factor, worker) = (lab.pick(2..=9), lab.clone());
    let work = pool.run(move || {
        worker.heavy("multiply", 1);
        factor * 7
    });
    let got = timeout(ms(1000), work).await;
    let calls = lab.heavy_calls();
    let on_loop = calls.iter().find(|call| call.on_runtime);
    lab.expect(on_loop.is_none())
        .expected("the work runs on a thread of the blocking pool")
        .got("the work ran on the runtime's thread")
        .why("While it computes there, no task is polled and no timer fires.")
        .pitfall("blocking-the-runtime")
        .at(on_loop
            .map(|call| call.location.clone())
            .unwrap_or_default())
        .or_fail();
    lab.expect(calls.len() == 1 && got == Ok(factor * 7))
        .expected(format!("the work runs once; its result is {}", factor * 7))
        .got(format!("{} runs, result {got:?}", calls.len()))
        .why("`run` waits for the work and returns what it returns.")
        .pitfall("wrong-result")
        .or_fail();

    // More panics than there are places: each has to give its place back.
    for round in 0..3_u32 {
        let work = pool.run(move || -> u32 { panic_any(round) });
        let outcome = timeout(ms(1000), AssertUnwindSafe(work).catch_unwind()).await;
        let got = match outcome {
            Err(_elapsed) => "run still waits after 1000 ms".to_owned(),
            Ok(Ok(value)) => format!("run returned {value}"),
            Ok(Err(payload)) => match payload.downcast::<u32>() {
                Ok(value) => format!("run panics, with the payload {value}"),
                Err(_) => "run panics, with a payload of its own".to_owned(),
            },
        };
        let expected = format!("run panics, with the payload {round}");
        lab.expect(got == expected)
            .expected(format!(
                "work {round} panics with the payload {round}: {expected}"
            ))
            .got(got)
            .why(
                "The panic of a job ends in its `JoinError`. `into_panic` has the payload, and \
                 `resume_unwind` lets it go on. Its place is free again as after any other end.",
            )
            .pitfall("lost-panic")
            .or_fail();
    }
}

/// Hands a piece of work to the pool. It notes its name when it runs, and may
/// stand at a gate.
async fn piece(pool: Arc<CpuPool>, notes: Notes, name: &'static str, gate: Option<Gate>) {
    let work = move || {
        notes.order(name);
        if let Some(gate) = gate {
            gate.pass();
        }
    };
    pool.run(work).await;
}

/// A job on the blocking pool that is not the learner's.
fn other_job(notes: &Notes) {
    let notes = notes.clone();
    drop(spawn_blocking(move || notes.order("other")));
}

async fn handed_over(lab: Lab) {
    let names = ["a", "b", "c", "d", "e", "f"];
    let workers = pick(&lab, 1..=4);
    let pool = Arc::new(CpuPool::new(number(workers)));
    let notes = Notes::new(&lab);
    let (open, gate) = gate(&lab);
    let mut gate = Some(gate);
    // In one task, and so few of them: they are polled in this order.
    let pieces = names.map(|name| piece(Arc::clone(&pool), notes.clone(), name, gate.take()));
    tokio::spawn(join_all(pieces));
    lab.settle().await;
    other_job(&notes);
    drop(open);
    lab.settle().await;
    let mut expected = names.to_vec();
    expected.insert(workers, "other");
    notes.expect(
        &expected.join(" "),
        &format!(
            "The blocking pool has one thread here, and runs jobs in the order in which they \
             came. `a` computes, and with {workers} workers as many pieces are handed over. Then \
             another job comes, say the reading of a file. It has to wait for the pieces that \
             were handed over, not for those that wait for a worker: these come after it, in \
             the order of their calls."
        ),
        "unbounded-concurrency",
    );
}

/// Lets these go on until nothing more happens. They are in no task: all of it is
/// at one instant, so a chart would have nothing to show.
async fn go_on<F: Future>(lab: &Lab, pieces: &mut FuturesUnordered<F>) {
    let mut settled = pin!(lab.settle());
    loop {
        tokio::select! {
            biased;
            Some(_) = pieces.next() => {}
            () = &mut settled => return,
        }
    }
}

async fn keeps_its_place(lab: Lab) {
    let pool = Arc::new(CpuPool::new(number(1)));
    let notes = Notes::new(&lab);
    let (open, gate) = gate(&lab);
    let piece = |name, gate| abortable(piece(Arc::clone(&pool), notes.clone(), name, gate));
    let mut pieces = FuturesUnordered::new();
    let (first, caller_of_first) = piece("a", Some(gate));
    pieces.push(first);
    go_on(&lab, &mut pieces).await;
    caller_of_first.abort();
    go_on(&lab, &mut pieces).await;
    pieces.push(piece("b", None).0);
    let (leaves, caller_who_leaves) = piece("c", None);
    pieces.push(leaves);
    go_on(&lab, &mut pieces).await;
    pieces.push(piece("d", None).0);
    go_on(&lab, &mut pieces).await;
    caller_who_leaves.abort();
    go_on(&lab, &mut pieces).await;
    other_job(&notes);
    drop(open);
    go_on(&lab, &mut pieces).await;
    notes.expect(
        "a other b d",
        "One worker. `a` computes when its caller is dropped. That does not stop it, so its \
         place is taken until it has ended: `b`, `c` and `d` wait. The caller of `c` is dropped \
         while it waits, so `c` never runs. Then another job is given to the blocking pool, and \
         `a` ends. A place that goes with the caller, and not with the work, is free too soon.",
        "cancellation-ignored",
    );
}

// ----------------------------------------------------------------- task 2

async fn full(lab: Lab) {
    let notes = Notes::new(&lab);
    let o = lab.pick(0..=9);
    let lines = [
        (10, "aa"),
        (20, "bb"),
        (30 + o, "cc"),
        (50, "dddddd"),
        (60 + o, "eeeeeeee"),
        (80, "f"),
        (90, "ggg"),
        (100, "hh"),
    ];
    let (feed, _) = feed(&lab, lines, 500);
    read_all(feed, limits(6, 1000), &notes).await;
    notes.expect(
        &format!(
            "aa+bb+cc@{} dddddd@50 eeeeeeee@{} f+ggg+hh@100 end@500",
            30 + o,
            60 + o
        ),
        "A batch with 6 bytes or more is full: it is given at the instant of the line that makes \
         it so, also if that is its only line, and not only when the next one comes.",
        "sequential-awaits",
    );
}

async fn does_not_fit(lab: Lab) {
    let notes = Notes::new(&lab);
    let o = lab.pick(0..=9);
    let lines = [
        (10, "aaa"),
        (20, "bb"),
        (30 + o, "cc"),     // 7 bytes with it
        (50, "dddddddd"),   // more than 6 by itself
        (60, "ee"),         // of age at 160
        (200 + o, "fffff"), //
        (230, "gg"),        // does not fit, of age at 330
        (600, "hhhhh"),     //
        (630 + o, "ii"),    // does not fit, and is the last one
    ];
    let (feed, _) = feed(&lab, lines, 650);
    read_all(feed, limits(6, 100), &notes).await;
    notes.expect(
        &format!(
            "aaa+bb@{} cc@50 dddddddd@50 ee@160 fffff@230 gg@330 hhhhh@{} ii@650 end@650",
            30 + o,
            630 + o
        ),
        "The limit is 6 bytes. The line that would take a batch above it is not put in, and not \
         lost: the batch is given at that instant, and the line opens the next one, with a clock \
         of its own.",
        "wrong-result",
    );

    // The reader is busy from 30 to 90 ms, with a line left over since 30 ms.
    let notes = Notes::new(&lab);
    let began_ms = lab.now_ms();
    let (feed, _) = self::feed(&lab, [(10, "aaaa"), (30, "bbbb")], 1000);
    let mut stream = batches(feed.drawn(), limits(6, 100));
    let first = stream.next().await.unwrap_or_default();
    lab.span("batches", drawn(&first)).done();
    sleep(ms(60)).await;
    let second = stream.next().await.unwrap_or_default();
    lab.span("batches", drawn(&second)).done();
    notes.order(&drawn(&first));
    notes.order(&format!("{}@{}", drawn(&second), lab.now_ms() - began_ms));
    notes.expect(
        "aaaa bbbb@130",
        "`bbbb` was taken at 30 ms, when it did not fit into the batch of `aaaa`. The reader asks \
         again at 90 ms. The age counts from when a line was taken, whenever somebody asks.",
        "wrong-result",
    );
}

async fn of_age(lab: Lab) {
    let notes = Notes::new(&lab);
    let o = lab.pick(0..=9);
    let lines = [
        (20, "a"),
        (60, "b"),
        (110 + o, "c"), // of age at 120
        (130, "d"),
        (180, "e"),
        (220 + o, "f"), // of age at 230
        (500 + o, "g"), // long silence before
        (570, "h"),
    ];
    let (feed, _) = feed(&lab, lines, 900);
    read_all(feed, limits(1000, 100), &notes).await;
    notes.expect(
        &format!("a+b+c@120 d+e+f@230 g+h@{} end@900", 600 + o),
        "The age is 100 ms, and it counts from the first line of the batch. Later lines do not \
         touch the clock, and without a line there is none: a clock that each line sets back \
         lets a steady drizzle of lines wait for ever.",
        "wrong-result",
    );
}

async fn the_tail(lab: Lab) {
    let notes = Notes::new(&lab);
    let end_ms = 40 + lab.pick(0..=20);
    let (feed, seen) = feed(&lab, [(10, "a"), (20, "b")], end_ms);
    read_all(feed, limits(1000, 500), &notes).await;
    notes.expect(
        &format!("a+b@{end_ms} end@{end_ms}"),
        "No more lines come: what is in the making is given at that instant, and then the stream \
         ends. It waits neither for its size nor for its age, and it is not thrown away.",
        "wrong-result",
    );
    let again = seen.polled_after_end.load(SeqCst);
    lab.expect(!again)
        .expected("after its `None` the stream of lines is not polled again")
        .got("it was polled again")
        .why("A stream may do anything after its end, even panic. `fuse` remembers it for you.")
        .pitfall("poll-after-ready")
        .or_fail();

    let notes = Notes::new(&lab);
    let (feed, _) = self::feed(&lab, [(0, "a"); 0], 0);
    read_all(feed, limits(1000, 500), &notes).await;
    notes.expect(
        &format!("end@{end_ms}"),
        "Without a line there is no batch: the stream ends, and nothing is given before.",
        "wrong-result",
    );
}

async fn takes_no_more(lab: Lab) {
    let lines = ["aa", "bb", "cc", "dd", "ee", "ffff", "gg", "hh"];
    let (feed, seen) = feed(&lab, lines.map(|line| (0, line)), 1000);
    let mut stream = batches(feed, limits(6, 100));
    sleep(ms(20)).await;
    let expect = |expected: usize, when: &str| {
        lab.expect_eq(&seen.taken(), &expected)
            .expected(format!("{expected} lines are taken {when}"))
            .got(format!("{} lines are taken", seen.taken()))
            .why(
                "All lines are there from the beginning. Who takes them before there is a batch \
                 for them has a queue without a bound, and takes from the one who sends them all \
                 knowledge of how fast he may send.",
            )
            .pitfall("unbounded-queue")
            .or_fail();
    };
    expect(0, "before the stream is polled");
    let mut got = Vec::new();
    for (taken, what) in [(3, "aa+bb+cc"), (6, "dd+ee")] {
        // A reader who comes and goes.
        let mut batch = stream.next().now_or_never();
        for _ in 0..5 {
            if batch.is_none() {
                batch = timeout(ms(5), stream.next()).await.ok();
            }
        }
        got.push(drawn(&batch.flatten().unwrap_or_default()));
        sleep(ms(20)).await;
        expect(
            taken,
            &format!("when {what} is given, and until the next poll"),
        );
    }
    lab.expect_eq(&got.join(" "), &"aa+bb+cc dd+ee".to_owned())
        .why("The limit is 6 bytes. A reader who comes and goes gets the same batches.")
        .pitfall("wrong-result")
        .or_fail();

    // One who asks for 7 ms at a time.
    let notes = Notes::new(&lab);
    let began_ms = lab.now_ms();
    let (feed, _) = self::feed(&lab, [(10, "a"), (40, "b"), (200, "c")], 240);
    let mut stream = batches(feed, limits(1000, 100));
    for _ in 0..60 {
        let Ok(batch) = timeout(ms(7), stream.next()).await else {
            continue;
        };
        let Some(batch) = batch else { break };
        notes.order(&format!("{}@{}", drawn(&batch), lab.now_ms() - began_ms));
    }
    notes.expect(
        "a+b@110 c@240",
        "The reader asks again every 7 ms. What a batch has gathered, and its clock, must outlive \
         a `next` that is dropped: they belong to the stream.",
        "cancel-unsafe-select",
    );
}

// ----------------------------------------------------------------- task 3

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

/// A slot that must be there at once.
async fn slot(lab: &Lab, limiter: &Limiter) -> Slot {
    let mut probe = lab.probe(limiter.acquire());
    let slot = ready_now(lab, &mut probe).await;
    lab.expect(slot.is_some())
        .expected("acquire takes a slot at once: fewer than the limit are in flight")
        .got(format!("it waits, with a limit of {}", limiter.limit()))
        .why("A place is free as soon as its slot has ended, in whatever way.")
        .pitfall("leaked-resource")
        .or_fail();
    slot.expect("a failed expectation ends the check")
}

async fn slots(lab: &Lab, limiter: &Limiter, count: usize) -> Vec<Slot> {
    let mut slots = Vec::new();
    for _ in 0..count {
        slots.push(slot(lab, limiter).await);
    }
    slots
}

/// One slot after the other succeeds until the limit is this.
async fn raise(lab: &Lab, limiter: &Limiter, to: usize) {
    let mut patience = to * (to + 1);
    while limiter.limit() < to && patience > 0 {
        slot(lab, limiter).await.succeeded();
        patience -= 1;
    }
    expect_limit(
        lab,
        limiter,
        to,
        &format!("one success after the other raises the limit to {to}"),
        "After as many successes as the limit is, it rises by one.",
    );
}

fn expect_limit(lab: &Lab, limiter: &Limiter, expected: usize, when: &str, why: &str) {
    let got = limiter.limit();
    lab.expect(got == expected)
        .expected(format!("{when}: a limit of {expected}"))
        .got(format!("a limit of {got}"))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

/// Somebody who waits for a slot, notes when he has it, and keeps it so long.
fn waiter(
    limiter: &Arc<Limiter>,
    notes: &Notes,
    name: impl Display,
    keeps_ms: u64,
) -> JoinHandle<()> {
    let (limiter, notes, name) = (Arc::clone(limiter), notes.clone(), name.to_string());
    tokio::spawn(async move {
        let slot = limiter.acquire().await;
        notes.note(name);
        sleep(ms(keeps_ms)).await;
        drop(slot);
    })
}

async fn slots_in_line(lab: Lab) {
    let limiter = Arc::new(Limiter::new(number(2), number(8)));
    let notes = Notes::new(&lab);
    for (name, keeps_ms) in [("a", 100), ("b", 30), ("c", 20), ("d", 300), ("e", 10)] {
        waiter(&limiter, &notes, name, keeps_ms);
        lab.settle().await;
    }
    sleep(ms(1000)).await;
    notes.expect(
        "a@0 b@0 c@30 d@50 e@100",
        "The limit is 2; a slot that is dropped frees its place at that instant, for whoever has \
         waited longest. It says nothing about the load, so the limit stays.",
        "unbounded-concurrency",
    );

    let mut held = slots(&lab, &limiter, 2).await;
    let mut waiting = lab.probe(limiter.acquire());
    let _ = waiting.poll();
    lab.settle().await;
    drop(held.pop());
    let mut newcomer = lab.probe(limiter.acquire());
    let barged = newcomer.poll().is_ready();
    lab.expect(!barged)
        .expected("one place is free, and one waits: a newcomer has to wait behind him")
        .got("the newcomer took the place of the one who waits")
        .why("A place belongs to whoever has waited longest, not to whoever looks first.")
        .pitfall("shared-state-race")
        .or_fail();
    let first = ready_now(&lab, &mut waiting).await;
    drop(held);
    let second = ready_now(&lab, &mut newcomer).await;
    let got = [first.is_some(), second.is_some()];
    lab.expect(got == [true, true])
        .expected("with two places free both have their slots")
        .got(format!("the first: {}, the newcomer: {}", got[0], got[1]))
        .why("Whoever frees a place wakes the one who has waited longest.")
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn rises(lab: Lab) {
    let limiter = Arc::new(Limiter::new(number(1), number(4)));
    let mut got = vec![limiter.limit()];
    for _ in 0..12 {
        slot(&lab, &limiter).await.succeeded();
        got.push(limiter.limit());
    }
    lab.expect_eq(&got, &vec![1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4])
        .why(
            "The limit begins at 1. It rises by one when as many have succeeded as it is: after \
             1, then after 2 more, then after 3 more. It is never more than the most, here 4.",
        )
        .pitfall("wrong-result")
        .or_fail();

    // What holds no verdict does not count; what waits learns of the new limit.
    let limiter = Arc::new(Limiter::new(number(2), number(9)));
    let notes = Notes::new(&lab);
    let held = slots(&lab, &limiter, 2).await;
    for name in ["a", "b", "c"] {
        waiter(&limiter, &notes, name, 60);
        lab.settle().await;
    }
    sleep(ms(10)).await;
    let mut held = held.into_iter();
    held.next().expect("two are held").succeeded();
    sleep(ms(10)).await;
    held.next().expect("two are held").succeeded();
    sleep(ms(300)).await;
    let expected = "a@10 b@20 c@20";
    notes.expect(
        expected,
        "Two are in flight, three wait. The first success frees one place. The second one frees \
         a place and raises the limit from 2 to 3: two of those who wait go on at that instant.",
        "lost-wakeup",
    );
    expect_limit(
        &lab,
        &limiter,
        3,
        "three slots were dropped without a word",
        "A slot that is dropped has neither succeeded nor failed: it does not count.",
    );
}

async fn halves(lab: Lab) {
    let limiter = Limiter::new(number(1), number(9));
    raise(&lab, &limiter, 9).await;
    let mut held = slots(&lab, &limiter, 9).await;
    held.pop().expect("nine are held").overloaded();
    expect_limit(
        &lab,
        &limiter,
        4,
        "one of nine slots is overloaded at a limit of 9",
        "An overload halves the limit, rounded down.",
    );
    held.pop().expect("eight are held").overloaded();
    held.pop().expect("seven are held").overloaded();
    expect_limit(
        &lab,
        &limiter,
        4,
        "two more of these nine slots are overloaded",
        "They were taken before the limit was halved: it is the same overload once more, and no \
         news about the new limit. Nine calls that are refused together must not take the limit \
         from 9 to 1.",
    );
    for slot in held {
        slot.succeeded();
    }
    expect_limit(
        &lab,
        &limiter,
        4,
        "the other six of these nine slots succeed",
        "They were taken before the limit was halved, and say nothing about the new one.",
    );
    // Five of the new time succeed, an overload begins the counting anew.
    raise(&lab, &limiter, 5).await;
    for _ in 0..4 {
        slot(&lab, &limiter).await.succeeded();
    }
    slot(&lab, &limiter).await.overloaded();
    expect_limit(
        &lab,
        &limiter,
        2,
        "a slot that was taken after the halving is overloaded, at a limit of 5",
        "That is news: it halves the limit again.",
    );
    slot(&lab, &limiter).await.succeeded();
    expect_limit(
        &lab,
        &limiter,
        2,
        "after that one slot succeeds",
        "The successes are counted since the limit last changed, so the four before do not count.",
    );
    slot(&lab, &limiter).await.succeeded();
    expect_limit(
        &lab,
        &limiter,
        3,
        "and a second one",
        "With two successes since the limit came to 2, it rises.",
    );
    for expected in [1, 1] {
        slot(&lab, &limiter).await.overloaded();
        expect_limit(
            &lab,
            &limiter,
            expected,
            "one overload after the other",
            "The limit is never less than the least, here 1: with 0 nothing would move again.",
        );
    }

    // A halving that lowers nothing is one nevertheless.
    let limiter = Limiter::new(number(2), number(9));
    let mut held = slots(&lab, &limiter, 2).await;
    held.pop().expect("two are held").overloaded();
    held.pop().expect("one is held").succeeded();
    slot(&lab, &limiter).await.succeeded();
    expect_limit(
        &lab,
        &limiter,
        2,
        "the least is 2: one of two slots is overloaded, the other succeeds, a new one succeeds",
        "The overload halves the limit, though it stays at the least. The slot that was taken \
         before is old news, so only one success counts, and it takes two.",
    );
}

async fn lowered(lab: Lab) {
    let limiter = Limiter::new(number(1), number(8));
    raise(&lab, &limiter, 8).await;
    // Sometimes some places are free when the limit is halved.
    let in_flight = pick(&lab, 5..=8);
    let mut held = slots(&lab, &limiter, in_flight).await;
    held.pop().expect("some are held").overloaded();
    let mut waiting = lab.probe(limiter.acquire());
    while held.len() >= 4 {
        let early = ready_now(&lab, &mut waiting).await;
        lab.expect(early.is_none())
            .expected(format!(
                "with {} in flight and a limit of 4 it waits",
                held.len()
            ))
            .got("it took a slot")
            .why(
                "The limit was halved from 8 to 4 while more than that were in flight. These stay; \
                 but their places are gone, and a slot that ends does not free one before fewer \
                 than 4 are left.",
            )
            .pitfall("unbounded-concurrency")
            .or_fail();
        drop(held.pop());
    }
    let slot = ready_now(&lab, &mut waiting).await;
    lab.expect(slot.is_some())
        .expected("with 3 in flight and a limit of 4 it has its slot")
        .got("it still waits")
        .why("Places that are too many go as their slots end: so many, and not one more.")
        .pitfall("lost-wakeup")
        .or_fail();
    let mut another = lab.probe(limiter.acquire());
    let one_too_many = ready_now(&lab, &mut another).await;
    lab.expect(one_too_many.is_none())
        .expected("four are in flight, and the limit is 4: the next one waits")
        .got("it took a slot")
        .why("Each place above the limit has to go, also those that were free.")
        .pitfall("unbounded-concurrency")
        .or_fail();

    // Two whose turn has come, and who look after a halving. Whether they are let in is open;
    // how many are in flight must then still come to the limit, whatever their verdicts do to it.
    let limiter = Limiter::new(number(1), number(8));
    raise(&lab, &limiter, 7).await;
    let mut held = slots(&lab, &limiter, 7).await;
    let mut first = lab.probe(limiter.acquire());
    let mut second = lab.probe(limiter.acquire());
    let _ = (first.poll(), second.poll());
    lab.settle().await;
    held.truncate(5);
    lab.settle().await;
    held.pop().expect("five are held").overloaded();
    if let Some(first) = ready_now(&lab, &mut first).await {
        first.overloaded();
    }
    if let Some(second) = ready_now(&lab, &mut second).await {
        second.succeeded();
    }
    drop((first, second));
    let mut waiting = lab.probe(limiter.acquire());
    while held.len() >= limiter.limit() {
        let early = ready_now(&lab, &mut waiting).await;
        lab.expect(early.is_none())
            .expected(format!(
                "with {} in flight and a limit of {} it waits",
                held.len(),
                limiter.limit()
            ))
            .got("it took a slot")
            .why(
                "Slots had ended, and two were about to take their places, when the limit was \
                 halved. Then one of the two was overloaded, and the other succeeded. The limit may \
                 rise while more are in flight than it allows: then there is one place less that \
                 is too many, and still none that is free.",
            )
            .pitfall("unbounded-concurrency")
            .or_fail();
        drop(held.pop());
    }
    let slot = ready_now(&lab, &mut waiting).await;
    lab.expect(slot.is_some())
        .expected(format!(
            "with {} in flight and a limit of {} it has its slot",
            held.len(),
            limiter.limit()
        ))
        .got("it still waits")
        .why(
            "The limit was halved, and halved again, and then it rose, while more were in flight \
             than it allows. Places that are too many go as their slots end: so many as the limit \
             of that moment says, and not one more.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn acquire_dropped(lab: Lab) {
    let why = "An acquire that is dropped while it waits has taken no slot. Its place in the line, \
               or the place that was just given to it, goes to the next one.";
    lab.cancel_sweep(async |cancel: Cancel| {
        let limiter = Arc::new(Limiter::new(number(1), number(8)));
        let notes = Notes::new(&lab);
        waiter(&limiter, &notes, "held", 20);
        lab.settle().await;
        let began_ms = lab.now_ms();
        let (gives_up, behind) = (cancel.drop_at(limiter.acquire()), async {
            lab.settle().await;
            timeout(ms(1000), limiter.acquire()).await.is_ok()
        });
        let ((), behind) = tokio::join!(async { drop(gives_up.await) }, behind);
        let took = lab.now_ms() - began_ms;
        lab.expect(behind && took == 20)
            .expected("the one behind has his slot at 20 ms, when the first is free again")
            .got(if behind {
                format!("he has it at {took} ms")
            } else {
                "he still waits after 1000 ms".to_owned()
            })
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    })
    .await;

    // Dropped after the wake-up, before it was polled again.
    let limiter = Limiter::new(number(1), number(8));
    let held = slot(&lab, &limiter).await;
    let mut first = lab.probe(limiter.acquire());
    let mut second = lab.probe(limiter.acquire());
    let _ = (first.poll(), second.poll());
    lab.settle().await;
    drop(held);
    lab.settle().await;
    drop(first);
    let second = ready_now(&lab, &mut second).await;
    lab.expect(second.is_some())
        .expected("the second one has the slot: the first was woken, and dropped")
        .got("it still waits, and nobody has the slot")
        .why(why)
        .pitfall("lost-wakeup")
        .or_fail();

    // The same in tasks: these are polled only when somebody wakes them.
    let limiter = Arc::new(Limiter::new(number(1), number(8)));
    let notes = Notes::new(&lab);
    let began_ms = lab.now_ms();
    let held = slot(&lab, &limiter).await;
    let gives_up = waiter(&limiter, &notes, "b", 0);
    lab.settle().await;
    waiter(&limiter, &notes, "c", 0);
    lab.settle().await;
    drop(held);
    gives_up.abort();
    sleep(ms(100)).await;
    notes.expect(
        &format!("c@{began_ms}"),
        "`b` and `c` wait, each in a task. The slot ends, and `b` is woken; but its task is \
         aborted before it is polled again. It has to pass on what it was told: whoever leaves \
         the line when it is his turn wakes the next one, or nobody ever does.",
        "lost-wakeup",
    );
}

// ----------------------------------------------------------------- task 4

/// A packer that tells where it ran. A block is its lines, as they are drawn.
struct Packer {
    lab: Lab,
    gate: Mutex<Option<Gate>>,
}

impl Packer {
    fn new(lab: &Lab) -> Self {
        let lab = lab.clone();
        let gate = Mutex::default();
        Self { lab, gate }
    }
}

impl Pack for Packer {
    fn pack(&self, lines: &[String]) -> Vec<u8> {
        let block = drawn(lines);
        self.lab.heavy(&block, block.len() as u64);
        let gate = locked(&self.gate).take();
        if let Some(gate) = gate {
            gate.pass();
        }
        block.into_bytes()
    }
}

/// What a sink will do with a write.
#[derive(Clone, PartialEq, Eq)]
struct Answer {
    after_ms: u64,
    outcome: Result<(), WriteError>,
}

fn written(after_ms: u64) -> Answer {
    let outcome = Ok(());
    Answer { after_ms, outcome }
}

fn overloaded(after_ms: u64) -> Answer {
    let outcome = Err(WriteError::Overloaded);
    Answer { after_ms, outcome }
}

/// One write, as the sink saw it.
#[derive(Debug, Clone)]
struct Write {
    block: String,
    started_ms: u64,
    /// `None`: it is under way, or was dropped.
    ended_ms: Option<u64>,
    written: bool,
}

/// What the sink knows when a write starts.
struct Start {
    block: String,
    /// How often this block came before.
    before: usize,
    /// With this one.
    in_flight: usize,
}

type Answers = dyn Fn(&Start) -> Answer + Send + Sync;

#[derive(Clone)]
struct Backend {
    lab: Lab,
    seen: Arc<BackendSeen>,
    feed: Arc<FeedSeen>,
    answers: Arc<Answers>,
    names_blocks: bool,
}

#[derive(Default)]
struct BackendSeen {
    writes: Mutex<Vec<Write>>,
    /// How often each block came.
    counts: Mutex<BTreeMap<String, usize>>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
    off_loop: AtomicBool,
}

/// Counts a write that is under way, until it ends or is dropped.
struct InFlight(Arc<BackendSeen>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

impl Backend {
    fn new(
        lab: &Lab,
        feed: &Arc<FeedSeen>,
        answers: impl Fn(&Start) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            lab: lab.clone(),
            seen: Arc::default(),
            feed: Arc::clone(feed),
            answers: Arc::new(answers),
            names_blocks: true,
        }
    }

    /// The chart does not name the blocks: of batches that are packed at the
    /// same instant the one that is packed first is not always written first.
    fn unnamed(mut self) -> Self {
        self.names_blocks = false;
        self
    }

    fn writes(&self) -> Vec<Write> {
        locked(&self.seen.writes).clone()
    }

    fn in_flight(&self) -> usize {
        self.seen.in_flight.load(SeqCst)
    }

    /// When each write started, counted from `began_ms`: `aa@10 bb@20`. Of the
    /// same instant in the order of their names: which is first is nobody's
    /// business.
    fn starts(&self, began_ms: u64) -> String {
        let mut starts: Vec<_> = self
            .writes()
            .into_iter()
            .map(|write| (write.started_ms - began_ms, write.block))
            .collect();
        starts.sort_unstable();
        let starts: Vec<_> = starts
            .into_iter()
            .map(|(at_ms, block)| format!("{block}@{at_ms}"))
            .collect();
        if starts.is_empty() {
            return "nothing".to_owned();
        }
        starts.join(" ")
    }

    fn expect_starts(&self, expected: &str, why: &str, pitfall: &str) {
        let got = self.starts(0);
        self.lab
            .expect(got == expected)
            .expected(format!("writes start: {expected}"))
            .got(got)
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }
}

impl Sink for Backend {
    async fn write(&self, block: &[u8]) -> Result<(), WriteError> {
        let block = String::from_utf8_lossy(block).into_owned();
        if !self.lab.on_runtime_thread() {
            self.seen.off_loop.store(true, SeqCst);
        }
        let in_flight = self.seen.in_flight.fetch_add(1, SeqCst) + 1;
        let _in_flight = InFlight(Arc::clone(&self.seen));
        self.seen.peak.fetch_max(in_flight, SeqCst);
        let at_ms = self.lab.now_ms();
        let (number, before) = {
            let mut writes = locked(&self.seen.writes);
            let mut counts = locked(&self.seen.counts);
            let count = counts.entry(block.clone()).or_insert(0);
            let before = *count;
            *count += 1;
            writes.push(Write {
                block: block.clone(),
                started_ms: at_ms,
                ended_ms: None,
                written: false,
            });
            (writes.len() - 1, before)
        };
        let mut label = if self.names_blocks { &block } else { "block" }.to_owned();
        let lines = block.split('+').count();
        let answer = (self.answers)(&Start {
            block,
            before,
            in_flight,
        });
        // An overload is no failure: a mark of its own would say that it is.
        if answer.outcome == Err(WriteError::Overloaded) {
            label += " is refused";
        }
        let span = self.lab.span(format!("write {number}"), label);
        sleep(ms(answer.after_ms)).await;
        let written = answer.outcome.is_ok();
        {
            let mut writes = locked(&self.seen.writes);
            writes[number].ended_ms = Some(self.lab.now_ms());
            writes[number].written = written;
        }
        if written {
            self.feed.written.fetch_add(lines, SeqCst);
        }
        match answer.outcome {
            Err(WriteError::Failed(_)) => span.failed(),
            Ok(()) | Err(WriteError::Overloaded) => span.done(),
        }
        answer.outcome
    }
}

/// Settings that no check feels unless it changes them.
fn settings(batch: BatchLimits) -> Settings {
    Settings {
        batch,
        workers: number(1),
        backlog: number(16),
        least_writes: number(16),
        most_writes: number(16),
        pause: ms(50),
    }
}

/// Waits at most an hour: what never ends gives a finding with words.
async fn done(
    lab: &Lab,
    ingest: impl Future<Output = Result<Report, Failed>>,
) -> Result<Report, Failed> {
    let outcome = timeout(ms(3_600_000), ingest).await;
    lab.expect(outcome.is_ok())
        .expected("the ingest returns when the lines have ended and all is written")
        .got("it still runs after an hour")
        .why("After the end of the lines nothing new comes: when the last block is written, it is over.")
        .pitfall("never-ends")
        .or_fail();
    outcome.expect("a failed expectation ends the check")
}

fn expect_report(lab: &Lab, got: &Result<Report, Failed>, expected: Report) {
    lab.expect_eq(got, &Ok(expected))
        .why(
            "The report counts the lines and the blocks that were written, and the writes that \
             were overloaded.",
        )
        .pitfall("wrong-result")
        .or_fail();
}

async fn blocks_in_time(lab: Lab) {
    let o = lab.pick(0..=9);
    let lines = [
        (10, "aa"),
        (20, "bb"),
        (30 + o, "cc"), // full
        (50, "dd"),     // of age at 150
        (90 + o, "ee"),
        (200, "ffff"),
        (220 + o, "ggggg"), // does not fit
        (260, "h"),         // full
        (300, "i"),         // the tail
    ];
    let (feed, seen) = feed(&lab, lines, 340);
    let takes_ms = 25 + lab.pick(0..=4);
    let backend = Backend::new(&lab, &seen, move |_| written(takes_ms));
    let ingest = ingest(
        feed,
        Packer::new(&lab),
        backend.clone(),
        settings(limits(6, 100)),
    );
    let (report, took) = lab.timed(done(&lab, ingest)).await;
    let soonest = 340 + takes_ms;
    lab.expect(took >= ms(soonest))
        .expected(format!(
            "the ingest returns when the last write has ended, at {soonest} ms"
        ))
        .got(format!("it returned after {} ms", took.as_millis()))
        .why("With the end of the lines the last block is still to be written: that is waited for.")
        .pitfall("forgotten-await")
        .or_fail();
    backend.expect_starts(
        &format!(
            "aa+bb+cc@{} dd+ee@150 ffff@{} ggggg+h@260 i@340",
            30 + o,
            220 + o
        ),
        "Each batch is packed and written the moment it is complete: with 6 bytes, before a line \
         that does not fit, 100 ms after its first line, or with the end of the lines. Packing \
         takes no virtual time here.",
        "sequential-awaits",
    );
    expect_report(
        &lab,
        &report,
        Report {
            lines: 9,
            blocks: 5,
            overloads: 0,
        },
    );
    lab.expect_took(took, soonest)
        .why("The ingest returns at the instant at which the last write has ended.")
        .pitfall("sequential-awaits")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("The ingest has returned: what it started has to be over.")
        .or_fail();
}

async fn packs_off_the_loop(lab: Lab) {
    // Two lines a batch; all of them are there at once.
    let lines = (0..12).map(|line| (0, format!("l{line:02}")));
    let (feed, seen) = feed(&lab, lines, 0);
    let backend = Backend::new(&lab, &seen, |_| written(20)).unnamed();
    let (open, gate) = gate(&lab);
    let packer = Packer::new(&lab);
    *locked(&packer.gate) = Some(gate);
    let backlog = pick(&lab, 2..=4);
    let settings = Settings {
        backlog: number(backlog),
        ..settings(limits(6, 100))
    };
    let ingest = tokio::spawn(ingest(feed, packer, backend.clone(), settings));
    lab.settle().await;
    let taken = seen.taken();
    drop(open);
    let report = done(&lab, joined(ingest)).await;
    let calls = lab.heavy_calls();
    let on_loop = calls.iter().find(|call| call.on_runtime);
    lab.expect(on_loop.is_none())
        .expected("`pack` runs on a thread of the blocking pool")
        .got("`pack` ran on the runtime's thread")
        .why("While it computes there, no line is taken, no write goes on, and no timer fires.")
        .pitfall("blocking-the-runtime")
        .at(on_loop
            .map(|call| call.location.clone())
            .unwrap_or_default())
        .or_fail();
    lab.expect(taken >= 2 * backlog)
        .expected(format!(
            "while the first batch is packed, lines for {backlog} batches are taken: the backlog"
        ))
        .got(format!("{taken} lines are taken"))
        .why(
            "The first `pack` takes long, and all lines are there. The loop is free meanwhile: \
             as long as fewer batches are on their way than the backlog, it takes lines.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    let off_loop = seen.polled_off_loop.load(SeqCst) || backend.seen.off_loop.load(SeqCst);
    lab.expect(!off_loop)
        .expected("lines are read and blocks are written on the loop")
        .got("a thread of the blocking pool did it")
        .why(
            "What waits belongs on the loop. A thread of the pool that waits for the sink is \
             missing where there is something to compute.",
        )
        .pitfall("sync-in-async")
        .or_fail();
    let mut packed: Vec<_> = calls.into_iter().map(|call| call.label).collect();
    packed.sort_unstable();
    let expected: Vec<_> = (0..6)
        .map(|batch| format!("l{:02}+l{:02}", 2 * batch, 2 * batch + 1))
        .collect();
    lab.expect_eq(&packed, &expected)
        .why("Every batch is packed, and each of them once.")
        .pitfall("wrong-result")
        .or_fail();
    expect_report(
        &lab,
        &report,
        Report {
            lines: 12,
            blocks: 6,
            overloads: 0,
        },
    );
}

async fn backlog(lab: Lab) {
    // Two lines a batch, one write at a time, 100 ms each.
    let lines = (0..60).map(|line| (0, format!("l{line:02}")));
    let (feed, seen) = feed(&lab, lines, 0);
    let backend = Backend::new(&lab, &seen, |_| written(100)).unnamed();
    let backlog = pick(&lab, 2..=5);
    let settings = Settings {
        backlog: number(backlog),
        least_writes: number(1),
        most_writes: number(1),
        workers: number(pick(&lab, 1..=2)),
        ..settings(limits(6, 100))
    };
    let ingest = ingest(feed, Packer::new(&lab), backend.clone(), settings);
    let (report, took) = lab.timed(done(&lab, ingest)).await;
    let most = seen.most_in_hand.load(SeqCst);
    lab.expect(most <= 2 * backlog + 1)
        .expected(format!(
            "at most {} lines are taken and not yet written: a backlog of {backlog} batches of 2 \
             lines, and one that is begun",
            2 * backlog + 1
        ))
        .got(format!("{most} lines"))
        .why(
            "The lines come faster than the sink writes. A queue between two stages needs a bound, \
             and the list of jobs that wait for the blocking pool is such a queue, too: when it is \
             full, no more lines may be taken.",
        )
        .pitfall("unbounded-queue")
        .or_fail();
    lab.expect(most >= 2 * backlog)
        .expected(format!("the backlog of {backlog} batches is made use of"))
        .got(format!(
            "at most {most} lines are taken and not yet written"
        ))
        .why("As long as fewer batches are on their way than the backlog, lines are taken.")
        .pitfall("sequential-awaits")
        .or_fail();
    expect_report(
        &lab,
        &report,
        Report {
            lines: 60,
            blocks: 30,
            overloads: 0,
        },
    );
    lab.expect_took(took, 3000)
        .why("30 writes of 100 ms, one at a time: with a backlog the sink never has to wait.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn comes_again(lab: Lab) {
    // One line a batch, one write at a time.
    let lines = [(0, "aaaa"), (1, "bbbb"), (2, "cccc")];
    let (feed, seen) = feed(&lab, lines, 2);
    let refusals = pick(&lab, 1..=2);
    let backend = Backend::new(&lab, &seen, move |start| {
        if start.block == "bbbb" && start.before < refusals {
            overloaded(10)
        } else {
            written(20)
        }
    });
    let settings = Settings {
        least_writes: number(1),
        most_writes: number(1),
        pause: ms(70),
        ..settings(limits(4, 100))
    };
    let ingest = ingest(feed, Packer::new(&lab), backend.clone(), settings);
    let report = done(&lab, ingest).await;
    let writes = backend.writes();
    let mut of_c = writes.iter().filter(|write| write.block == "cccc");
    let late = of_c.find(|write| write.started_ms > 30);
    lab.expect(late.is_none())
        .expected("`cccc` is written from 30 ms on, when `bbbb` was refused")
        .got(format!(
            "from {} ms on",
            late.map_or(30, |write| write.started_ms)
        ))
        .why(
            "One write at a time. A block that pauses is not in flight: its slot ends with the \
             refusal, before the pause, and the next one has it at that instant.",
        )
        .pitfall("leaked-resource")
        .or_fail();
    let mut expected = "aaaa@0 bbbb@20 cccc@30 bbbb@100".to_owned();
    if refusals == 2 {
        expected += " bbbb@180";
    }
    backend.expect_starts(
        &expected,
        "One write at a time. `bbbb` is refused at 30 ms: `cccc` has the place at that instant, \
         and `bbbb` comes again when the pause of 70 ms is over, until it is written. A block \
         that was refused is neither lost nor a failure.",
        "swallowed-error",
    );
    expect_report(
        &lab,
        &report,
        Report {
            lines: 3,
            blocks: 3,
            overloads: refusals,
        },
    );
    let packed = lab.heavy_calls().len();
    lab.expect_eq(&packed, &3)
        .expected("three batches, packed three times")
        .got(format!("packed {packed} times"))
        .why("The block that is written again is the same one: it needs no second packing.")
        .pitfall("over-engineered")
        .or_fail();
}

/// Blocks, and how many of them come while the sink can bear much.
const BLOCKS: usize = 400;
const BLOCKS_AT_FIRST: usize = 250;
const BEARS_AT_FIRST: usize = 12;
const BEARS_LATER: usize = 4;

async fn converges(lab: Lab) {
    lab.allow_polls(100_000);
    let lines = (0..BLOCKS).map(|line| (0, format!("l{line:03}")));
    let (feed, seen) = feed(&lab, lines, 0);
    let jitter = Mutex::new(lab.rng());
    let done_so_far = Arc::clone(&seen);
    let backend = Backend::new(&lab, &seen, move |start| {
        let at_first = done_so_far.written.load(SeqCst) < BLOCKS_AT_FIRST;
        let bears = if at_first {
            BEARS_AT_FIRST
        } else {
            BEARS_LATER
        };
        let jitter = locked(&jitter).u64(0..=10);
        if start.in_flight > bears {
            overloaded(10 + jitter)
        } else {
            written(95 + jitter)
        }
    })
    .unnamed();
    let settings = Settings {
        backlog: number(40),
        least_writes: number(1),
        most_writes: number(32),
        ..settings(limits(4, 100))
    };
    let ingest = ingest(feed, Packer::new(&lab), backend.clone(), settings);
    let (report, took) = lab.timed(timeout(ms(12_000), ingest)).await;
    let refused = |write: &&Write| write.ended_ms.is_some() && !write.written;
    let overloads = backend.writes().iter().filter(refused).count();
    let peak = backend.seen.peak.load(SeqCst);
    lab.expect(overloads <= 60)
        .expected("at most 60 writes are refused")
        .got(format!(
            "{overloads} are refused, up to {peak} are in flight"
        ))
        .why(
            "The sink bears 12 writes at a time, and after 250 blocks only 4. Each refusal is work \
             that is done twice, by a sink that has too much to do already: the limit has to fall \
             with an overload, and to rise slowly.",
        )
        .pitfall("unbounded-concurrency")
        .or_fail();
    lab.expect(report.is_ok() && took <= ms(9500))
        .expected("400 blocks are written within 9500 ms")
        .got(match &report {
            Ok(_) => format!("{} ms, with up to {peak} in flight", took.as_millis()),
            Err(_) => format!("not after 12000 ms, with up to {peak} in flight"),
        })
        .why(
            "A write takes about 100 ms. The sink bears 12 at a time, and after 250 blocks only 4; \
             with exactly these it would take 5900 ms. A limit that rises by one with each round, \
             and is halved by an overload, comes near to that.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    let report = report.unwrap_or_else(|_| Ok(Report::default()));
    expect_report(
        &lab,
        &report,
        Report {
            lines: BLOCKS,
            blocks: BLOCKS,
            overloads,
        },
    );
}

async fn fails(lab: Lab) {
    let lines = (0..40).map(|line| (line * 10, format!("l{line:02}")));
    let (feed, seen) = feed(&lab, lines, 400);
    let fails_after_ms = lab.pick(31..=39);
    let backend = Backend::new(&lab, &seen, move |start| match start.block.as_str() {
        "l02" => Answer {
            after_ms: fails_after_ms,
            outcome: Err(WriteError::Failed("the disk is full".to_owned())),
        },
        _ => written(200),
    });
    let ingest = ingest(
        feed,
        Packer::new(&lab),
        backend.clone(),
        settings(limits(3, 100)),
    );
    let (outcome, took) = lab.timed(done(&lab, ingest)).await;
    lab.expect_eq(&outcome, &Err(Failed("the disk is full".to_owned())))
        .why("A write that fails for good ends the ingest, with the message of the sink.")
        .pitfall("swallowed-error")
        .or_fail();
    lab.expect_took(took, 20 + fails_after_ms)
        .why("The ingest returns at the instant of the failure, and waits for no other write.")
        .pitfall("swallowed-error")
        .or_fail();
    expect_nothing_left(&lab, &backend, &seen, "after the failure").await;
}

/// Settles; then nothing runs, and nothing will.
async fn expect_nothing_left(lab: &Lab, backend: &Backend, seen: &FeedSeen, when: &str) {
    lab.settle().await;
    let why = "What belongs to the ingest ends with it: the writes in flight are dropped at that \
               instant, no task is left, and no line is taken any more. A task that was spawned, \
               and whose handle is dropped, runs on.";
    let in_flight = backend.in_flight();
    let no_tasks_left = lab.expect_no_tasks_left().await;
    let none_in_flight = lab.expect(in_flight == 0).pitfall("leaked-task");
    for expectation in [no_tasks_left, none_in_flight] {
        expectation
            .expected(format!("{when}: no write and no task is left"))
            .got(format!(
                "{} tasks and {in_flight} writes",
                lab.tasks_alive()
            ))
            .why(why)
            .or_fail();
    }
    let so_far = (
        seen.taken(),
        backend.writes().len(),
        lab.heavy_calls().len(),
    );
    sleep(ms(10_000)).await;
    let later = (
        seen.taken(),
        backend.writes().len(),
        lab.heavy_calls().len(),
    );
    lab.expect_eq(&later, &so_far)
        .expected(format!(
            "{when}: (lines taken, writes started, batches packed) stays {so_far:?}"
        ))
        .got(format!("{later:?}, ten seconds later"))
        .why(why)
        .pitfall("leaked-task")
        .or_fail();
}

async fn ingest_dropped(lab: Lab) {
    // Lengths that bring few things to the same instant, and no drop to one.
    for drop_at_ms in (4..=330).step_by(25) {
        let lines = (0..20).map(|line| (line * 10, format!("l{line:02}")));
        let (feed, seen) = feed(&lab, lines, 200);
        let backend = Backend::new(&lab, &seen, |start| {
            if start.before == 0 && ["l02+l03", "l08+l09"].contains(&start.block.as_str()) {
                overloaded(17)
            } else {
                written(41)
            }
        });
        let settings = Settings {
            least_writes: number(2),
            most_writes: number(4),
            backlog: number(3),
            ..settings(limits(6, 25))
        };
        let ingest = ingest(feed, Packer::new(&lab), backend.clone(), settings);
        let outcome = timeout(ms(drop_at_ms), ingest).await;
        let failed = outcome.is_ok_and(|outcome| outcome.is_err());
        lab.expect(!failed && (drop_at_ms < 10 || !backend.writes().is_empty()))
            .expected("writes are started, and none fails for good")
            .got(format!("{} writes", backend.writes().len()))
            .why("An overload is no failure: the block comes again.")
            .pitfall("swallowed-error")
            .or_fail();
        expect_nothing_left(
            &lab,
            &backend,
            &seen,
            &format!("dropped after {drop_at_ms} ms"),
        )
        .await;
    }
}
