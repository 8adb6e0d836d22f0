//! Hidden checks of day 6: ends told, workers owned, shutdown, restarts, trees.

use std::any::Any;
use std::collections::BTreeSet;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use exercise::{End, Exit, Job, NO_MESSAGE, Restart, Supervisor, end_of, run_all};
use futures::FutureExt;
use kata_harness::{Cancel, Lab, Service, SpanGuard, Suite, ms};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    // The seeds choose lengths, and nothing else: eight are enough.
    Suite::new()
        .seeds(8)
        .task(1)
        .check("a task's end is told: done, panicked or aborted", 1, ends_are_told)
        .check("a panic whose payload is no text has an end too", 1, panic_without_text)
        .check("jobs run at the same time, each in a task of its own", 2, jobs_overlap)
        .check("every job's end is told, in the order they ended", 2, ends_in_order)
        .check("a run_all that is dropped aborts every job", 2, run_all_dropped)
        .task(2)
        .check("workers run without being awaited", 1, workers_run)
        .check("wait returns when the last worker has ended", 1, wait_for_all)
        .check("a worker's panic is told and disturbs nobody else", 2, panics_are_told)
        .check("a supervisor that is dropped aborts its workers", 2, supervisor_dropped)
        .task(3)
        .check("shutdown asks, and waits for those who clean up", 2, asks_and_waits)
        .check("a worker that cancels its own token stops nobody else", 2, own_token)
        .check("who is left at the end of the grace is aborted", 3, aborts_at_grace)
        .check("when shutdown returns every worker is gone", 2, gone_on_return)
        .check("the report has every worker once, early and late ones", 2, whole_report)
        .check("a shutdown dropped at any pending aborts the rest", 2, shutdown_dropped)
        .task(4)
        .check("a worker that panics is started again after the delay", 2, started_again)
        .check("after the last restart a panic is the worker's end", 2, restarts_are_limited)
        .check("nobody is started again once shutdown has begun", 3, no_restart_in_shutdown)
        .task(5)
        .check("run_until ends with the workers, or when it is told", 2, runs_until)
        .check("an aborted supervisor takes its workers with it", 2, aborted_tree)
        .run()
}

// ---------------------------------------------------------------- workers

/// Longer than any grace: a worker that runs for an hour and heeds nothing.
const STUBBORN_MS: u64 = 3_600_000;

/// A worker that was started more often than this panics no more: restarts that
/// ought not to be must come to an end.
const PATIENCE: u32 = 8;

/// The workers of one check, as they tell of themselves.
#[derive(Clone)]
struct Crew {
    lab: Lab,
    /// The work of every worker: a call that is dropped early was cancelled.
    work: Service,
}

impl Crew {
    /// Every worker's work takes so many milliseconds.
    fn with_work(lab: &Lab, work_ms: u64) -> Self {
        let work = lab.service("work").takes(work_ms).build();
        let lab = lab.clone();
        Self { lab, work }
    }

    fn new(lab: &Lab) -> Self {
        Self::with_work(lab, STUBBORN_MS)
    }

    /// A worker that works as long as it takes, whatever its token says.
    fn stubborn(&self, name: &'static str, supervisor: &mut Supervisor) {
        let crew = self.clone();
        supervisor.spawn(name, move |_token| {
            let work = crew.work.call(name);
            async move {
                work.await.expect("no work fails");
            }
        });
    }

    /// A worker that waits for its token, cleans up and returns.
    fn polite(&self, name: &'static str, cleanup_ms: u64, supervisor: &mut Supervisor) {
        let lab = self.lab.clone();
        supervisor.spawn(name, move |token| {
            let lab = lab.clone();
            async move {
                let working = lab.span(name, "work");
                token.cancelled().await;
                working.done();
                lab.log(format!("{name} is told"));
                let cleaning = lab.span(name, "clean up");
                sleep(ms(cleanup_ms)).await;
                cleaning.done();
                lab.log(format!("{name} is clean"));
            }
        });
    }

    /// A worker that ends by itself: after so many milliseconds, as it is told.
    fn brief(&self, name: &'static str, after_ms: u64, end: &End, supervisor: &mut Supervisor) {
        let (lab, end) = (self.lab.clone(), end.clone());
        let starts = AtomicU32::new(0);
        supervisor.spawn(name, move |_token| {
            let in_time = starts.fetch_add(1, SeqCst) < PATIENCE;
            let end = if in_time { end.clone() } else { End::Done };
            let span = lab.span(name, "work");
            async move {
                sleep(ms(after_ms)).await;
                finish(span, &end);
            }
        });
    }

    /// No task may be left, and all work must have been dropped at this instant.
    async fn expect_all_dropped_at(&self, at_ms: u64, expected: &str, why: &str) {
        // First, because this names the line that spawned what is left.
        let nobody_left = self.lab.expect_no_tasks_left().await;
        nobody_left.expected(expected).why(why).or_fail();
        for call in self.work.calls() {
            let got = match call.ended_ms {
                None => format!(
                    "{} is still working at {} ms",
                    call.label,
                    self.lab.now_ms()
                ),
                Some(ended_ms) => format!("the work of {} ended at {ended_ms} ms", call.label),
            };
            self.lab
                .expect(call.ended_ms == Some(at_ms))
                .expected(expected)
                .got(got)
                .why(why)
                .pitfall("leaked-task")
                .or_fail();
        }
    }
}

fn finish(span: SpanGuard, end: &End) {
    if let End::Panicked(message) = end {
        span.failed();
        quiet_panic(message.clone());
    }
    span.done();
}

/// A panic that is planned, and so says nothing on stderr.
fn quiet_panic(payload: impl Any + Send) -> ! {
    resume_unwind(Box::new(payload))
}

fn exit(name: &str, starts: u32, end: End) -> Exit {
    let name = name.to_owned();
    Exit { name, starts, end }
}

fn says(message: &str) -> End {
    End::Panicked(message.to_owned())
}

// ---------------------------------------------------------------- helpers

fn text_of(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
}

/// A panic that reached the check: somebody passed a worker's panic on.
fn expect_calm<T>(lab: &Lab, outcome: Result<T, Box<dyn Any + Send>>, what: &str, why: &str) -> T {
    match outcome {
        Ok(output) => output,
        Err(payload) => match text_of(&*payload) {
            Some(message) if !message.starts_with("not yet implemented") => {
                lab.expect(false)
                    .expected(format!("{what} does not panic"))
                    .got(format!("it panicked: {message}"))
                    .why(why)
                    .pitfall("lost-panic")
                    .or_fail();
                unreachable!("a failed expectation ends the check")
            }
            _ => resume_unwind(payload),
        },
    }
}

/// The output of the learner's future, which is to hand panics on as data.
async fn calm<F: Future>(lab: &Lab, what: &str, future: F) -> F::Output {
    let outcome = AssertUnwindSafe(future).catch_unwind().await;
    let why = "The result of a task that panicked or was aborted is an Err(JoinError): to unwrap \
               it is to fall over a panic that was somebody else's. Tell it as that one's end.";
    expect_calm(lab, outcome, what, why)
}

/// `db (1 start) Done, web (2 starts) Panicked("no port")`
fn roll(exits: &[Exit]) -> String {
    let exits = exits.iter().map(|exit| {
        let Exit { name, starts, end } = exit;
        let plural = if *starts == 1 { "" } else { "s" };
        format!("{name} ({starts} start{plural}) {end:?}")
    });
    let exits: Vec<_> = exits.collect();
    if exits.is_empty() {
        return "no exits".to_owned();
    }
    exits.join(", ")
}

/// Expects these exits in this order, but those that were aborted, and so ended
/// at one instant, in any.
fn expect_exits(lab: &Lab, got: &[Exit], expected: &[Exit], why: &str, pitfall: &str) {
    let sorted = |exits: &[Exit]| {
        let mut exits = exits.to_vec();
        exits.sort_by_key(|exit| match exit.end {
            End::Aborted => (1, exit.name.clone()),
            _ => (0, String::new()),
        });
        exits
    };
    let aborted_last = got.is_sorted_by_key(|exit| exit.end == End::Aborted);
    lab.expect(aborted_last && sorted(got) == sorted(expected))
        .expected(roll(expected))
        .got(roll(got))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

/// `"told @100, clean @130"`
fn time_line<S: AsRef<str>>(events: &[(u64, S)]) -> String {
    let mut events: Vec<_> = events
        .iter()
        .map(|(at_ms, event)| (*at_ms, event.as_ref()))
        .collect();
    // What happens at one instant has no order.
    events.sort_unstable();
    let events: Vec<_> = events
        .iter()
        .map(|(at_ms, event)| format!("{event} @{at_ms}"))
        .collect();
    if events.is_empty() {
        return "nothing".to_owned();
    }
    events.join(", ")
}

fn expect_events(lab: &Lab, expected: &[(u64, &str)], why: &str, pitfall: &str) {
    lab.expect_eq(&time_line(&lab.events()), &time_line(expected))
        .expected(time_line(expected))
        .got(time_line(&lab.events()))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

async fn expect_nothing_left(lab: &Lab, why: &str) {
    lab.expect_no_tasks_left().await.why(why).or_fail();
}

// ----------------------------------------------------------------- task 1

async fn ends_are_told(lab: Lab) {
    let number = lab.pick(1..=99);
    let waiting = tokio::spawn(pending::<()>());
    waiting.abort();
    let results = [
        (tokio::spawn(async {}).await, End::Done),
        (
            tokio::spawn(async { quiet_panic("out of beans") }).await,
            says("out of beans"),
        ),
        (
            tokio::spawn(async move { quiet_panic(format!("bean {number} is missing")) }).await,
            says(&format!("bean {number} is missing")),
        ),
        (waiting.await, End::Aborted),
    ];
    for (result, expected) in results {
        let shown = format!("{result:?}");
        let got = catch_unwind(AssertUnwindSafe(|| end_of(result)));
        let why = "A JoinError is no reason to panic: it says how the task ended.";
        let got = expect_calm(&lab, got, "end_of", why);
        lab.expect(got == expected)
            .expected(format!("{expected:?} for {shown}"))
            .got(format!("{got:?}"))
            .why(
                "A task that does not return its output gives a JoinError. It is a panic or an \
                 abort, and it has the panic's payload: a &str from panic!(\"a literal\"), a \
                 String from panic!(\"a {format}\").",
            )
            .pitfall("lost-panic")
            .or_fail();
    }
}

async fn panic_without_text(lab: Lab) {
    let number = lab.pick(1..=99);
    let result = tokio::spawn(async move { quiet_panic(number) }).await;
    let got = catch_unwind(AssertUnwindSafe(|| end_of(result)));
    let why = "A payload may be of any type: ask with `downcast_ref`, and expect neither.";
    let got = expect_calm(&lab, got, "end_of", why);
    lab.expect_eq(&got, &says(NO_MESSAGE))
        .why("`panic_any` takes a payload of any type. It is a panic, though it has no message.")
        .pitfall("lost-panic")
        .or_fail();
}

fn job(name: &str, future: impl Future<Output = ()> + Send + 'static) -> (String, Job) {
    (name.to_owned(), Box::pin(future))
}

async fn jobs_overlap(lab: Lab) {
    let names = ["mill", "pump", "boiler", "tray"];
    let lengths_ms = names.map(|_| lab.pick(50..=250));
    let longest_ms = lengths_ms.into_iter().max().unwrap_or(0);
    let tasks = Arc::new(Mutex::new(BTreeSet::new()));
    let jobs = names.iter().zip(lengths_ms).map(|(&name, length_ms)| {
        let (lab, tasks) = (lab.clone(), Arc::clone(&tasks));
        job(name, async move {
            let span = lab.span(name, "work");
            if let Some(id) = tokio::task::try_id() {
                tasks.lock().expect("no poison").insert(id.to_string());
            }
            sleep(ms(length_ms)).await;
            span.done();
        })
    });
    let run = run_all(jobs.collect());
    let (ends, took) = lab.timed(calm(&lab, "run_all", run)).await;
    lab.expect_took(took, longest_ms)
        .expected(format!(
            "{longest_ms} ms: the longest of jobs of {lengths_ms:?} ms"
        ))
        .why("All jobs have to be spawned before the first of them is awaited.")
        .pitfall("sequential-awaits")
        .or_fail();
    let tasks = tasks.lock().expect("no poison").len();
    lab.expect(tasks == names.len())
        .expected("4 jobs in 4 tasks of their own")
        .got(format!("4 jobs in {tasks} spawned tasks"))
        .why(
            "Futures that are polled by one task share its fate: one that panics takes all with \
             it, one that blocks holds all up.",
        )
        .pitfall("lost-panic")
        .or_fail();
    lab.expect_eq(&ends.len(), &names.len())
        .expected("4 ends of 4 jobs")
        .got(format!("{} ends", ends.len()))
        .why("Every job ends, and is told, once.")
        .pitfall("wrong-result")
        .or_fail();
    let (nobody, took) = lab.timed(calm(&lab, "run_all", run_all(Vec::new()))).await;
    lab.expect(nobody.is_empty() && took.is_zero())
        .expected("no jobs: no ends, after 0 ms")
        .got(format!("{nobody:?} after {} ms", took.as_millis()))
        .why("`join_next` of an empty JoinSet is None at once: that ends the loop.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn ends_in_order(lab: Lab) {
    // Each job has a length of its own, whatever the seed.
    let mut jobs = vec![
        ("mill", 30 + lab.pick(0..=9), End::Done),
        ("pump", 50 + lab.pick(0..=9), says("the pump is dry")),
        ("boiler", 70 + lab.pick(0..=9), End::Done),
        ("tray", 90 + lab.pick(0..=9), says("the tray is full")),
    ];
    let expected: Vec<_> = jobs
        .iter()
        .map(|(name, _, end)| ((*name).to_owned(), end.clone()))
        .collect();
    lab.rng().shuffle(&mut jobs);
    let jobs = jobs.into_iter().map(|(name, length_ms, end)| {
        let lab = lab.clone();
        job(name, async move {
            let span = lab.span(name, "work");
            sleep(ms(length_ms)).await;
            finish(span, &end);
        })
    });
    let got = calm(&lab, "run_all", run_all(jobs.collect())).await;
    let sorted = |ends: &[(String, End)]| {
        let mut ends: Vec<_> = ends.iter().map(|end| format!("{end:?}")).collect();
        ends.sort_unstable();
        ends
    };
    let what = if sorted(&got) == sorted(&expected) {
        "The ends come as they happen, not as the jobs were given: whoever awaits one handle \
         after the other hears of the second only when the first is through."
    } else {
        "Each job has its name and its end, and a panic ends its own job and no other."
    };
    lab.expect_eq(&got, &expected)
        .why(what)
        .pitfall("wrong-result")
        .or_fail();
}

async fn run_all_dropped(lab: Lab) {
    let crew = Crew::new(&lab);
    let after_ms = lab.pick(10..=90);
    let jobs = ["mill", "pump"].map(|name| {
        let work = crew.work.call(name);
        job(name, async move {
            let _ = work.await;
        })
    });
    let _ = timeout(ms(after_ms), run_all(jobs.into())).await;
    lab.expect_eq(&crew.work.count(), &2)
        .expected("both jobs are at work until run_all is dropped")
        .got(format!("jobs that began: {}", crew.work.count()))
        .why("run_all runs every job that it is given, all at the same time.")
        .pitfall("wrong-result")
        .or_fail();
    crew.expect_all_dropped_at(
        after_ms,
        &format!("every job is aborted at {after_ms} ms, where run_all was dropped"),
        "A JoinHandle that is dropped detaches its task: it runs on, and belongs to nobody. \
         Whoever gives up on run_all gives up on its jobs.",
    )
    .await;
}

// ----------------------------------------------------------------- task 2

async fn workers_run(lab: Lab) {
    let mut supervisor = Supervisor::new(Restart::NEVER);
    for (name, length_ms) in [("mill", 50), ("pump", 80)] {
        let lab = lab.clone();
        supervisor.spawn(name, move |token| {
            let lab = lab.clone();
            lab.log(format!("{name} starts"));
            async move {
                sleep(ms(length_ms)).await;
                let told = if token.is_cancelled() { " (told)" } else { "" };
                lab.log(format!("{name} ends{told}"));
            }
        });
    }
    sleep(ms(100)).await;
    expect_events(
        &lab,
        &[
            (0, "mill starts"),
            (0, "pump starts"),
            (50, "mill ends"),
            (80, "pump ends"),
        ],
        "A worker is a task: it is started by `spawn`, and it runs while the supervisor exists, \
         whether anybody awaits it or not. Nobody has cancelled its token.",
        "forgotten-await",
    );
    drop(supervisor);
}

async fn wait_for_all(lab: Lab) {
    let crew = Crew::new(&lab);
    let empty = Supervisor::new(Restart::NEVER).wait();
    let (exits, took) = lab.timed(calm(&lab, "wait", empty)).await;
    lab.expect(exits.is_empty() && took.is_zero())
        .expected("no workers: no exits, after 0 ms")
        .got(format!("{} after {} ms", roll(&exits), took.as_millis()))
        .why("There is nothing to wait for.")
        .pitfall("never-ends")
        .or_fail();

    let mut supervisor = Supervisor::new(Restart::NEVER);
    let (first_ms, last_ms) = (lab.pick(10..=50), lab.pick(100..=150));
    crew.brief("pump", last_ms, &End::Done, &mut supervisor);
    crew.brief("mill", first_ms, &End::Done, &mut supervisor);
    let (exits, took) = lab.timed(calm(&lab, "wait", supervisor.wait())).await;
    lab.expect_took(took, last_ms)
        .expected(format!("{last_ms} ms: when the last worker ends"))
        .why("wait returns with the end of the last worker, neither before nor after.")
        .pitfall("sequential-awaits")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[exit("mill", 1, End::Done), exit("pump", 1, End::Done)],
        "One exit for each worker, with its name, in the order in which they ended.",
        "wrong-result",
    );
}

async fn panics_are_told(lab: Lab) {
    let crew = Crew::new(&lab);
    let mut supervisor = Supervisor::new(Restart::NEVER);
    crew.brief("mill", 30, &says("no beans"), &mut supervisor);
    crew.brief("pump", 60, &End::Done, &mut supervisor);
    let spawned = catch_unwind(AssertUnwindSafe(|| {
        let starts = AtomicU32::new(0);
        supervisor.spawn("boiler", move |_token| -> Job {
            if starts.fetch_add(1, SeqCst) < PATIENCE {
                quiet_panic("no water");
            }
            Box::pin(async {})
        });
    }));
    let why = "`start` is called in the worker's task, where its panic is the worker's.";
    expect_calm(&lab, spawned, "spawn", why);
    let exits = calm(&lab, "wait", supervisor.wait()).await;
    lab.expect(exits.iter().all(|exit| exit.starts == 1))
        .expected("1 start of each worker")
        .got(roll(&exits))
        .why("The supervisor was made with Restart::NEVER: at most 0 restarts.")
        .pitfall("never-ends")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[
            exit("boiler", 1, says("no water")),
            exit("mill", 1, says("no beans")),
            exit("pump", 1, End::Done),
        ],
        "A panic is its worker's end, with the panic's words, and nobody else's: also a panic \
         of `start` itself, before there is a future.",
        "lost-panic",
    );
}

async fn supervisor_dropped(lab: Lab) {
    let why = "Dropping a JoinHandle, or a token, stops no task. The supervisor has to own its \
               workers in a way that ends them with it.";
    for waiting in [false, true] {
        let crew = Crew::new(&lab);
        let mut supervisor = Supervisor::new(Restart::NEVER);
        crew.stubborn("mill", &mut supervisor);
        crew.stubborn("pump", &mut supervisor);
        let what = if waiting {
            let _ = timeout(ms(50), calm(&lab, "wait", supervisor.wait())).await;
            "the future of wait"
        } else {
            sleep(ms(50)).await;
            drop(supervisor);
            "the supervisor"
        };
        lab.settle().await;
        let at_ms = lab.now_ms();
        let expected = format!("every worker is aborted at {at_ms} ms, where {what} was dropped");
        crew.expect_all_dropped_at(at_ms, &expected, why).await;
    }
}

// ----------------------------------------------------------------- task 3

async fn asks_and_waits(lab: Lab) {
    let crew = Crew::new(&lab);
    let (short_ms, long_ms) = (lab.pick(10..=40), lab.pick(50..=90));
    let mut supervisor = Supervisor::new(Restart::NEVER);
    crew.polite("pump", long_ms, &mut supervisor);
    crew.polite("mill", short_ms, &mut supervisor);
    sleep(ms(100)).await;
    let shutdown = calm(&lab, "shutdown", supervisor.shutdown(ms(200)));
    let (exits, took) = lab.timed(shutdown).await;
    lab.expect(took < ms(200) || !lab.events().is_empty())
        .expected("both workers are told at 100 ms, when shutdown begins")
        .got("nobody was told, for the whole grace")
        .why("A worker that is not asked goes on. Asking is to cancel its token.")
        .pitfall("cancellation-ignored")
        .or_fail();
    expect_events(
        &lab,
        &[
            (100, "mill is told"),
            (100, "pump is told"),
            (100 + short_ms, "mill is clean"),
            (100 + long_ms, "pump is clean"),
        ],
        "Shutdown cancels every token at once. Then it leaves the workers alone: they have 200 \
         ms to clean up, and whoever drops or aborts them sooner leaves a mess.",
        "cleanup-forgotten",
    );
    lab.expect_took(took, long_ms)
        .expected(format!("{long_ms} ms: when the last worker is clean"))
        .why(
            "The grace is how long shutdown waits at most. Nobody needs all of it here: when \
             the last worker has ended there is nothing left to wait for.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[exit("mill", 1, End::Done), exit("pump", 1, End::Done)],
        "Both workers returned within the grace.",
        "wrong-result",
    );
    expect_nothing_left(&lab, "The supervisor is shut down.").await;
}

async fn own_token(lab: Lab) {
    let crew = Crew::new(&lab);
    let mut supervisor = Supervisor::new(Restart::NEVER);
    let log = lab.clone();
    supervisor.spawn("mill", move |token| {
        let lab = log.clone();
        async move {
            sleep(ms(30)).await;
            lab.log("mill cancels its token");
            token.cancel();
        }
    });
    crew.polite("pump", 10, &mut supervisor);
    sleep(ms(100)).await;
    let shutdown = supervisor.shutdown(ms(200));
    let exits = calm(&lab, "shutdown", shutdown).await;
    expect_events(
        &lab,
        &[
            (30, "mill cancels its token"),
            (100, "pump is told"),
            (110, "pump is clean"),
        ],
        "A clone of a token is the same token: whoever cancels it cancels it for all. A child \
         hears its parent, and its parent does not hear the child.",
        "cancellation-ignored",
    );
    expect_exits(
        &lab,
        &exits,
        &[exit("mill", 1, End::Done), exit("pump", 1, End::Done)],
        "A token says what is wished. Both workers returned by themselves.",
        "wrong-result",
    );
}

async fn aborts_at_grace(lab: Lab) {
    let crew = Crew::new(&lab);
    let grace_ms = lab.pick(100..=200);
    let mut supervisor = Supervisor::new(Restart::NEVER);
    crew.stubborn("boiler", &mut supervisor);
    crew.polite("mill", 20, &mut supervisor);
    crew.stubborn("pump", &mut supervisor);
    crew.stubborn("tray", &mut supervisor);
    sleep(ms(100)).await;
    let shutdown = calm(&lab, "shutdown", supervisor.shutdown(ms(grace_ms)));
    let (exits, took) = lab.timed(shutdown).await;
    lab.expect_took(took, grace_ms)
        .expected(format!("{grace_ms} ms: the grace, once, for all together"))
        .why(
            "Three workers heed no token. One `timeout` around the whole drain gives them the \
             grace; one for each worker in turn gives it three times, none never ends.",
        )
        .pitfall("never-ends")
        .or_fail();
    lab.settle().await;
    let at_ms = 100 + grace_ms;
    crew.expect_all_dropped_at(
        at_ms,
        &format!("who still works at {at_ms} ms, the end of the grace, is aborted there"),
        "Shutdown gave up on a worker without aborting it, or before its time.",
    )
    .await;
    expect_exits(
        &lab,
        &exits,
        &[
            exit("mill", 1, End::Done),
            exit("boiler", 1, End::Aborted),
            exit("pump", 1, End::Aborted),
            exit("tray", 1, End::Aborted),
        ],
        "A task that was aborted has no output. Its name and its starts have to be kept where \
         the abort does not reach them. And the aborted tasks have to be joined like the others: \
         drain once more.",
        "swallowed-error",
    );
    expect_nothing_left(&lab, "The supervisor is shut down.").await;
}

/// Says how many futures of workers exist.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn gone_on_return(lab: Lab) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut supervisor = Supervisor::new(Restart::NEVER);
    for name in ["mill", "pump", "tray"] {
        let (lab, count) = (lab.clone(), Arc::clone(&count));
        supervisor.spawn(name, move |_token| {
            let (span, alive) = (lab.span(name, "work"), Alive::new(&count));
            async move {
                sleep(ms(STUBBORN_MS)).await;
                span.done();
                drop(alive);
            }
        });
    }
    sleep(ms(50)).await;
    let begun = count.load(SeqCst);
    let shutdown = supervisor.shutdown(ms(100));
    let _ = calm(&lab, "shutdown", shutdown).await;
    // No settle: it would do what shutdown has forgotten.
    let left = count.load(SeqCst);
    lab.expect(begun == 3 && left == 0)
        .expected("3 workers begin, and none exists when shutdown returns")
        .got(format!("{begun} begin, {left} exist when it returns"))
        .why(
            "`abort` is a request: the runtime drops the future when it next comes to the task. \
             Until then the worker has its files, locks and sockets. Await the aborted tasks.",
        )
        .pitfall("leaked-resource")
        .or_fail();
}

async fn whole_report(lab: Lab) {
    let crew = Crew::new(&lab);
    let mut supervisor = Supervisor::new(Restart::NEVER);
    crew.stubborn("boiler", &mut supervisor);
    crew.polite("pump", 40, &mut supervisor);
    crew.brief("tray", 60, &End::Done, &mut supervisor);
    crew.brief("mill", 30, &says("no beans"), &mut supervisor);
    crew.polite("lamp", 20, &mut supervisor);
    sleep(ms(100)).await;
    let shutdown = supervisor.shutdown(ms(80));
    let exits = calm(&lab, "shutdown", shutdown).await;
    expect_exits(
        &lab,
        &exits,
        &[
            exit("mill", 1, says("no beans")),
            exit("tray", 1, End::Done),
            exit("lamp", 1, End::Done),
            exit("pump", 1, End::Done),
            exit("boiler", 1, End::Aborted),
        ],
        "Two workers ended before the shutdown, two within the grace, one was aborted: the \
         report is about all of them.",
        "swallowed-error",
    );
}

async fn shutdown_dropped(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let crew = Crew::new(&lab);
        let mut supervisor = Supervisor::new(Restart::NEVER);
        crew.polite("mill", 30, &mut supervisor);
        crew.stubborn("pump", &mut supervisor);
        sleep(ms(10)).await;
        let shutdown = calm(&lab, "shutdown", supervisor.shutdown(ms(50)));
        let _ = cancel.drop_at(shutdown).await;
        lab.settle().await;
        let at_ms = lab.now_ms();
        let why = "Whoever drops shutdown drops the supervisor, which it took by value: then its \
                   workers have no owner, and must not run on.";
        let expected = format!("every worker is aborted at {at_ms} ms, where shutdown was dropped");
        crew.expect_all_dropped_at(at_ms, &expected, why).await;
    })
    .await;
}

// ----------------------------------------------------------------- task 4

/// A worker that panics at each of its first `panics` starts, after `run_ms`,
/// and then works for `run_ms` and returns. It cancels its token every time.
fn shaky(lab: &Lab, panics: u32, run_ms: u64, supervisor: &mut Supervisor) {
    let (lab, starts) = (lab.clone(), AtomicU32::new(0));
    supervisor.spawn("mill", move |token| {
        let start = starts.fetch_add(1, SeqCst) + 1;
        let stale = if token.is_cancelled() {
            " with a cancelled token"
        } else {
            ""
        };
        lab.log(format!("start {start}{stale}"));
        let span = lab.span("mill", format!("start {start}"));
        async move {
            sleep(ms(run_ms)).await;
            token.cancel();
            let end = if start <= panics {
                says(&format!("jam {start}"))
            } else {
                End::Done
            };
            finish(span, &end);
        }
    });
}

async fn started_again(lab: Lab) {
    let (run_ms, delay_ms) = (lab.pick(10..=50), lab.pick(0..=100));
    let most = u32::try_from(lab.pick(2..=4)).expect("a small number");
    let delay = ms(delay_ms);
    let mut supervisor = Supervisor::new(Restart { most, delay });
    shaky(&lab, 2, run_ms, &mut supervisor);
    let (exits, took) = lab.timed(calm(&lab, "wait", supervisor.wait())).await;
    let round_ms = run_ms + delay_ms;
    let stale = lab
        .events()
        .into_iter()
        .find(|(_, e)| e.contains("cancelled"));
    lab.expect(stale.is_none())
        .expected("every start with a token that nobody has cancelled yet")
        .got(stale.map_or_else(String::new, |(at_ms, event)| format!("{event} @{at_ms}")))
        .why("The mill cancels its token before it panics. The next start needs another one.")
        .pitfall("wrong-result")
        .or_fail();
    let starts = lab.events().len();
    expect_events(
        &lab,
        &[
            (0, "start 1"),
            (round_ms, "start 2"),
            (2 * round_ms, "start 3"),
        ],
        &format!(
            "The first two starts panic, after {run_ms} ms. The next one comes {delay_ms} ms \
             after the panic, with a token of its own."
        ),
        if starts < 3 {
            "lost-panic"
        } else {
            "wrong-result"
        },
    );
    lab.expect_took(took, 2 * round_ms + run_ms)
        .why("A worker that waits for its restart has not ended yet, and its last start counts.")
        .pitfall("lost-panic")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[exit("mill", 3, End::Done)],
        "One worker, one exit, however often it was started: its end is that of the last start.",
        "wrong-result",
    );
}

async fn restarts_are_limited(lab: Lab) {
    let most = u32::try_from(lab.pick(1..=3)).expect("a small number");
    let mut supervisor = Supervisor::new(Restart {
        most,
        delay: ms(40),
    });
    // It stops panicking a little later, so that no mistake goes on for ever.
    shaky(&lab, most + 3, 10, &mut supervisor);
    let crew = Crew::new(&lab);
    crew.brief("pump", 1_000, &End::Done, &mut supervisor);
    // Nobody awaits the supervisor meanwhile.
    sleep(ms(500)).await;
    let exits = calm(&lab, "wait", supervisor.wait()).await;
    let last = most + 1;
    let starts: Vec<_> = (1..=last)
        .map(|start| (u64::from(start - 1) * 50, format!("start {start}")))
        .collect();
    let late = lab.events().iter().any(|(at_ms, _)| *at_ms >= 500);
    lab.expect(!late || lab.events().len() > starts.len())
        .expected(time_line(&starts))
        .got(time_line(&lab.events()))
        .why(
            "Nobody awaited the supervisor before 500 ms. The restart must not need that: a \
             worker's own task can start it again.",
        )
        .pitfall("forgotten-await")
        .or_fail();
    lab.expect(time_line(&lab.events()) == time_line(&starts))
        .expected(time_line(&starts))
        .got(time_line(&lab.events()))
        .why(format!(
            "At most {most} restarts, so {last} starts in all. The panic after that is the end."
        ))
        .pitfall("never-ends")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[
            exit("mill", last, says(&format!("jam {last}"))),
            exit("pump", 1, End::Done),
        ],
        "The exit tells the last panic of a worker that was given up.",
        "lost-panic",
    );
}

async fn no_restart_in_shutdown(lab: Lab) {
    // One panics while it cleans up.
    let mut supervisor = Supervisor::new(Restart {
        most: 5,
        delay: ms(lab.pick(0..=20)),
    });
    let log = lab.clone();
    supervisor.spawn("pump", move |token| {
        let lab = log.clone();
        lab.log("pump starts");
        async move {
            token.cancelled().await;
            let span = lab.span("pump", "clean up");
            sleep(ms(10)).await;
            finish(span, &says("no pressure"));
        }
    });
    sleep(ms(50)).await;
    let shutdown = calm(&lab, "shutdown", supervisor.shutdown(ms(500)));
    let (exits, took) = lab.timed(shutdown).await;
    expect_events(
        &lab,
        &[(0, "pump starts")],
        "The pump panics while it cleans up. During a shutdown nothing is started: not even a \
         worker that would have had a restart left.",
        "cancellation-ignored",
    );
    lab.expect_took(took, 10)
        .why("The pump panics 10 ms after it was told. With that it has ended, for good.")
        .pitfall("cancellation-ignored")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[exit("pump", 1, says("no pressure"))],
        "A worker that panics during the shutdown has ended with that panic.",
        "lost-panic",
    );

    // One waits for its restart.
    let lab_time_ms = lab.now_ms();
    let mut supervisor = Supervisor::new(Restart {
        most: 5,
        delay: ms(300),
    });
    shaky(&lab, 1, 10, &mut supervisor);
    sleep(ms(50)).await;
    let shutdown = calm(&lab, "shutdown", supervisor.shutdown(ms(500)));
    let (exits, took) = lab.timed(shutdown).await;
    expect_events(
        &lab,
        &[(0, "pump starts"), (lab_time_ms, "start 1")],
        "The mill panicked before the shutdown, and waits for its restart. It must not come.",
        "cancellation-ignored",
    );
    lab.expect_took(took, 0)
        .why(
            "The mill is not running, it only waits for its restart. Nobody has to wait for \
             that: the delay has to hear of the shutdown, too.",
        )
        .pitfall("cancellation-ignored")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[exit("mill", 1, says("jam 1"))],
        "The end of a worker is that of its last start, which panicked.",
        "lost-panic",
    );
}

// ----------------------------------------------------------------- task 5

async fn runs_until(lab: Lab) {
    let crew = Crew::new(&lab);

    // All workers end before anybody says stop.
    let mut supervisor = Supervisor::new(Restart::NEVER);
    crew.brief("mill", 30, &End::Done, &mut supervisor);
    crew.brief("pump", 60, &says("no pressure"), &mut supervisor);
    let stop = CancellationToken::new();
    let run = supervisor.run_until(stop.clone(), ms(500));
    let run = timeout(ms(10_000), calm(&lab, "run_until", run));
    let (exits, took) = lab.timed(run).await;
    lab.expect_took(took, 60)
        .expected("60 ms: when the last worker ends")
        .why("Nobody said stop, but when there are no workers left there is nothing to run.")
        .pitfall("never-ends")
        .or_fail();
    expect_exits(
        &lab,
        &exits.unwrap_or_default(),
        &[
            exit("mill", 1, End::Done),
            exit("pump", 1, says("no pressure")),
        ],
        "All workers ended by themselves, and each of them has its exit.",
        "swallowed-error",
    );

    // Somebody says stop, after one of them has ended.
    let begin_ms = lab.now_ms();
    let mut supervisor = Supervisor::new(Restart::NEVER);
    crew.stubborn("boiler", &mut supervisor);
    crew.polite("pump", 20, &mut supervisor);
    crew.brief("mill", 30, &End::Done, &mut supervisor);
    let stop = CancellationToken::new();
    let run = tokio::spawn(supervisor.run_until(stop.clone(), ms(200)));
    sleep(ms(100)).await;
    stop.cancel();
    let joined = async {
        match run.await {
            Ok(exits) => exits,
            Err(error) => resume_unwind(error.into_panic()),
        }
    };
    let exits = calm(&lab, "run_until", joined).await;
    expect_events(
        &lab,
        &[
            (begin_ms + 100, "pump is told"),
            (begin_ms + 120, "pump is clean"),
        ],
        "When run_until is told to stop it does what shutdown does: first it asks.",
        "cancellation-ignored",
    );
    expect_exits(
        &lab,
        &exits,
        &[
            exit("mill", 1, End::Done),
            exit("pump", 1, End::Done),
            exit("boiler", 1, End::Aborted),
        ],
        "Those that ended before the stop count as well. What a dropped future had collected \
         is dropped with it: keep the exits where they survive.",
        "swallowed-error",
    );
    let took_ms = lab.now_ms() - begin_ms;
    lab.expect(took_ms == 300)
        .expected("it returns at 300 ms: stopped at 100 ms, with a grace of 200 ms")
        .got(format!("it returned at {took_ms} ms"))
        .why("The grace begins when it is told to stop.")
        .pitfall("cancellation-ignored")
        .or_fail();
}

/// A supervisor whose only worker, `branch`, is a supervisor with two leaves:
/// one heeds its token, the other one does not.
fn tree(crew: &Crew, branch_grace_ms: u64) -> Supervisor {
    let mut root = Supervisor::new(Restart::NEVER);
    let crew = crew.clone();
    root.spawn("branch", move |token| {
        let mut branch = Supervisor::new(Restart::NEVER);
        crew.polite("tidy leaf", 30, &mut branch);
        crew.stubborn("stubborn leaf", &mut branch);
        async move {
            branch.run_until(token, ms(branch_grace_ms)).await;
        }
    });
    root
}

async fn aborted_tree(lab: Lab) {
    // The branch has less grace than the root: it ends by itself.
    let crew = Crew::new(&lab);
    let root = tree(&crew, 100);
    sleep(ms(50)).await;
    let shutdown = calm(&lab, "shutdown", root.shutdown(ms(500)));
    let (exits, took) = lab.timed(shutdown).await;
    expect_events(
        &lab,
        &[(50, "tidy leaf is told"), (80, "tidy leaf is clean")],
        "The root cancels the branch's token, which is the `stop` of the branch's supervisor: \
         so it shuts down, and asks its leaves in turn.",
        "cancellation-ignored",
    );
    lab.expect_took(took, 100)
        .expected("100 ms: the grace of the branch; the root's 500 ms are not needed")
        .why("The branch aborts its stubborn leaf when its own grace is over, and returns.")
        .pitfall("never-ends")
        .or_fail();
    expect_exits(
        &lab,
        &exits,
        &[exit("branch", 1, End::Done)],
        "The branch returned by itself. Its leaves are its own affair.",
        "wrong-result",
    );

    // The root has less grace than the branch: it aborts it.
    let crew = Crew::new(&lab);
    let root = tree(&crew, 5_000);
    sleep(ms(50)).await;
    let shutdown = root.shutdown(ms(200));
    let exits = calm(&lab, "shutdown", shutdown).await;
    lab.settle().await;
    let at_ms = lab.now_ms();
    let why = "Aborting the branch drops its future, and with it the branch's supervisor. A \
               dropped supervisor aborts its workers, so the whole tree falls.";
    let expected = format!("the stubborn leaf is aborted at {at_ms} ms, together with its branch");
    crew.expect_all_dropped_at(at_ms, &expected, why).await;
    expect_exits(
        &lab,
        &exits,
        &[exit("branch", 1, End::Aborted)],
        "The branch has a grace of 5 s for its own leaves; the root gives it 200 ms.",
        "wrong-result",
    );
}
