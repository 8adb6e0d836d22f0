//! The facts about what only `tokio_unstable` offers: hooks, seeds and dumps.

use tokio::runtime::{Handle, RngSeed};
use tokio::task::JoinSet;

use super::*;

#[test]
fn a_seed_fixes_unbiased_choices() {
    let choices = |seed: u64| {
        let runtime = builder()
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut chosen = String::new();
            for _ in 0..64 {
                chosen += tokio::select! { () = async {} => "a", () = async {} => "b" };
            }
            chosen
        })
    };
    assert_eq!(choices(1), choices(1));
    assert_ne!(choices(1), choices(2));
}

/// What the hooks tell of a future's tasks: `spawn`, `poll`, `polled`, `end`.
fn told(future: impl Future) -> (Vec<&'static str>, Vec<u32>) {
    let told: Arc<Mutex<(Vec<&'static str>, Vec<u32>)>> = Arc::default();
    let [spawned, polling, polled, ended] = std::array::from_fn(|_| told.clone());
    let runtime = builder()
        .on_task_spawn(move |task| {
            let mut told = spawned.lock().unwrap();
            told.0.push("spawn");
            told.1.push(task.spawned_at().line());
        })
        .on_before_task_poll(move |_| polling.lock().unwrap().0.push("poll"))
        .on_after_task_poll(move |_| polled.lock().unwrap().0.push("polled"))
        .on_task_terminate(move |_| ended.lock().unwrap().0.push("end"))
        .build()
        .unwrap();
    runtime.block_on(future);
    drop(runtime);
    Arc::try_unwrap(told).unwrap().into_inner().unwrap()
}

#[test]
fn hooks_see_every_poll_of_a_task_and_none_of_the_root() {
    let (told, _) = told(async { tokio::spawn(tokio::task::yield_now()).await.unwrap() });
    assert_eq!(told, ["spawn", "poll", "polled", "poll", "end", "polled"]);
}

#[test]
fn hooks_see_an_abort_as_an_end_and_of_a_blocking_job_its_end_alone() {
    let (told, _) = told(async {
        let task = tokio::spawn(pending::<()>());
        task.abort();
        task.await.unwrap_err();
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    });
    let abort = ["spawn", "poll", "end", "polled"];
    assert_eq!(told[..4], abort);
    assert_eq!(told[4..], ["end"]);
}

#[test]
fn a_tasks_place_is_that_of_the_call_that_spawned_it() {
    let line = line!();
    let (_, lines) = told(async {
        tokio::spawn(async {}).await.unwrap();
        let mut set = JoinSet::new();
        set.spawn(async {});
        set.join_all().await;
    });
    assert_eq!(lines, [line + 2, line + 4]);
}

#[test]
fn a_job_counts_as_active_until_its_thread_is_idle() {
    let runtime = paused();
    let active = |metrics: tokio::runtime::RuntimeMetrics| {
        metrics.num_blocking_threads() - metrics.num_idle_blocking_threads()
    };
    runtime.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let (begin, began) = tokio::sync::oneshot::channel();
        let job = tokio::task::spawn_blocking(move || {
            begin.send(()).unwrap();
            released.recv()
        });
        began.await.unwrap();
        assert_eq!(active(Handle::current().metrics()), 1);
        let second = tokio::task::spawn_blocking(|| ());
        assert_eq!(Handle::current().metrics().blocking_queue_depth(), 1);
        release.send(()).unwrap();
        job.await.unwrap().unwrap();
        second.await.unwrap();
        while active(Handle::current().metrics()) > 0 {
            std::thread::yield_now();
        }
    });
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")
))]
mod dumps {
    use super::*;

    /// How many stacks a dump has for the one task of this future.
    fn stacks(future: impl Future<Output = ()> + Send + 'static) -> usize {
        let runtime = paused();
        runtime.block_on(async {
            tokio::spawn(future);
            tokio::task::yield_now().await;
        });
        let handle = runtime.handle().clone();
        let dump = runtime.block_on(async move { handle.dump().await });
        let task = dump.tasks().iter().next().unwrap();
        task.trace().resolve_backtraces().len()
    }

    #[test]
    fn a_dump_sees_where_a_task_waits_for_tokio() {
        assert_eq!(
            stacks(async { tokio::sync::Notify::new().notified().await }),
            1
        );
        assert_eq!(
            stacks(async { _ = tokio::join!(sleep(ms(1)), sleep(ms(2))) }),
            2
        );
    }

    #[test]
    fn a_dump_does_not_see_futures_that_are_not_tokios() {
        assert_eq!(stacks(pending()), 0);
    }

    #[test]
    fn a_dump_comes_in_the_middle_of_a_deadlock_and_moves_no_time() {
        let runtime = paused();
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        runtime.block_on(async {
            let guard = lock.clone().lock_owned().await;
            let waits = lock.clone();
            let task = tokio::spawn(async move { drop(waits.lock().await) });
            tokio::task::yield_now().await;
            let begin = Instant::now();
            Handle::current().dump().await;
            assert_eq!(begin.elapsed(), Duration::ZERO);
            drop(guard);
            task.await.unwrap();
        });
    }

    /// `sites::dump` catches it. Where this fails, tokio has mended it.
    #[test]
    fn a_dump_panics_if_a_task_wakes_one_meanwhile() {
        let runtime = paused();
        let quiet = Arc::new(AtomicBool::new(true));
        let wakes = quiet.clone();
        runtime.block_on(async {
            tokio::spawn(poll_fn(move |context| {
                if !wakes.load(SeqCst) {
                    context.waker().wake_by_ref();
                }
                Poll::<()>::Pending
            }));
            tokio::task::yield_now().await;
        });
        quiet.store(false, SeqCst);
        let handle = runtime.handle().clone();
        let dumped = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async move { handle.dump().await })
        }));
        assert!(dumped.is_err());
        // And the runtime is still of use.
        quiet.store(true, SeqCst);
        runtime.block_on(async { sleep(ms(1)).await });
    }
}
