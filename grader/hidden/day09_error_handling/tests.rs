//! Hidden checks of day 9: delays, retries, limits of time, groups of errors.

use std::any::Any;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::panic::{catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use exercise::{Errors, Failure, GaveUp, Policy, Reason, Transient, delay, retry, try_all};
use fastrand::Rng;
use kata_harness::{Expectation, Lab, Service, SpanEnd, Suite, ms};
use tokio::time::{sleep, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("delays double from the first, up to the longest", 1, delays_double)
        .check("no number of failures makes a delay overflow", 1, delays_saturate)
        .check("jitter shortens a delay, by no more than its percent", 2, jitter_bounds)
        .task(2)
        .check("the first success ends it, and gives its value", 1, first_success)
        .check("an attempt starts when the delay after a failure is over", 2, attempt_starts)
        .check("after the last attempt it gives up at once", 2, gives_up_at_once)
        .check("what cannot succeed is not tried again", 2, permanent)
        .check("every failure is kept, in the order of the attempts", 1, failures_kept)
        .check("jitter moves the attempts, within its bounds", 1, jittered_attempts)
        .check("a retry that is dropped starts nothing more", 1, dropped_retry)
        .task(3)
        .check("an attempt over its time is dropped, and retried", 2, attempt_timeout)
        .check("the deadline drops the attempt that is running", 2, deadline_cuts)
        .check("it gives up at once if the next attempt is too late", 3, next_too_late)
        .check("every attempt has its whole time", 1, whole_time)
        .task(4)
        .check("the values keep the order of the input", 1, values_in_order)
        .check("all run at once, and to their ends, whatever fails", 2, all_to_their_ends)
        .check("every error is kept, in the order of the input", 2, errors_in_order)
        .check("a panic is one failure among others", 2, panic_as_failure)
        .check("a group that is dropped leaves nothing running", 2, dropped_group)
        .check("split parts a group in two, and loses nothing", 1, split_in_two)
        .run()
}

// ---------------------------------------------------------------- helpers

/// An error of the backend: `busy …` may pass, `bad …` stays.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble(String);

impl Transient for Trouble {
    fn is_transient(&self) -> bool {
        self.0.starts_with("busy")
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send>>;

/// What a backend does with each call, in turn: how long, and `ok`, `busy` or `bad`.
type Script = Vec<(u64, &'static str)>;

/// A backend that follows a script; its last line holds for all further calls.
fn backend(lab: &Lab, script: Script) -> Service {
    let last = script.len() - 1;
    let fates: Vec<_> = script.iter().map(|(_, fate)| *fate).collect();
    // So that each retry of a check is drawn in rows of its own.
    lab.log("a retry");
    let name = match lab.events().len() {
        1 => "backend".to_owned(),
        several => format!("retry {several}: call"),
    };
    lab.service(name)
        .takes_with(move |call| script[call.number.min(last)].0)
        .fails_with(move |call| {
            let fate = fates[call.number.min(last)];
            (fate != "ok").then(|| format!("{fate} {}", call.number))
        })
        .build()
}

/// Calls the backend; the value is the number of the call, from 0 on.
fn call(backend: &Service, label: String) -> Boxed<usize> {
    let backend = backend.clone();
    Box::pin(async move {
        let outcome = backend.call(label).await;
        outcome.map_err(|fault| Trouble(fault.message))
    })
}

/// So many attempts, delays from 100 ms up to 10 s, no jitter and no limits of time.
fn policy(attempts: u32) -> Policy {
    Policy {
        attempts: NonZeroU32::new(attempts).expect("at least one attempt"),
        first_delay: ms(100),
        max_delay: ms(10_000),
        jitter: 0,
        attempt_timeout: None,
        deadline: None,
    }
}

/// One retry, and what could be seen of it.
struct Run {
    lab: Lab,
    backend: Service,
    began_ms: u64,
    outcome: Result<usize, GaveUp<Trouble>>,
    took: Duration,
}

async fn run(lab: &Lab, policy: Policy, script: Script) -> Run {
    let backend = backend(lab, script);
    let mut rng = lab.rng();
    let own = backend.clone();
    let op = move |attempt| call(&own, format!("attempt {attempt}"));
    let began_ms = lab.now_ms();
    // No policy here goes on for an hour: whoever does has no end.
    let outcome = timeout(ms(3_600_000), retry(&policy, &mut rng, op)).await;
    let took = ms(lab.now_ms() - began_ms);
    lab.expect(outcome.is_ok())
        .expected("an end: a value, or `GaveUp`")
        .got(format!(
            "{} attempts in an hour, and no end",
            backend.count()
        ))
        .why("Neither `attempts` nor the limits of time ended the retry.")
        .pitfall("never-ends")
        .or_fail();
    let outcome = outcome.expect("a failed expectation ends the check");
    Run {
        lab: lab.clone(),
        backend,
        began_ms,
        outcome,
        took,
    }
}

impl Run {
    /// The attempts started at these instants, counted from the start of the first.
    fn expect_starts(&self, expected_ms: &[u64], why: &str, pitfall: &str) {
        let (calls, starts) = (self.backend.calls(), self.starts());
        let wrong = starts
            .iter()
            .zip(expected_ms)
            .position(|(got, expected)| got != expected)
            .or((starts.len() > expected_ms.len()).then_some(expected_ms.len()));
        let at = wrong.map(|wrong| calls[wrong].location.clone());
        self.started(expected_ms)
            .why(why)
            .pitfall(pitfall)
            .at(at.unwrap_or_default())
            .or_fail();
    }

    fn starts(&self) -> Vec<u64> {
        let calls = self.backend.calls();
        let first_ms = calls.first().map_or(0, |call| call.started_ms);
        let starts = calls.iter().map(|call| call.started_ms - first_ms);
        starts.collect()
    }

    fn started(&self, expected_ms: &[u64]) -> Expectation {
        let starts = self.starts();
        self.lab
            .expect(starts == expected_ms)
            .expected(format!("attempts at {expected_ms:?} ms{}", self.since()))
            .got(format!("attempts at {starts:?} ms"))
    }

    /// What instants of this retry are counted from, if that is not the beginning of the drawing.
    fn since(&self) -> String {
        match self.began_ms {
            0 => String::new(),
            began_ms => format!(" since this retry began, which was at {began_ms} ms"),
        }
    }

    fn expect_took(&self, expected_ms: u64, why: &str, pitfall: &str) {
        self.lab
            .expect_took(self.took, expected_ms)
            .expected(format!("{expected_ms} ms{}", self.since()))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    fn expect_reason(&self, expected: Reason, why: &str) {
        let reason = self.outcome.as_ref().map_err(|gave_up| gave_up.reason);
        self.lab
            .expect(reason == Err(expected))
            .expected(format!("gave up: {expected:?}"))
            .got(match reason {
                Ok(value) => format!("Ok({value})"),
                Err(reason) => format!("gave up: {reason:?}"),
            })
            .why(why)
            .pitfall("wrong-result")
            .or_fail();
    }

    fn expect_value(&self, expected: usize, why: &str, pitfall: &str) {
        self.lab
            .expect(self.outcome.as_ref() == Ok(&expected))
            .expected(format!("Ok({expected})"))
            .got(format!("{:?}", self.outcome))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    /// The failures, in words: `busy 0`, `timed out`.
    fn failures(&self) -> Vec<String> {
        let failures = self.outcome.as_ref().err().map(|gave_up| &gave_up.failures);
        failures.into_iter().flatten().map(in_words).collect()
    }

    fn expect_failures(&self, expected: &[&str], why: &str) {
        let got = self.failures();
        self.lab
            .expect(got == expected)
            .expected(format!("failures: {expected:?}"))
            .got(format!("failures: {got:?}"))
            .why(why)
            .pitfall("swallowed-error")
            .or_fail();
    }

    /// Call `number` was dropped so many ms after its start.
    fn expect_dropped(&self, number: usize, after_ms: u64, why: &str) {
        let calls = self.backend.calls();
        let call = &calls[number];
        let lasted = call.ended_ms.map(|ended_ms| ended_ms - call.started_ms);
        let dropped = matches!(call.end, SpanEnd::Cancelled) && lasted == Some(after_ms);
        self.lab
            .expect(dropped)
            .expected(format!(
                "attempt {} is dropped after {after_ms} ms",
                number + 1
            ))
            .got(match lasted {
                Some(lasted_ms) => format!("it ended after {lasted_ms} ms: {:?}", call.end),
                None => "it runs on".to_owned(),
            })
            .why(why)
            .pitfall("cancellation-ignored")
            .at(call.location.clone())
            .or_fail();
    }
}

fn in_words(failure: &Failure<Trouble>) -> String {
    match failure {
        Failure::Error(Trouble(message)) => message.clone(),
        Failure::TimedOut => "timed out".to_owned(),
        Failure::Panicked(message) => format!("panicked: {message}"),
    }
}

// ----------------------------------------------------------------- task 1

async fn delays_double(lab: Lab) {
    let policy = Policy {
        max_delay: ms(1_000),
        ..policy(9)
    };
    let short = Policy {
        max_delay: ms(70),
        ..policy
    };
    let none = Policy {
        first_delay: Duration::ZERO,
        ..policy
    };
    let mut rng = lab.rng();
    let mut got: Vec<_> = (1..=6)
        .map(|failures| delay(&policy, failures, &mut rng))
        .collect();
    got.push(delay(&short, 1, &mut rng));
    got.push(delay(&none, 3, &mut rng));
    let expected = [100, 200, 400, 800, 1_000, 1_000, 70, 0].map(ms);
    lab.expect(got == expected)
        .expected(format!("{expected:?}"))
        .got(format!("{got:?}"))
        .why(
            "After failure 1 to 6, from 100 ms and with at most 1 s; then with at most 70 ms after \
             failure 1; then from 0 ms after failure 3. Without jitter all is exact.",
        )
        .pitfall("wrong-result")
        .or_fail();
}

async fn delays_saturate(lab: Lab) {
    let year = ms(365 * 24 * 3_600_000);
    let cases = [
        (ms(100), year, 0, u32::MAX, year),
        (ms(100), year, 0, 65, year),
        (Duration::from_nanos(1), ms(1), 0, 41, ms(1)),
        (ms(1_000), Duration::MAX, 0, 4_000, Duration::MAX),
        (ms(1_000), Duration::MAX, 100, 4_000, Duration::MAX),
    ];
    for (first_delay, max_delay, jitter, failures, most) in cases {
        let policy = Policy {
            first_delay,
            max_delay,
            jitter,
            ..policy(1)
        };
        let mut rng = lab.rng();
        let got = catch_unwind(move || delay(&policy, failures, &mut rng));
        let got = got.map_err(|payload| {
            if said(&payload).starts_with("not yet") {
                resume_unwind(payload);
            }
            said(&payload)
        });
        let holds = match &got {
            Ok(got) if jitter == 0 => *got == most,
            Ok(got) => *got <= most,
            Err(_) => false,
        };
        lab.expect(holds)
            .expected(format!(
                "after {failures} failures, from {first_delay:?}: the longest delay, {most:?}"
            ))
            .got(got.map_or_else(|said| format!("a panic: {said}"), |got| format!("{got:?}")))
            .why(
                "Doubling leaves the range of a number sooner than one thinks: a `u32` after 32 \
                 times, a `Duration` after less than 100. And a float that was rounded up leaves \
                 it, too.",
            )
            .pitfall("panics")
            .or_fail();
    }
}

async fn jitter_bounds(lab: Lab) {
    let why = "With 40 percent of jitter a delay of 100 ms is somewhere from 60 to 100 ms: evenly \
               spread, and never longer, for the longest delay is a promise.";
    let policy = Policy {
        jitter: 40,
        ..policy(9)
    };
    let mut rng = lab.rng();
    let got: Vec<_> = (0..200).map(|_| delay(&policy, 1, &mut rng)).collect();
    let outside = got.iter().find(|got| **got < ms(60) || **got > ms(100));
    lab.expect(outside.is_none())
        .expected("from 60 to 100 ms")
        .got(format!("{:?}", outside.copied().unwrap_or_default()))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    let fifths = [60, 68, 76, 84, 92].map(|from| {
        let fifth = ms(from)..ms(from + 8);
        got.iter().filter(|got| fifth.contains(got)).count()
    });
    lab.expect(fifths.iter().all(|count| *count > 10))
        .expected("200 delays: about 40 in each fifth of 60 to 100 ms")
        .got(format!("{fifths:?} in the five fifths"))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    let seeded = || {
        let mut rng = Rng::with_seed(lab.seed());
        (1..=5)
            .map(|failures| delay(&policy, failures, &mut rng))
            .collect::<Vec<_>>()
    };
    let (first, second) = (seeded(), seeded());
    lab.expect(first == second)
        .expected(format!("{first:?}, again"))
        .got(format!("{second:?}"))
        .why(
            "Chance comes from the `rng` that is handed in, and from nowhere else: with the same \
             seed the delays are the same, and a test can repeat them.",
        )
        .pitfall("wrong-result")
        .or_fail();
}

// ----------------------------------------------------------------- task 2

async fn first_success(lab: Lab) {
    let policy = Policy {
        first_delay: Duration::ZERO,
        ..policy(9)
    };
    let script = vec![(10, "busy"), (10, "busy"), (10, "ok")];
    let run = run(&lab, policy, script).await;
    run.expect_value(
        2,
        "The value of the first attempt that succeeds is the value of the retry.",
        "wrong-result",
    );
    let why = "Attempts come one after the other, and the first success is the last attempt.";
    run.expect_starts(&[0, 10, 20], why, "wrong-result");
    run.expect_took(30, why, "wrong-result");
    lab.expect_eq(
        &run.backend.labels(),
        &["attempt 1", "attempt 2", "attempt 3"]
            .map(str::to_owned)
            .to_vec(),
    )
    .why("`op` gets the number of its attempt, from 1 on.")
    .pitfall("wrong-result")
    .or_fail();
}

async fn attempt_starts(lab: Lab) {
    let policy = Policy {
        max_delay: ms(300),
        ..policy(9)
    };
    let mut script = vec![(30, "busy"); 4];
    script.push((30, "ok"));
    let run = run(&lab, policy, script).await;
    let why = "Each attempt takes 30 ms; the delays after their failures are 100, 200, 300 and \
               300 ms. A delay begins when the attempt has failed.";
    run.expect_starts(&[0, 130, 360, 690, 1020], why, "wrong-result");
    run.expect_took(
        1050,
        "The last attempt succeeds after 30 ms.",
        "wrong-result",
    );
}

async fn gives_up_at_once(lab: Lab) {
    let why = "When the last attempt has failed there is nothing left to wait for.";
    let run_of_3 = run(&lab, policy(3), vec![(10, "busy")]).await;
    run_of_3.expect_starts(
        &[0, 110, 320],
        "3 attempts are 3 calls in all, the first included.",
        "wrong-result",
    );
    run_of_3.expect_took(330, why, "wrong-result");
    run_of_3.expect_reason(Reason::Attempts, "All attempts were used up.");
    let run_of_1 = run(&lab, policy(1), vec![(10, "busy")]).await;
    run_of_1.expect_starts(&[0], "One attempt is one call.", "wrong-result");
    run_of_1.expect_took(10, why, "wrong-result");
    run_of_1.expect_reason(Reason::Attempts, "All attempts were used up.");
}

async fn permanent(lab: Lab) {
    let why = "Another attempt cannot succeed where the error is not transient. It only costs \
               time, and load on a server that has already answered.";
    let early = run(&lab, policy(9), vec![(10, "busy"), (10, "bad"), (10, "ok")]).await;
    early.expect_starts(&[0, 110], why, "swallowed-error");
    early.expect_took(120, why, "swallowed-error");
    early.expect_reason(Reason::Permanent, why);
    let late = run(&lab, policy(2), vec![(10, "busy"), (10, "bad")]).await;
    late.expect_reason(
        Reason::Permanent,
        "The last attempt met an error that is not transient: more attempts would not have helped, \
         and the reason has to say so.",
    );
}

async fn failures_kept(lab: Lab) {
    let why = "The first error often says more than the last. Keep them all.";
    let bad = run(&lab, policy(9), vec![(0, "busy"), (0, "busy"), (0, "bad")]).await;
    bad.expect_failures(&["busy 0", "busy 1", "bad 2"], why);
    let busy = run(&lab, policy(2), vec![(0, "busy")]).await;
    busy.expect_failures(&["busy 0", "busy 1"], why);
}

async fn jittered_attempts(lab: Lab) {
    let policy = Policy {
        jitter: 50,
        ..policy(6)
    };
    let run = run(&lab, policy, vec![(10, "busy")]).await;
    let calls = run.backend.calls();
    let pauses: Vec<_> = calls
        .windows(2)
        .map(|pair| pair[1].started_ms - pair[0].ended_ms.unwrap_or_default())
        .collect();
    let full = [100, 200, 400, 800, 1600];
    let within = |(pause, full): (&u64, &u64)| *pause >= full / 2 && pause <= full;
    lab.expect(pauses.len() == full.len() && pauses.iter().zip(&full).all(within))
        .expected(format!("pauses of half to the whole of {full:?} ms"))
        .got(format!("pauses of {pauses:?} ms"))
        .why("With 50 percent of jitter each delay is between its half and its whole.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect(pauses != full)
        .expected(format!(
            "at least one pause shorter than its whole: {full:?} ms"
        ))
        .got(format!("pauses of {pauses:?} ms"))
        .why(
            "Without jitter all clients that failed together come back together, and fail \
             together again.",
        )
        .pitfall("wrong-result")
        .or_fail();
}

async fn dropped_retry(lab: Lab) {
    for (patience, calls, while_it) in [(5, 1, "attempt 1 runs"), (50, 1, "it waits")] {
        let backend = backend(&lab, vec![(20, "busy")]);
        let own = backend.clone();
        let op = move |attempt| call(&own, format!("attempt {attempt}"));
        let policy = policy(9);
        let mut rng = lab.rng();
        let _ = timeout(ms(patience), retry(&policy, &mut rng, op)).await;
        let (count, in_flight) = (backend.count(), backend.in_flight());
        sleep(ms(60_000)).await;
        let got = (count, in_flight, backend.count());
        lab.expect(got == (calls, 0, calls))
            .expected(format!(
                "dropped while {while_it}: {calls} call, and none running"
            ))
            .got(format!(
                "{} calls then, {} running, {} calls later",
                got.0, got.1, got.2
            ))
            .why("Whoever drops a retry wants no more of it: not this attempt, and no other.")
            .pitfall("cancellation-ignored")
            .or_fail();
    }
}

// ----------------------------------------------------------------- task 3

async fn attempt_timeout(lab: Lab) {
    let policy = Policy {
        attempt_timeout: Some(ms(50)),
        ..policy(3)
    };
    let why = "An attempt may take 50 ms. A slow server may be a fast one next time: a timeout is \
               a failure like a transient error.";
    let mended = run(&lab, policy, vec![(80, "ok"), (20, "busy"), (10, "ok")]).await;
    mended.expect_dropped(0, 50, why);
    mended.expect_starts(&[0, 150, 370], why, "wrong-result");
    mended.expect_value(2, why, "wrong-result");
    let slow = run(&lab, policy, vec![(20, "busy"), (80, "ok")]).await;
    slow.expect_starts(&[0, 120, 370], why, "wrong-result");
    slow.expect_took(
        420,
        "The last attempt is over after its 50 ms.",
        "wrong-result",
    );
    slow.expect_reason(Reason::Attempts, why);
    slow.expect_failures(&["busy 0", "timed out", "timed out"], why);
}

async fn deadline_cuts(lab: Lab) {
    let why = "The deadline is for all attempts and delays together, from the first poll on. The \
               attempt that is running then is dropped.";
    let policy_of_5 = Policy {
        deadline: Some(ms(200)),
        ..policy(5)
    };
    let second = run(&lab, policy_of_5, vec![(50, "busy"), (500, "ok")]).await;
    second.expect_took(200, why, "cancellation-ignored");
    second.expect_dropped(1, 50, why);
    second.expect_reason(Reason::Deadline, why);
    second.expect_failures(&["busy 0", "timed out"], why);
    let only = Policy {
        attempt_timeout: Some(ms(300)),
        attempts: NonZeroU32::MIN,
        ..policy_of_5
    };
    let only = run(&lab, only, vec![(500, "ok")]).await;
    only.expect_took(200, why, "cancellation-ignored");
    only.expect_reason(
        Reason::Deadline,
        "It was the deadline that ended the attempt, and that is the reason, even if it was the \
         last attempt.",
    );
}

async fn next_too_late(lab: Lab) {
    let policy_to = |deadline_ms| Policy {
        deadline: Some(ms(deadline_ms)),
        ..policy(9)
    };
    for (deadline_ms, attempt_ms, starts, took_ms, next) in [
        (250, 20, &[0, 120][..], 140, "third would start at 340 ms"),
        (60, 0, &[0][..], 0, "second would start at 100 ms"),
        (
            300,
            0,
            &[0, 100][..],
            100,
            "third would start at 300 ms, exactly at the deadline",
        ),
        (
            301,
            0,
            &[0, 100, 300][..],
            300,
            "fourth would start at 700 ms",
        ),
    ] {
        let at_ms: Vec<String> = starts.iter().map(u64::to_string).collect();
        let at_ms = at_ms.join(", ");
        let story = format!(
            "The first delay is 100 ms, and every attempt fails after {attempt_ms} ms: attempts \
             at {at_ms} ms. The {next}; the deadline is {deadline_ms} ms."
        );
        let why = format!(
            "{story} To wait for that is to wait for nothing: the caller may as well know now."
        );
        let run = run(&lab, policy_to(deadline_ms), vec![(attempt_ms, "busy")]).await;
        run.started(starts)
            .why(format!(
                "{story} An attempt starts before it, or not at all."
            ))
            .pitfall("wrong-result")
            .or_fail();
        run.expect_took(took_ms, &why, "wrong-result");
        run.expect_reason(Reason::Deadline, &why);
        let failures: Vec<_> = (0..starts.len())
            .map(|call| format!("busy {call}"))
            .collect();
        let failures: Vec<_> = failures.iter().map(String::as_str).collect();
        run.expect_failures(&failures, "An attempt that never started has not failed.");
    }
    let run = run(
        &lab,
        Policy {
            attempts: NonZeroU32::MIN.saturating_add(1),
            ..policy_to(150)
        },
        vec![(10, "busy")],
    )
    .await;
    run.expect_reason(
        Reason::Attempts,
        "The last attempt failed before the deadline: it was the attempts that were used up.",
    );
}

async fn whole_time(lab: Lab) {
    let policy = Policy {
        attempt_timeout: Some(ms(100)),
        deadline: Some(ms(2_000)),
        ..policy(9)
    };
    let script = vec![(90, "busy"), (90, "busy"), (90, "busy"), (90, "ok")];
    let why = "Each attempt may take 100 ms, and takes 90; all together may take 2000 ms. The time \
               of an attempt begins with the attempt, that of the whole with the first.";
    let run = run(&lab, policy, script).await;
    run.expect_value(3, why, "wrong-result");
    run.expect_starts(&[0, 190, 480, 970], why, "wrong-result");
    run.expect_took(1060, why, "wrong-result");
}

// ----------------------------------------------------------------- task 4

/// One call for each line of the script, labelled `0`, `1`, `2` …
fn calls_of(lab: &Lab, script: Script) -> (Service, Vec<Boxed<usize>>) {
    let by_label = |label: &str| label.parse::<usize>().expect("the label is a number");
    let (times, fates) = (script.clone(), script.clone());
    let backend = lab
        .service("job")
        .takes_with(move |call| times[by_label(&call.label)].0)
        .fails_with(move |call| {
            let fate = fates[by_label(&call.label)].1;
            (fate == "busy" || fate == "bad").then(|| format!("{fate} {}", call.label))
        })
        .build();
    let jobs = script.iter().enumerate().map(|(index, (_, fate))| {
        let (job, fate) = (call(&backend, index.to_string()), *fate);
        Box::pin(async move {
            job.await?;
            match fate {
                // As `panic!` does, but without a word on stderr.
                "text" => resume_unwind(Box::new("planned by the check")),
                "format" => resume_unwind(Box::new(format!("planned by the check: job {index}"))),
                "other" => resume_unwind(Box::new(index)),
                _ => Ok(10 * index),
            }
        }) as Boxed<usize>
    });
    let jobs = jobs.collect();
    (backend, jobs)
}

/// The group's outcome; a panic that comes out of `try_all` is a finding.
async fn outcome_of(lab: &Lab, jobs: Vec<Boxed<usize>>) -> Result<Vec<usize>, Errors<Trouble>> {
    let outcome = match tokio::spawn(try_all(jobs)).await {
        Ok(outcome) => return outcome,
        Err(error) => error.into_panic(),
    };
    if !said(&outcome).starts_with("planned") {
        resume_unwind(outcome); // not a job's panic, but one of the learner's own
    }
    lab.expect(false)
        .expected("`try_all` returns: a panic of one job is a failure among others")
        .got("`try_all` itself panicked")
        .why(
            "A panic unwinds through whoever polls the future. It has to be caught around each \
             single one, or the first that panics takes all the others down.",
        )
        .pitfall("lost-panic")
        .or_fail();
    unreachable!("a failed expectation ends the check")
}

/// What a panic said.
fn said(payload: &Box<dyn Any + Send>) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let formatted = payload.downcast_ref::<String>().cloned();
    text.or(formatted).unwrap_or_default()
}

fn errors_in_words(errors: &Errors<Trouble>) -> String {
    let failures = errors.failures.iter();
    let failures: Vec<_> = failures
        .map(|(index, failure)| format!("{index}: {}", in_words(failure)))
        .collect();
    format!("of {}: [{}]", errors.of, failures.join(", "))
}

fn outcome_in_words(outcome: &Result<Vec<usize>, Errors<Trouble>>) -> String {
    match outcome {
        Ok(values) => format!("Ok({values:?})"),
        Err(errors) => format!("Err {}", errors_in_words(errors)),
    }
}

fn expect_outcome(
    lab: &Lab,
    outcome: &Result<Vec<usize>, Errors<Trouble>>,
    expected: &str,
    why: &str,
    pitfall: &str,
) {
    let got = outcome_in_words(outcome);
    lab.expect(got == expected)
        .expected(expected)
        .got(got)
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

async fn values_in_order(lab: Lab) {
    let why = "The value of job `i` stands at place `i`, whichever was ready first.";
    let (_backend, jobs) = calls_of(&lab, vec![(30, "ok"), (10, "ok"), (20, "ok"), (0, "ok")]);
    let outcome = outcome_of(&lab, jobs).await;
    expect_outcome(&lab, &outcome, "Ok([0, 10, 20, 30])", why, "wrong-result");
    let none = outcome_of(&lab, Vec::new()).await;
    expect_outcome(&lab, &none, "Ok([])", "No job, no failure.", "wrong-result");
}

async fn all_to_their_ends(lab: Lab) {
    let script = vec![
        (50, "ok"),
        (10, "bad"),
        (80, "ok"),
        (20, "busy"),
        (70, "ok"),
    ];
    let (backend, jobs) = calls_of(&lab, script);
    let (outcome, took) = lab.timed(outcome_of(&lab, jobs)).await;
    lab.expect_took(took, 80)
        .expected("80 ms: the longest job, and all run at the same time")
        .why("All jobs start at once, and it is over when the last has ended, well or badly.")
        .pitfall("sequential-awaits")
        .or_fail();
    let unfinished: Vec<_> = backend
        .calls()
        .into_iter()
        .filter(|call| !matches!(call.end, SpanEnd::Done | SpanEnd::Failed))
        .map(|call| call.label)
        .collect();
    lab.expect(unfinished.is_empty() && backend.count() == 5 && outcome.is_err())
        .expected("all five jobs run to their ends, and two of them fail")
        .got(format!(
            "not ended: jobs {unfinished:?}; {} were started",
            backend.count()
        ))
        .why("One failure says nothing about the others: they run on.")
        .pitfall("swallowed-error")
        .or_fail();
}

async fn errors_in_order(lab: Lab) {
    let script = vec![
        (40, "bad"),
        (50, "ok"),
        (10, "busy"),
        (30, "bad"),
        (0, "ok"),
    ];
    let (_backend, jobs) = calls_of(&lab, script);
    let outcome = outcome_of(&lab, jobs).await;
    expect_outcome(
        &lab,
        &outcome,
        "Err of 5: [0: bad 0, 2: busy 2, 3: bad 3]",
        "Three of five failed, at 40, 10 and 30 ms. Every failure is kept with its place, in the \
         order of the input.",
        "swallowed-error",
    );
}

async fn panic_as_failure(lab: Lab) {
    let script = vec![
        (30, "ok"),
        (10, "text"),
        (20, "bad"),
        (0, "format"),
        (5, "other"),
    ];
    let (backend, jobs) = calls_of(&lab, script);
    let (outcome, took) = lab.timed(outcome_of(&lab, jobs)).await;
    expect_outcome(
        &lab,
        &outcome,
        "Err of 5: [1: panicked: planned by the check, 2: bad 2, 3: panicked: planned by the \
         check: job 3, 4: panicked: no message]",
        "A panic carries a `&str`, or a `String` if the message was formatted, or anything else: \
         then there is `no message`.",
        "lost-panic",
    );
    lab.expect(took == ms(30) && backend.count() == 5)
        .expected("all five jobs run to their ends: 30 ms")
        .got(format!(
            "{} jobs were started, and it took {took:?}",
            backend.count()
        ))
        .why("The panic of one job is nothing to the others.")
        .pitfall("lost-panic")
        .or_fail();
}

async fn dropped_group(lab: Lab) {
    let (backend, jobs) = calls_of(&lab, vec![(50, "ok"), (10, "bad"), (80, "ok")]);
    let _ = timeout(ms(30), try_all(jobs)).await;
    lab.settle().await;
    let ends: Vec<_> = backend
        .calls()
        .into_iter()
        .map(|call| (call.label, call.ended_ms))
        .collect();
    let expected = [("0", Some(30)), ("1", Some(10)), ("2", Some(30))];
    let expected = expected.map(|(label, ended_ms)| (label.to_owned(), ended_ms));
    lab.expect(ends == expected)
        .expected("dropped at 30 ms: the jobs that were running end there")
        .got(format!("job and end in ms: {}", shown(&ends)))
        .why(
            "A task that is merely spawned does not end with the future that waits for it. What \
             runs in the group has to belong to the group's future.",
        )
        .pitfall("leaked-task")
        .or_fail();
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

async fn split_in_two(lab: Lab) {
    let group = || {
        let bad = |text: &str| Failure::Error(Trouble(text.to_owned()));
        let failures = vec![
            (1, bad("bad 1")),
            (4, Failure::TimedOut),
            (6, bad("busy 6")),
            (7, Failure::Panicked("boom".to_owned())),
            (8, bad("bad 8")),
        ];
        Errors { failures, of: 9 }
    };
    let words = |(matching, rest): (Option<Errors<Trouble>>, Option<Errors<Trouble>>)| {
        let part =
            |part: Option<_>| part.map_or("None".to_owned(), |errors| errors_in_words(&errors));
        format!("{} | {}", part(matching), part(rest))
    };
    let whole = "of 9: [1: bad 1, 4: timed out, 6: busy 6, 7: panicked: boom, 8: bad 8]";
    let cases = [
        (
            "errors",
            "of 9: [1: bad 1, 6: busy 6, 8: bad 8] | of 9: [4: timed out, 7: panicked: boom]"
                .to_owned(),
        ),
        ("all", format!("{whole} | None")),
        ("none", format!("None | {whole}")),
    ];
    for (which, expected) in cases {
        let parts = group().split(|failure| match which {
            "errors" => matches!(failure, Failure::Error(_)),
            all => all == "all",
        });
        let got = words(parts);
        lab.expect(got == expected)
            .expected(format!("matching | rest: {expected}"))
            .got(got)
            .why(
                "Every failure is in one of the two parts, in its order and with its place in the \
                 input; a part with nothing in it is `None`.",
            )
            .pitfall("swallowed-error")
            .or_fail();
    }
}
