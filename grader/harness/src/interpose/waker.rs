//! A waker that remembers the stack of whoever keeps or wakes it.
//!
//! Whatever a future waits for, it does so by keeping a clone of its waker. So the stacks of
//! the clones are the places where a future waits, in tokio, in another crate or by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::place::Stack;

/// More stacks than this tell nothing new.
const MAX_STACKS: usize = 64;

/// What was done with a waker, and where.
#[derive(Clone)]
pub(crate) enum Use {
    Kept(Stack),
    Woken(Stack),
}

/// The uses of one waker.
pub(crate) struct Tracer {
    inner: Waker,
    uses: Mutex<Vec<Use>>,
}

impl Tracer {
    /// Passes wakes on to `inner`.
    pub fn new(inner: Waker) -> Arc<Self> {
        Arc::new(Self {
            inner,
            uses: Mutex::default(),
        })
    }

    pub fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(Arc::clone(self)).cast();
        // SAFETY: the functions of `TABLE` hold to the contract of wakers, with `data` a
        // pointer that stands for one count of an `Arc<Tracer>`, which is `Send` and `Sync`.
        unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) }
    }

    pub fn uses(&self) -> Vec<Use> {
        self.uses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, noted: impl FnOnce(Stack) -> Use) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < MAX_STACKS {
            uses.push(noted(Stack::here()));
        }
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

// SAFETY of all four: `data` comes from `Tracer::waker` or from `clone`, so it is a pointer
// that `Arc::into_raw` gave and whose count is held by the waker it belongs to.

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: see above; the waker that is cloned keeps its count while we borrow.
    let tracer = unsafe { &*data.cast::<Tracer>() };
    tracer.note(Use::Kept);
    // SAFETY: see above; the new waker owns the count that is added.
    unsafe { Arc::increment_strong_count(data.cast::<Tracer>()) };
    RawWaker::new(data, &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: see above; the waker is consumed, and its count with it.
    let tracer = unsafe { Arc::from_raw(data.cast::<Tracer>()) };
    tracer.note(Use::Woken);
    tracer.inner.wake_by_ref();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: see above; the waker keeps its count while we borrow.
    let tracer = unsafe { &*data.cast::<Tracer>() };
    tracer.note(Use::Woken);
    tracer.inner.wake_by_ref();
}

unsafe fn drop(data: *const ()) {
    // SAFETY: see above; the waker is consumed, and its count with it.
    std::mem::drop(unsafe { Arc::from_raw(data.cast::<Tracer>()) });
}
