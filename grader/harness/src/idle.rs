//! What the park hook sees: idle moments, those who wait for one, and polls since the last.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::world::World;

/// So many idles under a root that never ends are the ticks of a periodic timer.
pub(crate) const MAX_IDLES: u64 = 50_000;
/// So many polls without an idle are a loop, unless the check allows more.
const MAX_POLLS: u64 = 20_000;
/// Where there are very many tasks, so many for each of them.
const POLLS_PER_TASK: u64 = 20;
/// But never more: a loop that spawns has ever more tasks.
const MOST_POLLS: u64 = 400_000;

/// Idle moments: tokio is about to park because nothing can run.
pub(crate) struct Idle {
    idles: AtomicU64,
    polls: AtomicU64,
    allowed_polls: AtomicU64,
    epoch: AtomicU64,
    /// No poll has happened since blocking jobs were waited for.
    waited_for_jobs: AtomicBool,
    times: Mutex<Times>,
    waiters: Mutex<Vec<Waker>>,
    root: Mutex<Option<Waker>>,
}

/// Instants, as virtual time since the run began.
#[derive(Default)]
struct Times {
    last: Duration,
    /// The last idle after which somebody was polled.
    last_own: Duration,
}

/// What an idle moment tells.
pub(crate) enum Park {
    /// Somebody waited for it: there is something to run after all.
    Woken,
    /// Time stands still since the last one, or moved and nobody noticed.
    Still,
    /// Time went on since the last one.
    After { from: Duration, to: Duration },
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            idles: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            allowed_polls: AtomicU64::new(MAX_POLLS),
            epoch: AtomicU64::new(0),
            waited_for_jobs: AtomicBool::new(false),
            times: Mutex::default(),
            waiters: Mutex::default(),
            root: Mutex::default(),
        }
    }
}

impl Idle {
    /// The park hook. Whoever waits for an idle moment is woken instead of letting time move.
    pub fn about_to_park(&self, now: Duration) -> Park {
        let polls = self.polls.swap(0, SeqCst);
        let waiters = std::mem::take(&mut *lock(&self.waiters));
        if !waiters.is_empty() {
            self.epoch.fetch_add(1, SeqCst);
            waiters.into_iter().for_each(Waker::wake);
            return Park::Woken;
        }
        // Without a poll it was the sentinel that woke, or tokio turned over its timers. Where
        // polls of tasks are not seen, every idle moment counts.
        let noticed = polls > 0 || !cfg!(task_hooks);
        if noticed && self.idles.fetch_add(1, SeqCst) == MAX_IDLES {
            self.wake_root();
        }
        let mut times = lock(&self.times);
        times.last = now;
        if polls == 0 || now == times.last_own {
            return Park::Still;
        }
        let from = std::mem::replace(&mut times.last_own, now);
        Park::After { from, to: now }
    }

    /// Whether somebody waits for an idle moment.
    pub fn is_awaited(&self) -> bool {
        !lock(&self.waiters).is_empty()
    }

    /// Whether blocking jobs are to be waited for first, as they may bring work: once between
    /// two polls.
    pub fn asks_for_jobs(&self) -> bool {
        !self.waited_for_jobs.swap(true, SeqCst)
    }

    /// Called before every poll of a task and of the root. True: there were so many polls at
    /// this instant that it is worth to know whose.
    pub fn about_to_poll(&self) -> bool {
        self.waited_for_jobs.store(false, SeqCst);
        let (polls, allowed) = (self.polls.fetch_add(1, SeqCst), self.allowed_polls());
        if polls == allowed {
            self.wake_root();
        }
        polls >= allowed / 2
    }

    pub fn allow_polls(&self, polls: u64) {
        self.allowed_polls.store(polls, SeqCst);
    }

    /// So many tasks were spawned, each of which may be polled some times.
    pub fn allow_for_tasks(&self, tasks: usize) {
        let polls = (tasks as u64)
            .saturating_mul(POLLS_PER_TASK)
            .min(MOST_POLLS);
        self.allowed_polls.fetch_max(polls, SeqCst);
    }

    pub fn allowed_polls(&self) -> u64 {
        self.allowed_polls.load(SeqCst)
    }

    pub fn is_busy(&self) -> bool {
        self.polls.load(SeqCst) > self.allowed_polls()
    }

    pub fn idles(&self) -> u64 {
        self.idles.load(SeqCst)
    }

    /// When the last idle moment was.
    pub fn last(&self) -> Duration {
        lock(&self.times).last
    }

    /// When the last idle moment was after which somebody was polled.
    pub fn last_own(&self) -> Duration {
        lock(&self.times).last_own
    }

    pub fn set_root(&self, waker: &Waker) {
        *lock(&self.root) = Some(waker.clone());
    }

    /// Has the root polled, whatever it waits for.
    pub fn wake_root(&self) {
        let waker = lock(&self.root).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Resolves at the next moment at which nothing else can run; virtual time does not move.
pub(crate) fn settle(world: &World) -> impl Future<Output = ()> {
    let mut since = None;
    poll_fn(move |context| {
        let now = world.idle.epoch.load(SeqCst);
        if *since.get_or_insert(now) < now {
            return Poll::Ready(());
        }
        lock(&world.idle.waiters).push(context.waker().clone());
        Poll::Pending
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
