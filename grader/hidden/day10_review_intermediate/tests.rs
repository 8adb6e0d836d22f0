//! Hidden checks of day 10: the questions of days 6 to 9, and an API client.

use std::fmt::Display;
use std::future::poll_fn;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::resume_unwind;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use exercise::{
    Api, ApiError, Client, Log, Office, Settings, answer_7, answer_8, answer_9, answer_10,
    answer_12, forward, q7, q8, q12, three_at_a_time,
};
use futures::future::BoxFuture;
use kata_harness::{CallInfo, Cancel, Lab, Service, SpanEnd, Suite, ms};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .seeds(1) // the questions leave nothing to chance
        .check("question 7: a set that is dropped, a task that is aborted", 1, question_7)
        .check("question 8: the loser, by value and by reference", 1, question_8)
        .check("question 12: five attempts, and their delays", 1, question_12)
        .seeds(16)
        .task(2)
        .check("question 9: a number lost in a select, and kept", 2, question_9)
        .check("question 10: locks that wait for each other", 2, question_10)
        .check("question 11: three in flight, results in order", 2, question_11)
        .task(3)
        .check("a value is asked for once, and then it is known", 1, known)
        .check("all who want the same key share one call", 2, shared)
        .check("different keys are fetched at the same time", 1, different_keys)
        .task(4)
        .check("who leaves takes nobody along", 3, leaves)
        .check("when nobody waits any more the call is dropped", 2, all_leave)
        .check("an error reaches all who wait, and is not kept", 2, errors)
        .check("a get dropped at any pending strands nobody", 2, dropped_get)
        .task(5)
        .check("a busy service is asked again, after growing delays", 2, busy)
        .check("a service that refuses is not asked again", 1, refused)
        .check("every call keeps to the limit, a repeated one too", 3, limited)
        .check("a call that nobody wants any more takes no room", 2, room)
        .run()
}

// ---------------------------------------------------------------- helpers

/// How long a check waits for what must come before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(2);

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
        self.notes.lock().expect("nobody panics here").push(note);
    }

    /// `a@0 b@100`.
    fn line(&self) -> String {
        let notes = self.notes.lock().expect("nobody panics here");
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

/// The output of what must end within two seconds; if it does not, `why` says why.
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

/// The events up to and including the one at `place`; what follows is left out.
fn up_to(events: &[&str], place: usize, more: bool) -> String {
    let shown: Vec<&str> = events.iter().take(place + 1).copied().collect();
    match (shown.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (false, false) => shown.join(" "),
        (false, true) => format!("{} …", shown.join(" ")),
    }
}

/// Runs a question's code up to the first event that the answer does not have at that place:
/// what comes after it is not drawn either.
async fn run_as_answered(question: impl Future<Output = ()>, log: &Log, answer: &str) {
    let said: Vec<&str> = answer.split_whitespace().collect();
    let mut question = pin!(question);
    poll_fn(|cx| {
        let poll = question.as_mut().poll(cx);
        let noted = log.events();
        let mut places = noted.split_whitespace().enumerate();
        match places.any(|(place, event)| said.get(place) != Some(&event)) {
            true => Poll::Ready(()),
            false => poll,
        }
    })
    .await;
}

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
        .expected(up_to(&noted, place, noted.len() > place))
        .got(up_to(&said, place, said.len() > place + 1))
        .why(format!("At place {}: {difference}. {rule}", place + 1))
        .pitfall(pitfall)
        .or_fail();
}

async fn question_7(lab: Lab) {
    let answer = answer_7();
    let log = Log::new();
    run_as_answered(q7(log.clone()), &log, answer).await;
    let rule = "A set that is dropped aborts its tasks, and an aborted task is dropped where it \
                waits: first its locals, then its arguments. One that was never polled has no \
                locals yet, and has its arguments.";
    expect_answer(&lab, answer, &log.events(), rule, "cancellation-ignored");
}

async fn question_8(lab: Lab) {
    let answer = answer_8();
    let log = Log::new();
    run_as_answered(q8(log.clone()), &log, answer).await;
    let rule = "`select!` drops the futures that it owns as soon as one is ready. Of `&mut future` \
                it owns the reference: the future stays as it is, keeps its times, and goes on \
                when somebody polls it again, and not before.";
    expect_answer(&lab, answer, &log.events(), rule, "cancel-unsafe-select");
}

async fn question_12(lab: Lab) {
    let answer = answer_12();
    let log = Log::new();
    run_as_answered(q12(log.clone()), &log, answer).await;
    let rule = "The delays are 100, 200, 400 and 800 ms, and instants are their sums. Between five \
                attempts there are four delays.";
    expect_answer(&lab, answer, &log.events(), rule, "wrong-result");
}

/// The number of a line of a listing, counted from 1.
fn line_of(listing: &str, text: &str) -> u32 {
    let line = listing.lines().position(|line| line.contains(text));
    u32::try_from(line.expect("the listing has this line") + 1).expect("a short listing")
}

fn expect_line(lab: &Lab, said: u32, truth: u32, listing: &str, expected: &str, why: &str) {
    let place = usize::try_from(said).expect("a small number");
    let source = listing.lines().nth(place.wrapping_sub(1)).map(str::trim);
    lab.expect(said == truth)
        .expected(expected)
        .got(match source {
            Some(source) => format!("line {said}: {source}"),
            None => format!("line {said}, which the listing does not have"),
        })
        .why(why)
        .pitfall("cancel-unsafe-select")
        .or_fail();
}

/// What the README lists for question 9.
const FORWARD: &str = "\
pub async fn forward(mut from: Receiver<u32>, to: Sender<u32>, beat: fn()) {
    let mut beats = interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = beats.tick() => beat(),
            more = pass_on(&mut from, &to) => {
                if !more {
                    return;
                }
            }
        }
    }
}

async fn pass_on(from: &mut Receiver<u32>, to: &Sender<u32>) -> bool {
    let Some(number) = from.recv().await else {
        return false;
    };
    to.send(number).await.is_ok()
}
";

async fn question_9(lab: Lab) {
    expect_line(
        &lab,
        answer_9(),
        line_of(FORWARD, "to.send(number)"),
        FORWARD,
        "the `.await` at which the branch holds a number that is nowhere else",
        "Every `.await` in a branch of `select!` is a point at which it may be dropped. Ask of \
         each: what has it taken by then, and who else has it?",
    );

    let (sender, from) = mpsc::channel(100);
    let (to, mut receiver) = mpsc::channel(1);
    let forwarding = tokio::spawn(forward(from, to, || {}));
    let sending = tokio::spawn(async move {
        for number in 0..20 {
            sleep(ms(30)).await;
            let _ = sender.send(number).await;
        }
    });
    let pause_ms = lab.pick(60..=90);
    let mut got = Vec::new();
    let receiving = async {
        while let Some(number) = receiver.recv().await {
            got.push(number);
            sleep(ms(pause_ms)).await;
        }
    };
    let ended = timeout(ms(10_000), receiving).await;
    let expected: Vec<u32> = (0..20).collect();
    lab.expect_eq(&got, &expected)
        .why(
            "The consumer is slow, so the channel is full when a beat is due, and the branch that \
             has taken a number is dropped. Take it only when nothing more has to be awaited, or \
             where nothing can drop you.",
        )
        .pitfall("cancel-unsafe-select")
        .or_fail();
    lab.expect(ended.is_ok())
        .expected("`forward` returns when there is nothing more to come")
        .got("it still runs after 10 s")
        .why("When the first channel is closed and empty, nothing is left to do.")
        .pitfall("never-ends")
        .or_fail();
    joined(sending).await;
    joined(forwarding).await;
}

/// What the README lists for question 10.
const OFFICE: &str = "\
pub async fn sell(&self) {
    let mut stock = self.stock.lock().await;
    self.walk().await;
    let mut cash = self.cash.lock().await;
    *stock -= 1;
    *cash += 1;
}

pub async fn audit(&self) -> (u32, u32) {
    let cash = self.cash.lock().await;
    self.walk().await;
    let stock = self.stock.lock().await;
    (*stock, *cash)
}

pub async fn quote(&self) -> (u32, u32) {
    let price = self.price.read().await;
    self.walk().await;
    let again = self.price.read().await;
    (*price, *again)
}

pub async fn reprice(&self, price: u32) {
    *self.price.write().await = price;
}
";

async fn question_10(lab: Lab) {
    let line = answer_10();
    lab.expect(line == line_of(OFFICE, "let again"))
        .expected("the line of a lock that waits behind the writer, while the writer waits for it")
        .got(format!("line {line}"))
        .why(
            "tokio's `RwLock` is fair: while a writer waits, a later read waits behind it. The \
             writer waits for a guard. Who has that guard, and what does that one wait for?",
        )
        .pitfall("deadlock")
        .or_fail();

    let office = Arc::new(Office::new(10));
    let audit = {
        let office = Arc::clone(&office);
        tokio::spawn(async move { office.audit().await })
    };
    let sales = [0, 5].map(|at_ms| {
        let office = Arc::clone(&office);
        tokio::spawn(async move {
            sleep(ms(at_ms)).await;
            office.sell().await;
        })
    });
    let why = "One holds the stock and wants the cash, the other holds the cash and wants the \
               stock. If everybody locks in the same order, nobody waits for somebody behind.";
    let (stock, cash) = soon(&lab, "audit", joined(audit), why, "deadlock").await;
    for sale in sales {
        soon(&lab, "sell", joined(sale), why, "deadlock").await;
    }
    lab.expect(stock + cash == 10)
        .expected("stock and cash of one instant: 10 together")
        .got(format!("stock {stock}, cash {cash}"))
        .why("An audit that lets go of one lock before it has the other sees half a sale.")
        .pitfall("shared-state-race")
        .or_fail();
    let after = soon(&lab, "audit", office.audit(), why, "deadlock").await;
    lab.expect_eq(&after, &(8, 2))
        .why("Two pieces were sold: stock and cash after it.")
        .pitfall("wrong-result")
        .or_fail();

    let why = "The quote holds a guard and asks for a second one; meanwhile a writer has come, who \
               waits for the first. Once you have a guard, use it.";
    let quote = {
        let office = Arc::clone(&office);
        tokio::spawn(async move { office.quote().await })
    };
    sleep(ms(5)).await;
    soon(&lab, "reprice", office.reprice(3), why, "deadlock").await;
    let quoted = soon(&lab, "quote", joined(quote), why, "deadlock").await;
    lab.expect_eq(&quoted, &(1, 1))
        .expected("(1, 1): the same price before the walk and after it")
        .why("Between two guards somebody may set another price: keep one for both.")
        .pitfall("shared-state-race")
        .or_fail();
    let quoted = soon(&lab, "quote", office.quote(), why, "deadlock").await;
    lab.expect_eq(&quoted, &(3, 3))
        .why("The price was set to 3.")
        .pitfall("wrong-result")
        .or_fail();

    let alone = [
        ("sell", lab.timed(office.sell()).await.1),
        ("audit", lab.timed(office.audit()).await.1),
        ("quote", lab.timed(office.quote()).await.1),
    ];
    for (call, took) in alone {
        lab.expect_took(took, 10)
            .why(format!(
                "The walks stay: `{call}`, with nobody in its way, takes one walk of 10 ms. \
                 Without the walks a lock is held for no time at all, and nothing is mended."
            ))
            .pitfall("wrong-result")
            .or_fail();
    }
}

async fn question_11(lab: Lab) {
    for equal in [true, false] {
        let times: Vec<u64> = (0..8)
            .map(|_| if equal { 100 } else { lab.pick(10..=200) })
            .collect();
        let own = times.clone();
        let service = lab
            .service("job")
            .takes_with(move |call| own[call.label.parse::<usize>().expect("a number")])
            .build();
        let jobs: Vec<BoxFuture<'_, u32>> = (0..8_u32)
            .map(|job| {
                let service = service.clone();
                Box::pin(async move {
                    let _ = service.call(job.to_string()).await;
                    job * 10
                }) as BoxFuture<'_, u32>
            })
            .collect();
        let (got, took) = lab.timed(three_at_a_time(jobs)).await;
        lab.expect_eq(&got, &(0..8).map(|job| job * 10).collect::<Vec<_>>())
            .why("The result of job `i` stands at place `i`, whichever was ready first.")
            .pitfall("wrong-result")
            .or_fail();
        lab.expect_eq(&service.peak(), &3)
            .expected("3 jobs in flight at once")
            .why("At most three, and three as long as there are so many.")
            .pitfall("unbounded-concurrency")
            .or_fail();
        if equal {
            lab.expect_took(took, 300)
                .why("Eight jobs of 100 ms, three at a time: 3, 3 and 2.")
                .pitfall("sequential-awaits")
                .or_fail();
        }
    }
}

// ------------------------------------------------------------ the client's world

/// A service in virtual time: the value of a call is its key and its number.
struct Remote {
    calls: Service,
}

impl Api for Remote {
    fn get(&self, key: &str) -> BoxFuture<'static, Result<String, ApiError>> {
        let (calls, key) = (self.calls.clone(), key.to_owned());
        Box::pin(async move {
            match calls.call(key.clone()).await {
                Ok(number) => Ok(format!("{key}#{number}")),
                Err(fault) if fault.message.starts_with("busy") => {
                    Err(ApiError::Busy(fault.message))
                }
                Err(fault) => Err(ApiError::Refused(fault.message)),
            }
        })
    }
}

/// No limit to speak of, and one attempt.
fn settings() -> Settings {
    Settings {
        calls: NonZeroUsize::new(1_000).expect("not zero"),
        per: ms(1_000),
        attempts: NonZeroU32::MIN,
        first_delay: ms(100),
    }
}

/// A client of a service whose calls take so long, and fail like this: `busy`,
/// `refused`, or not at all.
fn client(
    lab: &Lab,
    settings: Settings,
    takes_ms: u64,
    fate: fn(&CallInfo) -> Option<&'static str>,
) -> (Arc<Client>, Service) {
    let calls = lab
        .service("api")
        .takes(takes_ms)
        .fails_with(move |call| Some(format!("{} {}", fate(call)?, call.number)))
        .build();
    let remote = Remote {
        calls: calls.clone(),
    };
    (Arc::new(Client::new(Arc::new(remote), settings)), calls)
}

fn in_words(outcome: Result<String, ApiError>) -> String {
    match outcome {
        Ok(value) => value,
        Err(ApiError::Busy(message) | ApiError::Refused(message)) => message.replace(' ', "#"),
    }
}

/// Somebody who wants a key, in a task of its own, and notes what came.
fn wants(client: &Arc<Client>, notes: &Notes, who: &str, key: &str) -> JoinHandle<()> {
    let (client, notes) = (Arc::clone(client), notes.clone());
    let (who, key) = (who.to_owned(), key.to_owned());
    tokio::spawn(async move {
        let outcome = client.get(&key).await;
        notes.note(format!("{who}:{}", in_words(outcome)));
    })
}

/// The calls that reached the service: `a@0 b@100`.
fn calls_line(calls: &Service) -> String {
    let calls = calls.calls().into_iter();
    let words: Vec<_> = calls
        .map(|call| format!("{}@{}", call.label, call.started_ms))
        .collect();
    words.join(" ")
}

fn expect_calls(lab: &Lab, calls: &Service, expected: &str, why: &str, pitfall: &str) {
    let got = calls_line(calls);
    lab.expect(got == expected)
        .expected(format!("calls: {expected}"))
        .got(format!("calls: {got}"))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

// ----------------------------------------------------------------- task 3

async fn known(lab: Lab) {
    let (client, calls) = client(&lab, settings(), 100, |_| None);
    let first = client.get("a").await;
    let second = client.get("a").await;
    let got = [first, second].map(in_words);
    lab.expect_eq(&got, &["a#0", "a#0"].map(str::to_owned))
        .why("The value is the one that the service gave; asked again, the client knows it.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(lab.now(), 100)
        .why("One call takes 100 ms. A value that is known takes no time.")
        .pitfall("wrong-result")
        .or_fail();
    let other = in_words(client.get("b").await);
    lab.expect_eq(&other, &"b#1".to_owned())
        .why("Another key has another value.")
        .pitfall("wrong-result")
        .or_fail();
    let why = "Each key is asked for once.";
    expect_calls(&lab, &calls, "a@0 b@100", why, "wrong-result");
}

async fn shared(lab: Lab) {
    let (client, calls) = client(&lab, settings(), 100, |_| None);
    let notes = Notes::new(&lab);
    for who in ["1", "2", "3", "4"] {
        wants(&client, &notes, who, "a");
        sleep(ms(30)).await;
    }
    sleep(ms(500)).await;
    let why = "They came at 0, 30, 60 and 90 ms, and the call that was begun at 0 is on its way \
               until 100 ms: all four wait for that one. A cache alone does not do it: it is empty \
               until the first value has come.";
    expect_calls(&lab, &calls, "a@0", why, "shared-state-race");
    let mut got: Vec<_> = notes.line().split(' ').map(str::to_owned).collect();
    got.sort_unstable();
    lab.expect_eq(
        &got.join(" "),
        &"1:a#0@100 2:a#0@100 3:a#0@100 4:a#0@100".to_owned(),
    )
    .why(why)
    .pitfall("lost-wakeup")
    .or_fail();
}

async fn different_keys(lab: Lab) {
    let (client, _calls) = client(&lab, settings(), 100, |_| None);
    let notes = Notes::new(&lab);
    for key in ["a", "b", "c"] {
        wants(&client, &notes, "1", key);
        lab.settle().await;
    }
    sleep(ms(500)).await;
    notes.expect(
        "1:a#0@100 1:b#1@100 1:c#2@100",
        "Three keys, three calls, and none of them has to wait for another. A lock that is held \
         during a call makes them wait.",
        "lock-across-await",
    );
}

// ----------------------------------------------------------------- task 4

async fn leaves(lab: Lab) {
    for (leaver, rest) in [(0, ["2", "3"]), (1, ["1", "3"])] {
        let (client, calls) = client(&lab, settings(), 100, |_| None);
        let notes = Notes::new(&lab);
        let began_ms = lab.now_ms();
        let mut tasks = Vec::new();
        for who in ["1", "2", "3"] {
            tasks.push(wants(&client, &notes, who, "a"));
            sleep(ms(20)).await;
        }
        tasks[leaver].abort();
        sleep(ms(500)).await;
        let why = format!(
            "1, 2 and 3 wait for the same call, and number {} leaves. The call belongs to all who \
             wait for it, not to who came first: it goes on, and gives its value when it has it.",
            leaver + 1
        );
        let mut got: Vec<_> = notes.line().split(' ').map(str::to_owned).collect();
        got.sort_unstable();
        let expected = rest
            .map(|who| format!("{who}:a#0@{}", began_ms + 100))
            .join(" ");
        lab.expect_eq(&got.join(" "), &expected)
            .expected(shown(&expected))
            .got(shown(&notes.line()))
            .why(why.clone())
            .pitfall("cancellation-ignored")
            .or_fail();
        lab.expect_eq(&calls.count(), &1)
            .expected("1 call")
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    }
}

async fn all_leave(lab: Lab) {
    let (client, calls) = client(&lab, settings(), 100, |_| None);
    let notes = Notes::new(&lab);
    let tasks = ["1", "2"].map(|who| wants(&client, &notes, who, "a"));
    sleep(ms(50)).await;
    for task in tasks {
        task.abort();
    }
    lab.settle().await;
    sleep(ms(500)).await;
    let call = calls.calls().into_iter().next();
    let end = call.as_ref().map(|call| (call.end, call.ended_ms));
    lab.expect(matches!(end, Some((SpanEnd::Cancelled, Some(50)))))
        .expected("the call is dropped at 50 ms, when the last one who waited leaves")
        .got(match end {
            Some((end, Some(at_ms))) => format!("it ended at {at_ms} ms: {end:?}"),
            _ => "no call, or it runs on".to_owned(),
        })
        .why("Nobody waits for it any more. A call in a task of its own has to be told so.")
        .pitfall("leaked-task")
        .or_fail();
    let why = "The fetch that was given up is still in the table, and whoever comes later waits \
               for it.";
    let again = soon(&lab, "get", client.get("a"), why, "cancellation-ignored").await;
    lab.expect(again.is_ok())
        .expected("a fresh call, and its value")
        .got(in_words(again))
        .why(why)
        .pitfall("cancellation-ignored")
        .or_fail();
}

async fn errors(lab: Lab) {
    let (first_client, calls) = client(&lab, settings(), 100, |call| {
        (call.number == 0).then_some("refused")
    });
    let notes = Notes::new(&lab);
    for who in ["1", "2"] {
        wants(&first_client, &notes, who, "a");
        lab.settle().await;
    }
    sleep(ms(200)).await;
    let mut got: Vec<_> = notes.line().split(' ').map(str::to_owned).collect();
    got.sort_unstable();
    lab.expect_eq(
        &got.join(" "),
        &"1:refused#0@100 2:refused#0@100".to_owned(),
    )
    .why("Both waited for the same call, and both have to learn how it ended.")
    .pitfall("swallowed-error")
    .or_fail();
    let why = "An error says how it was, not how it is: whoever asks later gets a fresh call.";
    let again = soon(&lab, "get", first_client.get("a"), why, "lost-wakeup").await;
    lab.expect_eq(&in_words(again), &"a#1".to_owned())
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    expect_calls(&lab, &calls, "a@0 a@200", why, "wrong-result");

    // Two wait, and each of them asks again in the very poll in which it hears of the error:
    // whichever runs first, the other has not run yet.
    let (client, calls) = client(&lab, settings(), 100, |call| {
        (call.number == 0).then_some("refused")
    });
    let began_ms = lab.now_ms();
    let notes = Notes::new(&lab);
    for who in ["1", "2"] {
        let (client, notes) = (Arc::clone(&client), notes.clone());
        tokio::spawn(async move {
            for _ in 0..2 {
                let outcome = client.get("a").await;
                notes.note(format!("{who}:{}", in_words(outcome)));
            }
        });
        lab.settle().await;
    }
    sleep(ms(500)).await;
    let why = "Both hear of the error and ask again at once. The first of them does so while the \
               other still holds the fetch that has ended: it has to begin a new one all the \
               same, so an ended fetch may not be found in the table.";
    let mut got: Vec<_> = notes.line().split(' ').map(str::to_owned).collect();
    // By time; who of the two runs first is nobody's business.
    got.sort_unstable_by_key(|word| {
        let at_ms = word
            .rsplit('@')
            .next()
            .and_then(|at| at.parse::<u64>().ok());
        (at_ms, word.clone())
    });
    let (first_ms, second_ms) = (began_ms + 100, began_ms + 200);
    let expected = format!(
        "1:refused#0@{first_ms} 2:refused#0@{first_ms} 1:a#1@{second_ms} 2:a#1@{second_ms}"
    );
    lab.expect(got.join(" ") == expected)
        .expected(shown(&expected))
        .got(shown(&got.join(" ")))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    let expected = format!("a@{began_ms} a@{first_ms}");
    expect_calls(&lab, &calls, &expected, why, "wrong-result");
}

async fn dropped_get(lab: Lab) {
    let settings = Settings {
        calls: NonZeroUsize::MIN,
        per: ms(50),
        attempts: NonZeroU32::MIN.saturating_add(2),
        first_delay: ms(10),
    };
    lab.cancel_sweep(async |cancel: Cancel| {
        let (client, _calls) = client(&lab, settings, 20, |call| {
            (call.number < 2).then_some("busy")
        });
        let follower = {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.get("a").await })
        };
        let _ = cancel.drop_at(client.get("a")).await;
        let why = "The one who came first was dropped on its way, and somebody else waits for the \
                   same key, or for the limit: it has to be served all the same.";
        let followed = soon(&lab, "get", joined(follower), why, "cancellation-ignored").await;
        lab.expect(followed.is_ok())
            .expected("the value")
            .got(in_words(followed))
            .why("A fetch that was given up does not count as an attempt of the next one.")
            .pitfall("cancellation-ignored")
            .or_fail();
        let other = soon(&lab, "get", client.get("b"), why, "cancellation-ignored").await;
        lab.expect(other.is_ok())
            .expected("the value of another key")
            .got(in_words(other))
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    })
    .await;
}

// ----------------------------------------------------------------- task 5

async fn busy(lab: Lab) {
    let patient = Settings {
        attempts: NonZeroU32::MIN.saturating_add(3),
        ..settings()
    };
    let (asking, calls) = client(&lab, patient, 20, |call| {
        (call.number < 3).then_some("busy")
    });
    let notes = Notes::new(&lab);
    wants(&asking, &notes, "1", "a");
    sleep(ms(200)).await;
    wants(&asking, &notes, "2", "a");
    sleep(ms(2_000)).await;
    let why = "Each call takes 20 ms; after the first busy answer there are 100 ms of delay, then \
               200, then 400. All of it is one fetch, and whoever comes meanwhile shares it.";
    expect_calls(&lab, &calls, "a@0 a@120 a@340 a@760", why, "wrong-result");
    let mut got: Vec<_> = notes.line().split(' ').map(str::to_owned).collect();
    got.sort_unstable();
    lab.expect_eq(&got.join(" "), &"1:a#3@780 2:a#3@780".to_owned())
        .why(why)
        .pitfall("wrong-result")
        .or_fail();

    let (asking, calls) = client(&lab, patient, 20, |_| Some("busy"));
    let (outcome, took) = lab.timed(asking.get("a")).await;
    let why = "After the last of four attempts there is nothing left to wait for.";
    lab.expect_took(took, 780)
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_eq(&in_words(outcome), &"busy#3".to_owned())
        .expected("the last error: busy#3")
        .why(why)
        .pitfall("swallowed-error")
        .or_fail();
    lab.expect_eq(&calls.count(), &4)
        .expected("4 calls")
        .why("`attempts` counts all calls of a fetch, the first included.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn refused(lab: Lab) {
    let patient = Settings {
        attempts: NonZeroU32::MIN.saturating_add(3),
        ..settings()
    };
    let (client, calls) = client(&lab, patient, 20, |_| Some("refused"));
    let (outcome, took) = lab.timed(client.get("a")).await;
    let why = "The same call would be refused again. Only `Busy` is worth another attempt.";
    lab.expect_eq(&in_words(outcome), &"refused#0".to_owned())
        .why(why)
        .pitfall("swallowed-error")
        .or_fail();
    lab.expect_took(took, 20)
        .why(why)
        .pitfall("swallowed-error")
        .or_fail();
    expect_calls(&lab, &calls, "a@0", why, "swallowed-error");
}

async fn limited(lab: Lab) {
    let settings = Settings {
        calls: NonZeroUsize::MIN.saturating_add(1),
        per: ms(100),
        attempts: NonZeroU32::MIN.saturating_add(2),
        first_delay: ms(10),
    };
    let (client, calls) = client(&lab, settings, 30, |call| {
        (call.number == 0).then_some("busy")
    });
    let notes = Notes::new(&lab);
    for key in ["a", "b", "c", "d", "e"] {
        wants(&client, &notes, "1", key);
        lab.settle().await;
    }
    sleep(ms(1_000)).await;
    wants(&client, &notes, "2", "a");
    for key in ["f", "g", "h"] {
        wants(&client, &notes, "2", key);
        lab.settle().await;
    }
    sleep(ms(1_000)).await;
    expect_calls(
        &lab,
        &calls,
        "a@0 b@0 c@100 d@100 e@200 a@200 f@1000 g@1000 h@1100",
        "Two calls may begin in any 100 ms. The first call for `a` is answered with \"busy\" at 30 \
         ms, and after its delay, at 40 ms, the second one has to wait in the line like any other: \
         behind c, d and e. What is known needs no call, and no room.",
        "unbounded-concurrency",
    );
}

async fn room(lab: Lab) {
    let settings = Settings {
        calls: NonZeroUsize::MIN,
        per: ms(100),
        ..settings()
    };
    let (client, calls) = client(&lab, settings, 30, |_| None);
    let notes = Notes::new(&lab);
    let mut tasks = Vec::new();
    for key in ["a", "b", "c"] {
        tasks.push(wants(&client, &notes, "1", key));
        lab.settle().await;
    }
    sleep(ms(50)).await;
    tasks[1].abort();
    sleep(ms(1_000)).await;
    expect_calls(
        &lab,
        &calls,
        "a@0 c@100",
        "`b` waited in the line when the only one who wanted it left, at 50 ms. Its place is free: \
         the next one moves up.",
        "cancellation-ignored",
    );
}
