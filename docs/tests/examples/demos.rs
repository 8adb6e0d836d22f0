//! Each demo with its own settings, and with those that it asks the reader to predict.

use kata_harness::SpanEnd::{Cancelled, Done, Failed};

use crate::support::run;

#[path = "../../demos/circuit_breaker.rs"]
pub mod circuit_breaker;
#[path = "../../demos/cost_models.rs"]
mod cost_models;
#[path = "../../demos/database_pool.rs"]
pub mod database_pool;
#[path = "../../demos/fan_out_fan_in.rs"]
mod fan_out_fan_in;
#[path = "../../demos/graceful_shutdown.rs"]
mod graceful_shutdown;
#[path = "../../demos/pipeline_backpressure.rs"]
mod pipeline_backpressure;
#[path = "../../demos/producer_consumer.rs"]
mod producer_consumer;
#[path = "../../demos/rate_limited_client.rs"]
pub mod rate_limited_client;
#[path = "../../demos/select_cancellation.rs"]
mod select_cancellation;
#[path = "../../demos/web_scraper.rs"]
pub mod web_scraper;

/// Runs the demo of this name.
macro_rules! demo {
    ($name:ident, $sets:expr) => {
        run(stringify!($name), $name::run, $sets)
    };
}

#[test]
fn a_scraper_is_as_slow_as_its_limit_or_as_its_links_are_deep() {
    for (sets, took, peak) in [
        ("", 500, 4),
        ("limit=1", 1200, 1),
        ("limit=100", 400, 5),
        ("fetches=50 limit=4", 1400, 4),
    ] {
        let ran = demo!(web_scraper, sets);
        assert_eq!((ran.virtual_ms, ran.peak("fetch")), (took, peak), "{sets}");
    }
    assert_eq!(demo!(web_scraper, "").count("fetch"), 12);
}

#[test]
fn a_pool_never_runs_more_queries_than_it_has_connections() {
    for (sets, took, peak) in [
        ("", 650, 2),
        ("connections=1", 1250, 1),
        ("connections=3", 450, 3),
        ("connections=6", 300, 6),
    ] {
        let ran = demo!(database_pool, sets);
        assert_eq!((ran.virtual_ms, ran.peak("query")), (took, peak), "{sets}");
        assert_eq!(ran.count("query"), 12);
    }
}

#[test]
fn a_client_that_keeps_to_the_rate_is_not_refused() {
    let ran = demo!(rate_limited_client, "");
    let even: Vec<u64> = (0..12).map(|number| number * 100).collect();
    assert_eq!(ran.starts("call"), even);
    assert_eq!((ran.virtual_ms, ran.ended("call", Failed)), (1180, 0));
    let burst = demo!(rate_limited_client, "burst=4");
    assert_eq!(burst.starts("call")[..6], [0, 0, 0, 0, 100, 200]);
    for sets in ["rate=20", "rate=1000"] {
        let ran = demo!(rate_limited_client, sets);
        assert_eq!(ran.ended("call", Failed), 2, "{sets}");
        assert_eq!(ran.ended("call", Done), 12, "{sets}");
        assert!(ran.virtual_ms > 1000, "{sets}: the server's window");
    }
}

#[test]
fn the_slower_side_sets_the_pace_whatever_the_queue_holds() {
    for (sets, took) in [
        ("", 850),
        ("capacity=8", 850),
        ("consumers=2", 450),
        ("consumers=8", 300),
    ] {
        let ran = demo!(producer_consumer, sets);
        assert_eq!(ran.virtual_ms, took, "{sets}");
        assert_eq!(
            (ran.count("produce"), ran.count("consume")),
            (8, 8),
            "{sets}"
        );
    }
    // Two in the queue, two on the way, one at the consumer; with room for all nobody waits.
    assert_eq!(
        *demo!(producer_consumer, "")
            .starts("produce")
            .last()
            .unwrap(),
        350
    );
    assert_eq!(
        *demo!(producer_consumer, "capacity=8")
            .starts("produce")
            .last()
            .unwrap(),
        150
    );
}

#[test]
fn an_answer_is_given_at_the_deadline_with_what_has_come() {
    let ran = demo!(fan_out_fan_in, "");
    assert_eq!((ran.virtual_ms, ran.peak("search")), (275, 6));
    let ended = [Done, Failed, Cancelled].map(|end| ran.ended("search", end));
    assert_eq!(ended, [3, 1, 2]);
    let ran = demo!(fan_out_fan_in, "deadline=1000 broken=100");
    assert_eq!((ran.virtual_ms, ran.ended("search", Done)), (350, 6));
}

#[test]
fn the_slowest_stage_sets_the_pace_of_a_pipeline() {
    for (sets, took) in [
        ("", 870),
        ("capacity=100", 870),
        ("write=10", 430),
        ("write=10 parsers=2", 250),
    ] {
        let ran = demo!(pipeline_backpressure, sets);
        assert_eq!((ran.virtual_ms, ran.count("write")), (took, 8), "{sets}");
    }
    // Backpressure reaches the source: without it the last item is read after 7 times 20 ms.
    assert_eq!(
        demo!(pipeline_backpressure, "capacity=100").starts("read")[7],
        140
    );
    assert!(demo!(pipeline_backpressure, "").starts("read")[7] > 300);
}

#[test]
fn an_open_breaker_asks_only_on_trial() {
    let ran = demo!(circuit_breaker, "");
    let counts = ["call", "rejected", "half open"].map(|label| ran.count(label));
    assert_eq!(counts, [9, 7, 2]);
    // Opened by the second failure at 500 ms, tried at 800, tried again 300 ms after that failed.
    assert_eq!(ran.starts("open"), [500, 1000]);
    assert_eq!(ran.starts("half open"), [800, 1300]);
    let ran = demo!(circuit_breaker, "threshold=1000");
    assert_eq!((ran.ended("call", Failed), ran.count("rejected")), (8, 0));
}

#[test]
fn a_future_made_anew_in_a_select_loop_loses_its_progress() {
    let ran = demo!(select_cancellation, "");
    assert_eq!((ran.virtual_ms, ran.ended("read", Cancelled)), (480, 0));
    let ran = demo!(select_cancellation, "restart=1");
    assert_eq!((ran.virtual_ms, ran.ended("read", Done)), (600, 0));
    let ran = demo!(select_cancellation, "stop=300");
    assert_eq!(ran.virtual_ms, 300);
    assert_eq!(
        (ran.ended("read", Done), ran.ended("read", Cancelled)),
        (2, 1)
    );
}

#[test]
fn a_shutdown_ends_with_the_last_answer_or_with_the_grace() {
    for (sets, took, answered, aborted) in [
        ("", 630, 5, 1),
        ("grace=2000", 1020, 6, 0),
        ("grace=50", 380, 3, 3),
    ] {
        let ran = demo!(graceful_shutdown, sets);
        assert_eq!(ran.virtual_ms, took, "{sets}");
        assert_eq!(ran.ended("answer", Done), answered, "{sets}");
        assert_eq!(ran.ended("answer", Cancelled), aborted, "{sets}");
        assert!(
            ran.starts("answer").iter().all(|start| *start < 330),
            "{sets}"
        );
    }
}

#[test]
fn waiting_costs_async_tasks_nothing_and_computing_costs_all_the_same() {
    let ended = |sets: &str| {
        let ran = demo!(cost_models, sets);
        assert_eq!(
            ["thread", "process", "async"].map(|kind| ran.count(kind)),
            [8; 3],
            "{sets}"
        );
        ran.virtual_ms
    };
    // The processes are last: they start first.
    assert_eq!(ended(""), 30 + 4 * (100 + 10));
    assert_eq!(ended("workers=8"), 30 + 100 + 4 * 10);
    assert_eq!(
        demo!(cost_models, "cores=1 cpu_ms=100 io_ms=0").peak("async"),
        1
    );
}

#[test]
fn a_seed_decides_about_random_delays_and_about_nothing_else() {
    let starts = |sets: &str| demo!(web_scraper, sets).starts("fetch");
    assert_eq!(starts("spread=200"), starts("spread=200 seed=1"));
    assert_ne!(starts("spread=200"), starts("spread=200 seed=2"));
    assert_eq!(starts(""), starts("seed=2"));
}
