//! What the harness leans on in tokio: undocumented, so a new release is checked here first.
//!
//! No fact is about real time. Where one fails after a bump, `docs` of the file that leans on
//! it says what for: `runtime.rs`, `idle.rs`, `sites.rs`, `threads.rs`.

#[cfg(tokio_unstable)]
mod unstable;

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, sleep_until, timeout};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// As the harness builds one.
fn builder() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1);
    builder
}

fn paused() -> Runtime {
    builder().build().unwrap()
}

/// Virtual time that the future takes.
fn takes(future: impl Future) -> Duration {
    paused().block_on(async {
        let begin = Instant::now();
        future.await;
        begin.elapsed()
    })
}

#[test]
fn a_paused_clock_jumps_to_the_next_timer() {
    assert_eq!(
        takes(async { sleep(Duration::from_secs(30 * 24 * 3600)).await }),
        Duration::from_secs(30 * 24 * 3600)
    );
}

#[test]
fn fractions_of_a_millisecond_round_up() {
    assert_eq!(
        takes(async { sleep(Duration::from_micros(500)).await }),
        ms(1)
    );
}

#[test]
fn yielding_moves_no_time() {
    let took = takes(async {
        tokio::spawn(sleep(ms(1)));
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(took, Duration::ZERO);
}

#[test]
fn a_blocking_job_keeps_time_from_moving() {
    let took = takes(async {
        let job = tokio::task::spawn_blocking(|| std::thread::sleep(ms(50)));
        timeout(ms(20), job).await.unwrap().unwrap();
    });
    assert_eq!(took, Duration::ZERO);
}

#[test]
fn equal_deadlines_fire_in_the_order_they_were_registered() {
    let order = Arc::new(Mutex::new(Vec::new()));
    paused().block_on(async {
        let until = Instant::now() + ms(10);
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let order = order.clone();
                tokio::spawn(async move {
                    sleep_until(until).await;
                    order.lock().unwrap().push(n);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn one_blocking_thread_works_first_in_first_out() {
    let order = Arc::new(Mutex::new(Vec::new()));
    paused().block_on(async {
        let jobs: Vec<_> = (0..100)
            .map(|n| {
                let order = order.clone();
                tokio::task::spawn_blocking(move || order.lock().unwrap().push(n))
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
    });
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

/// `sleep_until` at these milliseconds is what the deadlock detector does.
const STEPS: [u64; 3] = [1 << 24, 1 << 30, 60 << 30];

#[test]
fn a_timer_at_the_start_of_a_wheels_slot_wakes_only_then() {
    let parked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let hook = parked.clone();
    let park = move || hook.lock().unwrap().push(Instant::now());
    let runtime = builder().on_thread_park(park).build().unwrap();
    runtime.block_on(async {
        let begin = Instant::now();
        let mut sentinel = pin!(sleep_until(begin + ms(STEPS[0])));
        let mut last = begin;
        for step in STEPS {
            sentinel.as_mut().reset(begin + ms(step));
            sentinel.as_mut().await;
            assert_eq!(begin.elapsed(), ms(step));
            // Idle when it was armed and not again: a cascade would have been in between.
            assert!(
                parked
                    .lock()
                    .unwrap()
                    .drain(..)
                    .all(|instant| instant == last),
                "before {step}"
            );
            last = Instant::now();
        }
    });
}

#[test]
fn a_wake_in_the_park_hook_keeps_time_from_moving() {
    let waiting: Arc<Mutex<Option<Waker>>> = Arc::default();
    let hook = waiting.clone();
    let wake = move || {
        if let Some(waker) = hook.lock().unwrap().take() {
            waker.wake();
        }
    };
    let runtime = builder().on_thread_park(wake).build().unwrap();
    runtime.block_on(async {
        let begin = Instant::now();
        tokio::spawn(sleep(ms(5)));
        let mut polled = false;
        poll_fn(|context| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            *waiting.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    });
}

#[test]
fn the_park_hook_runs_for_idle_moments_and_not_for_yields() {
    let parks = Arc::new(AtomicUsize::new(0));
    let counted = parks.clone();
    let runtime = builder()
        .on_thread_park(move || _ = counted.fetch_add(1, SeqCst))
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(parks.load(SeqCst), 0);
    runtime.block_on(async { sleep(ms(1)).await });
    assert!(parks.load(SeqCst) > 0);
}

#[test]
fn without_io_a_socket_panics() {
    let refused = catch_unwind(|| paused().block_on(tokio::net::TcpListener::bind("127.0.0.1:0")));
    assert!(refused.is_err());
}

#[test]
fn blocking_in_place_panics() {
    let refused = catch_unwind(|| paused().block_on(async { tokio::task::block_in_place(|| ()) }));
    assert!(refused.is_err());
}

#[test]
fn threads_of_the_pool_and_no_others_run_the_start_hook() {
    let started = Arc::new(AtomicUsize::new(0));
    let counted = started.clone();
    let runtime = builder()
        .on_thread_start(move || _ = counted.fetch_add(1, SeqCst))
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(async {}).await.unwrap() });
    assert_eq!(started.load(SeqCst), 0);
    runtime.block_on(async {
        for _ in 0..3 {
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        }
    });
    assert_eq!(started.load(SeqCst), 1);
}

#[test]
fn tasks_and_jobs_have_an_id_and_the_root_has_none() {
    paused().block_on(async {
        assert!(tokio::task::try_id().is_none());
        assert!(
            tokio::spawn(async { tokio::task::try_id().is_some() })
                .await
                .unwrap()
        );
        assert!(
            tokio::task::spawn_blocking(|| tokio::task::try_id().is_some())
                .await
                .unwrap()
        );
    });
}

#[test]
fn alive_tasks_are_counted_without_the_root_and_jobs() {
    let runtime = paused();
    runtime.block_on(async {
        let alive = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let task = tokio::spawn(pending::<()>());
        let (release, released) = mpsc::channel::<()>();
        let job = tokio::task::spawn_blocking(move || released.recv());
        assert_eq!(alive(), 1);
        task.abort();
        task.await.unwrap_err();
        assert_eq!(alive(), 0);
        release.send(()).unwrap();
        job.await.unwrap().unwrap();
    });
}
