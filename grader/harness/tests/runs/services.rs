//! Simulated backends and what they draw.

use crate::support::{passes, record};
use kata_harness::{Lab, ms};
use kata_report::SpanEnd;
use tokio::time::{sleep, timeout};

#[test]
fn calls_take_their_time_and_are_numbered_by_their_start() {
    passes(async |lab: Lab| {
        let fetch = lab
            .service("fetch")
            .takes_with(|call| 30 - 10 * call.number as u64)
            .build();
        let (first, later) = (fetch.call("first"), fetch.call("later"));
        let (later, first) = tokio::join!(biased; later, first);
        assert_eq!(
            (later.unwrap(), first.unwrap()),
            (0, 1),
            "the first that is polled starts"
        );
        let calls = fetch.calls();
        let told: Vec<_> = calls
            .iter()
            .map(|call| (call.label.as_str(), call.started_ms, call.ended_ms))
            .collect();
        assert_eq!(told, [("later", 0, Some(30)), ("first", 0, Some(20))]);
        assert_eq!((fetch.count(), fetch.peak(), fetch.in_flight()), (2, 2, 0));
    });
}

#[test]
fn a_call_starts_when_it_is_first_polled() {
    passes(async |lab: Lab| {
        let fetch = lab.service("fetch").takes(10).build();
        let call = fetch.call("late");
        assert_eq!(fetch.count(), 0);
        sleep(ms(5)).await;
        call.await.unwrap();
        assert_eq!(fetch.calls()[0].started_ms, 5);
    });
}

#[test]
fn a_failing_call_fails_after_its_latency() {
    passes(async |lab: Lab| {
        let fetch = lab.service("fetch").takes(10);
        let fetch = fetch
            .fails_with(|call| (call.number == 1).then(|| format!("{} is down", call.label)))
            .build();
        assert!(fetch.call("a").await.is_ok());
        assert_eq!(fetch.call("b").await.unwrap_err().to_string(), "b is down");
        assert_eq!((fetch.calls()[1].end, lab.now_ms()), (SpanEnd::Failed, 20));
    });
}

#[test]
fn a_dropped_call_is_cancelled_at_that_instant() {
    passes(async |lab: Lab| {
        let fetch = lab.service("fetch").takes(100).build();
        timeout(ms(30), fetch.call("slow")).await.unwrap_err();
        let call = &fetch.calls()[0];
        assert_eq!(
            (call.end, call.ended_ms, fetch.in_flight()),
            (SpanEnd::Cancelled, Some(30), 0)
        );
    });
}

#[test]
fn latencies_follow_from_the_seed_and_the_calls_number() {
    let latencies = || {
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let tell = told.clone();
        passes(move |lab: Lab| {
            let tell = tell.clone();
            async move {
                let fetch = lab.service("fetch").takes_between(50..=150).build();
                for _ in 0..4 {
                    let (_, took) = lab.timed(fetch.call("x")).await;
                    assert!(took >= ms(50) && took <= ms(150));
                    tell.lock().unwrap().push(took);
                }
            }
        });
        told.lock().unwrap().clone()
    };
    let first = latencies();
    assert_eq!(first, latencies());
    let mut different = first.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 20, "{different:?}");
}

#[test]
fn calls_tasks_and_sleeps_are_drawn() {
    let record = record(async |lab: Lab| {
        let fetch = lab.service("fetch").takes(10).build();
        let span = lab.span("job", "all of it");
        let task = tokio::spawn(fetch.call("a"));
        let stopped = tokio::spawn(sleep(ms(1_000)));
        task.await.unwrap().unwrap();
        stopped.abort();
        sleep(ms(5)).await;
        span.done();
    });
    let drawn: Vec<_> = record
        .spans
        .iter()
        .map(|span| (span.lane.as_str(), span.start_ms, span.end_ms, span.end))
        .collect();
    assert_eq!(
        drawn,
        [
            ("job", 0, Some(15), SpanEnd::Done),
            ("task 1", 0, Some(10), SpanEnd::Done),
            ("task 2", 0, Some(10), SpanEnd::Done),
            ("fetch 0", 0, Some(10), SpanEnd::Done),
        ]
    );
    assert!(
        record.spans[1].label.starts_with("spawned at services.rs:"),
        "{}",
        record.spans[1].label
    );
}

#[test]
fn a_span_that_is_dropped_was_cancelled_and_one_that_is_kept_runs() {
    let record = record(async |lab: Lab| {
        drop(lab.span("a", "dropped"));
        lab.span("b", "failed").failed();
        std::mem::forget(lab.span("c", "kept"));
    });
    let ends: Vec<_> = record.spans.iter().map(|span| span.end).collect();
    assert_eq!(
        ends,
        [SpanEnd::Cancelled, SpanEnd::Failed, SpanEnd::Running]
    );
}

#[test]
fn spans_without_end_are_counted() {
    let record = record(async |lab: Lab| {
        for n in 0..450 {
            lab.span("lane", format!("n {n}")).done();
        }
    });
    assert_eq!(record.spans.len(), 400);
    assert_eq!(record.spans[399].label, "n 399 (and 50 more)");
}

#[test]
fn a_long_sleep_is_drawn_in_one_piece() {
    let record = record(async |_: Lab| sleep(ms(30 * 24 * 3_600_000)).await);
    let drawn: Vec<_> = record
        .spans
        .iter()
        .map(|span| (span.start_ms, span.end_ms))
        .collect();
    assert_eq!(drawn, [(0, Some(30 * 24 * 3_600_000))]);
}
