//! What the other pages say of their code.

use kata_book::{
    concurrency_models, event_loop_flow, future_states, prelude::*, runtime_architecture,
    scopes_and_cleanup, structured_concurrency, task_lifecycle, task_scheduling,
};
use tokio::time::Instant;

async fn took(work: impl Future) -> u128 {
    let start = Instant::now();
    work.await;
    start.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn an_async_fn_with_two_waits_is_polled_three_times() {
    let log = Log::default();
    let mut polls = 0;
    let mut greet = pin!(future_states::what_an_async_fn_becomes::b1::greet(
        log.clone()
    ));
    let value = poll_fn(|cx| {
        polls += 1;
        greet.as_mut().poll(cx)
    });
    assert_eq!(value.await, 42);
    assert_eq!(polls, 3);
    assert_eq!(log.lines(), ["0 start", "10 middle", "30 end"]);
}

#[tokio::test]
async fn a_countdown_of_three_is_polled_four_times() {
    let mut polls = 0;
    let mut countdown = pin!(future_states::what_an_async_fn_becomes::b2::countdown(3));
    poll_fn(|cx| {
        polls += 1;
        countdown.as_mut().poll(cx)
    })
    .await;
    assert_eq!(polls, 4);
}

#[tokio::test(start_paused = true)]
async fn a_spawned_task_runs_when_the_main_future_waits() {
    let log = Log::default();
    event_loop_flow::predict::b1::three(&log).await;
    assert_eq!(log.lines(), ["0 main", "0 task", "0 joined"]);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_has_its_deadline_from_its_making() {
    use runtime_architecture::the_timer_wheel::b1;
    assert_eq!(took(b1::two_naps()).await, 100);
    assert_eq!(took(sleep(Duration::from_micros(500))).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_job_holds_virtual_time() {
    let log = Log::default();
    runtime_architecture::virtual_time::b1::an_hour(&log).await;
    assert_eq!(log.lines(), ["0 job", "3600000 an hour later"]);
}

#[tokio::test(start_paused = true)]
async fn tasks_take_turns_in_the_order_in_which_they_came() {
    let log = Log::default();
    task_scheduling::on_one_thread::b1::turns(&log).await;
    assert_eq!(log.lines(), ["0 a", "0 b", "10 a", "10 b"]);
}

#[tokio::test(start_paused = true)]
async fn a_biased_select_looks_at_the_stop_first() {
    use task_scheduling::which_order_may_i_rely_on::b1;
    let (sender, receiver) = mpsc::channel(8);
    let (stop, stopped) = oneshot::channel();
    sender.send(1).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(b1::shut_down_first(receiver, stopped).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_returns_pending_by_itself_is_made_to_after_128_items() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for item in 0..1000 {
        sender.send(item).unwrap();
    }
    drop(sender);
    let taken = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&taken);
    let greedy = tokio::spawn(async move {
        while receiver.recv().await.is_some() {
            own.fetch_add(1, SeqCst);
        }
    });
    let seen = tokio::spawn(async move { taken.load(SeqCst) });
    assert_eq!(seen.await.unwrap(), 128);
    greedy.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_task_aborted_before_its_first_turn_runs_not_one_line() {
    let log = Log::default();
    task_lifecycle::abort::b1::aborted(&log).await;
    assert_eq!(log.lines(), ["0 gone"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_has_three_ends() {
    let ends = task_lifecycle::panic::b1::three_ends().await;
    assert_eq!(ends, ["a value", "a panic", "an abort"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_by_itself_is_shut_down() {
    let log = Log::default();
    task_lifecycle::the_owners_duty::b1::supervised(&log).await;
    assert_eq!(log.lines(), ["10 a", "20 b", "50 nothing is left"]);
}

#[tokio::test(start_paused = true)]
async fn scopes_drop_in_reverse_and_an_underscore_at_once() {
    let log = Log::default();
    scopes_and_cleanup::raii_the_value_is_the_duty::b1::order(&log).await;
    assert_eq!(log.lines(), ["0 at once", "10 second", "10 first"]);
}

#[tokio::test(start_paused = true)]
async fn a_future_polled_by_reference_keeps_its_progress() {
    let log = Log::default();
    let value = scopes_and_cleanup::cancellation_safety::b1::with_progress(&log).await;
    assert_eq!(value, 42);
    let lines = ["0 still waiting", "10 still waiting", "20 still waiting"];
    assert_eq!(log.lines(), lines);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_rolled_back_unless_it_was_committed() {
    use scopes_and_cleanup::guards_that_can_be_told_all_is_well::b1;
    let mut rows = Vec::new();
    let _ = timeout(ms(5), b1::insert_both(&mut rows)).await;
    assert!(rows.is_empty());
    b1::insert_both(&mut rows).await;
    assert_eq!(rows, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn gathering_takes_as_long_as_the_longest() {
    use structured_concurrency::gather::b1;
    let server = Server::default();
    assert_eq!(b1::both(&server).await, (10, 20));
    assert_eq!(b1::all(&server, &[3, 1]).await, [30, 10]);
    assert_eq!(took(b1::all(&server, &[1, 2, 3])).await, 100);
}

#[tokio::test(start_paused = true)]
async fn as_completed_gives_the_quickest_first() {
    let log = Log::default();
    structured_concurrency::as_completed::b1::in_order_of_end(&log).await;
    assert_eq!(log.lines(), ["10 took 10", "20 took 20", "30 took 30"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_success_is_not_the_first_end() {
    use structured_concurrency::the_first_success::b1;
    fn attempt(time: u64, result: Result<u32, &'static str>) -> b1::Attempt {
        Box::pin(async move {
            sleep(ms(time)).await;
            result.map_err(str::to_owned)
        })
    }
    let attempts = vec![
        attempt(10, Err("a")),
        attempt(30, Ok(3)),
        attempt(20, Ok(2)),
    ];
    assert_eq!(b1::first_ok(attempts).await, Ok(2));
    let attempts = vec![attempt(20, Err("b")), attempt(10, Err("a"))];
    assert_eq!(
        b1::first_ok(attempts).await,
        Err(vec!["a".into(), "b".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_groups_first_failure_ends_its_siblings() {
    use structured_concurrency::a_task_group::b1;
    fn job(time: u64, result: Result<u32, &'static str>) -> b1::Job {
        Box::pin(async move {
            sleep(ms(time)).await;
            result.map_err(str::to_owned)
        })
    }
    let group = b1::group(vec![job(10, Err("a")), job(1000, Ok(1))]);
    let start = Instant::now();
    assert_eq!(group.await, Err(vec!["a".to_owned()]));
    assert_eq!(start.elapsed(), ms(10));
    let group = b1::group(vec![job(20, Ok(2)), job(10, Ok(1))]);
    assert_eq!(group.await, Ok(vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_keeps_what_came_in_time() {
    use structured_concurrency::a_deadline_with_partial_results::b1;
    let server = Arc::new(Server::default());
    let work = b1::what_came_in_time(&server, &[1, 2, 3, 4]);
    let start = Instant::now();
    assert_eq!(work.await, [10, 20]);
    assert_eq!(start.elapsed(), ms(200));
}

#[test]
fn the_table_of_costs_is_what_the_simulation_says() {
    use concurrency_models::what_it_costs_a_simulation_to_change::b1::{
        Load, with_async, with_threads,
    };
    let row = |requests, wait, work| {
        let load = Load::new(requests, wait, work);
        [
            with_threads(load, 8, 8),
            with_threads(load, 200, 8),
            with_async(load, 1),
            with_async(load, 8),
        ]
    };
    assert_eq!(row(1000, 100, 0), [12_500, 500, 100, 100]);
    assert_eq!(row(1000, 100, 1), [12_625, 505, 1_100, 225]);
    assert_eq!(row(8, 0, 100), [100, 100, 800, 100]);
    assert_eq!(row(100, 10, 100), [1_430, 1_250, 10_010, 1_260]);
}

#[tokio::test]
async fn a_checksum_is_computed_on_another_thread() {
    let sum = concurrency_models::both_together::b1::checksum(vec![1, 2]).await;
    assert_eq!(sum, 34);
}
