//! What the park hook sees: idle moments, those who wait for one, and polls since the last.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::time::Instant;

use crate::world::World;

/// So many idles under a root that never ends are the ticks of a periodic timer.
pub(crate) const MAX_IDLES: u64 = 200_000;
/// So many polls without an idle are a loop, unless the check allows more.
pub(crate) const MAX_POLLS: u64 = 20_000;

/// Idle moments: tokio is about to park because nothing can run.
pub(crate) struct Idle {
    idles: AtomicU64,
    polls: AtomicU64,
    allowed_polls: AtomicU64,
    epoch: AtomicU64,
    last: Mutex<Option<Instant>>,
    waiters: Mutex<Vec<Waker>>,
    root: Mutex<Option<Waker>>,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            idles: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            allowed_polls: AtomicU64::new(MAX_POLLS),
            epoch: AtomicU64::new(0),
            last: Mutex::new(None),
            waiters: Mutex::default(),
            root: Mutex::default(),
        }
    }
}

impl Idle {
    /// The park hook. Whoever waits for an idle moment is woken instead of letting time move.
    pub fn about_to_park(&self) {
        self.polls.store(0, SeqCst);
        let waiters = std::mem::take(&mut *lock(&self.waiters));
        if !waiters.is_empty() {
            self.epoch.fetch_add(1, SeqCst);
            waiters.into_iter().for_each(Waker::wake);
            return;
        }
        *lock(&self.last) = Some(Instant::now());
        if self.idles.fetch_add(1, SeqCst) == MAX_IDLES {
            self.wake_root();
        }
    }

    /// Called before every poll of a task and of the root.
    pub fn about_to_poll(&self) {
        if self.polls.fetch_add(1, SeqCst) == self.allowed_polls.load(SeqCst) {
            self.wake_root();
        }
    }

    pub fn allow_polls(&self, polls: u64) {
        self.allowed_polls.store(polls, SeqCst);
    }

    pub fn is_busy(&self) -> bool {
        self.polls.load(SeqCst) > self.allowed_polls.load(SeqCst)
    }

    pub fn polls(&self) -> u64 {
        self.polls.load(SeqCst)
    }

    pub fn idles(&self) -> u64 {
        self.idles.load(SeqCst)
    }

    pub fn last(&self) -> Option<Instant> {
        *lock(&self.last)
    }

    pub fn set_root(&self, waker: &Waker) {
        *lock(&self.root) = Some(waker.clone());
    }

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
