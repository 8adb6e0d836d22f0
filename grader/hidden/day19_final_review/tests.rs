//! Hidden checks of day 19: the questions of three weeks, and a runner for jobs.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use exercise::{
    Bank, Broken, Cause, Crew, Db, DeadlineLayer, Failure, Fault, FirstLetter, Job, Lamp, Log,
    Meter, Readings, Request, Response, answer_1, answer_2, answer_3, answer_4, answer_6, answer_7,
    answer_8, answer_9, answer_10, answer_12, answer_14, answer_15, answer_16, book, gather,
    in_a_window, pair_up, q1, q2, q4, q6, q7, q8, q12, q15, q16, readings, scope, task_group,
    test_lamp,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use kata_harness::{CallInfo, Cancel, Lab, Service, SpanEnd, Suite, ms};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service as _, service_fn};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .seeds(1) // the questions leave nothing to chance
        .check("questions 1 and 2: what begins with the call, what with the poll", 1, questions_1_2)
        .check("questions 4 and 6: guards in a timeout, handles in a timeout", 1, questions_4_6)
        .check("questions 7 and 8: tasks that are aborted, losers of a select", 1, questions_7_8)
        .check("questions 12, 15 and 16: delays, ticks, and a thread that sleeps", 1, questions_12_15_16)
        .seeds(8)
        .task(2)
        .check("question 3: a poll that is pending without a waker", 1, question_3)
        .check("question 9: half a pair lost in a select", 1, question_9)
        .check("questions 10 and 14: what is held when nobody goes on", 2, questions_10_14)
        .task(3)
        .check("questions 5 and 11: page by page, and in a window", 2, questions_5_11)
        .check("question 13: 408 at the limit", 1, question_13)
        .check("question 17: a test that catches three mutants", 2, question_17)
        .task(4)
        .check("gather: every outcome in the order of the list, panics too", 2, gather_outcomes)
        .check("gather: all jobs run at the same time, whoever fails", 1, gather_overlaps)
        .check("gather: each cleanup follows its work, and is awaited", 2, gather_cleans_up)
        .task(5)
        .check("task_group: the first failure drops the others at that instant", 3, group_drops)
        .check("task_group: the cleanup of each job is run and awaited", 2, group_cleans_up)
        .check("task_group: every failure is kept, in the order of the list", 2, group_failures)
        .seeds(2)
        .check("task_group: dropped at any pending it leaves nothing running", 2, group_dropped)
        .seeds(8)
        .task(6)
        .check("scope: jobs that are added belong to it, and so do theirs", 2, scope_adds)
        .check("scope: a failure or a stop lets no new job in and cleans up", 3, scope_ends_early)
        .check("scope: it ends with its last job, whoever still holds a crew", 2, scope_ends)
        .run()
}

// ---------------------------------------------------------------- helpers

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// So long a check waits for what must end.
const AGES_MS: u64 = 600_000;
/// The length of a work that nobody may wait for.
const LONG_MS: u64 = 5_000;

/// The output of what must end within ten minutes; if it does not, `why` says why.
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
        .got(format!("{what} still waits after ten minutes"))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
    output.expect("a failed expectation ends the check")
}

fn expect_same<T: Debug + PartialEq>(lab: &Lab, got: &T, expected: &T, why: &str, pitfall: &str) {
    lab.expect_eq(got, expected)
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

// ------------------------------------------------------- task 1: predict

/// Compares an answer with what the snippet has noted.
fn expect_answer(lab: &Lab, question: &str, answer: &str, truth: &str, rule: &str, pitfall: &str) {
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
        .expected(format!("{question}: {}", noted.join(" ")))
        .got(if said.is_empty() {
            "nothing".to_owned()
        } else {
            said.join(" ")
        })
        .why(format!("At place {}: {difference}. {rule}", place + 1))
        .pitfall(pitfall)
        .or_fail();
}

/// What a snippet notes.
async fn noted<F: Future<Output = ()>>(snippet: impl FnOnce(Log) -> F) -> String {
    let log = Log::new();
    snippet(log.clone()).await;
    log.events()
}

async fn questions_1_2(lab: Lab) {
    let answer = answer_1();
    let rule = "A call of an `async fn` runs nothing: its first line comes with the first poll, \
                and never if it is dropped before. Its time begins there, too.";
    let truth = noted(q1).await;
    expect_answer(&lab, "question 1", answer, &truth, rule, "forgotten-await");

    let answer = answer_2();
    let rule = "`nap(…)` begins when it is polled, wherever it was made. `sleep(…)` is a plain \
                function: its deadline is set by the call, and if that is over it is ready at \
                once. In `join!` the longer side counts.";
    let truth = noted(q2).await;
    expect_answer(
        &lab,
        "question 2",
        answer,
        &truth,
        rule,
        "sequential-awaits",
    );
}

async fn questions_4_6(lab: Lab) {
    let answer = answer_4();
    let rule = "A guard lives to the end of its own block. At its deadline the timeout drops the \
                future with what is alive in it, the last one declared first, and only then \
                gives `Err`.";
    let truth = noted(q4).await;
    expect_answer(
        &lab,
        "question 4",
        answer,
        &truth,
        rule,
        "cancellation-ignored",
    );

    let answer = answer_6();
    let rule = "A timeout drops what it is given: of `&mut handle` the reference, of `handle` the \
                handle. Neither of them ends the task, which belongs to the runtime. Its own \
                guards are dropped when it ends, after its last line.";
    let truth = noted(q6).await;
    expect_answer(
        &lab,
        "question 6",
        answer,
        &truth,
        rule,
        "dropped-join-handle",
    );
}

async fn questions_7_8(lab: Lab) {
    let answer = answer_7();
    let rule = "`abort` says that a task is to be dropped where it waits: locals first, then \
                arguments. It does nothing to one that has ended, whose output still waits in \
                the set. One that was never polled has no locals, and has its arguments.";
    let truth = noted(q7).await;
    expect_answer(
        &lab,
        "question 7",
        answer,
        &truth,
        rule,
        "cancellation-ignored",
    );

    let answer = answer_8();
    let rule = "By value a `select!` drops the loser before the winner's branch runs, and the \
                next turn begins anew. By reference the future keeps what it has: it began at \
                its first poll, and ends 120 ms later.";
    let truth = noted(q8).await;
    expect_answer(
        &lab,
        "question 8",
        answer,
        &truth,
        rule,
        "cancel-unsafe-select",
    );
}

async fn questions_12_15_16(lab: Lab) {
    let answer = answer_12();
    let rule = "An attempt begins 20 ms and a delay after the one before. The delays are 50, 150, \
                and then 400, for 450 is beyond the limit. The last failure has no delay.";
    let truth = noted(q12).await;
    expect_answer(&lab, "question 12", answer, &truth, rule, "wrong-result");

    let answers = answer_15();
    let rule = "At 200 ms two ticks were missed, those of 80 and 160. `Burst` gives them at once \
                and keeps the beat of 80; `Delay` gives one, and counts 80 ms from that; `Skip` \
                gives one, and goes on at the next multiple of 80.";
    let kinds = [
        ("Burst", MissedTickBehavior::Burst),
        ("Delay", MissedTickBehavior::Delay),
        ("Skip", MissedTickBehavior::Skip),
    ];
    for (answer, (name, missed)) in answers.into_iter().zip(kinds) {
        let truth = noted(|log| q15(log, missed)).await;
        let question = format!("question 15, {name}");
        expect_answer(&lab, &question, answer, &truth, rule, "wrong-result");
    }

    let answer = answer_16();
    // In a runtime of its own, on a thread of its own: on this one nobody may sleep.
    let noting = spawn_blocking(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(noted(q16))
    });
    let truth = joined(noting).await;
    let rule = "The paused clock is moved by the runtime alone: to the next timer, when nothing \
                can run and no blocking job is at work. While the thread sleeps, or a job is at \
                work, it stands. In real time the timer would be late, and the job too late.";
    let pitfall = "blocking-the-runtime";
    expect_answer(&lab, "question 16", answer, &truth, rule, pitfall);
}

// ------------------------------------------------------- task 2: spot

/// The answer is the number of the line that has this text, counted from 1.
fn expect_line(lab: &Lab, said: u32, listing: &str, text: &str, what: &str, why: &str, pit: &str) {
    let mut lines = (1..).zip(listing.lines().map(str::trim));
    let source = lines.clone().find(|(number, _)| *number == said);
    let truth = lines.find(|(_, source)| source.contains(text));
    lab.expect(truth.is_some_and(|(number, _)| number == said))
        .expected(what)
        .got(match source {
            Some((_, source)) => format!("line {said}: {source}"),
            None => format!("line {said}, which the listing does not have"),
        })
        .why(why)
        .pitfall(pit)
        .or_fail();
}

/// What the README lists for question 3.
const FIRST_LETTER: &str = "\
impl Future for FirstLetter {
    type Output = Option<String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>)
        -> Poll<Option<String>>
    {
        match self.letters.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(letter)) if letter.starts_with(\"ad:\") => {
                self.thrown_away += 1;
                Poll::Pending // an advertisement
            }
            Poll::Ready(letter) => Poll::Ready(letter),
        }
    }
}
";

async fn question_3(lab: Lab) {
    expect_line(
        &lab,
        answer_3(),
        FIRST_LETTER,
        "// an advertisement",
        "the line that says \"pending\" though nobody will wake it",
        "Who has the waker of this poll? A channel keeps it if its own poll was pending. Here it \
         was ready.",
        "lost-wakeup",
    );
    let ads = lab.pick(1..=4);
    for last in [Some("a letter"), None] {
        let (sender, letters) = mpsc::unbounded_channel();
        let waiting = tokio::spawn(FirstLetter::new(letters));
        sleep(ms(10)).await;
        for number in 0..ads {
            let _ = sender.send(format!("ad: {number}"));
        }
        if lab.seed().is_multiple_of(2) {
            sleep(ms(10)).await;
        }
        if let Some(letter) = last {
            let _ = sender.send(letter.to_owned());
        }
        drop(sender);
        let why = "An advertisement was taken out of the channel, and the poll said `Pending` \
                   although more was there: nobody wakes it for that any more. Poll the channel \
                   again, until it is pending itself.";
        let got = soon(&lab, "FirstLetter", joined(waiting), why, "lost-wakeup").await;
        let why = "The first letter that is no advertisement, or `None` at the end.";
        expect_same(&lab, &got.as_deref(), &last, why, "wrong-result");
    }
}

/// What the README lists for question 9.
const PAIR_UP: &str = "\
pub async fn pair_up(
    mut from: Receiver<u32>, to: UnboundedSender<(u32, u32)>, beat: fn(),
) {
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
";

async fn question_9(lab: Lab) {
    expect_line(
        &lab,
        answer_9(),
        PAIR_UP,
        "let second",
        "the `.await` at which the branch holds a number that is nowhere else",
        "A branch of `select!` may be dropped at each of its `.await`s. At which one has it taken \
         something already?",
        "cancel-unsafe-select",
    );
    let (sender, from) = mpsc::channel(4);
    let (to, mut pairs) = mpsc::unbounded_channel();
    let pairing = tokio::spawn(pair_up(from, to, || {}));
    for number in 0..15_u32 {
        sleep(ms(lab.pick(25..=35))).await;
        let _ = sender.send(number).await;
    }
    drop(sender);
    let why = "When the first channel is closed and empty, nothing is left to do.";
    soon(&lab, "pair_up", joined(pairing), why, "never-ends").await;
    let mut got = Vec::new();
    while let Ok(pair) = pairs.try_recv() {
        got.push(pair);
    }
    let expected: Vec<_> = (0..7).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    let why = "A beat is due between the two halves of a pair, and the branch that has the first \
               one is dropped. Keep it where `select!` drops nothing; a `recv` that is dropped \
               has taken nothing.";
    expect_same(&lab, &got, &expected, why, "cancel-unsafe-select");
}

/// What the README lists for question 10.
const TRANSFER: &str = "\
pub async fn transfer(&self, from: usize, to: usize, amount: u32) {
    let mut source = self.accounts[from].lock().await;
    self.write_slip().await;
    let mut target = self.accounts[to].lock().await;
    *source -= amount;
    *target += amount;
}
";

/// What the README lists for question 14.
const BOOK: &str = "\
pub async fn book(db: &Db, from: &str, to: &str, amount: i64)
    -> Result<(), DbError>
{
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
";

async fn questions_10_14(lab: Lab) {
    expect_line(
        &lab,
        answer_10(),
        TRANSFER,
        "let mut target",
        "question 10: the `.await` at which one holds what the other wants",
        "Each of them has its first lock by then. For which lock does it wait?",
        "deadlock",
    );
    mended_bank(&lab).await;
    expect_line(
        &lab,
        answer_14(),
        BOOK,
        "db.rollback()",
        "question 14: the line that has to run, and does not when the future is dropped",
        "A caller who leaves drops the future at one of its `.await`s, and no line after that \
         runs. Which of them would have ended the transaction?",
        "cancellation-ignored",
    );
    mended_book(&lab).await;
}

async fn mended_bank(lab: &Lab) {
    let bank = Arc::new(Bank::new(3, 100));
    // In a ring, and against each other.
    let ways = [(0, 1), (1, 2), (2, 0), (1, 0), (0, 2), (2, 2)];
    let transfers = ways.map(|(from, to)| {
        let (bank, pause) = (Arc::clone(&bank), lab.pick(0..=5));
        tokio::spawn(async move {
            sleep(ms(pause)).await;
            bank.transfer(from, to, 7).await;
        })
    });
    let summing = {
        let (bank, pause) = (Arc::clone(&bank), lab.pick(0..=40));
        tokio::spawn(async move {
            sleep(ms(pause)).await;
            bank.sums().await
        })
    };
    let why = "One holds the first account and wants the second, another holds the second and \
               wants the first; and whoever moves from an account to itself waits for itself. \
               Lock in one order, whatever the direction of the money.";
    for transfer in transfers {
        soon(lab, "transfer", joined(transfer), why, "deadlock").await;
    }
    let sums = soon(lab, "sums", joined(summing), why, "deadlock").await;
    let together: u32 = sums.iter().sum();
    lab.expect(together == 300)
        .expected("300 on all accounts together, at any instant")
        .got(format!("{together} together: {sums:?}"))
        .why(
            "A transfer that lets go of one account before it has changed the other shows half \
             of it. Hold both until both are changed.",
        )
        .pitfall("shared-state-race")
        .or_fail();
    let sums = soon(lab, "sums", bank.sums(), why, "deadlock").await;
    let why = "Account 0 gave 7 twice and got 7 twice, account 1 gave twice and got once, account \
               2 gave once and got twice; what it moved to itself changes nothing.";
    expect_same(lab, &sums, &vec![100, 93, 107], why, "wrong-result");
    let ((), took) = lab.timed(bank.transfer(0, 1, 7)).await;
    lab.expect_took(took, 10)
        .why(
            "Each transfer writes its slip, which takes 10 ms, and this one waits for nobody. \
             Without a slip there would hardly be time for two clerks to meet; but the bank wants \
             it, and on several threads they meet all the same.",
        )
        .pitfall("deadlock")
        .or_fail();
}

async fn mended_book(lab: &Lab) {
    let sums = |db: &Db| (db.sum("a"), db.sum("b"));
    let db = Db::new(&[("a", 50), ("b", 10)]);
    let booked = book(&db, "a", "b", 20).await;
    let why = "A booking that goes well moves the amount, and commits.";
    let got = (booked, sums(&db), db.in_transaction());
    let expected = (Ok(()), (Some(30), Some(30)), false);
    expect_same(lab, &got, &expected, why, "wrong-result");
    for (from, to) in [("a", "nobody"), ("a", "b")] {
        let amount = if to == "b" { 31 } else { 5 };
        let failed = book(&db, from, to, amount).await.is_err();
        let got = (failed, sums(&db), db.in_transaction());
        let why = "A booking that fails says so, and has moved nothing.";
        let expected = (true, (Some(30), Some(30)), false);
        expect_same(lab, &got, &expected, why, "cleanup-forgotten");
    }
    lab.cancel_sweep(async |cancel: Cancel| {
        let db = Db::new(&[("a", 50), ("b", 10)]);
        let booked = cancel.drop_at(book(&db, "a", "b", 20)).await;
        lab.settle().await;
        let moved = if booked.is_some() { 20 } else { 0 };
        let got = (sums(&db), db.in_transaction());
        let expected = ((Some(50 - moved), Some(10 + moved)), false);
        let why = "Whoever leaves in the middle leaves a transaction open, and half of it done. \
                   After the `.await` at which it was dropped no line runs; `Drop` does. \
                   (Got: the sums of `a` and `b`, and whether a transaction is open.)";
        expect_same(lab, &got, &expected, why, "cancellation-ignored");
    })
    .await;
}

// ------------------------------------------------------- task 3: complete

/// A meter whose pages have these marks.
struct Pages {
    pages: Vec<(u64, Vec<u32>)>,
    broken: Option<u64>,
    calls: Service,
}

impl Meter for Pages {
    fn page(&self, mark: u64) -> BoxFuture<'_, Result<Readings, Broken>> {
        Box::pin(async move {
            let called = self.calls.call(format!("page {mark}")).await;
            let place = self.pages.iter().position(|(own, _)| *own == mark);
            match (called, place) {
                (Ok(_), Some(place)) if self.broken != Some(mark) => Ok(Readings {
                    values: self.pages[place].1.clone(),
                    next: self.pages.get(place + 1).map(|(mark, _)| *mark),
                }),
                _ => Err(Broken(mark)),
            }
        })
    }
}

async fn questions_5_11(lab: Lab) {
    let marks = [0, lab.pick(1..=9), lab.pick(10..=99), lab.pick(100..=999)];
    let values = [vec![1, 2, 3], vec![], vec![4], vec![5, 6]];
    for broken in [None, Some(marks[2])] {
        let meter = Pages {
            pages: marks.into_iter().zip(values.clone()).collect(),
            broken,
            calls: lab.service("meter").takes(20).build(),
        };
        let mut stream = Box::pin(readings(&meter));
        let first = stream.next().await;
        expect_same(
            &lab,
            &(first, meter.calls.count()),
            &(Some(Ok(1)), 1),
            "The first value is there with the first page; no further page is fetched for it. \
             (Got: the value, and the number of pages fetched.)",
            "wrong-result",
        );
        let mut got = vec![1].into_iter().map(Ok).collect::<Vec<_>>();
        while let Some(item) = stream.next().await {
            got.push(item);
            if got.len() > 9 {
                break;
            }
        }
        let mut expected: Vec<Result<u32, Broken>> = match broken {
            None => vec![1, 2, 3, 4, 5, 6],
            Some(_) => vec![1, 2, 3],
        }
        .into_iter()
        .map(Ok)
        .collect();
        expected.extend(broken.map(|mark| Err(Broken(mark))));
        let why = format!(
            "The pages have the marks {marks:?} and the values {values:?}: a page without values \
             is not the end. A broken page gives its error in its place, once, and then the end."
        );
        expect_same(&lab, &got, &expected, &why, "swallowed-error");
    }

    let limit = usize::try_from(lab.pick(2..=4)).expect("small");
    let mut times = vec![90, 20, 30, 80, 10, 60, 25, 70, 40];
    lab.rng().shuffle(&mut times[1..]);
    let own = times.clone();
    let service = lab
        .service("job")
        .takes_with(move |call| own[call.label.parse::<usize>().expect("a number")])
        .build();
    let jobs = (0..9_u32).map(|job| {
        let call = service.call(job.to_string());
        async move {
            let _ = call.await;
            job * 10
        }
        .boxed()
    });
    let (got, took) = lab.timed(in_a_window(limit, jobs.collect())).await;
    let expected: Vec<u32> = (0..9).map(|job| job * 10).collect();
    let why = "Question 11: the result of each job stands at the job's own place.";
    expect_same(&lab, &got, &expected, why, "wrong-result");
    lab.expect(service.peak() <= limit)
        .expected(format!("question 11: at most {limit} jobs in flight"))
        .got(format!("{} at the same time", service.peak()))
        .why("A job is in flight from its first poll on: the limit has to hold before that.")
        .pitfall("unbounded-concurrency")
        .or_fail();
    let mut free_at = vec![0; limit];
    for length in &times {
        *free_at.iter_mut().min().expect("a place") += length;
    }
    lab.expect_took(took, free_at.into_iter().max().unwrap_or(0))
        .why(format!(
            "Question 11: the jobs take {times:?} ms. Each begins as soon as fewer than {limit} \
             are in flight; a result that is early must not keep its place (`buffered` does)."
        ))
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn question_13(lab: Lab) {
    let limit_ms = lab.pick(50..=100);
    let handler = lab
        .service("handler")
        .takes_with(|call| call.label.parse().expect("milliseconds"))
        .build();
    let calls = handler.clone();
    let inner = service_fn(move |request: Request| {
        let calls = calls.clone();
        async move {
            let _ = calls.call(request.path.clone()).await;
            if request.path == "7" {
                return Err(Fault("the handler's own".to_owned()));
            }
            let (status, body) = (200, request.path);
            Ok(Response { status, body })
        }
        .boxed()
    });
    let mut service = DeadlineLayer::new(ms(limit_ms)).layer(inner);
    for takes_ms in [limit_ms - 1, limit_ms + 1, AGES_MS, 7] {
        let ready = futures::future::poll_fn(|cx| service.poll_ready(cx)).await;
        let why = "The inner service is ready, so this one is.";
        expect_same(&lab, &ready, &Ok(()), why, "wrong-result");
        let request = Request {
            path: takes_ms.to_string(),
        };
        let (answer, took) = lab.timed(service.call(request)).await;
        let in_time = takes_ms < limit_ms;
        let got = answer.map(|answer| (answer.status, answer.body == takes_ms.to_string()));
        let expected = match takes_ms {
            7 => Err(Fault("the handler's own".to_owned())),
            _ if in_time => Ok((200, true)),
            _ => Ok((408, false)),
        };
        lab.expect(got.as_ref().map(|got| got.0) == expected.as_ref().map(|own| own.0))
            .expected(format!(
                "{expected:?} (status, and whether the body is the handler's)"
            ))
            .got(format!("{got:?}"))
            .why(format!(
                "The handler takes {takes_ms} ms, and the limit is {limit_ms} ms. An answer or \
                 an error in time is passed on as it is; at the limit the answer is status 408."
            ))
            .pitfall("wrong-result")
            .or_fail();
        lab.expect_took(took, takes_ms.min(limit_ms))
            .why("The answer comes when the handler has it, or at the limit, and not later.")
            .pitfall("sequential-awaits")
            .or_fail();
    }
    lab.settle().await;
    lab.expect_eq(&handler.in_flight(), &0)
        .expected("no handler is at work after its 408")
        .got(format!("{} still at work", handler.in_flight()))
        .why("At the limit the inner future is dropped: nobody wants its answer any more.")
        .pitfall("leaked-task")
        .or_fail();

    let opens_after_ms = lab.pick(20..=40);
    let door = Door(Box::pin(sleep(ms(opens_after_ms))));
    let mut service = DeadlineLayer::new(ms(limit_ms)).layer(door);
    let ready = futures::future::poll_fn(|cx| service.poll_ready(cx));
    let why = "`poll_ready` says whether the inner service can take a request now, and leaves the \
               waker with it if it cannot. So hand the question on, with the context; who says \
               \"ready\" for a service that is full has taken its limit away.";
    let ready = lab.timed(soon(&lab, "poll_ready", ready, why, "wrong-result"));
    let (_, took) = ready.await;
    lab.expect_took(took, opens_after_ms)
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
}

/// A service that takes no request before it is time.
struct Door(Pin<Box<Sleep>>);

impl tower::Service<Request> for Door {
    type Response = Response;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Response, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.0.as_mut().poll(cx).map(Ok)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (status, body) = (200, request.path);
        std::future::ready(Ok(Response { status, body })).boxed()
    }
}

/// A lamp with one of these mistakes, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    Plain,
    WithADeadline,
    OnAtTheLimit,
    SecondTouchIsLost,
    LookingProlongs,
    NeverOn,
}

struct TestedLamp {
    make: Make,
    touched: Option<Instant>,
}

impl Lamp for TestedLamp {
    fn touch(&mut self) {
        if self.make == Make::SecondTouchIsLost && self.is_on() {
            return;
        }
        let now = Instant::now();
        self.touched = Some(if self.make == Make::WithADeadline {
            now + ms(100)
        } else {
            now
        });
    }

    fn is_on(&mut self) -> bool {
        let Some(touched) = self.touched else {
            return false;
        };
        let on = match self.make {
            Make::WithADeadline => Instant::now() < touched,
            Make::OnAtTheLimit => touched.elapsed() <= ms(100),
            Make::NeverOn => false,
            _ => touched.elapsed() < ms(100),
        };
        if on && self.make == Make::LookingProlongs {
            self.touched = Some(Instant::now());
        }
        on
    }
}

/// Whether the learner's test passes lamps of this make; if not, with which words it panics.
async fn passes(make: Make) -> Result<(), String> {
    let maker = move || -> Box<dyn Lamp> {
        let touched = None;
        Box::new(TestedLamp { make, touched })
    };
    let testing = AssertUnwindSafe(test_lamp(&maker)).catch_unwind();
    match timeout(ms(AGES_MS), testing).await {
        Ok(Ok(())) | Err(_) => Ok(()),
        Ok(Err(payload)) => {
            let text = payload.downcast_ref::<&str>().map(ToString::to_string);
            let words = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let words = words.unwrap_or_default();
            if words.starts_with("not yet implemented") {
                resume_unwind(payload);
            }
            Err(words)
        }
    }
}

async fn question_17(lab: Lab) {
    for make in [Make::Plain, Make::WithADeadline] {
        let ran = passes(make).await;
        lab.expect(ran.is_ok())
            .expected("`test_lamp` passes a lamp that keeps the rules")
            .got(format!("it panics: {}", ran.err().unwrap_or_default()))
            .why(
                "A test that fails what is correct catches nothing. Hold each assertion against \
                 its rule: on from a touch, off at exactly 100 ms after the last one.",
            )
            .pitfall("wrong-result")
            .or_fail();
    }
    let mutants = [
        (
            Make::NeverOn,
            "is never on",
            "A test that passes it does not look whether a lamp is on.",
        ),
        (
            Make::OnAtTheLimit,
            "is still on at exactly 100 ms, and off 1 ms later",
            "It is wrong at one instant only. Look there.",
        ),
        (
            Make::SecondTouchIsLost,
            "takes no notice of a touch while it is on",
            "Touch it twice, the second time while it is on, and look when the first 100 ms are \
             over and the second are not.",
        ),
        (
            Make::LookingProlongs,
            "is on for 100 ms from the last look",
            "Look while it is on, and then when 100 ms since the touch are over, but not since \
             the look.",
        ),
    ];
    for (make, what, why) in mutants {
        lab.expect(passes(make).await.is_err())
            .expected(format!("`test_lamp` panics on a lamp that {what}"))
            .got("it passes")
            .why(why)
            .pitfall("wrong-result")
            .or_fail();
    }
}

// --------------------------------------------------- tasks 4 to 6: the jobs

/// What a work does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Gives(u32),
    Fails,
    Panics,
}
use Fate::{Fails, Gives, Panics};

/// What a job does: the work, in so many milliseconds, and the cleanup.
#[derive(Debug, Clone, Copy)]
struct Plan {
    name: &'static str,
    work_ms: u64,
    fate: Fate,
    cleanup_ms: u64,
    cleans: bool,
}

const fn plan(name: &'static str, work_ms: u64, fate: Fate, cleanup_ms: u64) -> Plan {
    Plan {
        name,
        work_ms,
        fate,
        cleanup_ms,
        cleans: true,
    }
}

impl Plan {
    /// Its cleanup fails.
    const fn not_cleaned(mut self) -> Self {
        self.cleans = false;
        self
    }
}

/// Where jobs are made, and what is seen of them.
#[derive(Clone)]
struct Yard {
    lab: Lab,
    works: Service,
    cleanups: Service,
    /// How many cleanups began before their work was gone.
    early: Arc<AtomicUsize>,
    /// How many futures of works and cleanups are alive.
    alive: Arc<AtomicUsize>,
}

/// A panic that no hook hears of, for it is in order: as `panic!` it carries a `&str` or a
/// `String`.
fn boom(name: &str) -> ! {
    if name == "c" {
        resume_unwind(Box::new("boom c"));
    }
    resume_unwind(Box::new(format!("boom {name}")))
}

/// Says when a work or a cleanup is gone: ended, or dropped.
struct Alive {
    alive: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.gone.store(true, SeqCst);
        self.alive.fetch_sub(1, SeqCst);
    }
}

impl Yard {
    fn new(lab: &Lab) -> Self {
        let of = |name: &str| {
            let takes = |call: &CallInfo| {
                let ms = call.label.rsplit(' ').next().and_then(|ms| ms.parse().ok());
                ms.expect("a label made below")
            };
            lab.service(name).takes_with(takes).build()
        };
        Self {
            lab: lab.clone(),
            works: of("work"),
            cleanups: of("cleanup"),
            early: Arc::default(),
            alive: Arc::default(),
        }
    }

    fn is_alive(&self) -> Alive {
        self.alive.fetch_add(1, SeqCst);
        Alive {
            alive: Arc::clone(&self.alive),
            gone: Arc::default(),
        }
    }

    /// A job after this plan. In the middle of it, `during` is called.
    fn job_with(&self, plan: Plan, during: impl FnOnce() + Send + 'static) -> Job {
        let Plan {
            name,
            work_ms,
            fate,
            cleanup_ms,
            cleans,
        } = plan;
        let alive = self.is_alive();
        let gone = Arc::clone(&alive.gone);
        let working = self.works.call(format!("{name} {work_ms}"));
        let work = async move {
            let _alive = alive;
            let _ = working.await;
            during();
            match fate {
                Gives(value) => Ok(value),
                Fails => Err(Fault(format!("bad {name}"))),
                Panics => boom(name),
            }
        };
        let (alive, early) = (self.is_alive(), Arc::clone(&self.early));
        let cleaning = self.cleanups.call(format!("{name} {cleanup_ms}"));
        let cleanup = async move {
            let _alive = alive;
            if !gone.load(SeqCst) {
                early.fetch_add(1, SeqCst);
            }
            let _ = cleaning.await;
            if cleans {
                return Ok(());
            }
            Err(Fault(format!("dirty {name}")))
        };
        Job::new(name, work, cleanup)
    }

    fn job(&self, plan: Plan) -> Job {
        self.job_with(plan, || {})
    }

    fn jobs(&self, plans: &[Plan]) -> Vec<Job> {
        plans.iter().map(|&plan| self.job(plan)).collect()
    }

    /// Each call of a service: `a 0-100, b 0-40x`; `x` is dropped, `…` under way.
    fn line(&self, service: &Service, began_ms: u64) -> String {
        let mut calls: Vec<String> = service
            .calls()
            .into_iter()
            .map(|call| {
                let name = call.label.split(' ').next().unwrap_or_default().to_owned();
                let start = call.started_ms - began_ms;
                match (call.ended_ms, call.end) {
                    (Some(end), SpanEnd::Cancelled) => {
                        format!("{name} {start}-{}x", end - began_ms)
                    }
                    (Some(end), _) => format!("{name} {start}-{}", end - began_ms),
                    (None, _) => format!("{name} {start}-…"),
                }
            })
            .collect();
        calls.sort_unstable();
        calls.join(", ")
    }

    /// What the works did, in any order of their beginning.
    fn expect_works(&self, began_ms: u64, expected: &str, why: &str, pitfall: &str) {
        let got = self.line(&self.works, began_ms);
        self.expect_line(&got, "works", expected, why, pitfall);
    }

    /// What the cleanups did, and that each came after its work.
    fn expect_cleanups(&self, began_ms: u64, expected: &str, why: &str) {
        let got = self.line(&self.cleanups, began_ms);
        self.expect_line(&got, "cleanups", expected, why, "cleanup-forgotten");
        let early = self.early.load(SeqCst);
        self.lab
            .expect(early == 0)
            .expected("each cleanup begins when its work is gone")
            .got(format!("cleanups that began before: {early}"))
            .why(
                "The work has ended or was aborted, but its future is still there, with all that \
                 it owns; so its cleanup clears away what is still in use. `abort()` only asks: \
                 await the handle before the cleanup, or drop the future itself.",
            )
            .pitfall("cleanup-forgotten")
            .or_fail();
    }

    fn expect_line(&self, got: &str, what: &str, expected: &str, why: &str, pitfall: &str) {
        self.lab
            .expect(got == expected)
            .expected(format!("{what}: {expected} (from-to in ms; x is dropped)"))
            .got(format!(
                "{what}: {}",
                if got.is_empty() { "none" } else { got }
            ))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    /// At this instant, without a turn for anybody: every job is over.
    fn expect_over(&self, what: &str) {
        let (works, cleanups) = (self.works.in_flight(), self.cleanups.in_flight());
        self.lab
            .expect(works + cleanups == 0)
            .expected(format!(
                "when {what} returns no work and no cleanup is under way"
            ))
            .got(format!("works under way: {works}, cleanups: {cleanups}"))
            .why(
                "It has given its result while somebody still works for it: a task that nobody \
                 waits for. What a function begins has to end before the function does.",
            )
            .pitfall("leaked-task")
            .or_fail();
    }

    /// After a turn for everybody: no future and no task is left, and none begins later.
    async fn expect_nothing_left(&self, what: &str) {
        self.lab.settle().await;
        let alive = self.alive.load(SeqCst);
        let calls = self.works.count() + self.cleanups.count();
        let why = "A task runs on when its handle is dropped, and so does everything that is \
                   spawned from it. What belongs together has to be in one `JoinSet`, or in one \
                   future: they take along what they own.";
        self.lab
            .expect_no_tasks_left()
            .await
            .expected(format!("no task is left when {what}"))
            .why(why)
            .or_fail();
        self.lab
            .expect(alive == 0)
            .expected(format!("no work and no cleanup is kept when {what}"))
            .got(format!("{alive} futures are still there"))
            .why(why)
            .pitfall("leaked-task")
            .or_fail();
        sleep(ms(2 * LONG_MS)).await;
        let later = self.works.count() + self.cleanups.count() - calls;
        self.lab
            .expect(later == 0)
            .expected(format!("nothing begins any more when {what}"))
            .got(format!("works and cleanups that began later: {later}"))
            .why(why)
            .pitfall("leaked-task")
            .or_fail();
    }
}

fn failed(name: &str) -> Failure {
    Failure {
        job: name.to_owned(),
        cause: Cause::Failed(Fault(format!("bad {name}"))),
    }
}

fn panicked(name: &str) -> Failure {
    Failure {
        job: name.to_owned(),
        cause: Cause::Panicked(format!("boom {name}")),
    }
}

fn not_cleaned(name: &str) -> Failure {
    Failure {
        job: name.to_owned(),
        cause: Cause::Cleanup(Fault(format!("dirty {name}"))),
    }
}

/// A result in few words: `1 | b Failed(bad b) | c Panicked(boom c), c Cleanup(dirty c)`.
trait InWords {
    fn in_words(&self) -> String;
}

impl InWords for Vec<Failure> {
    fn in_words(&self) -> String {
        let word = |failure: &Failure| match &failure.cause {
            Cause::Failed(fault) => format!("{} Failed({fault})", failure.job),
            Cause::Panicked(words) => format!("{} Panicked({words})", failure.job),
            Cause::Cleanup(fault) => format!("{} Cleanup({fault})", failure.job),
        };
        if self.is_empty() {
            return "no failure".to_owned();
        }
        self.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

impl InWords for Vec<Result<u32, Vec<Failure>>> {
    fn in_words(&self) -> String {
        let word = |outcome: &Result<u32, Vec<Failure>>| match outcome {
            Ok(value) => value.to_string(),
            Err(failures) => failures.in_words(),
        };
        let words: Vec<_> = self.iter().map(word).collect();
        format!("[{}]", words.join(" | "))
    }
}

impl InWords for Result<Vec<u32>, Vec<Failure>> {
    fn in_words(&self) -> String {
        match self {
            Ok(values) => format!("Ok of {values:?}"),
            Err(failures) => format!("Err of {}", failures.in_words()),
        }
    }
}

/// Expects a result of a runner.
fn expect_result<T: InWords + PartialEq>(lab: &Lab, got: &T, expected: &T, why: &str) {
    lab.expect(got == expected)
        .expected(expected.in_words())
        .got(got.in_words())
        .why(why)
        .pitfall("swallowed-error")
        .or_fail();
}

fn expect_at(lab: &Lab, took: Duration, expected_ms: u64, why: &str) {
    let too_early = took < ms(expected_ms);
    lab.expect_took(took, expected_ms)
        .why(why)
        .pitfall(if too_early {
            "cleanup-forgotten"
        } else {
            "sequential-awaits"
        })
        .or_fail();
}

/// Instants at which a runner is dropped: in works, in cleanups, in both.
const DROPS_MS: [u64; 6] = [1, 15, 35, 45, 55, 75];

/// Drops a runner at each of these instants, and looks what is left.
async fn expect_dropped_whole<F: Future>(lab: &Lab, what: &str, run: impl Fn(&Yard) -> F) {
    for at_ms in DROPS_MS {
        let yard = Yard::new(lab);
        let _ = timeout(ms(at_ms), run(&yard)).await;
        let what = format!("{what} is dropped at {at_ms} ms or has returned");
        yard.expect_nothing_left(&what).await;
    }
}

const MUST_END: &str = "Every job ends; nothing is left to wait for. A count of those that are \
                        still to come stays above 0 if a job panics, or was dropped.";

// ----------------------------------------------------------------- task 4

async fn gather_outcomes(lab: Lab) {
    let nothing = soon(&lab, "gather", gather(Vec::new()), MUST_END, "never-ends").await;
    expect_result(
        &lab,
        &nothing,
        &Vec::new(),
        "No jobs, no outcomes, at once.",
    );

    let yard = Yard::new(&lab);
    let mut plans = [
        plan("a", 100, Gives(1), 10),
        plan("b", 40, Fails, 10),
        plan("c", 60, Panics, 10),
        plan("d", 20, Gives(4), 10).not_cleaned(),
        plan("e", 80, Panics, 10).not_cleaned(),
        plan("f", 30, Gives(6), 0),
    ];
    lab.rng().shuffle(&mut plans);
    let expected: Vec<_> = plans
        .iter()
        .map(|plan| match (plan.fate, plan.cleans) {
            (Gives(value), true) => Ok(value),
            (Gives(_), false) => Err(vec![not_cleaned(plan.name)]),
            (Fails, _) => Err(vec![failed(plan.name)]),
            (Panics, true) => Err(vec![panicked(plan.name)]),
            (Panics, false) => Err(vec![panicked(plan.name), not_cleaned(plan.name)]),
        })
        .collect();
    let got = gather(yard.jobs(&plans));
    let got = soon(&lab, "gather", got, MUST_END, "never-ends").await;
    let why = "Every job has an outcome, at its own place, whenever it came: its value if work \
               and cleanup went well, or else all of its failures, the work's first. A panic is a \
               failure with the words of the panic (`JoinError::into_panic`, or `catch_unwind`).";
    expect_result(&lab, &got, &expected, why);
}

async fn gather_overlaps(lab: Lab) {
    let yard = Yard::new(&lab);
    let mut plans = [
        plan("a", 100, Gives(1), 30),
        plan("b", 20, Fails, 30),
        plan("c", 40, Panics, 30),
        plan("d", 60, Gives(4), 90),
    ];
    lab.rng().shuffle(&mut plans);
    let jobs = yard.jobs(&plans);
    let began_ms = lab.now_ms();
    let (_, took) = lab
        .timed(soon(&lab, "gather", gather(jobs), MUST_END, "never-ends"))
        .await;
    let why = "All works begin at once, and a failure or a panic of one is no reason for another \
               to stop: in `gather` each runs to its end.";
    let works = "a 0-100, b 0-20, c 0-40, d 0-60";
    yard.expect_works(began_ms, works, why, "sequential-awaits");
    let why = "It ends with the last of all: `d` works for 60 ms and is cleaned up for 90.";
    expect_at(&lab, took, 150, why);
}

async fn gather_cleans_up(lab: Lab) {
    let yard = Yard::new(&lab);
    let mut plans = [
        plan("a", 50, Gives(1), 70),
        plan("b", 20, Fails, 30),
        plan("c", 40, Panics, 30),
        plan("d", 60, Gives(4), 10).not_cleaned(),
    ];
    lab.rng().shuffle(&mut plans);
    let jobs = yard.jobs(&plans);
    let began_ms = lab.now_ms();
    soon(&lab, "gather", gather(jobs), MUST_END, "never-ends").await;
    yard.expect_over("gather");
    let why = "Each cleanup runs once, from the instant at which its own work has ended, however \
               that was: with a value, an error or a panic.";
    yard.expect_cleanups(began_ms, "a 50-120, b 20-50, c 40-70, d 60-70", why);
    yard.expect_nothing_left("gather has returned").await;
    expect_dropped_whole(&lab, "gather", |yard| gather(yard.jobs(&plans))).await;
}

// ----------------------------------------------------------------- task 5

async fn group_drops(lab: Lab) {
    let nothing = task_group(Vec::new());
    let nothing = soon(&lab, "task_group", nothing, MUST_END, "never-ends").await;
    expect_result(
        &lab,
        &nothing,
        &Ok(Vec::new()),
        "No jobs, no values, at once.",
    );

    let yard = Yard::new(&lab);
    let plans = [
        plan("a", 100, Gives(1), 30),
        plan("b", 40, Gives(2), 5),
        plan("c", 70, Gives(3), 90),
    ];
    let group = task_group(yard.jobs(&plans));
    let group = soon(&lab, "task_group", group, MUST_END, "never-ends");
    let (got, took) = lab.timed(group).await;
    let why = "All went well: every value, in the order of the list.";
    expect_result(&lab, &got, &Ok(vec![1, 2, 3]), why);
    let why = "All run at the same time, and it ends with the last cleanup, that of `c`.";
    expect_at(&lab, took, 160, why);

    for fate in [Fails, Panics] {
        let yard = Yard::new(&lab);
        let at_ms = lab.pick(41..=80);
        let mut plans = [
            plan("a", LONG_MS, Gives(1), 0),
            plan("b", 30, Gives(2), 100),
            plan("c", at_ms, fate, 50),
            plan("d", at_ms + 1, Fails, 0),
        ];
        lab.rng().shuffle(&mut plans);
        let jobs = yard.jobs(&plans);
        let began_ms = lab.now_ms();
        let group = soon(&lab, "task_group", task_group(jobs), MUST_END, "never-ends");
        let (got, took) = lab.timed(group).await;
        let works = format!("a 0-{at_ms}x, b 0-30, c 0-{at_ms}, d 0-{at_ms}x");
        let why = format!(
            "At {at_ms} ms `c` fails. Nobody wants the results of the others any more: their \
             works are dropped at that instant, and not when `c` is cleaned up, nor when somebody \
             gets round to its handle."
        );
        yard.expect_works(began_ms, &works, &why, "cancellation-ignored");
        let failure = if fate == Fails { failed } else { panicked };
        let why = "The work of `c` is the only one that failed. Those that were dropped for its \
                   sake have not; `b` was well, and is not asked for any more.";
        expect_result(&lab, &got, &Err(vec![failure("c")]), why);
        let why = "It ends with the last cleanup: that of `b`, from 30 to 130 ms, or of `c`.";
        expect_at(&lab, took, (at_ms + 50).max(130), why);
    }
}

async fn group_cleans_up(lab: Lab) {
    let yard = Yard::new(&lab);
    let mut plans = [
        plan("a", LONG_MS, Gives(1), 40),
        plan("b", 30, Gives(2), 100),
        plan("c", 60, Fails, 20),
        plan("d", LONG_MS, Gives(4), 80),
    ];
    lab.rng().shuffle(&mut plans);
    let jobs = yard.jobs(&plans);
    let began_ms = lab.now_ms();
    let _ = soon(&lab, "task_group", task_group(jobs), MUST_END, "never-ends").await;
    yard.expect_over("task_group");
    let why = "At 60 ms `c` fails, and the works of `a` and `d` are dropped. Every job is cleaned \
               up when its work is gone, those that were dropped as well; a cleanup that is under \
               way, like that of `b`, is not cancelled.";
    let cleanups = "a 60-100, b 30-130, c 60-80, d 60-140";
    yard.expect_cleanups(began_ms, cleanups, why);
    yard.expect_nothing_left("task_group has returned").await;

    // The first failure comes before anybody else was polled.
    let yard = Yard::new(&lab);
    let first = Job::new(
        "first",
        async { Err(Fault("bad first".to_owned())) },
        async { Ok(()) },
    );
    let mut jobs = yard.jobs(&[plan("a", 50, Gives(1), 10), plan("b", 50, Gives(2), 10)]);
    let place = usize::try_from(lab.pick(0..=2)).expect("small");
    jobs.insert(place, first);
    let began_ms = lab.now_ms();
    let got = soon(&lab, "task_group", task_group(jobs), MUST_END, "never-ends").await;
    let why = "One job fails in its first poll.";
    expect_result(&lab, &got, &Err(vec![failed("first")]), why);
    let why = "One job fails in its first poll, and the works of the others are dropped, perhaps \
               before they began. They are cleaned up all the same: each job, once.";
    yard.expect_cleanups(began_ms, "a 0-10, b 0-10", why);
}

async fn group_failures(lab: Lab) {
    let yard = Yard::new(&lab);
    let mut plans = [
        plan("a", LONG_MS, Gives(1), 40).not_cleaned(),
        plan("b", 30, Gives(2), 100).not_cleaned(),
        plan("c", 60, Panics, 20).not_cleaned(),
        plan("d", LONG_MS, Gives(4), 80),
        plan("e", 20, Gives(5), 10),
    ];
    lab.rng().shuffle(&mut plans);
    let group = task_group(yard.jobs(&plans));
    let got = soon(&lab, "task_group", group, MUST_END, "never-ends").await;
    let failures = |plan: &Plan| match plan.name {
        "a" | "b" => vec![not_cleaned(plan.name)],
        "c" => vec![panicked("c"), not_cleaned("c")],
        _ => Vec::new(),
    };
    let expected: Vec<Failure> = plans.iter().flat_map(failures).collect();
    let why = "The first failure ends the works, but not the list of failures: cleanups fail \
               after it, and whoever mends the system wants to know all of them. In the order of \
               the list; of one job the work's before the cleanup's.";
    expect_result(&lab, &got, &Err(expected), why);

    // A cleanup that fails is a failure, too: it drops the others.
    let yard = Yard::new(&lab);
    let plans = [
        plan("a", 20, Gives(1), 30).not_cleaned(),
        plan("b", LONG_MS, Gives(2), 10),
    ];
    let jobs = yard.jobs(&plans);
    let began_ms = lab.now_ms();
    let got = soon(&lab, "task_group", task_group(jobs), MUST_END, "never-ends").await;
    let why = "The work of `a` gave its value, but its cleanup failed, at 50 ms.";
    expect_result(&lab, &got, &Err(vec![not_cleaned("a")]), why);
    let why = "At 50 ms the cleanup of `a` fails: that is a failure like any other, and drops the \
               works that are under way.";
    yard.expect_works(began_ms, "a 0-20, b 0-50x", why, "cancellation-ignored");
}

async fn group_dropped(lab: Lab) {
    let plans = [
        plan("a", 30, Gives(1), 30),
        plan("b", 50, Fails, 40),
        plan("c", LONG_MS, Gives(3), 20),
    ];
    lab.cancel_sweep(async |cancel: Cancel| {
        let yard = Yard::new(&lab);
        let ended = cancel.drop_at(task_group(yard.jobs(&plans))).await;
        if let Some(got) = ended {
            expect_result(&lab, &got, &Err(vec![failed("b")]), "`b` has failed.");
        }
        yard.expect_nothing_left("task_group is dropped or has returned")
            .await;
    })
    .await;
    expect_dropped_whole(&lab, "task_group", |yard| task_group(yard.jobs(&plans))).await;
}

// ----------------------------------------------------------------- task 6

type Refused = Arc<Mutex<Vec<String>>>;

/// Adds a job, and notes its name if it comes back.
fn add(crew: &Crew, job: Job, refused: &Refused) {
    if let Err(job) = crew.add(job) {
        refused.lock().expect("nobody panics here").push(job.name);
    }
}

/// A family: at 20 ms the first job adds two children, of which one adds a
/// grandchild at 70 ms.
fn family(yard: &Yard, refused: &Refused) -> impl FnOnce(Crew) -> Job + Send + use<> {
    let (yard, refused) = (yard.clone(), Arc::clone(refused));
    move |crew: Crew| {
        let own = yard.clone();
        yard.job_with(plan("root", 20, Gives(1), 10), move || {
            let (inner, inner_yard) = (crew.clone(), own.clone());
            let inner_refused = Arc::clone(&refused);
            let parent = own.job_with(plan("parent", 50, Gives(2), 10), move || {
                let job = inner_yard.job(plan("grandchild", 40, Gives(4), 30));
                add(&inner, job, &inner_refused);
            });
            add(&crew, parent, &refused);
            add(&crew, own.job(plan("child", 10, Gives(3), 10)), &refused);
        })
    }
}

async fn scope_adds(lab: Lab) {
    let yard = Yard::new(&lab);
    let refused = Refused::default();
    let began_ms = lab.now_ms();
    let running = scope(CancellationToken::new(), family(&yard, &refused));
    let running = soon(&lab, "scope", running, MUST_END, "never-ends");
    let (got, took) = lab.timed(running).await;
    yard.expect_over("scope");
    let why = "A job begins at the instant at which it is added: the children at 20 ms, the \
               grandchild at 70.";
    let works = "child 20-30, grandchild 70-110, parent 20-70, root 0-20";
    yard.expect_works(began_ms, works, why, "sequential-awaits");
    let why = "Every job that was added is cleaned up when its work is gone.";
    let cleanups = "child 30-40, grandchild 110-140, parent 70-80, root 20-30";
    yard.expect_cleanups(began_ms, cleanups, why);
    let why = "Everybody's values, in the order in which the jobs were added: root, parent, \
               child, grandchild.";
    expect_result(&lab, &got, &Ok(vec![1, 2, 3, 4]), why);
    let why = "The scope ends when the grandchild is cleaned up, long after the job that began it \
               all.";
    expect_at(&lab, took, 140, why);
    yard.expect_nothing_left("scope has returned").await;
    expect_dropped_whole(&lab, "scope", |yard| {
        scope(CancellationToken::new(), family(yard, &refused))
    })
    .await;
}

async fn scope_ends_early(lab: Lab) {
    for stopped in [false, true] {
        let yard = Yard::new(&lab);
        let refused = Refused::default();
        let stop = CancellationToken::new();
        let began_ms = lab.now_ms();
        let body = {
            let (yard, refused) = (yard.clone(), Arc::clone(&refused));
            move |crew: Crew| {
                add(&crew, yard.job(plan("a", LONG_MS, Gives(1), 20)), &refused);
                add(&crew, yard.job(plan("b", 30, Gives(2), 100)), &refused);
                if !stopped {
                    add(&crew, yard.job(plan("c", 60, Fails, 10)), &refused);
                }
                // The cleanup of the first job wants to add another one, at 110 ms.
                let late = yard.job(plan("late", 10, Gives(9), 10));
                let mut root = yard.job(plan("root", LONG_MS, Gives(0), 50).not_cleaned());
                let cleanup = root.cleanup;
                root.cleanup = Box::pin(async move {
                    let cleaned = cleanup.await;
                    add(&crew, late, &refused);
                    cleaned
                });
                root
            }
        };
        let stopping = {
            let stop = stop.clone();
            async move {
                sleep(ms(60)).await;
                if stopped {
                    stop.cancel();
                }
            }
        };
        let running = scope(stop.clone(), body);
        let running = soon(&lab, "scope", running, MUST_END, "never-ends");
        let ((got, took), ()) = tokio::join!(lab.timed(running), stopping);
        yard.expect_over("scope");
        let what = if stopped {
            "the stop comes"
        } else {
            "`c` fails"
        };
        let c_works = if stopped { "" } else { "c 0-60, " };
        let c_cleanup = if stopped { "" } else { "c 60-70, " };
        let works = format!("a 0-60x, b 0-30, {c_works}root 0-60x");
        let why = format!(
            "At 60 ms {what}: the works that are under way are dropped. (`a`, `b` and `c` were \
             added before the first job began, and `late` when it was cleaned up, at 110 ms, when \
             no job may begin any more.)"
        );
        yard.expect_works(began_ms, &works, &why, "cancellation-ignored");
        let refused = refused.lock().expect("nobody panics here").clone();
        let why = format!(
            "From the instant on at which {what} the scope takes no job: `add` gives it back. One \
             that it takes and neither runs nor cleans up is lost. (Close the receiver.)"
        );
        let late = vec!["late".to_owned()];
        expect_same(&lab, &refused, &late, &why, "cancellation-ignored");
        let cleanups = format!("a 60-80, b 30-130, {c_cleanup}root 60-110");
        let why = "Every job that the crew has taken is cleaned up, and awaited, whether its work \
                   ended, was dropped, or never began.";
        yard.expect_cleanups(began_ms, &cleanups, why);
        let mut failures = vec![not_cleaned("root")];
        if !stopped {
            failures.push(failed("c"));
        }
        let why = "Every failure, in the order in which the jobs were added, the first job first. \
                   A stop is no failure of a job.";
        expect_result(&lab, &got, &Err(failures), why);
        expect_at(
            &lab,
            took,
            130,
            "It ends with the last cleanup, that of `b`.",
        );
        lab.expect(stopped || !stop.is_cancelled())
            .expected("`stop` is the caller's: it is cancelled by nobody else")
            .got("the scope has cancelled it")
            .why(
                "The caller may have given the same token to others, who would all be stopped. \
                 `child_token()` gives one of your own, which is cancelled with the caller's, and \
                 not the other way round.",
            )
            .pitfall("cancellation-ignored")
            .or_fail();
        yard.expect_nothing_left("scope has returned").await;
    }
    stopped_without_failures(&lab).await;
    taken_and_not_begun(&lab).await;
    refused_in_its_own_cleanup(&lab).await;
}

async fn stopped_without_failures(lab: &Lab) {
    let yard = Yard::new(lab);
    let stop = CancellationToken::new();
    let own = yard.clone();
    let running = scope(stop.clone(), move |_crew| {
        own.job(plan("root", LONG_MS, Gives(0), 10))
    });
    let stopping = async {
        sleep(ms(30)).await;
        stop.cancel();
    };
    let running = soon(lab, "scope", running, MUST_END, "never-ends");
    let (got, ()) = tokio::join!(running, stopping);
    let why = "It was stopped: nobody has failed, but the work of a job was dropped. So there are \
               not all values, and no failure either.";
    expect_result(lab, &got, &Err(Vec::new()), why);
}

/// A job adds another one and fails in the same poll: what was taken must be cleaned up.
async fn taken_and_not_begun(lab: &Lab) {
    let yard = Yard::new(lab);
    let refused = Refused::default();
    let began_ms = lab.now_ms();
    let body = {
        let (yard, refused) = (yard.clone(), Arc::clone(&refused));
        move |crew: Crew| {
            let added = yard.job(plan("added", 50, Gives(1), 10));
            yard.job_with(plan("root", 20, Fails, 0), move || {
                add(&crew, added, &refused);
            })
        }
    };
    let running = scope(CancellationToken::new(), body);
    let got = soon(lab, "scope", running, MUST_END, "never-ends").await;
    expect_result(lab, &got, &Err(vec![failed("root")]), "`root` has failed.");
    let was_refused = !refused.lock().expect("nobody panics here").is_empty();
    let cleanups = if was_refused {
        "root 20-20"
    } else {
        "added 20-30, root 20-20"
    };
    let why = "The first job adds another one and fails, in the same poll. `add` said that the \
               other one was taken; so it is cleaned up, even if its work never begins. What is \
               in the channel when it is closed is still to be received.";
    yard.expect_cleanups(began_ms, cleanups, why);
}

/// The only job fails, and its own cleanup wants to add another one in its last poll.
async fn refused_in_its_own_cleanup(lab: &Lab) {
    let yard = Yard::new(lab);
    let refused = Refused::default();
    let began_ms = lab.now_ms();
    let body = {
        let (yard, refused) = (yard.clone(), Arc::clone(&refused));
        move |crew: Crew| {
            let late = yard.job(plan("late", 10, Gives(9), 10));
            let mut root = yard.job(plan("root", 20, Fails, 30));
            let cleanup = root.cleanup;
            root.cleanup = Box::pin(async move {
                let cleaned = cleanup.await;
                add(&crew, late, &refused);
                cleaned
            });
            root
        }
    };
    let running = scope(CancellationToken::new(), body);
    let got = soon(lab, "scope", running, MUST_END, "never-ends").await;
    let refused = refused.lock().expect("nobody panics here").clone();
    let why = "`root` failed at 20 ms, and its own cleanup adds `late` at 50 ms. The failure closes \
               the scope at its instant, not when the job that has failed is cleaned up.";
    let late = vec!["late".to_owned()];
    expect_same(lab, &refused, &late, why, "cancellation-ignored");
    yard.expect_cleanups(began_ms, "root 20-50", why);
    expect_result(lab, &got, &Err(vec![failed("root")]), why);
}

async fn scope_ends(lab: Lab) {
    let yard = Yard::new(&lab);
    let refused = Refused::default();
    let kept: Arc<Mutex<Option<Crew>>> = Arc::default();
    let began_ms = lab.now_ms();
    let body = {
        let (yard, kept) = (yard.clone(), Arc::clone(&kept));
        move |crew: Crew| {
            *kept.lock().expect("nobody panics here") = Some(crew);
            yard.job(plan("root", 100, Gives(1), 10))
        }
    };
    // Somebody outside adds a job at 40 ms, and one when all is over.
    let outside = {
        let (yard, kept, refused) = (yard.clone(), Arc::clone(&kept), Arc::clone(&refused));
        async move {
            sleep(ms(40)).await;
            let crew = kept.lock().expect("nobody panics here").clone();
            let crew = crew.expect("the body has run");
            let before = yard.job(plan("before", 20, Gives(2), 0));
            add(&crew, before, &refused);
            sleep(ms(200)).await;
            let after = yard.job(plan("after", 20, Gives(3), 0));
            add(&crew, after, &refused);
        }
    };
    let running = lab.timed(soon(
        &lab,
        "scope",
        scope(CancellationToken::new(), body),
        "Somebody outside still holds a crew, so the channel of jobs stays open. That is no \
         reason to wait: when no job is left and none was added, the scope ends.",
        "never-ends",
    ));
    let ((got, took), ()) = tokio::join!(running, outside);
    let why = "Jobs that come from outside while the scope runs belong to it like any other.";
    expect_result(&lab, &got, &Ok(vec![1, 2]), why);
    let why = "It ends when its last job is cleaned up, at 110 ms, whoever holds a crew.";
    expect_at(&lab, took, 110, why);
    let works = "before 40-60, root 0-100";
    let why = "A job that is added when the scope is over does not begin.";
    yard.expect_works(began_ms, works, why, "leaked-task");
    let refused = refused.lock().expect("nobody panics here").clone();
    let why = "When the scope is over `add` gives the job back.";
    let expected = vec!["after".to_owned()];
    expect_same(&lab, &refused, &expected, why, "leaked-task");
    drop(kept);
    yard.expect_nothing_left("scope has returned").await;
    added_at_the_last_moment(&lab).await;
}

/// The cleanup of the only job adds another one in its last poll, and that one a third.
async fn added_at_the_last_moment(lab: &Lab) {
    let yard = Yard::new(lab);
    let refused = Refused::default();
    let body = {
        let (yard, refused) = (yard.clone(), Arc::clone(&refused));
        move |crew: Crew| {
            let third = yard.job(plan("third", 10, Gives(3), 0));
            let (inner, inner_refused) = (crew.clone(), Arc::clone(&refused));
            let second = yard.job_with(plan("second", 10, Gives(2), 10), move || {
                add(&inner, third, &inner_refused);
            });
            let mut root = yard.job(plan("root", 10, Gives(1), 10));
            let cleanup = root.cleanup;
            root.cleanup = Box::pin(async move {
                let cleaned = cleanup.await;
                add(&crew, second, &refused);
                cleaned
            });
            root
        }
    };
    let running = scope(CancellationToken::new(), body);
    let got = soon(lab, "scope", running, MUST_END, "never-ends").await;
    let why = "The cleanup of `root`, the only job, adds `second` before it ends, and the work of \
               `second` adds `third`. As long as a job is left, or was added and has not begun, \
               the scope is not over: look into the channel before you close it.";
    expect_result(lab, &got, &Ok(vec![1, 2, 3]), why);
}
