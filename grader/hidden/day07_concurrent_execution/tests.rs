//! Hidden checks of day 7: as they come, gathered, raced, hedged.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use exercise::{as_completed, first_ok, gather_ordered, hedged};
use futures::StreamExt;
use kata_harness::{Call, CallInfo, Cancel, Lab, Service, Suite, ms};
use tokio::time::{sleep, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    // Sweeps are the same under every seed: two are enough for them.
    Suite::new()
        .seeds(10)
        .task(1)
        .check("outputs come the moment they are there, with their index", 2, as_they_come)
        .check("as_completed runs all jobs at the same time, then ends", 1, streams_overlap)
        .check("nothing starts before the stream is polled", 1, stream_is_lazy)
        .seeds(2)
        .check("a stream that is dropped drops its jobs", 2, stream_dropped)
        .seeds(10)
        .task(2)
        .check("gather_ordered keeps the order of the list", 1, gather_keeps_order)
        .check("at most `limit` jobs are in flight", 2, gather_limit)
        .check("a job starts the moment there is room for it", 3, gather_starts)
        .check("limits of 1 and of more than there are jobs work as well", 1, gather_edges)
        .seeds(2)
        .check("a gather_ordered that is dropped drops its jobs", 2, gather_dropped)
        .seeds(10)
        .task(3)
        .check("first_ok returns the first success, not the first result", 2, first_success)
        .check("the losers are dropped the moment there is a winner", 2, losers_dropped)
        .check("when all jobs fail every error is told, in order", 2, all_errors)
        .check("of successes at the same instant the earliest job's wins", 2, earliest_wins)
        .seeds(2)
        .check("a first_ok that is dropped drops its jobs", 1, first_ok_dropped)
        .seeds(10)
        .task(4)
        .check("a quick first attempt stays alone", 1, stays_alone)
        .check("the next attempt starts after the delay or a failure", 3, hedged_starts)
        .check("a success ends the other attempts and starts no more", 2, hedge_won)
        .check("a success at the very instant of a start prevents it", 2, hedge_prevented)
        .check("when all attempts fail every error is told, in order", 1, hedged_errors)
        .seeds(2)
        .check("a hedged that is dropped drops its attempts", 1, hedged_dropped)
        .run()
}

// ------------------------------------------------------------------- jobs

/// What a job will do: it takes so long, and then it succeeds or fails.
#[derive(Debug, Clone, Copy)]
struct Plan {
    takes_ms: u64,
    succeeds: bool,
}

fn succeeds(takes_ms: u64) -> Plan {
    let succeeds = true;
    Plan { takes_ms, succeeds }
}

fn fails(takes_ms: u64) -> Plan {
    let succeeds = false;
    Plan { takes_ms, succeeds }
}

/// Longer than any check waits.
const AGES_MS: u64 = 60_000;

/// The jobs of one list, and the service that sees when each one ran.
struct List {
    lab: Lab,
    service: Service,
    plans: Vec<Plan>,
}

type Outcome = Result<usize, String>;

impl List {
    fn new(lab: &Lab, plans: impl Into<Vec<Plan>>) -> Self {
        let plans: Vec<Plan> = plans.into();
        let index = |call: &CallInfo| -> usize {
            let number = call.label.strip_prefix("job ").and_then(|n| n.parse().ok());
            number.expect("a label made below")
        };
        let (takes, ends) = (plans.clone(), plans.clone());
        let service = lab
            .service("call")
            .takes_with(move |call| takes[index(call)].takes_ms)
            .fails_with(move |call| {
                let failure = || format!("{} failed", call.label);
                (!ends[index(call)].succeeds).then(failure)
            })
            .build();
        let lab = lab.clone();
        Self {
            lab,
            service,
            plans,
        }
    }

    /// The jobs: each gives its index, or its failure.
    fn jobs(&self) -> Vec<impl Future<Output = Outcome> + Send + use<>> {
        let jobs = (0..self.plans.len()).map(|index| {
            let call = self.service.call(format!("job {index}"));
            async move {
                let ended = call.await;
                ended.map(|_number| index).map_err(|fault| fault.message)
            }
        });
        jobs.collect()
    }

    /// When each job was started, in that order: `job 0 @0, job 2 @100`.
    fn starts(&self) -> String {
        let calls = self.service.calls();
        let starts = calls.iter().map(|call| (call.started_ms, &call.label));
        time_line(starts)
    }

    fn expect_starts(&self, expected: &str, why: &str, pitfall: &str) {
        self.lab
            .expect_eq(&self.starts().as_str(), &expected)
            .expected(expected)
            .got(self.starts())
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    /// Settles; then no job may run, and none may have run beyond this instant.
    async fn expect_all_ended(&self, what: &str, why: &str) {
        self.lab.settle().await;
        let now_ms = self.lab.now_ms();
        let running = |call: &&Call| call.ended_ms.is_none();
        let calls = self.service.calls();
        let left: Vec<_> = calls.iter().filter(running).collect();
        let labels: Vec<_> = left.iter().map(|call| call.label.as_str()).collect();
        // A task that is left is named by the line that spawned it. What runs on
        // without a task of its own is not: hence the second expectation.
        let no_tasks_left = self.lab.expect_no_tasks_left().await;
        let none_running = self.lab.expect(left.is_empty()).pitfall("leaked-task");
        for expectation in [no_tasks_left, none_running] {
            expectation
                .expected(format!("{what} at {now_ms} ms: no job runs any more"))
                .got(format!("still running: {}", labels.join(", ")))
                .why(why)
                .or_fail();
        }
        let started = calls.len();
        sleep(ms(AGES_MS)).await;
        let more = self.service.count() - started;
        self.lab
            .expect(more == 0)
            .expected(format!("{what} at {now_ms} ms: no job starts after that"))
            .got(format!("jobs started later: {more}"))
            .why(why)
            .pitfall("leaked-task")
            .or_fail();
    }
}

/// `job 0 @0, job 2 @100`
fn time_line<T: std::fmt::Display>(events: impl IntoIterator<Item = (u64, T)>) -> String {
    let events = events.into_iter();
    let events: Vec<_> = events.map(|(ms, event)| format!("{event} @{ms}")).collect();
    if events.is_empty() {
        return "nothing".to_owned();
    }
    events.join(", ")
}

/// `job 0 failed`, as the service says it.
fn failed(index: usize) -> String {
    format!("job {index} failed")
}

/// Lengths far enough apart that no seed brings two of them together, in a
/// seeded order.
fn lengths(lab: &Lab, count: u64) -> Vec<u64> {
    let mut lengths: Vec<u64> = (1..=count).map(|n| n * 20 + lab.pick(0..=9)).collect();
    lab.rng().shuffle(&mut lengths);
    lengths
}

fn limit(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).expect("no check has a limit of 0")
}

/// A number of jobs or places, chosen by the seed.
fn number(lab: &Lab, range: std::ops::RangeInclusive<u64>) -> usize {
    usize::try_from(lab.pick(range)).expect("a small number")
}

/// Waits at most ten minutes: a loser that is waited for gives a wrong time, not
/// a run without end.
async fn timed<F: Future>(lab: &Lab, future: F) -> (Option<F::Output>, Duration) {
    let (output, took) = lab.timed(timeout(ms(600_000), future)).await;
    (output.ok(), took)
}

/// What came out, as it is drawn in a finding.
fn drawn<T: Debug>(output: Option<&T>) -> String {
    output.map_or_else(
        || "nothing, for ten minutes".to_owned(),
        |o| format!("{o:?}"),
    )
}

/// Runs a learner's function on a fresh list, drops it at each of its pendings,
/// and looks whether a job runs on.
async fn sweep<F: Future>(lab: &Lab, plans: &[Plan], what: &str, run: impl Fn(&List) -> F) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let list = List::new(lab, plans);
        let ended = cancel.drop_at(run(&list)).await.is_some();
        lab.expect(!ended || list.service.count() > 0)
            .expected(format!("{what} runs its jobs"))
            .got("it returns, and no job was started")
            .why("A job does nothing before it is polled: somebody has to await it.")
            .pitfall("forgotten-await")
            .or_fail();
        list.expect_all_ended(
            &format!("{what} is dropped or has returned"),
            "Jobs that are part of a future are dropped with it. A task that was spawned, and \
             whose handle is dropped, runs on.",
        )
        .await;
    })
    .await;
}

// ----------------------------------------------------------------- task 1

async fn as_they_come(lab: Lab) {
    let lengths = lengths(&lab, 5);
    let plans: Vec<_> = lengths.iter().map(|&length| succeeds(length)).collect();
    let list = List::new(&lab, plans);
    let mut stream = as_completed(list.jobs());
    let mut got = Vec::new();
    while let Some((index, output)) = stream.next().await {
        got.push((lab.now_ms(), format!("({index}, {output:?})")));
    }
    let mut expected: Vec<_> = lengths
        .iter()
        .enumerate()
        .map(|(index, &length)| (length, format!("({index}, Ok({index}))")))
        .collect();
    expected.sort_unstable();
    let times = |events: &[(u64, String)]| events.iter().map(|event| event.0).collect::<Vec<_>>();
    let why = if times(&got) == times(&expected) {
        "The index is the job's place in the list, whenever its output comes."
    } else {
        "An output that is there must not wait for another one: neither for the job that stands \
         before it in the list, nor for the last of all."
    };
    lab.expect_eq(&got, &expected)
        .expected(time_line(expected.clone()))
        .got(time_line(got.clone()))
        .why(why)
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn streams_overlap(lab: Lab) {
    let (nothing, took) = timed(&lab, as_completed(List::new(&lab, []).jobs()).next()).await;
    lab.expect(matches!(nothing, Some(None)) && took.is_zero())
        .expected("a stream of no jobs ends at once")
        .got(format!(
            "{} after {} ms",
            drawn(nothing.as_ref()),
            took.as_millis()
        ))
        .why("There is nothing to wait for: its first item is None.")
        .pitfall("never-ends")
        .or_fail();

    let count = number(&lab, 3..=6);
    let list = List::new(&lab, vec![succeeds(100); count]);
    let outputs = as_completed(list.jobs()).collect::<Vec<_>>();
    let (outputs, took) = timed(&lab, outputs).await;
    lab.expect_took(took, 100)
        .expected(format!(
            "100 ms: {count} jobs of 100 ms, and the end with the last of them"
        ))
        .why("The first poll has to start all jobs, and the stream ends when all were given.")
        .pitfall("sequential-awaits")
        .or_fail();
    let outputs = outputs.map_or(0, |outputs| outputs.len());
    lab.expect_eq(&outputs, &count)
        .expected(format!("{count} outputs of {count} jobs"))
        .got(format!("{outputs} outputs"))
        .why("Each job has one output, also if several come at the same instant.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn stream_is_lazy(lab: Lab) {
    let list = List::new(&lab, [succeeds(30), succeeds(60)]);
    let mut stream = as_completed(list.jobs());
    sleep(ms(100)).await;
    list.expect_starts(
        "nothing",
        "A stream that nobody polls does nothing. These jobs were started by the call.",
        "leaked-task",
    );
    let first = stream.next().await;
    lab.expect(matches!(first, Some((0, Ok(0)))))
        .expected("Some((0, Ok(0)))")
        .got(format!("{first:?}"))
        .why("The first output is that of the shorter job.")
        .pitfall("wrong-result")
        .or_fail();
    list.expect_starts(
        "job 0 @100, job 1 @100",
        "The first poll starts all jobs, not only the one that it will give.",
        "sequential-awaits",
    );
}

async fn stream_dropped(lab: Lab) {
    let list = List::new(&lab, [succeeds(AGES_MS), succeeds(30), succeeds(AGES_MS)]);
    let mut stream = as_completed(list.jobs());
    let _ = stream.next().await;
    drop(stream);
    list.expect_all_ended(
        "the stream is dropped, after its first output",
        "Whoever has enough drops the stream. Its jobs belong to it, and to nobody else.",
    )
    .await;
    let plans = [succeeds(30), succeeds(60)];
    sweep(&lab, &plans, "the stream", |list| {
        as_completed(list.jobs()).collect::<Vec<_>>()
    })
    .await;
}

// ----------------------------------------------------------------- task 2

/// When each job starts: in the order of the list, as soon as one of `places`
/// is free.
fn schedule(places: usize, lengths: &[u64]) -> Vec<(u64, String)> {
    let mut free_at = vec![0; places];
    let mut starts = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        let place = free_at.iter_mut().min().expect("at least one place");
        starts.push((*place, format!("job {index}")));
        *place += length;
    }
    starts
}

async fn gather_keeps_order(lab: Lab) {
    let lengths = lengths(&lab, 6);
    let plans: Vec<_> = lengths.iter().map(|&length| succeeds(length)).collect();
    let list = List::new(&lab, plans);
    let places = number(&lab, 2..=4);
    let (got, _) = timed(&lab, gather_ordered(limit(places), list.jobs())).await;
    let expected: Vec<Outcome> = (0..6).map(Ok).collect();
    lab.expect(got.as_ref() == Some(&expected))
        .expected(format!("{expected:?}"))
        .got(drawn(got.as_ref()))
        .why(format!(
            "The jobs take {lengths:?} ms, so they end in another order than they stand in the \
             list. The caller knows them by their place."
        ))
        .pitfall("wrong-result")
        .or_fail();
}

async fn gather_limit(lab: Lab) {
    let places = number(&lab, 1..=4);
    let lengths = lengths(&lab, 9);
    let plans: Vec<_> = lengths.iter().map(|&length| succeeds(length)).collect();
    let list = List::new(&lab, plans);
    let (got, _) = timed(&lab, gather_ordered(limit(places), list.jobs())).await;
    let (peak, count) = (list.service.peak(), list.service.count());
    let calls = list.service.calls();
    let one_too_many = calls.get(places).map(|call| call.location.clone());
    lab.expect(peak <= places)
        .expected(format!("at most {places} in flight"))
        .got(format!("{peak} at the same time"))
        .why("A job runs from its first poll on: the limit has to hold before that.")
        .pitfall("unbounded-concurrency")
        .at(one_too_many.unwrap_or_default())
        .or_fail();
    lab.expect(peak == places && count == 9 && got.is_some_and(|got| got.len() == 9))
        .expected(format!("9 jobs, {places} of them at the same time"))
        .got(format!("{count} jobs, {peak} at the same time"))
        .why("The limit is there to be used: all jobs run, and as many at once as it allows.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn gather_starts(lab: Lab) {
    // A long job at the head, then short ones of many lengths.
    let places = number(&lab, 2..=4);
    let mut lengths = lengths(&lab, 8);
    lengths.insert(0, 400);
    let plans: Vec<_> = lengths.iter().map(|&length| succeeds(length)).collect();
    let list = List::new(&lab, plans);
    let (_, took) = timed(&lab, gather_ordered(limit(places), list.jobs())).await;
    let expected = schedule(places, &lengths);
    list.expect_starts(
        &time_line(expected.clone()),
        &format!(
            "{places} places, and jobs of {lengths:?} ms. A place is free when *its* job has \
             ended. It must not wait for the others that began with it, nor for a longer job \
             that stands before it in the list and still runs."
        ),
        "sequential-awaits",
    );
    let ends = expected
        .iter()
        .zip(&lengths)
        .map(|(start, ms)| start.0 + ms);
    let end_ms = ends.max().unwrap_or(0);
    lab.expect_took(took, end_ms)
        .expected(format!("{end_ms} ms: when the last job has ended"))
        .why("When the last job has ended all outputs are there.")
        .pitfall("never-ends")
        .or_fail();
}

async fn gather_edges(lab: Lab) {
    let lengths = lengths(&lab, 4);
    let plans: Vec<_> = lengths.iter().map(|&length| succeeds(length)).collect();
    let sum: u64 = lengths.iter().sum();
    let max = lengths.iter().copied().max().unwrap_or(0);
    let cases = [
        (1, plans.clone(), sum, "a limit of 1: one after the other"),
        (
            4,
            plans.clone(),
            max,
            "a limit of 4 for 4 jobs: all at once",
        ),
        (1_000_000, plans, max, "a limit of 1,000,000: all at once"),
        (3, Vec::new(), 0, "no jobs: no outputs, and no time"),
    ];
    for (places, plans, expected_ms, what) in cases {
        let list = List::new(&lab, plans);
        let gathered = gather_ordered(limit(places), list.jobs());
        let (got, took) = timed(&lab, gathered).await;
        lab.expect_took(took, expected_ms)
            .expected(format!("{expected_ms} ms; {what}"))
            .why("Any limit from 1 on will do, and any number of jobs.")
            .pitfall("wrong-result")
            .or_fail();
        let expected: Vec<Outcome> = (0..list.plans.len()).map(Ok).collect();
        lab.expect(got.as_ref() == Some(&expected))
            .expected(format!("{expected:?}; {what}"))
            .got(drawn(got.as_ref()))
            .why("Each job has one output, at its own place.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

async fn gather_dropped(lab: Lab) {
    let plans = [30, 50, 40, 20, 60].map(succeeds);
    sweep(&lab, &plans, "gather_ordered", |list| {
        gather_ordered(limit(2), list.jobs())
    })
    .await;
}

// ----------------------------------------------------------------- task 3

async fn first_success(lab: Lab) {
    let early_ms = lab.pick(5..=20);
    let won_ms = lab.pick(40..=60);
    let mut plans = [
        fails(early_ms),
        succeeds(AGES_MS),
        succeeds(won_ms),
        fails(won_ms - 10),
        succeeds(won_ms + 10),
    ];
    lab.rng().shuffle(&mut plans);
    let is_winner = |plan: &Plan| plan.succeeds && plan.takes_ms == won_ms;
    let winner = plans.iter().position(is_winner).unwrap_or_default();
    let list = List::new(&lab, plans);
    let (got, took) = timed(&lab, first_ok(list.jobs())).await;
    lab.expect(got == Some(Ok(winner)))
        .expected(format!("Ok({winner}), the success at {won_ms} ms"))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why(format!(
            "One job fails at {early_ms} ms and one at {} ms. A failure decides nothing while \
             another job may still succeed.",
            won_ms - 10
        ))
        .pitfall("swallowed-error")
        .or_fail();
    lab.expect_took(took, won_ms)
        .expected(format!("{won_ms} ms: with the first success"))
        .why("All jobs run at the same time, and nobody has to wait for the others.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn losers_dropped(lab: Lab) {
    let won_ms = lab.pick(30..=60);
    let mut plans = [
        fails(10),
        succeeds(AGES_MS),
        succeeds(won_ms),
        fails(AGES_MS),
    ];
    lab.rng().shuffle(&mut plans);
    let list = List::new(&lab, plans);
    let (got, took) = timed(&lab, first_ok(list.jobs())).await;
    lab.expect(matches!(got, Some(Ok(_))) && took == ms(won_ms))
        .expected(format!("a winner at {won_ms} ms"))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why("One of the four jobs succeeds soon; nobody has to wait for the losers.")
        .pitfall("sequential-awaits")
        .or_fail();
    list.expect_all_ended(
        "there is a winner",
        "Nobody wants the losers' results any more, but they still work, and hold connections \
         and memory. A spawned task does not end because nobody looks at it.",
    )
    .await;
}

async fn all_errors(lab: Lab) {
    let (nothing, took) = timed(&lab, first_ok(List::new(&lab, []).jobs())).await;
    lab.expect(nothing == Some(Err(Vec::new())) && took.is_zero())
        .expected("Err([]) of no jobs, at once")
        .got(format!(
            "{} after {} ms",
            drawn(nothing.as_ref()),
            took.as_millis()
        ))
        .why("With no job there is no success, and no error either.")
        .pitfall("wrong-result")
        .or_fail();

    let lengths = lengths(&lab, 4);
    let plans: Vec<_> = lengths.iter().map(|&length| fails(length)).collect();
    let list = List::new(&lab, plans);
    let (got, took) = timed(&lab, first_ok(list.jobs())).await;
    let expected = Err((0..4).map(failed).collect::<Vec<_>>());
    lab.expect(got.as_ref() == Some(&expected))
        .expected(format!("{expected:?}"))
        .got(drawn(got.as_ref()))
        .why(format!(
            "The jobs fail after {lengths:?} ms. All their errors are of interest, in the order \
             of the list: not the last one alone, and not as they happened to come."
        ))
        .pitfall("swallowed-error")
        .or_fail();
    let longest_ms = lengths.iter().copied().max().unwrap_or(0);
    lab.expect_took(took, longest_ms)
        .expected(format!("{longest_ms} ms: when the last job has failed"))
        .why("The jobs run at the same time.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn earliest_wins(lab: Lab) {
    // All three succeed at 100 ms. Those that stand earlier sleep in several
    // steps, so that their last timer is set, and fires, after the others'.
    let total_ms = 100;
    let steps = |(index, count): (usize, u64)| {
        let lab = lab.clone();
        async move {
            let steps = if count == 1 { "step" } else { "steps" };
            let span = lab.span(format!("job {index} ({count} {steps})"), "sleeps");
            for _ in 0..count {
                sleep(ms(total_ms / count)).await;
            }
            span.done();
            Ok::<u64, u64>(count)
        }
    };
    let mut counts = [4, 2, 1];
    if lab.seed().is_multiple_of(2) {
        lab.rng().shuffle(&mut counts);
    }
    let jobs = counts.into_iter().enumerate().map(steps).collect();
    let (got, _) = timed(&lab, first_ok(jobs)).await;
    lab.expect(got == Some(Ok(counts[0])))
        .expected(format!(
            "Ok({}): job 0, the first in the list, gives its number of steps",
            counts[0]
        ))
        .got(drawn(got.as_ref()))
        .why(
            "All jobs succeed at the same instant. Which of them was woken first is an accident, \
             and so is the branch that an unbiased `select!` takes: the list decides.",
        )
        .pitfall("wrong-result")
        .or_fail();
}

async fn first_ok_dropped(lab: Lab) {
    let plans = [fails(20), succeeds(80), fails(40), succeeds(AGES_MS)];
    sweep(&lab, &plans, "first_ok", |list| first_ok(list.jobs())).await;
}

// ----------------------------------------------------------------- task 4

async fn stays_alone(lab: Lab) {
    let delay_ms = lab.pick(50..=100);
    let takes_ms = delay_ms - lab.pick(1..=40);
    let list = List::new(&lab, [succeeds(takes_ms), succeeds(5), succeeds(5)]);
    let attempts = hedged(ms(delay_ms), list.jobs());
    let (got, took) = timed(&lab, attempts).await;
    list.expect_starts(
        "job 0 @0",
        &format!(
            "The first attempt answers after {takes_ms} ms, within the delay of {delay_ms} ms: \
             no second one is needed, and a hedge that always starts doubles the load."
        ),
        "unbounded-concurrency",
    );
    lab.expect(got == Some(Ok(0)) && took == ms(takes_ms))
        .expected(format!("Ok(0) at {takes_ms} ms"))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why("The answer is there: there is nothing to wait for.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn hedged_starts(lab: Lab) {
    let delay_ms = lab.pick(50..=100);
    let quick_ms = lab.pick(10..=30);
    // Job 0 hangs; 1 starts after the delay and fails quickly; that starts 2,
    // which hangs; 3 starts a delay after 2, and 4 a delay after 3.
    let plans = [
        succeeds(AGES_MS),
        fails(quick_ms),
        succeeds(AGES_MS),
        succeeds(AGES_MS),
        succeeds(quick_ms),
    ];
    let list = List::new(&lab, plans);
    let attempts = hedged(ms(delay_ms), list.jobs());
    let (got, took) = timed(&lab, attempts).await;
    let end_ms = delay_ms * 3 + quick_ms * 2;
    lab.expect(!matches!(got, Some(Err(_))))
        .expected(format!("Ok(4) at {end_ms} ms"))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why("Job 1 fails while job 0 still runs and others wait: a failure ends nothing here.")
        .pitfall("swallowed-error")
        .or_fail();
    let second_ms = delay_ms;
    let third_ms = second_ms + quick_ms;
    let (fourth_ms, fifth_ms) = (third_ms + delay_ms, third_ms + 2 * delay_ms);
    let expected = time_line([
        (0, "job 0"),
        (second_ms, "job 1"),
        (third_ms, "job 2"),
        (fourth_ms, "job 3"),
        (fifth_ms, "job 4"),
    ]);
    list.expect_starts(
        &expected,
        &format!(
            "The delay is {delay_ms} ms, and job 1 fails {quick_ms} ms after its start. A \
             failure starts the next attempt at once, and the delay counts from the latest start."
        ),
        "sequential-awaits",
    );
    lab.expect(got == Some(Ok(4)) && took == ms(end_ms))
        .expected(format!("Ok(4) at {end_ms} ms"))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why("The last attempt is the first that succeeds.")
        .pitfall("wrong-result")
        .or_fail();

    // The attempts that wait longest may still be the first.
    let list = List::new(&lab, [succeeds(delay_ms + 20), succeeds(AGES_MS)]);
    let attempts = hedged(ms(delay_ms), list.jobs());
    let (got, took) = timed(&lab, attempts).await;
    lab.expect(got == Some(Ok(0)) && took == ms(delay_ms + 20))
        .expected(format!("Ok(0) at {} ms", delay_ms + 20))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why("A new attempt does not replace those that run: they all may win.")
        .pitfall("cancellation-ignored")
        .or_fail();
}

async fn hedge_won(lab: Lab) {
    let delay_ms = lab.pick(50..=100);
    // 0 hangs, 1 hangs, 2 answers 10 ms after its start, 3 and 4 are not needed.
    let plans = [
        succeeds(AGES_MS),
        fails(AGES_MS),
        succeeds(10),
        succeeds(10),
        succeeds(10),
    ];
    let list = List::new(&lab, plans);
    let attempts = hedged(ms(delay_ms), list.jobs());
    let (got, took) = timed(&lab, attempts).await;
    let end_ms = 2 * delay_ms + 10;
    lab.expect(got == Some(Ok(2)) && took == ms(end_ms))
        .expected(format!("Ok(2) at {end_ms} ms"))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why("The third attempt is the first that succeeds, and nobody waits for the others.")
        .pitfall("sequential-awaits")
        .or_fail();
    list.expect_all_ended(
        "there is a winner",
        "Attempts that lost must not work on, and attempts that wait must not start: a hedge \
         that leaves its losers running multiplies the load just when the service is slow.",
    )
    .await;
    let expected = time_line([(0, "job 0"), (delay_ms, "job 1"), (2 * delay_ms, "job 2")]);
    list.expect_starts(
        &expected,
        "After a success no attempt starts any more.",
        "leaked-task",
    );
}

async fn hedge_prevented(lab: Lab) {
    let delay_ms = lab.pick(50..=100);
    let list = List::new(&lab, [succeeds(delay_ms), succeeds(5)]);
    let attempts = hedged(ms(delay_ms), list.jobs());
    let (got, took) = timed(&lab, attempts).await;
    list.expect_starts(
        "job 0 @0",
        &format!(
            "At {delay_ms} ms two things are ready: the answer, and the time for another attempt. \
             An unbiased `select!` looks at them in a random order. The answer comes first."
        ),
        "wrong-result",
    );
    lab.expect(got == Some(Ok(0)) && took == ms(delay_ms))
        .expected(format!("Ok(0) at {delay_ms} ms"))
        .got(format!(
            "{} at {} ms",
            drawn(got.as_ref()),
            took.as_millis()
        ))
        .why("The answer is there, at the very instant of the next start.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn hedged_errors(lab: Lab) {
    let delay_ms = lab.pick(50..=100);
    let nobody = hedged(ms(delay_ms), List::new(&lab, []).jobs());
    let (nothing, took) = timed(&lab, nobody).await;
    lab.expect(nothing == Some(Err(Vec::new())) && took.is_zero())
        .expected("Err([]) of no attempts, at once")
        .got(format!(
            "{} after {} ms",
            drawn(nothing.as_ref()),
            took.as_millis()
        ))
        .why("With no attempt there is nothing to wait for.")
        .pitfall("wrong-result")
        .or_fail();

    // 1 fails before 0 does, 2 starts with the failure of 1.
    let list = List::new(&lab, [fails(delay_ms + 30), fails(10), fails(40)]);
    let attempts = hedged(ms(delay_ms), list.jobs());
    let (got, took) = timed(&lab, attempts).await;
    let expected = Err((0..3).map(failed).collect::<Vec<_>>());
    lab.expect(got.as_ref() == Some(&expected))
        .expected(format!("{expected:?}"))
        .got(drawn(got.as_ref()))
        .why("Every attempt has failed. The errors stand in the order of the list.")
        .pitfall("swallowed-error")
        .or_fail();
    lab.expect_took(took, delay_ms + 50)
        .expected(format!("{} ms: when the last one fails", delay_ms + 50))
        .why("When all have failed there is nothing to wait for, not even a delay.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn hedged_dropped(lab: Lab) {
    let plans = [
        succeeds(AGES_MS),
        fails(20),
        succeeds(AGES_MS),
        succeeds(30),
    ];
    sweep(&lab, &plans, "hedged", |list| hedged(ms(50), list.jobs())).await;
}
