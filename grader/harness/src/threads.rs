//! The process's threads as Linux shows them: names, whether they sleep, their CPU time.

use std::fs;
use std::time::Duration;

use crate::world::World;

/// What the harness calls its threads, and has tokio call its own.
pub(crate) const OURS: &str = "kata-";

/// One thread of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread {
    pub id: i32,
    pub name: String,
    /// Neither running nor waiting for a processor.
    pub asleep: bool,
}

/// The calling thread's number; 0 where there is none.
pub(crate) fn own_id() -> i32 {
    #[cfg(target_os = "linux")]
    return rustix::thread::gettid().as_raw_nonzero().get();
    #[cfg(not(target_os = "linux"))]
    return 0;
}

/// Every thread; empty where the system does not tell.
pub(crate) fn all() -> Vec<Thread> {
    let Ok(entries) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let threads = entries.flatten().filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(entry.path().join("comm"))
            .ok()?
            .trim()
            .to_owned();
        // `12 (name) S …`; a name may hold parentheses itself.
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
        Some(Thread {
            id,
            name,
            asleep: state == 'S',
        })
    });
    let mut threads: Vec<Thread> = threads.collect();
    threads.sort_by_key(|thread| thread.id);
    threads
}

/// Time that the thread spent on a processor; another process's load does not add to it.
pub(crate) fn cpu_time(id: i32) -> Option<Duration> {
    let schedstat = fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).ok()?;
    let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// How many threads there are that neither the harness nor tokio started.
pub(crate) fn foreign() -> usize {
    let main = i32::try_from(std::process::id()).unwrap_or(0);
    all()
        .iter()
        .filter(|thread| thread.id != main && !thread.name.starts_with(OURS))
        .count()
}

/// Whether jobs of the blocking pool are visible, without which nobody knows who may wake whom.
pub(crate) const fn can_tell() -> bool {
    cfg!(task_hooks)
}

/// Whether a job runs on this run's blocking pool, or waits for its turn.
#[cfg(task_hooks)]
pub(crate) fn has_jobs(world: &World) -> bool {
    let Some(handle) = world.handle() else {
        return true;
    };
    let metrics = handle.metrics();
    metrics.blocking_queue_depth() > 0
        || metrics.num_blocking_threads() > metrics.num_idle_blocking_threads()
}

/// Unknown: there may be one.
#[cfg(not(task_hooks))]
pub(crate) fn has_jobs(_: &World) -> bool {
    true
}

/// Whether the calling thread of a run is the last that can do anything: no job, no thread of
/// the learner's, and everybody else asleep. A pool thread counts as idle a moment before it
/// gives back the pool's lock, so its being asleep is asked for, too.
pub(crate) fn nobody_else_runs() -> bool {
    let Some(world) = World::current() else {
        return false;
    };
    if !can_tell() || has_jobs(&world) || foreign() > 0 {
        return false;
    }
    let threads = all();
    let own_id = own_id();
    let mut others = threads
        .iter()
        .filter(|thread| thread.id != own_id && thread.name != crate::watchdog::NAME);
    !threads.is_empty() && others.all(|thread| thread.asleep)
}
