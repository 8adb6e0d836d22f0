//! Each pitfall's code: before, the mistake shows; after, it is gone.

use std::{
    sync::{Mutex, atomic::AtomicI32},
    task::Wake,
};

use kata_book::{pitfalls, prelude::*};
use tokio::{runtime::Handle, time::Instant};

/// Longer than anything here takes.
const FOREVER: Duration = Duration::from_secs(60);

async fn took(work: impl Future) -> u128 {
    let start = Instant::now();
    work.await;
    start.elapsed().as_millis()
}

async fn ends(work: impl Future) -> bool {
    timeout(FOREVER, work).await.is_ok()
}

#[derive(Default)]
struct Wakes(AtomicI32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn forgotten_await() {
    use pitfalls::forgotten_await::{b1, b2};
    let (before, after) = (Log::default(), Log::default());
    b1::order(&before).await;
    assert_eq!(before.lines(), ["0 done"]);
    b2::order(&after).await;
    assert_eq!(after.lines(), ["20 saved", "20 done"]);
}

#[tokio::test(start_paused = true)]
async fn dropped_join_handle() {
    use pitfalls::dropped_join_handle::{b1, b2};
    let (before, after) = (Log::default(), Log::default());
    b1::checkout(&before).await;
    assert_eq!(before.lines(), ["0 checkout returns"]);
    sleep(ms(60)).await;
    assert_eq!(before.lines(), ["0 checkout returns", "50 mail sent"]);
    let start = Log::default();
    b2::checkout(&start).await;
    assert_eq!(start.lines(), ["50 mail sent", "50 checkout returns"]);
    assert!(after.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn sync_in_async() {
    use pitfalls::sync_in_async::{b1, b2};
    assert!(b1::took(sleep(Duration::from_secs(60))).await < Duration::from_secs(60));
    assert_eq!(b2::took(sleep(ms(300))).await, ms(300));
}

#[tokio::test]
async fn a_runtime_within_a_runtime_panics_with_the_words_that_the_page_quotes() {
    let inner = tokio::spawn(async { Handle::current().block_on(async {}) });
    let panic = inner.await.unwrap_err().into_panic();
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap();
    assert!(words.starts_with("Cannot start a runtime from within a runtime"));
}

#[tokio::test(start_paused = true)]
async fn sequential_awaits() {
    use pitfalls::sequential_awaits::{b1, b2};
    let (log, other) = (Log::default(), Log::default());
    assert_eq!(took(b1::breakfast(&log)).await, 500);
    assert_eq!(took(b2::breakfast(&other)).await, 300);
}

#[tokio::test(start_paused = true)]
async fn too_many_tasks() {
    use pitfalls::too_many_tasks::{b1, b2};
    assert_eq!(b1::sum_of_squares(vec![1, 2, 3]).await, 14);
    assert_eq!(b2::sum_of_squares(vec![1, 2, 3]), 14);
}

#[tokio::test(start_paused = true)]
async fn unbounded_concurrency() {
    use pitfalls::unbounded_concurrency::{b1, b2};
    let (before, after) = (Server::default(), Server::default());
    let ids: Vec<u32> = (0..10).collect();
    let expected: Vec<u32> = (0..10).map(|id| id * 10).collect();
    assert_eq!(b1::fetch_all(&before, &ids).await, expected);
    assert_eq!(b2::fetch_all(&after, &ids).await, expected);
    assert_eq!((before.peak(), after.peak()), (10, 3));
}

#[tokio::test(start_paused = true)]
async fn cancellation_ignored() {
    use pitfalls::cancellation_ignored::{b1, b2};
    let (before, after) = (Log::default(), Log::default());
    assert!(!b1::export_in_time(&before).await);
    assert!(!b2::export_in_time(&after).await);
    sleep(ms(1000)).await;
    assert_eq!(before.lines(), ["300 exported"]);
    assert!(after.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn cleanup_forgotten() {
    use pitfalls::cleanup_forgotten::{b1, b2};
    let (before, after) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let _ = timeout(ms(50), b1::serve(&before)).await;
    let _ = timeout(ms(50), b2::serve(&after)).await;
    assert_eq!((before.load(SeqCst), after.load(SeqCst)), (1, 0));
    b2::serve(&after).await;
    assert_eq!(after.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn over_engineered() {
    use pitfalls::over_engineered::{b1, b2};
    let server = Arc::new(Server::default());
    assert_eq!(b1::price(&server, 7).await, 70);
    assert_eq!(b2::price(&server, 7).await, 70);
}

#[tokio::test(start_paused = true)]
async fn blocking_the_runtime() {
    use pitfalls::blocking_the_runtime::{b1, b2};
    let (before, after) = (Log::default(), Log::default());
    b1::report(&before).await;
    assert_eq!(before.lines()[0], "0 work done");
    let start = after.clone();
    b2::report(&start).await;
    let words: Vec<String> = after
        .lines()
        .iter()
        .map(|line| line.split_once(' ').unwrap().1.to_owned())
        .collect();
    assert_eq!(words, ["alive", "work done"]);
}

#[tokio::test(start_paused = true)]
async fn lock_across_await() {
    use pitfalls::lock_across_await::{b1, b2};
    let server = Server::default();
    let cache = b1::Cache::default();
    let three = (0..3).map(|id| b1::look_up(&cache, &server, id));
    assert_eq!(took(join_all(three)).await, 300);
    let cache = b2::Cache::default();
    let three = (0..3).map(|id| b2::look_up(&cache, &server, id));
    assert_eq!(took(join_all(three)).await, 100);
    assert_eq!(took(b2::look_up(&cache, &server, 2)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn leaked_task() {
    use pitfalls::leaked_task::{b1, b2};
    let alive = || Handle::current().metrics().num_alive_tasks();
    b2::session(&Log::default()).await;
    assert_eq!(alive(), 0);
    let log = Log::default();
    b1::session(&log).await;
    assert_eq!(alive(), 1);
    sleep(ms(100)).await;
    assert!(log.lines().len() > 2);
}

#[tokio::test(start_paused = true)]
async fn leaked_resource() {
    use pitfalls::leaked_resource::{b1, b2};
    let pool = b1::Pool::new(vec![b1::Connection]);
    assert!(b1::query(&pool, "").await.is_err());
    assert_eq!(b1::query(&pool, "x").await, Err("pool is empty".into()));
    let pool = b2::Pool::new(vec![b2::Connection]);
    assert!(b2::query(&pool, "").await.is_err());
    assert_eq!(b2::query(&pool, "x").await, Ok(1));
    let _ = timeout(ms(1), b2::query(&pool, "x")).await;
    assert_eq!(pool.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn shared_state_race() {
    use pitfalls::shared_state_race::{b1, b2};
    let tickets = Mutex::new(1);
    assert_eq!(
        tokio::join!(b1::buy(&tickets), b1::buy(&tickets)),
        (true, true)
    );
    assert_eq!(*tickets.lock().unwrap(), -1);
    let tickets = Mutex::new(1);
    assert_eq!(
        tokio::join!(b2::buy(&tickets), b2::buy(&tickets)),
        (true, false)
    );
}

#[tokio::test(start_paused = true)]
async fn lost_wakeup() {
    use pitfalls::lost_wakeup::{b1, b2};
    let (open, changed) = (AtomicBool::new(false), Notify::new());
    let opening = async || {
        sleep(ms(5)).await;
        open.store(true, SeqCst);
        changed.notify_waiters();
    };
    assert!(!ends(async { tokio::join!(b1::wait_until_open(&open, &changed), opening()) }).await);
    open.store(false, SeqCst);
    assert!(ends(async { tokio::join!(b2::wait_until_open(&open, &changed), opening()) }).await);
}

#[tokio::test(start_paused = true)]
async fn two_calls_of_notify_one_before_anybody_waits_are_one() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    notify.notified().await;
    assert!(!ends(notify.notified()).await);
    notify.notify_waiters();
    assert!(!ends(notify.notified()).await);
}

#[test]
fn stale_waker() {
    use pitfalls::stale_waker::{b1, b2};
    let wakes = || (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let (first, second) = wakes();
    let mut cell = b1::Cell::default();
    for one in [&first, &second] {
        let waker = Waker::from(Arc::clone(one));
        assert!(b1::poll_take(&mut cell, &mut Context::from_waker(&waker)).is_pending());
    }
    b1::send(&mut cell, 1);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (1, 0));
    let (first, second) = wakes();
    let mut cell = b2::Cell::default();
    for one in [&first, &second] {
        let waker = Waker::from(Arc::clone(one));
        assert!(b2::poll_take(&mut cell, &mut Context::from_waker(&waker)).is_pending());
    }
    b2::send(&mut cell, 1);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
}

#[test]
fn busy_loop() {
    use pitfalls::busy_loop::{b1, b2};
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    let never = AtomicBool::new(false);
    let mut before = pin!(b1::wait_for(&never));
    let (sender, receiver) = watch::channel(false);
    let mut after = pin!(b2::wait_for(receiver));
    for _ in 0..10 {
        assert!(before.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(wakes.0.swap(0, SeqCst), 10);
    for _ in 0..10 {
        assert!(after.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(wakes.0.load(SeqCst), 0);
    sender.send(true).unwrap();
    assert_eq!(wakes.0.load(SeqCst), 1);
    assert!(after.as_mut().poll(&mut context).is_ready());
}

#[tokio::test(start_paused = true)]
async fn deadlock() {
    use pitfalls::deadlock::{b1, b2};
    let (a, b) = (b1::Account::new(100), b1::Account::new(100));
    let both = async { tokio::join!(b1::transfer(&a, &b, 1), b1::transfer(&b, &a, 2)) };
    assert!(!ends(both).await);
    let (a, b) = (b2::Account::new(100), b2::Account::new(100));
    let both = async { tokio::join!(b2::transfer(&a, &b, 1), b2::transfer(&b, &a, 2)) };
    assert!(ends(both).await);
    assert_eq!((*a.lock().await, *b.lock().await), (101, 99));
}

#[tokio::test(start_paused = true)]
async fn never_ends() {
    use pitfalls::never_ends::{b1, b2};
    assert!(!ends(b1::with_heartbeat(&Log::default())).await);
    assert_eq!(took(b2::with_heartbeat(&Log::default())).await, 25);
}

#[tokio::test(start_paused = true)]
async fn unbounded_queue() {
    use pitfalls::unbounded_queue::{b1, b2};
    assert!(b1::pipeline(100).await > 80);
    assert!(b2::pipeline(100).await <= 4);
}

#[tokio::test(start_paused = true)]
async fn swallowed_error() {
    use pitfalls::swallowed_error::{b1, b2};
    assert_eq!(b1::total(&["abc", "", "d"]).await, 4);
    assert_eq!(b2::total(&["abc", "", "d"]).await, Err("no name".into()));
    assert_eq!(b2::total(&["abc", "d"]).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn lost_panic() {
    use pitfalls::lost_panic::{b1, b2};
    assert_eq!(b1::refresh().await, 0);
    assert!(tokio::spawn(b2::refresh()).await.unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn cancel_unsafe_select() {
    use pitfalls::cancel_unsafe_select::{b1, b2};
    async fn arrive(items: impl AsyncFn(&mut mpsc::Receiver<u32>, &mpsc::Sender<u32>)) -> usize {
        let (source, mut from) = mpsc::channel(8);
        let (to, mut sink) = mpsc::channel(8);
        for item in 0..5 {
            source.send(item).await.unwrap();
        }
        drop(source);
        assert!(ends(items(&mut from, &to)).await);
        drop(to);
        let mut arrived = 0;
        while sink.recv().await.is_some() {
            arrived += 1;
        }
        arrived
    }
    assert_eq!(arrive(b1::forward).await, 0);
    assert_eq!(arrive(b2::forward).await, 5);
}

#[tokio::test(start_paused = true)]
async fn poll_after_ready() {
    use pitfalls::poll_after_ready::{b1, b2};
    let quick = async || {};
    let slow = async || sleep(ms(10)).await;
    let panic = tokio::spawn(b1::both(quick(), slow())).await.unwrap_err();
    let words = panic.into_panic();
    let words = words.downcast_ref::<&str>().unwrap();
    assert!(
        words.contains("`async fn` resumed after completion"),
        "{words}"
    );
    assert_eq!(took(b2::both(quick(), slow())).await, 10);
}

#[tokio::test(start_paused = true)]
async fn panics() {
    use pitfalls::panics::{b1, b2};
    let server = Arc::new(Server::default());
    let own = Arc::clone(&server);
    let before = tokio::spawn(async move { b1::first_price(&own, &[]).await });
    assert!(before.await.unwrap_err().is_panic());
    assert_eq!(b2::first_price(&server, &[]).await, Err("no id was given"));
    assert!(b2::first_price(&server, &[1]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn wrong_result() {
    use pitfalls::wrong_result::{b1, b2};
    assert_eq!(b1::doubled(vec![30, 10, 20]).await, [20, 40, 60]);
    assert_eq!(b2::doubled(vec![30, 10, 20]).await, [60, 20, 40]);
    assert_eq!(took(b2::doubled(vec![30, 10, 20])).await, 30);
}

#[tokio::test(start_paused = true)]
async fn missed_wake_up() {
    use pitfalls::missed_wake_up::{b1, b2};
    let gate = Arc::new(b1::Gate::default());
    let own = Arc::clone(&gate);
    let waiting = tokio::spawn(async move { b1::pass(&own).await });
    sleep(ms(5)).await;
    b1::open(&gate);
    assert!(!ends(waiting).await);
    let gate = Arc::new(b2::Gate::default());
    let own = Arc::clone(&gate);
    let waiting = tokio::spawn(async move { b2::pass(&own).await });
    sleep(ms(5)).await;
    b2::open(&gate);
    assert!(ends(waiting).await);
}
