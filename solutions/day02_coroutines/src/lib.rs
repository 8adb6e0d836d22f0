//! Day 2: Coroutines, one good way.

#[path = "../../../grader/hidden/day02_coroutines/original/given.rs"]
mod given;
pub use given::*;

use std::mem;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// A future that is pending `n` times and then ready with `n`.
pub struct Countdown {
    // What an `async fn` would keep in local variables lives in fields here:
    // nothing else survives from one poll to the next.
    n: u32,
    left: u32,
}

impl Countdown {
    /// A countdown that will be pending `n` times. Making it starts nothing.
    pub fn new(n: u32) -> Self {
        Self { n, left: n }
    }
}

impl Future for Countdown {
    /// The `n` it was made with.
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        if self.left == 0 {
            return Poll::Ready(self.n);
        }
        self.left -= 1;
        // `Pending` promises a wake. No timer and no other task knows of this
        // future, so it has to keep the promise itself.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Makes a cell for one value, and the sender that fills it.
pub fn one_shot_cell<T>() -> (Sender<T>, OneShotCell<T>) {
    let shared = Arc::new(Shared(Mutex::new(State::Empty)));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, OneShotCell { shared })
}

/// Where a cell stands. One enum instead of three flags: a state that cannot
/// be (a value *and* somebody waiting for it) cannot be written down.
enum State<T> {
    /// No value yet, and nobody has asked for it.
    Empty,
    /// No value yet; the latest poll left this waker.
    Waiting(Waker),
    /// Sent, not yet taken.
    Full(T),
    /// The sender went without sending.
    Abandoned,
    /// The outcome was taken, or the cell was dropped: nobody will look again.
    Closed,
}

/// Both halves change the state under this lock, so a poll comes either before
/// a send (and its waker is found) or after it (and it finds the value).
struct Shared<T>(Mutex<State<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().expect("no panic while the state is locked")
    }
}

/// Ends the wait with `outcome` and wakes whoever waited.
fn conclude<T>(mut state: MutexGuard<'_, State<T>>, outcome: State<T>) {
    let before = mem::replace(&mut *state, outcome);
    // Unlock first: `wake` runs code of an executor that we do not know, and
    // the woken task may want this very lock at once.
    drop(state);
    if let State::Waiting(waker) = before {
        waker.wake();
    }
}

/// The half that sends, at most once.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Puts `value` into the cell and wakes whoever polled it last.
    ///
    /// # Errors
    /// Gives `value` back if the cell was dropped.
    pub fn send(self, value: T) -> Result<(), T> {
        let state = self.shared.lock();
        if matches!(*state, State::Closed) {
            return Err(value);
        }
        conclude(state, State::Full(value));
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    // Runs at the end of `send` too, where the state is `Full` or `Closed` and
    // must stay so.
    fn drop(&mut self) {
        let state = self.shared.lock();
        if matches!(*state, State::Empty | State::Waiting(_)) {
            conclude(state, State::Abandoned);
        }
    }
}

/// The half that waits: a future of the value.
pub struct OneShotCell<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Future for OneShotCell<T> {
    /// The value, or the news that none will ever come.
    type Output = Result<T, SenderDropped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        match mem::replace(&mut *state, State::Closed) {
            State::Full(value) => Poll::Ready(Ok(value)),
            State::Abandoned => Poll::Ready(Err(SenderDropped)),
            // The new waker takes the place of the old one: the future may
            // have moved to another task since, and only the task that polled
            // it last may count on being woken.
            State::Empty | State::Waiting(_) => {
                *state = State::Waiting(cx.waker().clone());
                Poll::Pending
            }
            State::Closed => {
                drop(state);
                panic!("a OneShotCell was polled after it was ready")
            }
        }
    }
}

impl<T> Drop for OneShotCell<T> {
    fn drop(&mut self) {
        // The old state is dropped after the lock was given back: it may hold
        // a value or a waker whose own `drop` does who knows what.
        let _before = mem::replace(&mut *self.shared.lock(), State::Closed);
    }
}

/// Drives two futures at once, ready when both are.
pub struct Join2<A: Future, B: Future> {
    left: Side<A>,
    right: Side<B>,
}

/// One half of a [`Join2`]: a small state machine of its own.
enum Side<F: Future> {
    /// In a box, so that it stays where it is when the `Join2` is moved.
    Running(Pin<Box<F>>),
    Ready(F::Output),
    Taken,
}

impl<F: Future> Side<F> {
    /// Polls the future unless it was ready before. True once it was.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Running(future) = self
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            // Drops the box: a future that is ready must not be polled again,
            // and now it cannot be.
            *self = Self::Ready(output);
        }
        matches!(self, Self::Ready(_))
    }

    fn take(&mut self) -> F::Output {
        match mem::replace(self, Self::Taken) {
            Self::Ready(output) => output,
            _ => panic!("a Join2 was polled after it was ready"),
        }
    }
}

// Nothing in a `Join2` is pinned in place: the futures live in their own boxes
// and the outputs are plain values. So moving one between two polls is sound,
// and `poll` may use `&mut` on the fields.
impl<A: Future, B: Future> Unpin for Join2<A, B> {}

impl<A: Future, B: Future> Join2<A, B> {
    /// Joins `left` and `right`. Neither starts before the first poll.
    pub fn new(left: A, right: B) -> Self {
        Self {
            left: Side::Running(Box::pin(left)),
            right: Side::Running(Box::pin(right)),
        }
    }
}

impl<A: Future, B: Future> Future for Join2<A, B> {
    /// What `left` gave, then what `right` gave, whichever was ready first.
    type Output = (A::Output, B::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Two statements, not `left.poll(cx) && right.poll(cx)`: `&&` would not
        // poll the right side while the left one is pending, and the two waits
        // would follow each other.
        let left_ready = self.left.poll(cx);
        let right_ready = self.right.poll(cx);
        if left_ready && right_ready {
            Poll::Ready((self.left.take(), self.right.take()))
        } else {
            // Whichever side is pending has kept our waker: nothing to do here.
            Poll::Pending
        }
    }
}

/// Runs `future` to its end on the calling thread, and sleeps in between.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let sleeper = Arc::new(Sleeper {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&sleeper));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        sleeper.sleep();
    }
}

/// The thread of one [`block_on`], as its waker sees it.
struct Sleeper {
    thread: Thread,
    woken: AtomicBool,
}

impl Sleeper {
    /// Returns once per wake, at once if the wake has already come.
    fn sleep(&self) {
        // A wake between this test and `park` is not lost: `unpark` leaves a
        // token, and `park` returns at once if it finds one. `park` may also
        // return for no reason; then the flag is still down and we go on.
        while !self.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        // The flag first: a thread that is unparked must find it up.
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
