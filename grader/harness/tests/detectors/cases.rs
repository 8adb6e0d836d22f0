//! What is run, and what must be found.

use kata_harness::{Lab, Suite};
use kata_report::FindingKind::{self, Blocked, BusyLoop, Deadlock, Failed, NeverEnds};
use libtest_mimic::Failed as TestFailed;

use crate::{grader, guilty};

const SOURCE: &str = include_str!("../exercises/guilty/src/lib.rs");
const FILE: &str = "exercises/guilty/src/lib.rs";

/// A guilty function and what must be said of it.
pub struct Case {
    pub check: &'static str,
    kind: FindingKind,
    /// Part of what was got.
    got: &'static str,
    /// The mark on the line that is named; empty: none is.
    mark: &'static str,
    /// What the sites must hold, as `who function doing mark`.
    sites: &'static [&'static str],
    pitfall: &'static str,
}

macro_rules! suite {
    ($suite:ident: $($name:ident),* $(,)?) => {
        $(let $suite = $suite.check(stringify!($name), 1, |_: Lab| guilty::$name());)*
    };
}

pub const fn case(
    check: &'static str,
    kind: FindingKind,
    got: &'static str,
    mark: &'static str,
    sites: &'static [&'static str],
    pitfall: &'static str,
) -> Case {
    Case {
        check,
        kind,
        got,
        mark,
        sites,
        pitfall,
    }
}

#[rustfmt::skip]
pub const GUILTY: &[Case] = &[
    case("two_locks_in_both_orders", Deadlock, "deadlock at 10 ms", "transfer-waits",
        &["main two_locks_in_both_orders waits for JoinHandle join-waits", "task 1 transfer waits for Mutex::lock transfer-waits", "task 2 transfer waits for Mutex::lock transfer-waits"], "deadlock"),
    case("an_answer_that_nobody_sends", Deadlock, "deadlock at 7 ms", "answer-waits", &["main an_answer_that_nobody_sends waits for oneshot::Receiver answer-waits"], "deadlock"),
    case("a_channel_whose_sender_lives", Deadlock, "deadlock at 0 ms", "recv-waits", &["main a_channel_whose_sender_lives waits for mpsc::Receiver::recv recv-waits"], "deadlock"),
    case("many_waiting_in_a_buffer", Deadlock, "deadlock at 0 ms", "buffer-waits", &["main many_waiting_in_a_buffer waits for stream::Next buffer-waits"], "deadlock"),
    case("a_waker_that_is_not_kept", Deadlock, "nobody woke it", "", &[], "lost-wakeup"),
    case("a_waker_that_is_not_kept_in_a_task", Deadlock, "nobody woke it", "", &[], "lost-wakeup"),
    case("a_heartbeat_and_a_wait", NeverEnds, "only periodic timers fire", "never-notified",
        &["main a_heartbeat_and_a_wait waits for Notified never-notified", "task 1 a_heartbeat_and_a_wait waits for Interval::tick beat-waits"], "never-ends"),
    case("asks_again_and_again", NeverEnds, "only periodic timers fire", "", &[], "never-ends"),
    case("sleeps_on_the_runtime", Blocked, "thread::sleep", "thread-sleeps", &[], "blocking-the-runtime"),
    case("sleeps_in_a_task", Blocked, "thread::sleep", "task-sleeps", &[], "blocking-the-runtime"),
    case("polls_with_a_sleep", Blocked, "thread::sleep", "poll-sleeps", &[], "blocking-the-runtime"),
    case("waits_in_drop", Blocked, "thread::sleep", "drop-sleeps", &[], "blocking-the-runtime"),
    case("a_std_lock_held_across_await", Blocked, "blocking wait", "std-lock-waits", &[], "blocking-the-runtime"),
    case("a_std_channel", Blocked, "blocking wait", "std-recv-waits", &[], "blocking-the-runtime"),
    case("a_std_channel_with_a_limit", Blocked, "blocking wait", "std-recv-timed", &[], "blocking-the-runtime"),
    case("a_condition_variable", Blocked, "blocking wait", "condvar-waits", &[], "blocking-the-runtime"),
    case("locks_twice", Blocked, "blocking wait", "second-lock", &[], "blocking-the-runtime"),
    case("runs_another_executor", Blocked, "blocking wait", "other-executor", &[], "blocking-the-runtime"),
    case("a_spin_in_drop", Blocked, "`wait_until_raised` loops", "", &[], "blocking-the-runtime"),
    case("joins_an_os_thread", Blocked, "blocking wait", "joins-thread", &[], "blocking-the-runtime"),
    case("a_lock_that_a_job_holds_for_good", Blocked, "blocking wait", "job-lock-waits", &[], "blocking-the-runtime"),
    case("spins", Blocked, "`spins` loops", "spins-here", &[], "blocking-the-runtime"),
    case("spins_in_a_task", Blocked, "`wait_until_ready` loops", "asks-here", &[], "blocking-the-runtime"),
    case("yields_without_end", BusyLoop, "20000 polls", "yields", &["main yields_without_end waits for yield_now yields"], "busy-loop"),
    case("a_task_that_yields_without_end", BusyLoop, "20000 polls", "task-yields", &["task 2 a_task_that_yields_without_end waits for yield_now task-yields"], "busy-loop"),
    case("wakes_itself", BusyLoop, "20000 polls", "wakes-itself", &["main wakes_itself wakes itself wakes-itself"], "busy-loop"),
    case("a_task_that_wakes_itself", BusyLoop, "20000 polls", "busy-spawned", &["task 1  spawned here, is polled again and again busy-spawned"], "busy-loop"),
    case("a_job_without_end", NeverEnds, "does not end", "endless-job", &[], "blocking-the-runtime"),
    case("a_job_that_waits_for_good", NeverEnds, "waits for ever", "job-waits", &[], "blocking-the-runtime"),
    case("starts_a_process", Failed, "start a process", "starts-process", &[], ""),
    case("an_os_thread_that_answers", Deadlock, "deadlock at 50 ms: every task waits and no timer is pending; the code started an OS thread", "os-thread",
        &["an OS thread an_os_thread_that_answers started here os-thread"], "deadlock"),
    case("unwraps_nothing", Failed, "panicked: called `Option::unwrap()`", "unwraps", &[], "panics"),
    case("indexes_too_far", Failed, "panicked: index out of bounds", "indexes", &[], "panics"),
    case("is_not_written", Failed, "not yet implemented: task 1: write it", "todo", &[], ""),
];

#[rustfmt::skip]
pub fn suite() -> Suite {
    let suite = Suite::new();
    suite!(suite: two_locks_in_both_orders, an_answer_that_nobody_sends, a_channel_whose_sender_lives, many_waiting_in_a_buffer,
        a_waker_that_is_not_kept, a_waker_that_is_not_kept_in_a_task, a_heartbeat_and_a_wait, asks_again_and_again,
        sleeps_on_the_runtime, sleeps_in_a_task, polls_with_a_sleep, waits_in_drop, a_std_lock_held_across_await, a_std_channel,
        a_std_channel_with_a_limit, a_condition_variable, joins_an_os_thread, a_lock_that_a_job_holds_for_good, spins,
        spins_in_a_task, yields_without_end, a_task_that_yields_without_end, wakes_itself, a_task_that_wakes_itself,
        a_job_without_end, a_job_that_waits_for_good, starts_a_process, an_os_thread_that_answers, unwraps_nothing,
        indexes_too_far, is_not_written, locks_twice, runs_another_executor, a_spin_in_drop);
    let suite = suite.task(2);
    suite!(suite: sleeps_for_a_month, wakes_daily_for_a_year, sleeps_in_a_job, computes_in_a_job, computes_in_a_poll,
        shares_a_std_lock_with_a_job, a_hundred_short_jobs, yields_a_little, many_messages_at_one_instant,
        a_heartbeat_that_is_left_alone, a_panic_that_is_handled, notified_by_a_job, a_task_that_panics, many_tasks_at_one_instant, ticks_for_minutes);
    let suite = suite.task(3);
    suite!(suite: takes_all_memory, ends_the_process, reads_its_input, prints);
    suite
}

/// The checks in which nothing must be found.
pub fn innocent() -> Vec<String> {
    let infos = suite().infos().into_iter();
    infos
        .filter(|info| info.task == 2)
        .map(|info| info.name)
        .collect()
}

/// The line that carries a mark, or follows one that is nothing but a mark; counted from 1.
fn line_of(mark: &str) -> u32 {
    let ends = format!("// {mark}");
    let at = SOURCE.lines().position(|line| line.ends_with(&ends));
    let at = at.unwrap_or_else(|| panic!("no line is marked {mark:?}"));
    let above = SOURCE
        .lines()
        .nth(at)
        .is_some_and(|line| line.trim() == ends);
    u32::try_from(at).expect("a short file") + if above { 2 } else { 1 }
}

impl Case {
    /// Whether the watchdog must find it, which takes a second of processor time or of stillness.
    pub fn is_slow(&self) -> bool {
        let slow = ["spin", "a_job", "a_lock_that_a_job"];
        slow.iter().any(|name| self.check.contains(name))
    }

    pub fn holds(&self) -> Result<(), TestFailed> {
        let record = grader::run(self.check)?;
        let finding = record.finding.ok_or("nothing was found")?;
        let said = format!("{finding:#?}");
        let require = |holds: bool, what: &str| {
            if holds {
                Ok(())
            } else {
                Err(format!("{what} is wrong: {said}"))
            }
        };
        require(finding.kind == self.kind, "the kind")?;
        require(finding.got.contains(self.got), "what was got")?;
        require(
            finding.pitfall.as_deref().unwrap_or_default() == self.pitfall,
            "the pitfall",
        )?;
        let location = finding.location.as_ref();
        if !self.mark.is_empty() {
            require(
                location.is_some_and(|at| at.file == FILE && at.line == line_of(self.mark)),
                "the location",
            )?;
        }
        for expected in self.sites {
            let (start, mark) = expected.rsplit_once(' ').expect("a mark");
            let line = line_of(mark);
            let found = finding.sites.iter().any(|site| {
                let said = format!("{} {} {}", site.who, site.function, site.doing);
                said == start
                    && site
                        .location
                        .as_ref()
                        .is_some_and(|at| at.line == line && at.file == FILE)
            });
            require(found, expected)?;
        }
        Ok(())
    }
}
