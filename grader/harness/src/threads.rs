//! The process's threads as Linux shows them: names, whether they sleep, their CPU time.

use std::fs;
use std::thread;
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
        Some(Thread {
            id,
            name,
            asleep: is_asleep(id),
        })
    });
    let mut threads: Vec<Thread> = threads.collect();
    threads.sort_by_key(|thread| thread.id);
    threads
}

/// Whether a thread neither runs nor waits for a processor; one that is gone does not.
fn is_asleep(id: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat"));
    // `12 (name) S …`; a name may hold parentheses itself.
    let state = stat.as_deref().ok().and_then(|stat| stat.rsplit_once(')'));
    state.is_none_or(|(_, state)| state.trim_start().starts_with('S'))
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

/// How often a job is looked at, and how many looks must find it asleep.
const LOOK: Duration = Duration::from_micros(200);
const LOOKS: u32 = 50;

/// Waits, in real time, until no blocking job is at work: they have ended, or wait for
/// something that the runtime has to bring.
pub(crate) fn wait_for_jobs(world: &World) {
    let (mut asleep, mut cpu_before) = (0, None);
    while asleep < LOOKS && has_jobs(world) {
        // Not `sleep`, which is told as a mistake on this thread.
        thread::park_timeout(LOOK);
        // 0: the pool's thread has not got as far as to say who it is.
        let job_thread = world.pulse.job_thread();
        let cpu = cpu_time(job_thread);
        let works = job_thread == 0
            || world.pulse.job_sleeps()
            || cpu != cpu_before
            || !is_asleep(job_thread);
        asleep = if works { 0 } else { asleep + 1 };
        cpu_before = cpu;
    }
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
