//! What learners write, for good and for bad. A line that a finding must name carries a mark.
#![expect(
    clippy::await_holding_lock,
    clippy::disallowed_methods,
    clippy::missing_spin_loop,
    reason = "these are the mistakes"
)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex as StdMutex, mpsc as std_mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::sleep;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn transfer(from: Arc<Mutex<u32>>, to: Arc<Mutex<u32>>) {
    let mut from = from.lock().await;
    sleep(ms(10)).await;
    let mut to = to.lock().await; // transfer-waits
    *from -= 1;
    *to += 1;
}

pub async fn two_locks_in_both_orders() {
    let (a, b) = (Arc::new(Mutex::new(5)), Arc::new(Mutex::new(5)));
    let one = tokio::spawn(transfer(a.clone(), b.clone()));
    let two = tokio::spawn(transfer(b, a));
    one.await.unwrap(); // join-waits
    two.await.unwrap();
}

pub async fn an_answer_that_nobody_sends() {
    let (keep, answer) = oneshot::channel::<u32>();
    sleep(ms(7)).await;
    let _ = answer.await; // answer-waits
    drop(keep);
}

pub async fn a_channel_whose_sender_lives() {
    let (sender, mut receiver) = mpsc::channel(4);
    let jobs: Vec<_> = (0..2)
        .map(|n| {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send(n).await })
        })
        .collect();
    // recv-waits
    while let Some(n) = receiver.recv().await {
        std::hint::black_box(n);
    }
    drop((sender, jobs));
}

pub async fn many_waiting_in_a_buffer() {
    use futures::StreamExt;
    let waits = (0..3).map(|_| std::future::pending::<()>());
    let mut all = futures::stream::iter(waits).buffer_unordered(3);
    all.next().await; // buffer-waits
}

/// Ready when the flag is up, but keeps no waker.
struct Forgetful(Arc<AtomicBool>);

impl Future for Forgetful {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0.load(SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

pub async fn a_waker_that_is_not_kept() {
    let flag = Arc::new(AtomicBool::new(false));
    let raise = flag.clone();
    tokio::spawn(async move {
        sleep(ms(20)).await;
        raise.store(true, SeqCst);
    });
    Forgetful(flag).await;
}

pub async fn a_waker_that_is_not_kept_in_a_task() {
    let flag = Arc::new(AtomicBool::new(false));
    let raise = flag.clone();
    let waiting = tokio::spawn(Forgetful(flag));
    sleep(ms(20)).await;
    raise.store(true, SeqCst);
    waiting.await.unwrap();
}

pub async fn a_heartbeat_and_a_wait() {
    tokio::spawn(async {
        let mut beats = tokio::time::interval(ms(10));
        loop {
            beats.tick().await; // beat-waits
        }
    });
    Notify::new().notified().await; // never-notified
}

pub async fn asks_again_and_again() {
    let ready = AtomicBool::new(false);
    while !ready.load(SeqCst) {
        sleep(ms(50)).await;
    }
}

pub async fn sleeps_on_the_runtime() {
    std::thread::sleep(ms(60_000)); // thread-sleeps
}

pub async fn sleeps_in_a_task() {
    tokio::spawn(async {
        let pause = ms(60_000);
        std::thread::sleep(pause); // task-sleeps
    })
    .await
    .unwrap();
}

pub async fn polls_with_a_sleep() {
    let ready = Arc::new(AtomicBool::new(false));
    let set = ready.clone();
    tokio::spawn(async move { set.store(true, SeqCst) });
    while !ready.load(SeqCst) {
        std::thread::sleep(ms(10)); // poll-sleeps
    }
}

pub async fn a_std_lock_held_across_await() {
    let count = Arc::new(StdMutex::new(0));
    let holder = count.clone();
    let (send, wait) = oneshot::channel::<()>();
    let task = async move {
        let guard = holder.lock().unwrap();
        let _ = wait.await;
        drop(guard);
    };
    let other = async {
        *count.lock().unwrap() += 1; // std-lock-waits
        let _ = send.send(());
    };
    tokio::join!(task, other);
}

pub async fn a_std_channel() {
    let (sender, receiver) = std_mpsc::channel::<u32>();
    tokio::spawn(async move {
        sleep(ms(5)).await;
        sender.send(1).unwrap();
    });
    receiver.recv().unwrap(); // std-recv-waits
}

pub async fn a_std_channel_with_a_limit() {
    let (_sender, receiver) = std_mpsc::channel::<u32>();
    let _ = receiver.recv_timeout(ms(100)); // std-recv-timed
}

pub async fn a_condition_variable() {
    let pair = (StdMutex::new(false), Condvar::new());
    let mut ready = pair.0.lock().unwrap();
    while !*ready {
        ready = pair.1.wait(ready).unwrap(); // condvar-waits
    }
}

pub async fn locks_twice() {
    let lock = StdMutex::new(0);
    let first = lock.lock().unwrap();
    let second = lock.lock().unwrap(); // second-lock
    drop((first, second));
}

pub async fn runs_another_executor() {
    let (_keep, answer) = oneshot::channel::<u32>();
    let _ = futures::executor::block_on(answer); // other-executor
}

pub async fn joins_an_os_thread() {
    let thread = std::thread::spawn(|| 1 + 1);
    thread.join().unwrap(); // joins-thread
}

pub async fn a_lock_that_a_job_holds_for_good() {
    let lock = Arc::new(StdMutex::new(0));
    let (held, wait) = oneshot::channel();
    let (release, released) = std_mpsc::channel::<()>();
    let hold = lock.clone();
    let job = tokio::task::spawn_blocking(move || {
        let guard = hold.lock().unwrap();
        held.send(()).unwrap();
        let _ = released.recv();
        drop(guard);
    });
    wait.await.unwrap();
    *lock.lock().unwrap() += 1; // job-lock-waits
    release.send(()).unwrap();
    job.await.unwrap();
}

// spins-here
pub async fn spins() {
    let ready = AtomicBool::new(false);
    while !ready.load(SeqCst) {
        std::hint::spin_loop();
    }
}

fn is_ready(flag: &AtomicBool) -> bool {
    flag.load(SeqCst)
}

// asks-here
fn wait_until_ready(flag: &AtomicBool) {
    loop {
        if is_ready(flag) {
            break;
        }
    }
}

pub async fn spins_in_a_task() {
    tokio::spawn(async {
        wait_until_ready(&AtomicBool::new(false));
    })
    .await
    .unwrap();
}

pub async fn yields_without_end() {
    loop {
        tokio::task::yield_now().await; // yields
    }
}

pub async fn a_task_that_yields_without_end() {
    let done = Arc::new(AtomicBool::new(false));
    let set = done.clone();
    tokio::spawn(async move { set.load(SeqCst) });
    tokio::spawn(async move {
        while !done.load(SeqCst) {
            tokio::task::yield_now().await; // task-yields
        }
    })
    .await
    .unwrap();
}

pub async fn wakes_itself() {
    poll_fn(|context| {
        context.waker().wake_by_ref(); // wakes-itself
        Poll::<()>::Pending
    })
    .await;
}

pub async fn a_task_that_wakes_itself() {
    let never = poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    tokio::spawn(never).await.unwrap(); // busy-spawned
}

pub async fn a_job_without_end() {
    // endless-job
    tokio::task::spawn_blocking(|| {
        let mut n = 0_u64;
        while std::hint::black_box(n) < u64::MAX {
            n += 1;
        }
    })
    .await
    .unwrap();
}

pub async fn a_job_that_waits_for_good() {
    let (sender, receiver) = std_mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || {
        let _ = receiver.recv(); // job-waits
        drop(sender);
    })
    .await
    .unwrap();
}

pub async fn starts_a_process() {
    let _ = Command::new("true").status(); // starts-process
}

pub async fn an_os_thread_that_answers() {
    let (send, answer) = oneshot::channel();
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    // os-thread
    std::thread::spawn(move || {
        std::thread::sleep(ms(300));
        let _ = send.send(1);
    });
    let _ = tokio::time::timeout(ms(50), answer).await;
    std::future::pending::<()>().await;
}

pub async fn a_task_that_panics() {
    tokio::spawn(async {
        panic!("boom"); // task-panics
    });
    sleep(ms(1)).await;
}

pub async fn unwraps_nothing() {
    sleep(ms(3)).await;
    let nothing: Option<u32> = std::hint::black_box(None);
    nothing.unwrap(); // unwraps
}

pub async fn indexes_too_far() {
    let list: Vec<u32> = std::hint::black_box(Vec::new());
    std::hint::black_box(list[3]); // indexes
}

pub async fn is_not_written() {
    todo!("task 1: write it") // todo
}

pub async fn waits_in_drop() {
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(ms(1000)); // drop-sleeps
        }
    }
    let slow = Slow;
    sleep(ms(1)).await;
    drop(slow);
}

pub async fn a_spin_in_drop() {
    struct Slow;
    impl Drop for Slow {
        // drop-spins
        fn drop(&mut self) {
            wait_until_raised();
        }
    }
    let task = tokio::spawn(async {
        let _slow = Slow;
        sleep(ms(1_000)).await;
    });
    sleep(ms(1)).await;
    task.abort();
    let _ = task.await;
}

fn wait_until_raised() {
    let flag = AtomicBool::new(false);
    while !flag.load(SeqCst) {}
}

pub async fn takes_all_memory() {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(Vec::with_capacity(64 << 20));
    }
}

pub async fn ends_the_process() {
    std::process::exit(0);
}

pub async fn reads_its_input() {
    let read = std::io::read_to_string(std::io::stdin()).unwrap();
    assert_eq!(read, "");
}

pub async fn prints() {
    println!("{{\"record\":{{}}}}");
}

// What follows is right, or at least no matter of these detectors.

pub async fn sleeps_for_a_month() {
    for _ in 0..3 {
        sleep(Duration::from_secs(30 * 24 * 3600)).await;
    }
}

pub async fn wakes_daily_for_a_year() {
    let mut days = tokio::time::interval(Duration::from_secs(24 * 3600));
    for _ in 0..365 {
        days.tick().await;
    }
}

pub async fn sleeps_in_a_job() {
    tokio::task::spawn_blocking(|| std::thread::sleep(ms(60)))
        .await
        .unwrap();
}

pub async fn computes_in_a_job() {
    let sum = tokio::task::spawn_blocking(|| (0..3_000_000_u64).fold(0, u64::wrapping_add)).await;
    std::hint::black_box(sum.unwrap());
}

pub async fn computes_in_a_poll() {
    std::hint::black_box((0..3_000_000_u64).fold(0, u64::wrapping_add));
}

pub async fn shares_a_std_lock_with_a_job() {
    let lock = Arc::new(StdMutex::new(0));
    let (held, wait) = oneshot::channel();
    let hold = lock.clone();
    let job = tokio::task::spawn_blocking(move || {
        let mut guard = hold.lock().unwrap();
        held.send(()).unwrap();
        std::thread::sleep(ms(100));
        *guard += 1;
    });
    wait.await.unwrap();
    *lock.lock().unwrap() += 1;
    job.await.unwrap();
    assert_eq!(*lock.lock().unwrap(), 2);
}

pub async fn a_hundred_short_jobs() {
    for _ in 0..100 {
        let jobs: Vec<_> = (0..4)
            .map(|n| tokio::task::spawn_blocking(move || n))
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
    }
}

pub async fn yields_a_little() {
    for _ in 0..5_000 {
        tokio::task::yield_now().await;
    }
}

pub async fn many_messages_at_one_instant() {
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for n in 0..4_000 {
            sender.send(n).await.unwrap();
        }
    });
    while receiver.recv().await.is_some() {}
}

pub async fn a_heartbeat_that_is_left_alone() {
    tokio::spawn(async {
        let mut beats = tokio::time::interval(ms(10));
        loop {
            beats.tick().await;
        }
    });
    sleep(Duration::from_secs(60)).await;
}

pub async fn a_panic_that_is_handled() {
    let failed = tokio::spawn(async { panic!("expected") }).await;
    assert!(failed.is_err());
}

pub async fn notified_by_a_job() {
    let notify = Arc::new(Notify::new());
    let by = notify.clone();
    let job = tokio::task::spawn_blocking(move || by.notify_one());
    notify.notified().await;
    job.await.unwrap();
}

pub async fn many_tasks_at_one_instant() {
    let tasks: Vec<_> = (0..4_000)
        .map(|_| {
            tokio::spawn(async {
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

pub async fn ticks_for_minutes() {
    let mut ticks = tokio::time::interval(ms(10));
    for _ in 0..45_000 {
        ticks.tick().await;
    }
}
