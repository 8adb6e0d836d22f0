//! An inner future that the check resolves by hand, and that tells how it was treated.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
    polls: usize,
    ready: bool,
    polled_after_ready: bool,
    dropped: bool,
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The check's end of a [`Controlled`] future.
pub struct Handle<T> {
    state: Arc<Mutex<State<T>>>,
}

/// A future that stays pending until its [`Handle`] resolves it. Polled again after it was
/// ready it pends, and the handle tells.
pub struct Controlled<T> {
    state: Arc<Mutex<State<T>>>,
}

pub(crate) fn pair<T>() -> (Handle<T>, Controlled<T>) {
    let state = Arc::new(Mutex::new(State {
        value: None,
        waker: None,
        polls: 0,
        ready: false,
        polled_after_ready: false,
        dropped: false,
    }));
    (
        Handle {
            state: Arc::clone(&state),
        },
        Controlled { state },
    )
}

impl<T> Handle<T> {
    /// Makes the future ready and wakes whoever polled it last.
    pub fn resolve(&self, value: T) {
        let mut state = lock(&self.state);
        state.value = Some(value);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes whoever polled it last without reason, as any waker may be.
    pub fn wake(&self) {
        let waker = lock(&self.state).waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How often the future was polled.
    pub fn polls(&self) -> usize {
        lock(&self.state).polls
    }

    /// Whether it was polled again after it had returned `Ready`.
    pub fn polled_after_ready(&self) -> bool {
        lock(&self.state).polled_after_ready
    }

    /// Whether it was dropped.
    pub fn dropped(&self) -> bool {
        lock(&self.state).dropped
    }

    /// Whether it keeps a waker.
    pub fn has_waker(&self) -> bool {
        lock(&self.state).waker.is_some()
    }
}

impl<T> Future for Controlled<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = lock(&self.state);
        state.polls += 1;
        if state.ready {
            state.polled_after_ready = true;
            return Poll::Pending;
        }
        if let Some(value) = state.value.take() {
            state.ready = true;
            return Poll::Ready(value);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Controlled<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.dropped = true;
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

impl<T> std::fmt::Debug for Handle<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Handle")
            .field("polls", &self.polls())
            .finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for Controlled<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Controlled").finish_non_exhaustive()
    }
}
