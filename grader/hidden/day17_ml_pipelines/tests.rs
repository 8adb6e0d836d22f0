//! Hidden checks of day 17: one batch, the batcher, poison, the pipeline, shutdown.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};

use exercise::{
    Batcher, Codec, CodecError, InferError, Job, Model, ModelError, Scores, Settings, Tokens,
    run_batch,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use kata_harness::{CallInfo, Cancel, Lab, Service, Suite, ms};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .seeds(8)
        .task(1)
        .check("one run for all jobs, and to each its own output", 2, one_run)
        .check("a job whose caller has left is left out", 2, left_out)
        .task(2)
        .check("a batch runs the moment it is full", 2, full)
        .check("a batch that is not full waits from its first input on", 2, waits_from_the_first)
        .check("one batch runs at a time; others gather meanwhile", 3, one_at_a_time)
        .seeds(16)
        .check("each caller gets his own answer, whenever they come", 3, own_answers)
        .seeds(1)
        .check("a caller who leaves is in no batch, and harms nobody", 2, leaves)
        .check("a call beyond the queue is refused at once", 2, refused)
        .task(3)
        .check("a poisoned input fails alone", 2, poisoned)
        .check("halves run one after the other, and answer when they end", 2, halves)
        .check("who has left when a half begins is left out of it", 1, halves_left)
        .check("the next batch waits until the halves have run", 1, halves_first)
        .task(4)
        .check("as many texts are encoded at a time as there are workers", 2, encodes)
        .check("what cannot be encoded fails alone, and is in no batch", 2, encode_fails)
        .check("decoding holds up neither the model nor other answers", 2, decodes)
        .seeds(2)
        .check("a call that is dropped anywhere leaves no place taken", 2, dropped_anywhere)
        .seeds(4)
        .task(5)
        .check("after the shutdown new calls fail, old ones are answered", 2, closed)
        .check("at a shutdown no input waits for others to come", 2, no_company)
        .check("a shutdown ends with the last call, and leaves no task", 2, shutdown_ends)
        .check("a batcher that is dropped leaves nothing behind", 2, batcher_dropped)
        .run()
}

// ---------------------------------------------------------------- helpers

fn number(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("no check has a bound of 0")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics here")
}

/// What happened, and when: `a=A!@60 b=B!@60`.
#[derive(Clone)]
struct Notes {
    lab: Lab,
    notes: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Notes {
    fn new(lab: &Lab) -> Self {
        let notes = Arc::default();
        let lab = lab.clone();
        Self { lab, notes }
    }

    fn note(&self, what: impl Display) {
        let at_ms = self.lab.now_ms();
        locked(&self.notes).push((at_ms, what.to_string()));
    }

    /// In order; what is of the same instant, by name: which of them was first
    /// is nobody's business.
    fn line(&self) -> String {
        let mut notes = locked(&self.notes).clone();
        notes.sort();
        time_line(notes)
    }

    /// What happened so far is exactly this.
    fn expect(&self, expected: &str, why: &str, pitfall: &str) {
        let got = self.line();
        self.lab
            .expect(got == expected)
            .expected(format!("answers: {expected}"))
            .got(got)
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }
}

/// `a+b@10 c@20`
fn time_line(events: impl IntoIterator<Item = (u64, String)>) -> String {
    let events = events.into_iter();
    let events: Vec<_> = events
        .map(|(at_ms, what)| format!("{what}@{at_ms}"))
        .collect();
    if events.is_empty() {
        return "nothing".to_owned();
    }
    events.join(" ")
}

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// A model whose runs are seen. It makes capitals of its inputs, and fails at
/// every batch with an `x` in it.
struct Simulated {
    runs: Service,
}

/// So long one run takes.
const RUN_MS: u64 = 50;

fn model(lab: &Lab) -> (Arc<Simulated>, Service) {
    let runs = lab
        .service("run")
        .takes(RUN_MS)
        .fails_with(|call: &CallInfo| {
            let poison = call.label.split('+').find(|input| input.starts_with('x'));
            poison.map(|poison| format!("{poison} is poison"))
        })
        .build();
    let model = Simulated { runs: runs.clone() };
    (Arc::new(model), runs)
}

impl Model for Simulated {
    fn run(&self, batch: Vec<Tokens>) -> BoxFuture<'_, Result<Vec<Scores>, ModelError>> {
        let inputs: Vec<_> = batch.iter().map(|tokens| tokens.0.as_str()).collect();
        let label = match inputs.len() {
            0 => "(empty)".to_owned(),
            _ => inputs.join("+"),
        };
        let run = self.runs.call(label);
        async move {
            run.await.map_err(|fault| ModelError(fault.message))?;
            let outputs = batch.iter().map(|tokens| tokens.0.to_uppercase());
            Ok(outputs.map(Scores).collect())
        }
        .boxed()
    }
}

/// When each run began: `a+b@10 c@60`.
fn log(runs: &Service) -> String {
    let calls = runs.calls().into_iter();
    time_line(calls.map(|call| (call.started_ms, call.label)))
}

fn expect_log(lab: &Lab, runs: &Service, expected: &str, why: &str, pitfall: &str) {
    let got = log(runs);
    lab.expect(got == expected)
        .expected(format!("runs: {expected}"))
        .got(got)
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

/// Before and behind the model. Texts are their tokens, and a mark of
/// exclamation makes an answer of scores. A text with a `?` is no good, nor are
/// scores with a `&`.
#[derive(Default)]
struct Ends {
    /// `None`: takes no time at all.
    encoding: Option<Service>,
    decoding: Option<Service>,
}

impl Codec for Ends {
    fn encode<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Tokens, CodecError>> {
        async move {
            if let Some(encoding) = &self.encoding {
                let ended = encoding.call(text).await;
                ended.map_err(|fault| CodecError(fault.message))?;
            }
            if text.contains('?') {
                return Err(CodecError(format!("what is {text}")));
            }
            Ok(Tokens(text.to_owned()))
        }
        .boxed()
    }

    fn decode(&self, scores: Scores) -> BoxFuture<'_, Result<String, CodecError>> {
        async move {
            if let Some(decoding) = &self.decoding {
                let ended = decoding.call(&scores.0).await;
                ended.map_err(|fault| CodecError(fault.message))?;
            }
            if scores.0.contains('&') {
                return Err(CodecError(format!("no words for {}", scores.0)));
            }
            Ok(format!("{}!", scores.0))
        }
        .boxed()
    }
}

fn settings(max_batch: usize, max_wait_ms: u64) -> Settings {
    Settings {
        max_batch: number(max_batch),
        max_wait: ms(max_wait_ms),
        max_queued: number(100),
        workers: number(100),
    }
}

/// A batcher, the runs of its model, and what its callers are told.
struct Server {
    batcher: Arc<Batcher>,
    runs: Service,
    notes: Notes,
}

impl Server {
    fn new(lab: &Lab, settings: Settings) -> Self {
        Self::with(lab, Ends::default(), settings)
    }

    fn with(lab: &Lab, ends: Ends, settings: Settings) -> Self {
        let (model, runs) = model(lab);
        let batcher = Batcher::new(model, Arc::new(ends), settings);
        Self {
            batcher: Arc::new(batcher),
            runs,
            notes: Notes::new(lab),
        }
    }

    /// Somebody who asks this, in a task of his own, and notes the answer.
    fn ask(&self, text: &str) -> JoinHandle<()> {
        let (batcher, notes, text) = (
            Arc::clone(&self.batcher),
            self.notes.clone(),
            text.to_owned(),
        );
        tokio::spawn(async move {
            let outcome = batcher.infer(&text).await;
            notes.note(format!("{text}={}", told(&outcome)));
        })
    }

    /// Texts at their instants, counted from now; each of them is asked alone.
    async fn ask_at(&self, asks: &[(u64, &str)]) {
        let mut now_ms = 0;
        for &(at_ms, text) in asks {
            sleep(ms(at_ms - now_ms)).await;
            now_ms = at_ms;
            self.ask(text);
        }
    }
}

/// `A!`, or why there is no answer.
fn told(outcome: &Result<String, InferError>) -> String {
    match outcome {
        Ok(answer) => answer.clone(),
        Err(error) => format!("{error:?}").replace('"', "'"),
    }
}

/// The output of what must end within a minute.
async fn soon<F: Future>(lab: &Lab, what: &str, why: &str, future: F) -> F::Output {
    let output = timeout(ms(60_000), future).await;
    lab.expect(output.is_ok())
        .expected(format!("{what} ends"))
        .got(format!("{what} has not ended after a minute"))
        .why(why)
        .pitfall("never-ends")
        .or_fail();
    output.expect("a failed expectation ends the check")
}

// ----------------------------------------------------------------- task 1

type Reply = oneshot::Receiver<Result<Scores, ModelError>>;

/// A job for each input, and where its reply comes.
fn jobs(inputs: &[&str]) -> (Vec<Job>, Vec<Reply>) {
    let jobs = inputs.iter().map(|input| {
        let tokens = Tokens((*input).to_owned());
        let (reply, replied) = oneshot::channel();
        (Job { tokens, reply }, replied)
    });
    jobs.unzip()
}

/// `a=A b=B`; one without a reply, `a=nothing`.
fn replies(inputs: &[&str], replied: &mut [Reply]) -> String {
    let replies = inputs.iter().zip(replied).map(|(input, replied)| {
        let reply = match replied.try_recv() {
            Ok(Ok(scores)) => scores.0,
            Ok(Err(error)) => format!("({})", error.0),
            Err(_) => "nothing".to_owned(),
        };
        format!("{input}={reply}")
    });
    replies.collect::<Vec<_>>().join(" ")
}

fn expect_replies(lab: &Lab, got: &str, expected: &str, why: &str, pitfall: &str) {
    lab.expect(got == expected)
        .expected(format!("replies: {expected}"))
        .got(got)
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

async fn one_run(lab: Lab) {
    let mut inputs = vec!["a", "b", "c", "d", "e"];
    lab.rng().shuffle(&mut inputs);
    let (model, runs) = model(&lab);
    let (jobs, mut replied) = jobs(&inputs);
    let ((), took) = lab.timed(run_batch(&*model, jobs)).await;
    let pitfall = match runs.count() {
        0 | 1 => "wrong-result",
        _ => "sequential-awaits",
    };
    expect_log(
        &lab,
        &runs,
        &format!("{}@0", inputs.join("+")),
        "The model is best at many inputs at a time: all of them are in one run, in the order of \
         the jobs.",
        pitfall,
    );
    let expected: Vec<_> = inputs
        .iter()
        .map(|input| format!("{input}={}", input.to_uppercase()))
        .collect();
    expect_replies(
        &lab,
        &replies(&inputs, &mut replied),
        &expected.join(" "),
        "The outputs have the order of the inputs. Each job gets the one of its own input.",
        "wrong-result",
    );
    lab.expect_took(took, RUN_MS)
        .why("`run_batch` returns when the run has ended.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn left_out(lab: Lab) {
    let inputs = ["a", "b", "c", "d", "e"];
    let gone = usize::try_from(lab.pick(0..=3)).expect("a small number");
    let (model, runs) = model(&lab);
    let (jobs, mut replied) = jobs(&inputs);
    replied.remove(gone);
    let mut left = inputs.to_vec();
    left.remove(gone);
    // One more leaves during the run.
    let leaves = async {
        sleep(ms(20)).await;
        replied.remove(1);
    };
    tokio::join!(run_batch(&*model, jobs), leaves);
    expect_log(
        &lab,
        &runs,
        &format!("{}@0", left.join("+")),
        &format!(
            "The caller of `{}` had left before the run. Nobody wants that output, and the model \
             need not compute it.",
            inputs[gone]
        ),
        "cancellation-ignored",
    );
    left.remove(1);
    let expected: Vec<_> = left
        .iter()
        .map(|input| format!("{input}={}", input.to_uppercase()))
        .collect();
    expect_replies(
        &lab,
        &replies(&left, &mut replied),
        &expected.join(" "),
        "One was left out, another left during the run. The others get the outputs of their own \
         inputs: inputs and replies have to be left out together, and a reply that nobody awaits \
         is no reason to stop.",
        "wrong-result",
    );

    let (jobs, replied) = self::jobs(&["f", "g"]);
    drop(replied);
    run_batch(&*model, jobs).await;
    let count = runs.count();
    lab.expect(count == 1)
        .expected("when all callers have left the model does not run")
        .got("it ran, for nobody")
        .why("A run over nothing, or for nobody, takes as long as any other.")
        .pitfall("cancellation-ignored")
        .or_fail();
}

// ----------------------------------------------------------------- task 2

async fn full(lab: Lab) {
    let server = Server::new(&lab, settings(3, 1000));
    let o = lab.pick(0..=9);
    server
        .ask_at(&[
            (10, "a"),
            (20, "b"),
            (30 + o, "c"),
            (200, "d"),
            (210, "e"),
            (220 + o, "f"),
        ])
        .await;
    sleep(ms(500)).await;
    expect_log(
        &lab,
        &server.runs,
        &format!("a+b+c@{} d+e+f@{}", 30 + o, 220 + o),
        "A batch is full with 3 inputs, and the model is free: it runs at the instant at which \
         the third one comes.",
        "wrong-result",
    );
    let (first, second) = (80 + o, 270 + o);
    server.notes.expect(
        &format!(
            "a=A!@{first} b=B!@{first} c=C!@{first} d=D!@{second} e=E!@{second} f=F!@{second}"
        ),
        "Everybody in a batch has his answer at the instant at which its run ends.",
        "wrong-result",
    );
}

async fn waits_from_the_first(lab: Lab) {
    let server = Server::new(&lab, settings(4, 100));
    let o = lab.pick(0..=9);
    server
        .ask_at(&[
            (20, "a"),
            (70, "b"),
            (110 + o, "c"), // a has waited for 100 ms at 120
            (400, "d"),     // alone, after a long silence
            (700, "e"),
            (790 + o, "f"), // e at 800
        ])
        .await;
    sleep(ms(500)).await;
    expect_log(
        &lab,
        &server.runs,
        "a+b+c@120 d@500 e+f@800",
        "A batch that is not full runs when its first input has waited for 100 ms. Who comes \
         later must not set that clock back: with one call every 90 ms nobody would be answered. \
         Without an input there is no clock, and no run.",
        "wrong-result",
    );
}

async fn one_at_a_time(lab: Lab) {
    let server = Server::new(&lab, settings(3, 60));
    let o = lab.pick(0..=4);
    server
        .ask_at(&[
            // Full at 10, runs until 60.
            (0, "a"),
            (5, "b"),
            (10, "c"),
            // Five more meanwhile: full at 20, but the model is free at 60.
            (12, "d"),
            (15 + o, "e"),
            (20 + o, "f"),
            (30, "g"),
            (40, "h"),
            // `g` has waited for 60 ms at 90, but the model is free at 110: `i` comes along.
            (105, "i"),
            // `j` comes at 130, the model is free at 160, and `j` has waited at 190.
            (130, "j"),
            (180 + o, "k"),
        ])
        .await;
    sleep(ms(500)).await;
    let peak = server.runs.peak();
    lab.expect(peak == 1)
        .expected("one run at a time")
        .got(format!("{peak} at the same time"))
        .why("A model takes the whole device: two runs at once do not fit.")
        .pitfall("unbounded-concurrency")
        .or_fail();
    expect_log(
        &lab,
        &server.runs,
        "a+b+c@10 d+e+f@60 g+h+i@110 j+k@190",
        "One batch runs at a time, for 50 ms. Meanwhile the others stay in the line, and more join \
         them. As soon as the model is free: the first 3 if there are so many; else all, if the \
         first has waited for 60 ms since it came, whether the model was busy or not; else \
         nobody yet.",
        "wrong-result",
    );
}

/// What a correct batcher does with inputs that come at these instants.
fn simulate(comes: &[u64], max_batch: usize, max_wait: u64) -> Vec<(u64, std::ops::Range<usize>)> {
    let (mut runs, mut free_at, mut first) = (Vec::new(), 0, 0);
    while first < comes.len() {
        let due = comes[first] + max_wait;
        let full = comes.get(first + max_batch - 1);
        let ready = full.map_or(due, |&full| full.min(due));
        let begins = ready.max(free_at);
        let waiting = comes[first..].iter().take_while(|&&at| at <= begins);
        let next = first + waiting.count().min(max_batch);
        runs.push((begins, first..next));
        free_at = begins + RUN_MS;
        first = next;
    }
    runs
}

async fn own_answers(lab: Lab) {
    // They come at multiples of 32 ms and wait for one more than that, and a run
    // takes 18 more: so few of them bring nothing to the same instant.
    let max_wait = 32 * lab.pick(1..=4) + 1;
    let max_batch = usize::try_from(lab.pick(2..=4)).expect("a small number");
    let server = Server::new(&lab, settings(max_batch, max_wait));
    let mut rng = lab.rng();
    let mut at_ms = 0;
    let comes: Vec<_> = (0..14_u8)
        .map(|_| {
            at_ms += 32 * rng.u64(1..=2);
            at_ms
        })
        .collect();
    let names: Vec<_> = (0..14_u8)
        .map(|n| char::from(b'a' + n).to_string())
        .collect();
    let asks = comes.iter().copied();
    let asks: Vec<_> = asks.zip(names.iter().map(String::as_str)).collect();
    server.ask_at(&asks).await;
    sleep(ms(2000)).await;
    let expected = simulate(&comes, max_batch, max_wait);
    let runs = expected.iter().cloned();
    let runs = time_line(runs.map(|(begins, range)| (begins, names[range].join("+"))));
    let shape =
        format!("At most {max_batch} in a batch, {max_wait} ms to wait, {RUN_MS} ms to run.");
    expect_log(
        &lab,
        &server.runs,
        &runs,
        &format!(
            "{shape} A batch is made of those who came first, when the model is free and they are \
             enough, or the first one has waited for long enough."
        ),
        "wrong-result",
    );
    let answers = expected.iter().flat_map(|(begins, range)| {
        let ends = begins + RUN_MS;
        let names = names[range.clone()].iter();
        names.map(move |name| (ends, format!("{name}={}!", name.to_uppercase())))
    });
    server.notes.expect(
        &time_line(answers),
        &format!("{shape} Each caller gets the answer to his own text when his batch has run."),
        "wrong-result",
    );
}

async fn leaves(lab: Lab) {
    let names = ["a", "b", "c"];
    let before = (0..3).map(|gone| (gone, "before its batch runs", 50));
    let during = (0..3).map(|gone| (gone, "while its batch runs", 120));
    for (gone, when, at_ms) in before.chain(during) {
        let server = Server::new(&lab, settings(4, 100));
        let began_ms = lab.now_ms();
        let tasks = names.map(|name| server.ask(name));
        sleep(ms(at_ms)).await;
        tasks[gone].abort();
        sleep(ms(300)).await;
        // Somebody comes later: the batcher still works.
        let later = server.ask("z");
        let why = "Whoever asks later is answered as ever.";
        soon(&lab, "a later call", why, joined(later)).await;
        let mut left = names.to_vec();
        left.remove(gone);
        let runs = server.runs.calls();
        let first = runs.first().map(|run| run.label.clone());
        let first = first.unwrap_or_default();
        // They came together: their order in it is nobody's business.
        let mut first: Vec<_> = first.split('+').collect();
        first.sort_unstable();
        let first = first.join("+");
        let expected = match at_ms {
            50 => left.join("+"),
            _ => names.join("+"),
        };
        lab.expect(first == expected)
            .expected(format!(
                "`{}` leaves {when}: the batch is {expected}",
                names[gone]
            ))
            .got(format!("the batch is {first}"))
            .why(
                "Whoever has left before the run need not be computed; during the run the batch \
                 stays as it is, and goes on for the others.",
            )
            .pitfall("cancellation-ignored")
            .or_fail();
        let notes = locked(&server.notes.notes).clone();
        let others = notes.iter().filter(|(_, note)| !note.starts_with('z'));
        let others = others.map(|(at_ms, note)| (at_ms - began_ms, note.clone()));
        let got = notes_line(&others.collect::<Vec<_>>());
        let expected = left
            .iter()
            .map(|name| (100 + RUN_MS, format!("{name}={}!", name.to_uppercase())));
        let expected = time_line(expected);
        lab.expect(got == expected)
            .expected(format!(
                "`{}` leaves {when}; answers, counted from their calls: {expected}",
                names[gone]
            ))
            .got(got)
            .why(
                "All three asked at the same time. For the two who stay nothing changes: 100 ms to \
                 wait, 50 to run, each his own answer. A batch belongs to all in it, and not to \
                 the caller who happened to begin it.",
            )
            .pitfall("cancellation-ignored")
            .or_fail();
    }
}

async fn refused(lab: Lab) {
    let settings = Settings {
        max_queued: number(4),
        ..settings(3, 100)
    };
    let server = Server::new(&lab, settings);
    // Two are queued, the third fills a batch: all three run from 20 to 70.
    server.ask_at(&[(0, "a"), (10, "b"), (20, "c")]).await;
    sleep(ms(5)).await;
    // Four are queued meanwhile, and the fifth and sixth are too many.
    for text in ["d", "e", "f", "g"] {
        server.ask(text);
        sleep(ms(1)).await;
    }
    server.ask("h");
    sleep(ms(1)).await;
    server.ask("i");
    // At 70 d, e and f run; there is room for three, beside g.
    sleep(ms(50)).await;
    for text in ["j", "k", "l", "m"] {
        server.ask(text);
        sleep(ms(1)).await;
    }
    sleep(ms(500)).await;
    let why = "At most 4 calls are queued: begun, and not yet in a batch that runs. One more is \
               refused at once: whoever has to wait for long anyway had better learn that now, \
               and a queue without a bound only makes everybody late. When a batch begins to run, \
               its calls are queued no more.";
    let notes = locked(&server.notes.notes).clone();
    let (refused, answered): (Vec<_>, Vec<_>) = notes
        .into_iter()
        .partition(|(_, note)| note.ends_with("=Overloaded"));
    let got = time_line(refused);
    let expected = "h=Overloaded@29 i=Overloaded@30 m=Overloaded@83";
    lab.expect(got == expected)
        .expected(format!("refused: {expected}"))
        .got(format!("refused: {got}"))
        .why(why)
        .pitfall("unbounded-queue")
        .or_fail();
    lab.expect_eq(&answered.len(), &10)
        .expected("the other ten are answered")
        .got(time_line(answered))
        .why("Whoever is not refused is queued, and answered in the end.")
        .pitfall("wrong-result")
        .or_fail();

    // While the model is free and a batch gathers they are queued as well.
    let server = Server::new(
        &lab,
        Settings {
            max_batch: number(10),
            ..settings
        },
    );
    let began_ms = lab.now_ms();
    for text in ["a", "b", "c", "d", "e", "f"] {
        server.ask(text);
        sleep(ms(1)).await;
    }
    sleep(ms(500)).await;
    let notes = locked(&server.notes.notes).clone();
    let notes = notes
        .into_iter()
        .map(|(at_ms, note)| (at_ms - began_ms, note));
    let got = notes_line(&notes.collect::<Vec<_>>());
    let expected = "e=Overloaded@4 f=Overloaded@5 a=A!@150 b=B!@150 c=C!@150 d=D!@150";
    lab.expect(got == expected)
        .expected(format!("ten in a batch, four queued; answers: {expected}"))
        .got(got)
        .why(
            "Nothing runs yet: the first batch gathers until 100 ms. Four are in it, and are \
             queued, wherever you keep them. What was taken out of a channel, and does not run \
             yet, counts as well.",
        )
        .pitfall("unbounded-queue")
        .or_fail();

    // Those who leave give their places back, at the latest with their batch.
    let server = Server::new(&lab, settings);
    for _ in 0..3 {
        let tasks = ["a", "b"].map(|text| server.ask(text));
        sleep(ms(20)).await;
        tasks.iter().for_each(JoinHandle::abort);
        sleep(ms(500)).await;
    }
    let began_ms = lab.now_ms();
    for text in ["a", "b", "c", "d"] {
        server.ask(text);
    }
    sleep(ms(500)).await;
    let notes = locked(&server.notes.notes).clone();
    let refused = notes.iter().any(|(_, note)| note.contains("Overloaded"));
    lab.expect(!refused && notes.len() == 4)
        .expected("after six calls that were dropped there is room for four again")
        .got(time_line(
            notes.iter().map(|(at, note)| (at - began_ms, note.clone())),
        ))
        .why("A place in the queue is free again however its call ends.")
        .pitfall("leaked-resource")
        .or_fail();
}

// ----------------------------------------------------------------- task 3

async fn poisoned(lab: Lab) {
    let mut inputs = vec!["a", "b", "c", "d", "e", "x"];
    lab.rng().shuffle(&mut inputs);
    let (model, _) = model(&lab);
    let (jobs, mut replied) = jobs(&inputs);
    run_batch(&*model, jobs).await;
    let expected: Vec<_> = inputs
        .iter()
        .map(|&input| match input {
            "x" => "x=(x is poison)".to_owned(),
            input => format!("{input}={}", input.to_uppercase()),
        })
        .collect();
    expect_replies(
        &lab,
        &replies(&inputs, &mut replied),
        &expected.join(" "),
        "The model fails at the whole batch, because of `x`. Its caller gets the error; the others \
         have done nothing wrong.",
        "swallowed-error",
    );
}

async fn halves(lab: Lab) {
    let inputs = ["a", "b", "x1", "c", "d", "e", "x2"];
    let (model, runs) = model(&lab);
    let (jobs, replied) = jobs(&inputs);
    let notes = Notes::new(&lab);
    for (input, replied) in inputs.into_iter().zip(replied) {
        let notes = notes.clone();
        tokio::spawn(async move {
            match replied.await {
                Ok(Ok(scores)) => notes.note(format!("{input}={}", scores.0)),
                Ok(Err(error)) => notes.note(format!("{input}=({})", error.0)),
                Err(_) => notes.note(format!("{input}=nothing")),
            }
        });
    }
    run_batch(&*model, jobs).await;
    lab.settle().await;
    expect_log(
        &lab,
        &runs,
        "a+b+x1+c+d+e+x2@0 a+b+x1+c@50 a+b@100 x1+c@150 x1@200 c@250 d+e+x2@300 d+e@350 x2@400",
        "A batch that fails is run again in halves, the first one first, which has one more if \
         the number is odd. A half that fails is halved again, before the other one has its turn.",
        "wrong-result",
    );
    notes.expect(
        "a=A@150 b=B@150 x1=(x1 is poison)@250 c=C@300 d=D@400 e=E@400 x2=(x2 is poison)@450",
        "Each job has its reply at the instant at which its own run ends: it need not wait for \
         the other halves. A run over one input that fails tells whose fault it is.",
        "sequential-awaits",
    );
}

async fn halves_left(lab: Lab) {
    let (model, runs) = model(&lab);
    let inputs = ["a", "x", "c", "d", "e"];
    let (jobs, mut replied) = jobs(&inputs);
    let leave = async {
        sleep(ms(70)).await;
        drop(replied.drain(3..)); // d and e
        drop(replied.remove(0)); // a
    };
    tokio::join!(run_batch(&*model, jobs), leave);
    expect_log(
        &lab,
        &runs,
        "a+x+c+d+e@0 a+x+c@50 x@100 c@150",
        "The callers of `a`, `d` and `e` leave at 70 ms, while `a+x+c` runs. From `a+x` on they \
         are left out, and the half `d+e` need not run at all.",
        "cancellation-ignored",
    );
    expect_replies(
        &lab,
        &replies(&["x", "c"], &mut replied),
        "x=(x is poison) c=C",
        "Two are left, and have their replies: one poisoned input, and one that is fine.",
        "swallowed-error",
    );
}

async fn halves_first(lab: Lab) {
    let server = Server::new(&lab, settings(3, 100));
    server
        .ask_at(&[
            (0, "a"),
            (1, "x"),
            (2, "c"), // runs at 2, 52, 102, 152, 202
            (10, "d"),
            (20, "e"),
            (130, "f"),
            (140, "g"),
        ])
        .await;
    sleep(ms(1000)).await;
    expect_log(
        &lab,
        &server.runs,
        "a+x+c@2 a+x@52 a@102 x@152 c@202 d+e+f@252 g@302",
        "The halves of a batch are part of it: one run at a time, and the next batch begins when \
         they have run.",
        "unbounded-concurrency",
    );
    server.notes.expect(
        "a=A!@152 x=Model(ModelError('x is poison'))@202 c=C!@252 d=D!@302 e=E!@302 f=F!@302 \
         g=G!@352",
        "One poisoned input costs time, but nobody his answer.",
        "swallowed-error",
    );
}

// ----------------------------------------------------------------- task 4

/// A service whose calls take so long: a number after the letter of the text
/// says how many milliseconds, and else it is 30.
fn stage(lab: &Lab, name: &str) -> Service {
    let takes = |call: &CallInfo| call.label.get(1..).and_then(|ms| ms.parse().ok());
    lab.service(name)
        .takes_with(move |call| takes(call).unwrap_or(30))
        .build()
}

async fn encodes(lab: Lab) {
    let encoding = stage(&lab, "encode");
    let ends = Ends {
        encoding: Some(encoding.clone()),
        ..Ends::default()
    };
    let settings = Settings {
        workers: number(2),
        max_queued: number(5),
        ..settings(5, 1000)
    };
    let server = Server::with(&lab, ends, settings);
    let o = lab.pick(0..=3);
    let slow = format!("b{}", 85 + o);
    server
        .ask_at(&[(0, "a"), (1, &slow), (2, "c"), (3, "d"), (4, "e"), (5, "f")])
        .await;
    sleep(ms(1000)).await;
    let notes = locked(&server.notes.notes).clone();
    let got = time_line(notes.first().cloned());
    lab.expect(got == "f=Overloaded@5")
        .expected("five are queued, one more is too many: f=Overloaded@5")
        .got(format!("the first to be told anything: {got}"))
        .why(
            "At 5 ms two texts are encoded, and three wait for a worker. All of them are queued: a \
             bound that counts only what is in the line lets any number wait before it.",
        )
        .pitfall("unbounded-queue")
        .or_fail();
    let peak = encoding.peak();
    lab.expect(peak <= 2)
        .expected("at most 2 texts are encoded at a time: the workers")
        .got(format!("{peak} at the same time"))
        .why("What many callers may begin at once needs a bound.")
        .pitfall("unbounded-concurrency")
        .or_fail();
    let calls = encoding.calls().into_iter();
    let got = time_line(calls.map(|call| (call.started_ms, call.label)));
    let expected = format!("a@0 {slow}@1 c@30 d@60 e@{}", 86 + o);
    lab.expect(got == expected)
        .expected(format!("encoding begins: {expected}"))
        .got(got)
        .why(format!(
            "Two workers. `{slow}` takes {} ms to encode, the others 30. Each text is encoded \
                 as soon as a worker is free, first come, first served: the long one keeps one \
                 of them, and nobody waits for it.",
            85 + o
        ))
        .pitfall("sequential-awaits")
        .or_fail();
    let (b, e) = (86 + o, 116 + o);
    expect_log(
        &lab,
        &server.runs,
        &format!("a+c+{slow}+d+e@{e}"),
        &format!(
            "`{slow}` takes {} ms to encode, the others 30. Encoded: `a` at 30, `c` at 60, \
             `{slow}` at {b}, `d` at 90, `e` at {e} ms. In the line is who is encoded, in the \
             order in which that was done.",
            85 + o
        ),
        "sequential-awaits",
    );

    // The clock of an input begins in the line.
    let ends = Ends {
        encoding: Some(encoding),
        ..Ends::default()
    };
    let server = Server::with(&lab, ends, self::settings(4, 60));
    let asked_ms = lab.now_ms();
    server.ask("g");
    sleep(ms(500)).await;
    expect_log(
        &lab,
        &server.runs,
        &format!("g@{}", asked_ms + 90),
        &format!(
            "`g` is asked at {asked_ms} ms, alone, and encoded for 30 ms. Then it is in the line, \
             and waits for others for up to 60 ms: from when it came into the line, not from the \
             call."
        ),
        "wrong-result",
    );
}

async fn encode_fails(lab: Lab) {
    let ends = Ends {
        encoding: Some(stage(&lab, "encode")),
        ..Ends::default()
    };
    let settings = Settings {
        max_queued: number(3),
        ..settings(2, 200)
    };
    let server = Server::with(&lab, ends, settings);
    let bad = ["b?", "c?", "d?"];
    let bad = bad[usize::try_from(lab.pick(0..=2)).expect("a small number")];
    let takes = 30;
    server.ask_at(&[(0, "a"), (10, bad), (100, "e")]).await;
    sleep(ms(500)).await;
    expect_log(
        &lab,
        &server.runs,
        "a+e@130",
        "A text that cannot be encoded is in no batch, and is counted in none: `a` waits for \
         company, and finds it in `e`.",
        "wrong-result",
    );
    server.notes.expect(
        &format!(
            "{bad}=Encode(CodecError('what is {bad}'))@{} a=A!@180 e=E!@180",
            10 + takes
        ),
        "Its caller learns of it at once, and nobody else does.",
        "swallowed-error",
    );
    // More than there are places, one after the other.
    for _ in 0..5 {
        soon(&lab, "a call", "It fails.", joined(server.ask(bad))).await;
    }
    let began_ms = lab.now_ms();
    let task = server.ask("f");
    server.ask("g");
    soon(&lab, "a call", "There is room for it.", joined(task)).await;
    let notes = locked(&server.notes.notes).clone();
    let got = time_line(
        notes
            .into_iter()
            .filter(|(at_ms, _)| *at_ms > began_ms)
            .filter(|(_, note)| note.starts_with('f'))
            .map(|(at_ms, note)| (at_ms - began_ms, note)),
    );
    lab.expect(got == "f=F!@80")
        .expected("after five texts that could not be encoded: f=F!@80")
        .got(got)
        .why("What failed is queued no more: its place, and its worker, are free again.")
        .pitfall("leaked-resource")
        .or_fail();
}

async fn decodes(lab: Lab) {
    let decoding = stage(&lab, "decode");
    let ends = Ends {
        decoding: Some(decoding.clone()),
        ..Ends::default()
    };
    let settings = Settings {
        workers: number(2),
        ..settings(3, 100)
    };
    let server = Server::with(&lab, ends, settings);
    let long = 150 + lab.pick(0..=9);
    let slow = format!("a{long}");
    server
        .ask_at(&[
            (0, &slow),
            (1, "b"),
            (2, "c"), // run from 2 to 52
            (10, "d"),
            (20, "e&"),
            (30, "f"), // run from 52 to 102
        ])
        .await;
    sleep(ms(1000)).await;
    expect_log(
        &lab,
        &server.runs,
        &format!("{slow}+b+c@2 d+e&+f@52"),
        "The second batch is full, and the model is free at 52 ms: it runs while the first one is \
         decoded. What is about one answer does not belong into the loop that makes the batches.",
        "sequential-awaits",
    );
    let peak = decoding.peak();
    lab.expect(peak == 2)
        .expected("2 scores are decoded at a time: the workers")
        .got(format!("{peak} at the same time"))
        .why("As many as there are workers, not more, and not fewer.")
        .pitfall("unbounded-concurrency")
        .or_fail();
    // Which two of the first batch are first is not said; but each takes 30 ms
    // or the long time, and two go on at a time.
    let notes = locked(&server.notes.notes).clone();
    let ended = |name: &str| {
        let mut found = notes.iter().filter(|(_, note)| note.starts_with(name));
        found.next().map_or(0, |(at_ms, _)| *at_ms)
    };
    let (b, c) = (ended("b"), ended("c"));
    let last = ["d", "e", "f"].map(ended).into_iter().max().unwrap_or(0);
    let quick = b.max(c) <= 112 && last <= 202;
    lab.expect(quick)
        .expected("b and c are answered by 112 ms, d, e and f by 202 ms")
        .got(notes_line(&notes))
        .why(
            "One answer takes long to decode. The other worker goes on with those behind it: each \
             caller is answered when his own answer is there.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    let right = notes.iter().all(|(_, note)| {
        note.split_once('=')
            .is_some_and(|(text, answer)| match text {
                "e&" => answer == "Decode(CodecError('no words for E&'))",
                text => answer == format!("{}!", text.to_uppercase()),
            })
    });
    lab.expect(right && notes.len() == 6)
        .expected("six callers, each with his own answer; `E&` cannot be decoded")
        .got(notes_line(&notes))
        .why(
            "Each caller gets the answer to his own text. The one whose scores cannot be decoded \
             gets that error, and nobody else does.",
        )
        .pitfall("swallowed-error")
        .or_fail();
    own_workers(&lab).await;
}

/// One worker at each end: neither end waits for the other.
async fn own_workers(lab: &Lab) {
    let (encoding, decoding) = (stage(lab, "encode"), stage(lab, "decode"));
    let ends = Ends {
        encoding: Some(encoding.clone()),
        decoding: Some(decoding.clone()),
    };
    let settings = Settings {
        workers: number(1),
        ..settings(1, 100)
    };
    let server = Server::with(lab, ends, settings);
    let at = |after_ms| lab.now_ms() + after_ms;
    let [a, b, c] = [at(0), at(70), at(160)];
    let [decode_a, decode_b, decode_c] = [at(80), at(150), at(240)];
    server.ask_at(&[(0, "a"), (70, "b"), (160, "c")]).await;
    sleep(ms(500)).await;
    let calls = encoding.calls().into_iter().chain(decoding.calls());
    let mut calls: Vec<_> = calls.map(|call| (call.started_ms, call.label)).collect();
    calls.sort();
    let got = time_line(calls);
    let expected = format!("a@{a} b@{b} A@{decode_a} B@{decode_b} c@{c} C@{decode_c}");
    lab.expect(got == expected)
        .expected(format!(
            "one worker; encoding (a) and decoding (A) begin: {expected}"
        ))
        .got(got)
        .why(
            "Encoders and decoders are different workers: one of each here. The scores of `a` are \
             decoded at once, although `b` is being encoded, and `c` is encoded at once, although \
             the scores of `b` are being decoded.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
}

fn notes_line(notes: &[(u64, String)]) -> String {
    let mut notes = notes.to_vec();
    notes.sort();
    time_line(notes)
}

async fn dropped_anywhere(lab: Lab) {
    let why = "A call that is dropped, wherever it is, gives back what it has: its place in the \
               queue, at the latest when its batch would have run, and its worker, at once.";
    lab.cancel_sweep(async |cancel: Cancel| {
        let ends = Ends {
            encoding: Some(stage(&lab, "encode")),
            decoding: Some(stage(&lab, "decode")),
        };
        let settings = Settings {
            max_queued: number(1),
            workers: number(1),
            ..settings(1, 100)
        };
        let server = Server::with(&lab, ends, settings);
        let dropped = cancel.drop_at(server.batcher.infer("a")).await;
        let fine = dropped.is_none_or(|outcome| outcome == Ok("A!".to_owned()));
        sleep(ms(200)).await;
        let (outcome, took) = lab
            .timed(timeout(ms(1000), server.batcher.infer("b")))
            .await;
        let told = match &outcome {
            Ok(outcome) => format!("b={} after {} ms", told(outcome), took.as_millis()),
            Err(_) => "b has no answer after 1000 ms".to_owned(),
        };
        lab.expect(fine && told == "b=B! after 110 ms")
            .expected("the next call is answered: b=B! after 110 ms")
            .got(told)
            .why(why)
            .pitfall("leaked-resource")
            .or_fail();
    })
    .await;

    // Who is not in the line yet has no batch that would have to begin.
    let ends = Ends {
        encoding: Some(stage(&lab, "encode")),
        ..Ends::default()
    };
    let settings = Settings {
        max_queued: number(2),
        workers: number(1),
        ..settings(1, 100)
    };
    let server = Server::with(&lab, ends, settings);
    let encoded = server.ask("a");
    lab.settle().await;
    let waits = server.ask("b");
    sleep(ms(10)).await;
    encoded.abort();
    waits.abort();
    lab.settle().await;
    for text in ["c", "d"] {
        server.ask(text);
        lab.settle().await;
    }
    sleep(ms(500)).await;
    let notes = locked(&server.notes.notes).clone();
    let mut answers: Vec<_> = notes.iter().map(|(_, note)| note.as_str()).collect();
    answers.sort_unstable();
    lab.expect(answers == ["c=C!", "d=D!"])
        .expected("two are queued at most: `a` and `b` leave, `c` and `d` are answered")
        .got(notes_line(&notes))
        .why(
            "`a` is dropped while it is encoded, `b` while it waits for the worker. Neither is in \
             the line yet, so their places are free at once.",
        )
        .pitfall("leaked-resource")
        .or_fail();
}

// ----------------------------------------------------------------- task 5

async fn closed(lab: Lab) {
    let ends = Ends {
        encoding: Some(stage(&lab, "encode")),
        decoding: Some(stage(&lab, "decode")),
    };
    let server = Server::with(&lab, ends, settings(2, 100));
    // At 100 ms a and b are decoded, c and d run, e is in the line, f is encoded.
    server
        .ask_at(&[
            (0, "a"),
            (10, "b"), // run from 40 to 90
            (20, "c"),
            (30, "d"), // run from 90 to 140
            (40, "e"),
            (85, "f"),
        ])
        .await;
    sleep(ms(15)).await;
    let batcher = Arc::clone(&server.batcher);
    let shutdown = tokio::spawn(async move { batcher.shutdown().await });
    lab.settle().await;
    server.ask("g");
    sleep(ms(20)).await;
    server.ask("h");
    soon(
        &lab,
        "shutdown",
        "When the last call that had begun is over, there is nothing to wait for.",
        joined(shutdown),
    )
    .await;
    server.ask("i");
    sleep(ms(500)).await;
    server.notes.expect(
        "g=Closed@100 a=A!@120 b=B!@120 h=Closed@120 c=C!@170 d=D!@170 e=E!@220 f=F!@220 \
         i=Closed@220",
        "At 100 ms, when `shutdown` is called, `a` and `b` are decoded, `c` and `d` run, `e` is in \
         the line and `f` is encoded. All of them were accepted, and get their answers. Whoever \
         comes later is refused at once.",
        "cancellation-ignored",
    );

    // The queue is full as well.
    let settings = Settings {
        max_queued: number(1),
        ..settings(1, 100)
    };
    let server = Server::new(&lab, settings);
    let asked_ms = lab.now_ms();
    server.ask("j");
    lab.settle().await;
    server.ask("k"); // waits while j runs
    sleep(ms(10)).await;
    let batcher = Arc::clone(&server.batcher);
    tokio::spawn(async move { batcher.shutdown().await });
    sleep(ms(10)).await;
    server.ask("l");
    sleep(ms(500)).await;
    let [l, j, k] = [20, 50, 100].map(|after_ms| asked_ms + after_ms);
    server.notes.expect(
        &format!("l=Closed@{l} j=J!@{j} k=K!@{k}"),
        "`j` runs, and `k` is all that may be queued. `shutdown` was called, then comes `l`: it \
         would be too many, but it learns what matters more. `Overloaded` says that it may try \
         again later, and here there is no later.",
        "wrong-result",
    );
}

async fn no_company(lab: Lab) {
    let ends = Ends {
        encoding: Some(stage(&lab, "encode")),
        ..Ends::default()
    };
    let server = Server::with(&lab, ends, settings(4, 10_000));
    let o = lab.pick(0..=9);
    let late = format!("d{}", 150 + o);
    server
        .ask_at(&[(0, "a"), (10, "b"), (20, &late), (80, "e")])
        .await;
    sleep(ms(20)).await;
    let batcher = Arc::clone(&server.batcher);
    let shutdown = tokio::spawn(async move { batcher.shutdown().await });
    let why = "All that is accepted is done long before.";
    let ((), took) = lab
        .timed(soon(&lab, "shutdown", why, joined(shutdown)))
        .await;
    expect_log(
        &lab,
        &server.runs,
        &format!("a+b@100 e@150 {late}@200"),
        "At 100 ms, when `shutdown` is called, `a` and `b` wait for company, for up to ten \
         seconds. There will be none: they run at once. `e` is encoded at 110, and runs when the \
         model is free at 150; the last one runs when it is free again at 200.",
        "never-ends",
    );
    lab.expect_took(took, 150)
        .why("The shutdown ends when the last call has its answer: at 250 ms.")
        .pitfall("never-ends")
        .or_fail();
}

async fn shutdown_ends(lab: Lab) {
    // Nothing to do.
    let server = Server::new(&lab, settings(4, 100));
    let why = "Nobody has called: there is nothing to wait for.";
    let shutdown = soon(&lab, "shutdown", why, server.batcher.shutdown());
    let ((), took) = lab.timed(shutdown).await;
    lab.expect_took(took, 0)
        .why(why)
        .pitfall("never-ends")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("When `shutdown` has returned no task is left, also if the batcher still exists.")
        .or_fail();

    // Two that wait, one of whom leaves; and a call that is dropped.
    let server = Server::new(&lab, settings(1, 100));
    let began_ms = lab.now_ms();
    let tasks = ["a", "b", "c"].map(|text| server.ask(text));
    sleep(ms(10)).await;
    let notes = Notes::new(&lab);
    let waits = ["first", "second", "third"].map(|name| {
        let (batcher, notes) = (Arc::clone(&server.batcher), notes.clone());
        tokio::spawn(async move {
            batcher.shutdown().await;
            notes.note(name);
        })
    });
    sleep(ms(60)).await;
    waits[0].abort();
    sleep(ms(20)).await; // b runs from 50 to 100
    tasks[2].abort(); // c is in the line
    let [_, second, last] = waits;
    let why = "The last call is over: `a` and `b` are answered, and `c` was dropped.";
    let both = async {
        joined(second).await;
        joined(last).await;
    };
    soon(&lab, "shutdown", why, both).await;
    let got = notes
        .line()
        .replace(&format!("@{}", began_ms + 100), "@100");
    lab.expect(got == "second@100 third@100")
        .expected("shutdowns return: second@100 third@100")
        .got(got)
        .why(
            "Three called `shutdown`, and one of them left. Each of the others is told when the \
             last call has ended: `b`, at 100 ms, for the caller of `c` has left as well.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("When `shutdown` has returned no task is left, also if the batcher still exists.")
        .or_fail();

    // The only call leaves while its batch runs.
    let server = Server::new(&lab, settings(1, 100));
    let asked_ms = lab.now_ms();
    let task = server.ask("d");
    sleep(ms(10)).await;
    let batcher = Arc::clone(&server.batcher);
    let shutdown = tokio::spawn(async move { batcher.shutdown().await });
    sleep(ms(10)).await; // d runs for 50 ms
    task.abort();
    soon(
        &lab,
        "shutdown",
        "The last call was dropped.",
        joined(shutdown),
    )
    .await;
    let got = lab.now_ms();
    lab.expect(got == asked_ms + 20)
        .expected(format!(
            "shutdown returns at {} ms, when the last caller leaves",
            asked_ms + 20
        ))
        .got(format!("it returns at {got} ms"))
        .why(
            "`d` runs when its caller leaves, and nobody else is there: the last call that had \
             begun was dropped. A run that nobody waits for any more ends with it.",
        )
        .pitfall("cancellation-ignored")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("When `shutdown` has returned no task is left, and no run goes on.")
        .or_fail();

    // One that is dropped at once.
    let server = Server::new(&lab, settings(4, 100));
    let task = server.ask("a");
    sleep(ms(10)).await;
    let batcher = Arc::clone(&server.batcher);
    let dropped = tokio::spawn(async move { batcher.shutdown().await });
    sleep(ms(10)).await;
    dropped.abort();
    lab.settle().await;
    let outcome = server.batcher.infer("b").await;
    lab.expect_eq(&outcome, &Err(InferError::Closed))
        .why("A shutdown that is dropped has begun nevertheless: the batcher stays shut down.")
        .pitfall("cancellation-ignored")
        .or_fail();
    let why = "Whoever was accepted is answered, also if nobody waits for the end any more.";
    soon(&lab, "the call that was accepted", why, joined(task)).await;
}

async fn batcher_dropped(lab: Lab) {
    for (drop_at_ms, when) in [(10, "in the line"), (120, "in a run"), (500, "answered")] {
        let server = Server::new(&lab, settings(4, 100));
        let tasks = ["a", "b"].map(|text| server.ask(text));
        sleep(ms(drop_at_ms)).await;
        tasks.iter().for_each(JoinHandle::abort);
        lab.settle().await;
        let Server { batcher, runs, .. } = server;
        let weak = Arc::downgrade(&batcher);
        drop(batcher);
        let no_tasks_left = lab.expect_no_tasks_left().await;
        no_tasks_left
            .expected(format!("two calls {when}, all is dropped: no task is left"))
            .why(
                "With the batcher goes whoever makes its batches. A task that was spawned, and \
                 whose handle is dropped, waits for calls that can never come.",
            )
            .or_fail();
        lab.expect(weak.upgrade().is_none() && runs.in_flight() == 0)
            .expected(format!("two calls {when}, all is dropped: no run goes on"))
            .got("something runs on")
            .why("Nobody is left who wants that run.")
            .pitfall("leaked-task")
            .or_fail();
        let count = runs.count();
        sleep(ms(10_000)).await;
        lab.expect(runs.count() == count && (drop_at_ms < 100 || count > 0))
            .expected(format!(
                "two calls {when}, all is dropped: no run begins after that"
            ))
            .got(format!("{} runs", runs.count()))
            .why("A batch whose callers have left, of a batcher that is gone, need not run.")
            .pitfall("leaked-task")
            .or_fail();
    }
}
