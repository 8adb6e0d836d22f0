//! Panics: the root's is the finding, a task's is kept for whoever asks.

use crate::support::{finding, passes};
use kata_harness::{Lab, ms};
use kata_report::FindingKind;
use tokio::time::sleep;

#[test]
fn a_panic_of_the_root_is_the_finding() {
    let finding = finding(async |_: Lab| {
        sleep(ms(3)).await;
        panic!("no {}", "luck");
    })
    .unwrap();
    assert_eq!((finding.kind, finding.at_ms), (FindingKind::Failed, 3));
    assert_eq!(
        (finding.expected.as_str(), finding.got.as_str()),
        ("no panic", "panicked: no luck")
    );
    assert!(
        finding
            .location
            .unwrap()
            .file
            .ends_with("tests/runs/panics.rs")
    );
    assert_eq!(finding.panics, [""; 0]);
}

#[test]
fn what_is_not_written_yet_says_so() {
    let finding = finding(async |_: Lab| todo!("task 1: fetch them")).unwrap();
    assert_eq!(finding.got, "not yet implemented: task 1: fetch them");
    assert_eq!(finding.pitfall, None);
}

#[test]
fn a_tasks_panic_is_seen_although_nobody_awaits_it() {
    passes(async |lab: Lab| {
        drop(tokio::spawn(async { panic!("boom") }));
        lab.settle().await;
        let panics = lab.panics();
        assert_eq!(panics.len(), 1);
        assert_eq!(
            (panics[0].message.as_str(), panics[0].in_task),
            ("boom", true)
        );
    });
}

#[test]
fn a_blocking_jobs_panic_counts_as_a_tasks() {
    passes(async |lab: Lab| {
        tokio::task::spawn_blocking(|| panic!("boom"))
            .await
            .unwrap_err();
        assert!(lab.panics()[0].in_task);
    });
}

#[test]
fn a_lost_panic_fails_who_expects_none() {
    let finding = finding(async |lab: Lab| {
        drop(tokio::spawn(async { panic!("boom") }));
        lab.settle().await;
        lab.expect_no_lost_panics().or_fail();
    })
    .unwrap();
    assert_eq!(
        (finding.got.as_str(), finding.pitfall.as_deref()),
        ("a task panicked: boom", Some("lost-panic"))
    );
}

#[test]
fn another_finding_lists_the_panics_of_tasks() {
    let finding = finding(async |lab: Lab| {
        for n in 0..12 {
            drop(tokio::spawn(async move { panic!("boom {n}") }));
        }
        lab.settle().await;
        lab.expect(false).got("another").or_fail();
    })
    .unwrap();
    assert_eq!(finding.got, "another");
    assert_eq!(finding.panics.len(), 11);
    assert!(
        finding.panics[0].starts_with("'boom 0' at "),
        "{:?}",
        finding.panics
    );
    assert_eq!(finding.panics[10], "and 2 more");
}

#[test]
fn a_caught_panic_of_the_root_is_no_finding() {
    passes(async |_: Lab| {
        std::panic::catch_unwind(|| panic!("caught")).unwrap_err();
    });
}
