//! Hidden checks of day 13: the learner's tests, run on correct and on faulty caches.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exercise::{
    Cache, CacheError, LoadError, Maker, Settings, Source, circuit, expiry, keeping, recovery,
};
use futures::FutureExt;
use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture, LocalBoxFuture, Shared, WeakShared};
use futures::stream::FuturesUnordered;
use kata_harness::{Lab, Place, Suite, ms};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    // A seed decides how many turns of the scheduler some of the caches take.
    Suite::new()
        .seeds(4)
        .task(1)
        .check("keeping: passes correct caches, fails one that never loads", 1, |lab| passes(lab, KEEPING))
        .check("keeping: catches a cache that keeps nothing", 1, |lab| catches(lab, KEEPING, Fault::KeepsNothing))
        .check("keeping: catches a cache that keeps a value for ever", 1, |lab| catches(lab, KEEPING, Fault::NeverExpires))
        .task(2)
        .check("expiry: passes correct caches, fails one that never loads", 1, |lab| passes(lab, EXPIRY))
        .check("expiry: catches a value that is fresh at exactly its ttl", 2, |lab| catches(lab, EXPIRY, Fault::FreshAtTtl))
        .check("expiry: catches a value that lives longer when it is read", 2, |lab| catches(lab, EXPIRY, Fault::ReadingProlongs))
        .check("expiry: catches an age that counts from the load's beginning", 2, |lab| catches(lab, EXPIRY, Fault::AgeFromBegin))
        .task(3)
        .check("circuit: passes correct caches, fails one that never loads", 1, |lab| passes(lab, CIRCUIT))
        .check("circuit: catches a failure that is kept", 2, |lab| catches(lab, CIRCUIT, Fault::KeepsFailures))
        .check("circuit: catches failures counted that are not in a row", 2, |lab| catches(lab, CIRCUIT, Fault::CountsInTotal))
        .check("circuit: catches a circuit of its own for each key", 2, |lab| catches(lab, CIRCUIT, Fault::OnePerKey))
        .check("circuit: catches an open circuit that refuses fresh values", 2, |lab| catches(lab, CIRCUIT, Fault::RefusesFresh))
        .check("circuit: catches a refusal that looks like a failed load", 2, |lab| catches(lab, CIRCUIT, Fault::FailsUnasked))
        .task(4)
        .check("recovery: passes correct caches, fails one that never loads", 1, |lab| passes(lab, RECOVERY))
        .check("recovery: catches a crowd of probes", 2, |lab| catches(lab, RECOVERY, Fault::EverybodyProbes))
        .check("recovery: catches a failed probe that opens nothing anew", 3, |lab| catches(lab, RECOVERY, Fault::FailedProbeForgets))
        .check("recovery: catches a dropped probe that nobody can replace", 3, |lab| catches(lab, RECOVERY, Fault::ProbeIsStuck))
        .run()
}

// ------------------------------------------------------- the learner's tests

/// One of the learner's tests.
#[derive(Clone, Copy)]
struct Test {
    name: &'static str,
    run: for<'a> fn(&'a dyn Maker) -> LocalBoxFuture<'a, ()>,
}

const KEEPING: Test = Test {
    name: "keeping",
    run: |maker| keeping(maker).boxed_local(),
};
const EXPIRY: Test = Test {
    name: "expiry",
    run: |maker| expiry(maker).boxed_local(),
};
const CIRCUIT: Test = Test {
    name: "circuit",
    run: |maker| circuit(maker).boxed_local(),
};
const RECOVERY: Test = Test {
    name: "recovery",
    run: |maker| recovery(maker).boxed_local(),
};

/// How a test came out.
enum Ran {
    /// It returned; `in_task` is a panic that stayed in a task.
    Passed {
        took_ms: u64,
        caches: usize,
        in_task: Option<(String, Place)>,
    },
    /// It panicked.
    Failed { words: String, place: Place },
    /// It still waited after ten minutes.
    Hangs,
}

impl Ran {
    fn has_passed(&self) -> bool {
        matches!(self, Self::Passed { .. })
    }
}

/// So long a test may take.
const LIMIT_MS: u64 = 600_000;

/// Runs a test on one kind of cache.
async fn run(lab: &Lab, test: Test, kind: Kind) -> Ran {
    let maker = Workshop {
        lab: lab.clone(),
        kind,
        made: AtomicUsize::new(0),
    };
    let seen = lab.panics().len();
    let began_ms = lab.now_ms();
    let span = lab.span(kind.in_the_chart(), test.name);
    let guarded = AssertUnwindSafe((test.run)(&maker)).catch_unwind();
    let ended = timeout(ms(LIMIT_MS), guarded).await;
    let took_ms = lab.now_ms() - began_ms;
    match ended {
        Ok(Ok(())) => span.done(),
        Ok(Err(_)) => span.failed(),
        Err(_) => drop(span),
    }
    lab.settle().await;
    let panics = lab.panics().split_off(seen);
    match ended {
        Err(_) => Ran::Hangs,
        Ok(Ok(())) => Ran::Passed {
            took_ms,
            caches: maker.made.load(SeqCst),
            in_task: panics
                .into_iter()
                .find(|panic| panic.in_task)
                .map(|panic| (in_line(&panic.message), panic.location)),
        },
        Ok(Err(payload)) => {
            let message = message_of(&*payload);
            if message.starts_with("not yet implemented") {
                resume_unwind(payload);
            }
            // A panic that was passed on from a task says where it began.
            let place = panics.iter().rev().find(|panic| panic.message == message);
            Ran::Failed {
                place: place
                    .map(|panic| panic.location.clone())
                    .unwrap_or_default(),
                words: in_line(&message),
            }
        }
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}

/// A panic's words in one line.
fn in_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    lines.join("; ")
}

// ----------------------------------------------------------------- the checks

/// The test passes every correct cache, and fails one that never loads.
async fn passes(lab: Lab, test: Test) {
    expect_passes_correct(&lab, test, None).await;
    let why = "This cache answers every `get` at once with an empty text and asks no source. A \
               test that it passes asserts nothing about the values, or nothing at all: calling \
               is not testing. Compare what came with what the rules say, with `assert_eq!`.";
    let kind = Kind::faulty(Fault::NeverLoads);
    expect_caught(&lab, test, kind, "gives \"\" at once, and never loads", why).await;
}

/// The test passes every correct cache, and fails this faulty one.
async fn catches(lab: Lab, test: Test, fault: Fault) {
    expect_passes_correct(&lab, test, Some(fault)).await;
    let (cache, why) = fault.in_words();
    expect_caught(&lab, test, Kind::faulty(fault), cache, why).await;
}

fn panics_on(test: &str, cache: &str) -> String {
    format!("`{test}` panics on a cache that {cache}")
}

async fn expect_caught(lab: &Lab, test: Test, kind: Kind, cache: &str, why: &str) {
    let name = test.name;
    let ran = run(lab, test, kind).await;
    let expectation = lab
        .expect(matches!(ran, Ran::Failed { .. }))
        .expected(panics_on(name, cache));
    match ran {
        Ran::Failed { .. } => expectation,
        Ran::Hangs => expectation
            .got(format!(
                "`{name}` still waits after ten minutes of virtual time"
            ))
            .why(
                "A test that waits for what never comes tells nobody anything. Put a `timeout` \
                 around what may never end, and panic when it has run out.",
            )
            .pitfall("never-ends"),
        Ran::Passed {
            in_task: Some((words, place)),
            ..
        } => expectation
            .got(format!(
                "`{name}` passes, although a task of it panicked: {words}"
            ))
            .why(
                "The assertion failed, but in a task, and a panic in a task stays there: it \
                 reaches whoever awaits the handle and looks at the `JoinError`. Await it, and \
                 `unwrap()` what it gives, or assert in the test itself.",
            )
            .pitfall("lost-panic")
            .at(place),
        Ran::Passed { caches: 0, .. } => expectation
            .got(format!("`{name}` passes, and has not made a cache"))
            .why("Nothing was tested: a cache comes from `maker.make(source, settings)`.")
            .pitfall("wrong-result"),
        Ran::Passed { took_ms, .. } => expectation
            .got(format!("`{name}` passes, after {took_ms} ms"))
            .why(why)
            .pitfall("wrong-result"),
    }
    .or_fail();
}

/// Runs the test on correct caches; if it fails one, says which freedom it takes from it, or
/// that a faulty cache is not asked then.
async fn expect_passes_correct(lab: &Lab, test: Test, fault: Option<Fault>) {
    let refuse = |ran, cache, rule, pitfall| refuse(lab, (test, fault), ran, cache, rule, pitfall);
    let plain = Kind::correct(Choices::default());
    let first = run(lab, test, plain).await;
    if !first.has_passed() {
        // Does it forbid a choice of this cache? Then it passes one that chooses otherwise.
        for open in OPEN {
            if run(lab, test, Kind::correct(open.choices))
                .await
                .has_passed()
            {
                refuse(first, open.plain, open.rule, open.pitfall);
                return;
            }
        }
        let rule = "No freedom that the specification leaves explains this, so the test asks for \
                    something that no rule says, or denies what one says. Hold each assertion \
                    against its rule; mind the limits, and who waits how long for which load. (A clock \
                    of `std` does not see virtual time; `tokio::time::Instant` does.)";
        refuse(first, "keeps to every rule", rule, "wrong-result");
        return;
    }
    for open in OPEN {
        let ran = run(lab, test, Kind::correct(open.choices)).await;
        refuse(ran, open.other, open.rule, open.pitfall);
    }
    let ran = run(lab, test, Kind::Office).await;
    let rule = "It is built in another way (a task that owns everything and gets messages, so \
                a load gets on while nobody polls its `get`), and takes every freedom of the list \
                \"left open\" at the same time. Assert on values, on loads and on virtual time, \
                once everybody had a turn.";
    let cache = "keeps to every rule and has another structure";
    refuse(ran, cache, rule, "wrong-result");
}

/// Fails unless the test has passed this correct cache.
fn refuse(
    lab: &Lab,
    (test, fault): (Test, Option<Fault>),
    ran: Ran,
    cache: &str,
    rule: &str,
    pitfall: &str,
) {
    let name = test.name;
    let expectation = lab
        .expect(ran.has_passed())
        .expected(format!("`{name}` passes a correct cache, one that {cache}"));
    let expectation = match ran {
        Ran::Passed { .. } => expectation,
        Ran::Failed { words, place } => expectation
            .got(format!("it panics: {words}"))
            .why(rule)
            .pitfall(pitfall)
            .at(place),
        Ran::Hangs => expectation
            .got("it still waits after ten minutes of virtual time")
            .why(format!(
                "{rule} (The test waits for something that need not come.)"
            ))
            .pitfall("never-ends"),
    };
    // Which cache it was, and why, is what the first check of the task is for.
    match fault {
        None => expectation,
        Some(fault) => expectation
            .expected(panics_on(name, fault.in_words().0))
            .got("not asked: the test fails correct caches")
            .why(
                "A test that fails a correct cache catches nothing. Mend that first: the first \
                 check of this task says which cache it was, and what your test asks of it.",
            ),
    }
    .or_fail();
}

/// What the specification leaves open: how the plain cache does it, and how another may.
struct Open {
    row: &'static str,
    choices: Choices,
    plain: &'static str,
    other: &'static str,
    rule: &'static str,
    pitfall: &'static str,
}

const PLAIN: Choices = Choices {
    shares: false,
    takes_turns: false,
    other_words: false,
    forgets: false,
    late_counts: false,
};

const OPEN: [Open; 5] = [
    Open {
        row: "correct (a)",
        choices: Choices {
            shares: true,
            ..PLAIN
        },
        plain: "makes a load for each `get` of a key that is being loaded",
        other: "lets all who want a key share the load that is under way",
        rule: "Left open, (a): whether those who want the same key at the same time share a load, \
               or each makes its own. Your test counts on one of the two. Have the second caller \
               come when the first load has ended, or ask for another key.",
        pitfall: "wrong-result",
    },
    Open {
        row: "correct (b)",
        choices: Choices {
            takes_turns: true,
            ..PLAIN
        },
        plain: "does everything in the poll in which it can",
        other: "needs some turns of the scheduler for everything",
        rule: "Left open, (b): in which poll, and in which order, things happen that happen at \
               the same instant. A fresh value may be pending at first, a load may begin some \
               turns later, and of two calls either may be first. Await, join or spawn what must \
               get on (one poll by hand is one turn and no more), let a millisecond pass before \
               you look, and sort what has no order.",
        pitfall: "wrong-result",
    },
    Open {
        row: "correct (c)",
        choices: Choices {
            other_words: true,
            ..PLAIN
        },
        plain: "says \"the circuit is open\"",
        other: "has other words in `CacheError::Open`",
        rule: "Left open, (c): the words in `CacheError::Open`. They are for people. Ask for the \
               kind of the error, with `matches!(error, CacheError::Open(_))`.",
        pitfall: "wrong-result",
    },
    Open {
        row: "correct (d)",
        choices: Choices {
            forgets: true,
            ..PLAIN
        },
        plain: "keeps an expired value until it is loaded anew",
        other: "throws expired values away as soon as it can",
        rule: "Left open, (d): how long a value that is not fresh any more is kept, and counted \
               by `len()`. Whether it expired is seen by `get`, which has to load it.",
        pitfall: "wrong-result",
    },
    Open {
        row: "correct (e)",
        choices: Choices {
            late_counts: true,
            ..PLAIN
        },
        plain: "ignores, for its circuit, loads that began before it opened",
        other: "counts loads that end after the circuit has opened",
        rule: "Left open, (e): what the outcome of a load that was under way when the circuit \
               opened does to the circuit. Let your loads end one after the other before you \
               count.",
        pitfall: "wrong-result",
    },
];

// --------------------------------------------------------------------- caches

/// A mistake of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    NeverLoads,
    KeepsNothing,
    NeverExpires,
    FreshAtTtl,
    ReadingProlongs,
    AgeFromBegin,
    KeepsFailures,
    CountsInTotal,
    OnePerKey,
    RefusesFresh,
    FailsUnasked,
    EverybodyProbes,
    FailedProbeForgets,
    ProbeIsStuck,
}

impl Fault {
    /// What such a cache does, and how a test comes to see it.
    fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::NeverLoads => ("never loads", "Compare what comes with what the rules say."),
            Self::KeepsNothing => (
                "keeps nothing and loads for every `get`",
                "It breaks rule 1. Get a key a second time while its value is fresh, and look at \
                 more than the kind of the outcome: a fresh value is the same one as before, \
                 costs no load and no time.",
            ),
            Self::NeverExpires => (
                "gives a value for ever once it has one",
                "It breaks rule 2. Get a key, let more than the ttl pass, get it again: there \
                 must be a second load, and the second load's value.",
            ),
            Self::FreshAtTtl => (
                "still gives a value at exactly its ttl, and is right 1 ms later",
                "It breaks rule 3 at one instant only: at exactly `ttl` a value is not fresh any \
                 more. Mistakes live at limits, so look on both sides of one: 1 ms before it, \
                 and at it.",
            ),
            Self::ReadingProlongs => (
                "begins a value's time anew whenever it is read",
                "It breaks rule 3: giving a value does not prolong its time. A test that reads it \
                 once, after its ttl, cannot see that. Read it while it is fresh, and again when \
                 the ttl of the *load* is over, but not that of the reading.",
            ),
            Self::AgeFromBegin => (
                "counts a value's age from the beginning of its load",
                "It breaks rule 3: the time runs from the *end* of the load. Both are the same \
                 instant if a load takes no time. Let it take some, and ask at an age that is \
                 less than `ttl` by the right count, and more by the wrong one.",
            ),
            Self::KeepsFailures => (
                "gives a failure again, as if it were a value",
                "It breaks rule 5: a failure is not kept. Get the same key once more after a \
                 failure, while the circuit is closed: there must be another load, and if that \
                 one succeeds, its value.",
            ),
            Self::CountsInTotal => (
                "counts failures in total, over successes between them",
                "It breaks rule 6: only failures *in a row* count. Fail less often than the \
                 threshold, succeed once, fail again: together more than the threshold, never so \
                 many in a row. The circuit must still be closed.",
            ),
            Self::OnePerKey => (
                "has a circuit of its own for each key",
                "It breaks rule 6: failures count over all keys. If your test fails one key again \
                 and again it cannot tell. Spread the failures over several keys, or ask for \
                 another one when the circuit is open.",
            ),
            Self::RefusesFresh => (
                "gives nothing at all while its circuit is open",
                "It breaks rule 7: an open circuit stops loads, and a fresh value needs none. \
                 Load a value first, then open the circuit with failures of other keys, and get \
                 the value while it is fresh.",
            ),
            Self::FailsUnasked => (
                "gives `CacheError::Failed` while its circuit is open, and asks nobody",
                "It breaks rule 7: what an open circuit refuses is `CacheError::Open`; \
                 `CacheError::Failed` says that a load has failed, and there was none. Look at \
                 more than whether there came an error: ask for its kind, with \
                 `matches!(outcome, Err(CacheError::Open(_)))`.",
            ),
            Self::EverybodyProbes => (
                "lets every load through once its cooldown is over",
                "It breaks rule 8: while the probe is under way, others are refused. Begin a \
                 `get` (in a task, or pinned and polled), let a millisecond pass, and get another \
                 key before the first load has ended: no second load may begin.",
            ),
            Self::FailedProbeForgets => (
                "lets the next load through at once when a probe has failed",
                "It breaks rule 9: a probe that fails opens the circuit for a whole cooldown, from \
                 its failure on. Let the probe fail, and look at the time *after* that: just \
                 before that cooldown is over, every load must still be refused.",
            ),
            Self::ProbeIsStuck => (
                "waits for its probe for ever, although the caller has left",
                "It breaks rule 9: when a probe is dropped, the next `get` that needs a load makes \
                 a new one. Begin a probe, drop it before its load has ended (`timeout` does, or \
                 `drop` of a pinned future), and get a key: it must be loaded.",
            ),
        }
    }
}

/// What a correct cache may choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Choices {
    /// (a) Those who want the same key share a load.
    shares: bool,
    /// (b) Everything takes a few turns of the scheduler.
    takes_turns: bool,
    /// (c) An open circuit is told in other words.
    other_words: bool,
    /// (d) Expired values are thrown away as soon as possible.
    forgets: bool,
    /// (e) Loads that were under way when the circuit opened count.
    late_counts: bool,
}

/// Which cache a maker makes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Shelf(Choices, Option<Fault>),
    Office,
}

impl Kind {
    fn correct(choices: Choices) -> Self {
        Self::Shelf(choices, None)
    }

    fn faulty(fault: Fault) -> Self {
        Self::Shelf(PLAIN, Some(fault))
    }

    /// Its row in the chart.
    fn in_the_chart(self) -> &'static str {
        match self {
            Self::Shelf(_, Some(_)) => "faulty",
            Self::Office => "correct (all)",
            Self::Shelf(choices, None) => OPEN
                .iter()
                .find(|open| open.choices == choices)
                .map_or("correct", |open| open.row),
        }
    }
}

struct Workshop {
    lab: Lab,
    kind: Kind,
    made: AtomicUsize,
}

impl Maker for Workshop {
    fn make(&self, source: Arc<dyn Source>, settings: Settings) -> Arc<dyn Cache> {
        self.made.fetch_add(1, SeqCst);
        match self.kind {
            Kind::Shelf(choices, fault) => Arc::new(Shelf(Arc::new(Core {
                lab: self.lab.clone(),
                source,
                settings,
                choices,
                fault,
                state: Mutex::default(),
            }))),
            Kind::Office => Arc::new(Office::open(source, settings)),
        }
    }
}

// ------------------------------------------- the circuit that all caches share

/// A circuit: failures in a row, and when it opened.
#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    opened: Option<Instant>,
    probing: bool,
    /// How often it has opened: who was let through before that is late.
    era: u32,
}

/// Leave to load.
#[derive(Debug, Clone, Copy)]
struct Pass {
    is_probe: bool,
    era: u32,
}

impl Circuit {
    fn is_open(&self, settings: &Settings) -> bool {
        let since = self.opened.map(|opened| opened.elapsed());
        since.is_some_and(|since| since < settings.cooldown)
    }

    fn admit(&mut self, settings: &Settings, fault: Option<Fault>) -> Option<Pass> {
        let is_probe = self.opened.is_some();
        if is_probe {
            let crowd = fault == Some(Fault::EverybodyProbes);
            if self.is_open(settings) || (self.probing && !crowd) {
                return None;
            }
            self.probing = true;
        }
        let era = self.era;
        Some(Pass { is_probe, era })
    }

    fn open(&mut self) {
        self.opened = Some(Instant::now());
        self.probing = false;
        self.era += 1;
    }

    fn settle(&mut self, pass: Pass, succeeded: bool, settings: &Settings, how: How) {
        let is_late = pass.era != self.era;
        let is_probe = pass.is_probe && !is_late;
        if is_probe {
            self.probing = false;
        }
        if is_late && !how.late_counts {
            return;
        }
        if succeeded {
            if how.fault != Some(Fault::CountsInTotal) || is_probe {
                self.failures = 0;
            }
            self.opened = None;
            return;
        }
        self.failures += 1;
        let forgets = how.fault == Some(Fault::FailedProbeForgets);
        if is_probe && !forgets || !is_probe && self.failures >= settings.threshold.get() {
            self.open();
        }
    }

    /// Who had this pass has left.
    fn leave(&mut self, pass: Pass, fault: Option<Fault>) {
        let is_probe = pass.is_probe && pass.era == self.era;
        if is_probe && fault != Some(Fault::ProbeIsStuck) {
            self.probing = false;
        }
    }
}

/// How a circuit takes an outcome.
#[derive(Debug, Clone, Copy)]
struct How {
    late_counts: bool,
    fault: Option<Fault>,
}

// ---------------------------------- a shelf: a lock, and loads in their callers

type Flight = BoxFuture<'static, Result<String, CacheError>>;

/// Keeps everything under one lock; a load is part of the `get` that makes it.
struct Shelf(Arc<Core>);

struct Core {
    lab: Lab,
    source: Arc<dyn Source>,
    settings: Settings,
    choices: Choices,
    fault: Option<Fault>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    values: HashMap<String, Known>,
    failures: HashMap<String, (Instant, LoadError)>,
    circuits: HashMap<String, Circuit>,
    flights: HashMap<String, WeakShared<Flight>>,
}

struct Known {
    value: String,
    since: Instant,
}

/// What a `get` has to do.
enum Plan {
    Give(Result<String, CacheError>),
    Await(Flight),
    Share(Shared<Flight>),
}

impl Core {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is fresh that came at `since`.
    fn is_fresh(&self, since: Instant) -> bool {
        let age = Instant::now() - since;
        match self.fault {
            Some(Fault::NeverExpires) => true,
            Some(Fault::FreshAtTtl) => age <= self.settings.ttl,
            _ => age < self.settings.ttl,
        }
    }

    fn circuit_of(&self, key: &str) -> String {
        if self.has(Fault::OnePerKey) {
            return key.to_owned();
        }
        String::new()
    }

    fn refusal(&self) -> CacheError {
        if self.has(Fault::FailsUnasked) {
            return CacheError::Failed(LoadError("the circuit is open".to_owned()));
        }
        CacheError::Open(if self.choices.other_words {
            format!("closed for {} ms", self.settings.cooldown.as_millis())
        } else {
            "the circuit is open".to_owned()
        })
    }

    async fn take_turns(&self) {
        if self.choices.takes_turns {
            for _ in 0..self.lab.pick(1..=4) {
                yield_now().await;
            }
        }
    }

    fn plan(self: &Arc<Self>, key: &str) -> Plan {
        let mut state = self.state();
        let state = &mut *state;
        let circuit = state.circuits.entry(self.circuit_of(key)).or_default();
        if self.has(Fault::RefusesFresh) && circuit.is_open(&self.settings) {
            return Plan::Give(Err(self.refusal()));
        }
        if self.choices.forgets {
            state.values.retain(|_, known| self.is_fresh(known.since));
        }
        if let Some(known) = state.values.get_mut(key)
            && self.is_fresh(known.since)
        {
            if self.has(Fault::ReadingProlongs) {
                known.since = Instant::now();
            }
            return Plan::Give(Ok(known.value.clone()));
        }
        if let Some((since, error)) = state.failures.get(key)
            && self.has(Fault::KeepsFailures)
            && self.is_fresh(*since)
        {
            return Plan::Give(Err(CacheError::Failed(error.clone())));
        }
        let flight = state.flights.get(key).and_then(WeakShared::upgrade);
        if let Some(flight) = flight {
            return Plan::Share(flight);
        }
        let Some(pass) = circuit.admit(&self.settings, self.fault) else {
            return Plan::Give(Err(self.refusal()));
        };
        let ticket = Ticket {
            core: Arc::clone(self),
            key: key.to_owned(),
            pass: Some(pass),
        };
        let flight = ticket.fly().boxed();
        if !self.choices.shares {
            return Plan::Await(flight);
        }
        let flight = flight.shared();
        if let Some(weak) = flight.downgrade() {
            state.flights.insert(key.to_owned(), weak);
        }
        Plan::Share(flight)
    }
}

/// A load under way, with its pass; dropped before its end, the pass is given back.
struct Ticket {
    core: Arc<Core>,
    key: String,
    pass: Option<Pass>,
}

impl Ticket {
    async fn fly(mut self) -> Result<String, CacheError> {
        let core = Arc::clone(&self.core);
        let began = Instant::now();
        let loaded = core.source.load(&self.key).await;
        let mut state = core.state();
        let circuit = state
            .circuits
            .entry(core.circuit_of(&self.key))
            .or_default();
        if let Some(pass) = self.pass.take() {
            let how = How {
                late_counts: core.choices.late_counts,
                fault: core.fault,
            };
            circuit.settle(pass, loaded.is_ok(), &core.settings, how);
        }
        state.flights.remove(&self.key);
        match &loaded {
            Ok(_) if core.has(Fault::KeepsNothing) => {}
            Ok(value) => {
                let since = if core.has(Fault::AgeFromBegin) {
                    began
                } else {
                    Instant::now()
                };
                let value = value.clone();
                state
                    .values
                    .insert(self.key.clone(), Known { value, since });
            }
            Err(error) => {
                let failure = (Instant::now(), error.clone());
                state.failures.insert(self.key.clone(), failure);
            }
        }
        drop(state);
        loaded.map_err(CacheError::Failed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(pass) = self.pass.take() else { return };
        let mut state = self.core.state();
        let circuit = self.core.circuit_of(&self.key);
        if let Some(circuit) = state.circuits.get_mut(&circuit) {
            circuit.leave(pass, self.core.fault);
        }
    }
}

impl Cache for Shelf {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String, CacheError>> {
        let core = &self.0;
        Box::pin(async move {
            if core.has(Fault::NeverLoads) {
                return Ok(String::new());
            }
            core.take_turns().await;
            let plan = core.plan(key);
            let outcome = match plan {
                Plan::Give(outcome) => outcome,
                Plan::Await(flight) => flight.await,
                Plan::Share(flight) => flight.await,
            };
            core.take_turns().await;
            outcome
        })
    }

    fn len(&self) -> usize {
        let mut state = self.0.state();
        if self.0.choices.forgets {
            state.values.retain(|_, known| self.0.is_fresh(known.since));
        }
        state.values.len()
    }
}

// ------------------------------------- an office: a task that gets messages

/// One task owns everything, and is asked by message.
struct Office {
    letters: mpsc::UnboundedSender<Letter>,
    kept: Arc<Mutex<HashMap<String, Known>>>,
    settings: Settings,
    next_id: AtomicUsize,
}

enum Letter {
    /// Somebody wants a value.
    Ask {
        id: usize,
        key: String,
        reply: oneshot::Sender<Result<String, CacheError>>,
    },
    /// Somebody has left.
    Left { id: usize, key: String },
}

/// A load under way, and who waits for it.
struct Job {
    waiting: Vec<(usize, oneshot::Sender<Result<String, CacheError>>)>,
    pass: Pass,
    abort: AbortHandle,
}

/// Tells the office that its caller has left.
struct Visit<'a> {
    office: &'a Office,
    id: usize,
    key: &'a str,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let (id, key) = (self.id, self.key.to_owned());
        let _ = self.office.letters.send(Letter::Left { id, key });
    }
}

impl Office {
    fn open(source: Arc<dyn Source>, settings: Settings) -> Self {
        let (letters, inbox) = mpsc::unbounded_channel();
        let kept = Arc::default();
        let desk = Desk {
            source,
            settings,
            kept: Arc::clone(&kept),
            circuit: Circuit::default(),
            jobs: HashMap::new(),
        };
        tokio::spawn(desk.work(inbox));
        Self {
            letters,
            kept,
            settings,
            next_id: AtomicUsize::new(0),
        }
    }
}

impl Cache for Office {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String, CacheError>> {
        Box::pin(async move {
            let id = self.next_id.fetch_add(1, SeqCst);
            let (reply, answer) = oneshot::channel();
            let ask = Letter::Ask {
                id,
                key: key.to_owned(),
                reply,
            };
            let _ = self.letters.send(ask);
            let office = self;
            let _visit = Visit { office, id, key };
            answer.await.expect("the office outlives its visitors")
        })
    }

    fn len(&self) -> usize {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, known| known.since.elapsed() < self.settings.ttl);
        kept.len()
    }
}

/// What the office's task owns.
struct Desk {
    source: Arc<dyn Source>,
    settings: Settings,
    kept: Arc<Mutex<HashMap<String, Known>>>,
    circuit: Circuit,
    jobs: HashMap<String, Job>,
}

impl Desk {
    async fn work(mut self, mut inbox: mpsc::UnboundedReceiver<Letter>) {
        let mut loads = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                letter = inbox.recv() => match letter {
                    None => return,
                    Some(Letter::Left { id, key }) => self.left(id, &key),
                    Some(Letter::Ask { id, key, reply }) => {
                        if let Some((pass, reply)) = self.asked(id, &key, reply) {
                            let (abort, registration) = AbortHandle::new_pair();
                            let waiting = vec![(id, reply)];
                            self.jobs.insert(key.clone(), Job { waiting, pass, abort });
                            let load = Abortable::new(self.source.load(&key), registration);
                            loads.push(load.map(move |loaded| (key, loaded)));
                        }
                    }
                },
                Some((key, loaded)) = loads.next() => {
                    if let Ok(loaded) = loaded {
                        self.loaded(&key, loaded);
                    }
                }
            }
        }
    }

    fn asked(
        &mut self,
        id: usize,
        key: &str,
        reply: oneshot::Sender<Result<String, CacheError>>,
    ) -> Option<(Pass, oneshot::Sender<Result<String, CacheError>>)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, known| known.since.elapsed() < self.settings.ttl);
        if let Some(known) = kept.get(key) {
            let _ = reply.send(Ok(known.value.clone()));
            return None;
        }
        if let Some(job) = self.jobs.get_mut(key) {
            job.waiting.push((id, reply));
            return None;
        }
        let Some(pass) = self.circuit.admit(&self.settings, None) else {
            let _ = reply.send(Err(CacheError::Open("come back later".to_owned())));
            return None;
        };
        Some((pass, reply))
    }

    fn left(&mut self, id: usize, key: &str) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.waiting.retain(|(own, _)| *own != id);
        if job.waiting.is_empty()
            && let Some(job) = self.jobs.remove(key)
        {
            job.abort.abort();
            self.circuit.leave(job.pass, None);
        }
    }

    fn loaded(&mut self, key: &str, loaded: Result<String, LoadError>) {
        let Some(job) = self.jobs.remove(key) else {
            return;
        };
        let how = How {
            late_counts: true,
            fault: None,
        };
        self.circuit
            .settle(job.pass, loaded.is_ok(), &self.settings, how);
        if let Ok(value) = &loaded {
            let known = Known {
                value: value.clone(),
                since: Instant::now(),
            };
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(key.to_owned(), known);
        }
        for (_, reply) in job.waiting {
            let _ = reply.send(loaded.clone().map_err(CacheError::Failed));
        }
    }
}
