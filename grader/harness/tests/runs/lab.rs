//! Virtual time, settling, seeds, events and expectations.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{finding, passes, record};
use kata_harness::{Lab, ms};
use kata_report::FindingKind;
use tokio::time::sleep;

#[test]
fn time_moves_only_when_everybody_waits() {
    passes(async |lab: Lab| {
        let (sum, took) = lab.timed(async { (0..100_000).sum::<u64>() }).await;
        assert_eq!((sum, took), (4_999_950_000, Duration::ZERO));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(lab.now_ms(), 3_600_000);
    });
}

#[test]
fn settling_waits_for_everybody_else_and_moves_no_time() {
    passes(async |lab: Lab| {
        let steps = Arc::new(Mutex::new(0));
        let counted = steps.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                tokio::task::yield_now().await;
                *counted.lock().unwrap() += 1;
            }
            sleep(ms(1)).await;
            *counted.lock().unwrap() += 1;
        });
        lab.settle().await;
        assert_eq!((*steps.lock().unwrap(), lab.now_ms()), (50, 0));
        lab.settle().await;
        assert_eq!((*steps.lock().unwrap(), lab.now_ms()), (50, 0));
    });
}

#[test]
fn many_may_settle_at_once() {
    passes(async |lab: Lab| {
        let other = lab.clone();
        let task = tokio::spawn(async move { other.settle().await });
        lab.settle().await;
        task.await.unwrap();
        assert_eq!(lab.now_ms(), 0);
    });
}

#[test]
fn settling_waits_for_blocking_jobs() {
    passes(async |lab: Lab| {
        let log = lab.clone();
        drop(tokio::task::spawn_blocking(move || {
            std::thread::sleep(ms(20));
            std::hint::black_box((0..200_000_u64).fold(0, u64::wrapping_add));
            log.log("computed");
        }));
        lab.settle().await;
        assert_eq!(lab.events(), [(0, "computed".to_owned())]);
    });
}

#[test]
fn settling_waits_for_what_a_blocking_job_wakes() {
    passes(async |lab: Lab| {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        drop(tokio::task::spawn_blocking(move || {
            for n in 0..3 {
                sender.blocking_send(n).unwrap();
            }
        }));
        let log = lab.clone();
        tokio::spawn(async move {
            while let Some(n) = receiver.recv().await {
                log.log(format!("{n}"));
            }
        });
        lab.settle().await;
        assert_eq!(lab.events().len(), 3);
        assert_eq!(lab.tasks_alive(), 0);
    });
}

#[test]
fn settling_does_not_wait_for_a_job_that_waits_for_the_runtime() {
    passes(async |lab: Lab| {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<u32>(1);
        let job = tokio::task::spawn_blocking(move || receiver.blocking_recv());
        lab.settle().await;
        sender.send(7).await.unwrap();
        assert_eq!(job.await.unwrap(), Some(7));
    });
}

#[test]
fn a_settled_lab_counts_the_tasks_that_are_left() {
    passes(async |lab: Lab| {
        tokio::spawn(async {});
        let waiting = tokio::spawn(sleep(ms(10)));
        lab.settle().await;
        assert_eq!(lab.tasks_alive(), 1);
        waiting.await.unwrap();
        lab.expect_no_tasks_left().await.or_fail();
    });
}

#[test]
fn a_task_that_is_left_is_named_by_where_it_was_spawned() {
    let finding = finding(async |lab: Lab| {
        drop(tokio::spawn(sleep(ms(10))));
        lab.expect_no_tasks_left().await.why("it leaks").or_fail();
    })
    .unwrap();
    assert_eq!(finding.got, "1 task is still running");
    assert_eq!(finding.pitfall.as_deref(), Some("leaked-task"));
    assert_eq!(finding.sites[0].who, "task 1");
    assert!(
        finding.sites[0]
            .location
            .as_ref()
            .unwrap()
            .file
            .ends_with("tests/runs/lab.rs")
    );
}

/// What depends on chance: a random number, the order of a hash map, an unbiased choice.
async fn chances(lab: Lab, told: Arc<Mutex<Vec<String>>>) {
    let set: HashSet<u32> = (0..20).collect();
    let order: Vec<u32> = set.iter().copied().collect();
    let in_job = tokio::task::spawn_blocking(|| {
        let set: HashSet<u32> = (0..20).collect();
        set.into_iter().collect::<Vec<_>>()
    });
    let mut chosen = String::new();
    for _ in 0..16 {
        chosen += tokio::select! { () = async {} => "a", () = async {} => "b" };
    }
    let picks = (
        lab.pick(1..=1_000_000),
        lab.rng().u64(..),
        fastrand::u64(..),
    );
    let line = format!("{order:?} {chosen} {picks:?} {:?}", in_job.await.unwrap());
    told.lock().unwrap().push(line);
}

/// What chance gave under each seed.
fn told() -> Vec<String> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    passes(move |lab| chances(lab, tell.clone()));
    told.lock().unwrap().clone()
}

#[test]
fn chance_follows_from_the_seed() {
    let first = told();
    assert_eq!(first, told(), "equal seeds, equal chances");
    for (part, name) in ["hash order", "choice"].iter().enumerate() {
        let of = |line: &String| line.split("] ").nth(part).unwrap_or_default().to_owned();
        let mut different: Vec<String> = first.iter().map(of).collect();
        different.sort();
        different.dedup();
        assert!(different.len() > 12, "seeds vary the {name}: {different:?}");
    }
}

#[test]
fn the_first_failing_seed_is_reported_and_can_be_replayed() {
    let suite = || {
        kata_harness::Suite::new().check("it", 1, async |lab: Lab| {
            sleep(ms(10)).await;
            lab.expect(lab.seed() != 5).or_fail();
        })
    };
    let record = suite().record("it", &[]).unwrap();
    assert_eq!((record.seed, record.runs, record.virtual_ms), (5, 5, 50));
    let again = suite().record("it", &[5]).unwrap();
    assert_eq!((again.seed, again.runs), (5, 1));
    assert_eq!(again.finding, record.finding);
    assert_eq!(suite().record("another", &[]), None);
}

#[test]
fn a_check_chooses_how_many_seeds_it_runs() {
    let suite = kata_harness::Suite::new()
        .seeds(3)
        .check("it", 1, async |_: Lab| {});
    assert_eq!(suite.record("it", &[]).unwrap().runs, 3);
}

#[test]
fn events_carry_their_instant() {
    passes(async |lab: Lab| {
        lab.log("begun");
        sleep(ms(30)).await;
        lab.log(format!("flushed {}", 3));
        assert_eq!(
            lab.events(),
            [(0, "begun".to_owned()), (30, "flushed 3".to_owned())]
        );
    });
}

#[test]
fn an_unmet_expectation_says_all_that_it_was_told() {
    let finding = finding(async |lab: Lab| {
        sleep(ms(600)).await;
        lab.expect_took(lab.now(), 300)
            .why("in turn")
            .pitfall("sequential-awaits")
            .or_fail();
    })
    .unwrap();
    assert_eq!(finding.kind, FindingKind::Failed);
    assert_eq!(
        (finding.expected.as_str(), finding.got.as_str()),
        ("300 ms", "600 ms, 300 ms later than that")
    );
    assert_eq!(
        (finding.why.as_str(), finding.pitfall.as_deref()),
        ("in turn", Some("sequential-awaits"))
    );
    assert_eq!(finding.at_ms, 600);
}

#[test]
fn values_that_differ_are_drawn() {
    let finding = finding(async |lab: Lab| {
        lab.expect_eq(&vec![1, 2], &vec![2, 1])
            .expected("[2, 1], as it came")
            .or_fail();
    })
    .unwrap();
    assert_eq!(
        (finding.expected.as_str(), finding.got.as_str()),
        ("[2, 1], as it came", "[1, 2]")
    );
}

#[test]
fn the_first_finding_stays_and_ends_the_check() {
    let ran_on = Arc::new(Mutex::new(false));
    let ran = ran_on.clone();
    let record = record(move |lab: Lab| {
        let ran = ran.clone();
        async move {
            let task_lab = lab.clone();
            let task =
                tokio::spawn(async move { task_lab.expect(false).got("the first").or_fail() });
            let _ = task.await;
            lab.expect(false).got("the second").or_fail();
            *ran.lock().unwrap() = true;
        }
    });
    assert_eq!(record.finding.unwrap().got, "the first");
    assert!(!*ran_on.lock().unwrap());
}

#[test]
fn catching_the_unwind_hides_nothing() {
    let record = record(async |lab: Lab| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lab.expect(false).got("caught").or_fail();
        }));
        assert!(caught.is_err());
        sleep(ms(5)).await;
    });
    assert_eq!(record.finding.unwrap().got, "caught");
    assert_eq!(record.virtual_ms, 0, "the check ends at its next pending");
}

#[test]
fn an_expectation_may_fail_while_the_stack_unwinds() {
    struct Checks(Lab);
    impl Drop for Checks {
        fn drop(&mut self) {
            self.0.expect(false).got("in drop").or_fail();
        }
    }
    let finding = finding(async |lab: Lab| {
        let _checks = Checks(lab.clone());
        panic!("first");
    });
    assert_eq!(finding.unwrap().got, "in drop");
}

#[test]
fn a_check_need_not_be_send() {
    passes(async |lab: Lab| {
        let count = Rc::new(Cell::new(0));
        count.set(count.get() + 1);
        lab.settle().await;
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn heavy_work_tells_its_thread() {
    passes(async |lab: Lab| {
        lab.heavy("here", 5);
        let inside = lab.clone();
        tokio::task::spawn_blocking(move || inside.heavy("there", 5))
            .await
            .unwrap();
        let calls = lab.heavy_calls();
        let told: Vec<_> = calls
            .iter()
            .map(|call| (call.label.as_str(), call.on_runtime, call.at_ms))
            .collect();
        assert_eq!(told, [("here", true, 0), ("there", false, 0)]);
    });
}

#[test]
fn virtual_time_is_the_same_on_every_thread() {
    passes(async |lab: Lab| {
        sleep(ms(40)).await;
        let (inside, (tell, told)) = (lab.clone(), tokio::sync::oneshot::channel());
        std::thread::spawn(move || tell.send(inside.now_ms()));
        // No runtime is idle while a job runs, so the thread has time to answer.
        let asked = tokio::task::spawn_blocking(|| told.blocking_recv());
        assert_eq!(asked.await.unwrap(), Ok(40));
    });
}
