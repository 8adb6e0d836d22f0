//! Futures polled by hand, with wakers that count.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts how often it was woken.
#[derive(Debug, Default)]
pub struct CountingWaker {
    wakes: AtomicUsize,
}

impl CountingWaker {
    /// A waker that nobody woke yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// It as a [`Waker`]; clones of it count together.
    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// How often it was woken.
    pub fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
    }
}

/// A future, pinned, and polled by hand.
pub struct Probe<F: Future> {
    future: Pin<Box<F>>,
    current: Arc<CountingWaker>,
    stale: Vec<Arc<CountingWaker>>,
    polls: usize,
    wakes_at_last_poll: usize,
}

impl<F: Future> Probe<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            current: CountingWaker::new(),
            stale: Vec::new(),
            polls: 0,
            wakes_at_last_poll: 0,
        }
    }

    /// Polls with the current waker.
    pub fn poll(&mut self) -> Poll<F::Output> {
        self.polls += 1;
        self.wakes_at_last_poll = self.current.wakes();
        let waker = self.current.waker();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Polls with a new waker: from now on the one before is stale and must not be woken.
    pub fn poll_with_new_waker(&mut self) -> Poll<F::Output> {
        let stale = std::mem::replace(&mut self.current, CountingWaker::new());
        self.stale.push(stale);
        self.poll()
    }

    /// How often the current waker was woken.
    pub fn wakes(&self) -> usize {
        self.current.wakes()
    }

    /// How often wakers were woken that are stale, before or after they became so.
    pub fn stale_wakes(&self) -> usize {
        self.stale.iter().map(|waker| waker.wakes()).sum()
    }

    /// How many clones of the current waker somebody keeps.
    pub fn wakers_held(&self) -> usize {
        Arc::strong_count(&self.current) - 1
    }

    /// How often the future was polled.
    pub fn polls(&self) -> usize {
        self.polls
    }

    /// Whether the current waker was woken since the last poll began.
    pub fn is_woken(&self) -> bool {
        self.current.wakes() > self.wakes_at_last_poll
    }
}

impl<F: Future> std::fmt::Debug for Probe<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Probe")
            .field("polls", &self.polls)
            .field("wakes", &self.wakes())
            .finish_non_exhaustive()
    }
}
