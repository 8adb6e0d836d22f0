//! Day 2: Coroutines.
//!
//! Four small pieces of machinery, written by hand: a future that counts, a
//! future that waits for a value, a future that drives two others, and an
//! executor. `README.md` states what each must do.

mod given;
pub use given::*;

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Task 1: a future that is pending `n` times and then ready with `n`.
///
/// Nothing outside will wake it, so each pending poll wakes the waker it was
/// given, exactly once. Every call of `poll` makes one step.
pub struct Countdown {
    // Task 1: what must be remembered from one poll to the next?
}

impl Countdown {
    /// A countdown that will be pending `n` times. Making it starts nothing.
    pub fn new(n: u32) -> Self {
        let _ = n;
        todo!("task 1: remember how many polls are to come")
    }
}

impl Future for Countdown {
    /// The `n` it was made with.
    type Output = u32;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _ = cx;
        todo!("task 1: one step, and a wake if it is pending")
    }
}

/// Task 2: makes a cell for one value, and the sender that fills it.
pub fn one_shot_cell<T>() -> (Sender<T>, OneShotCell<T>) {
    todo!("task 2: make the state that both halves share")
}

/// Task 2: the half that sends, at most once.
///
/// Dropping it without sending ends the wait of the cell with
/// [`SenderDropped`].
pub struct Sender<T> {
    // Task 2: replace this field by what the two halves share.
    _value: PhantomData<T>,
}

impl<T> Sender<T> {
    /// Puts `value` into the cell and wakes whoever polled it last.
    ///
    /// # Errors
    /// Gives `value` back if the cell was dropped.
    pub fn send(self, value: T) -> Result<(), T> {
        let _ = value;
        todo!("task 2: store the value, then wake the waiting task")
    }
}

/// Task 2: the half that waits: a future of the value.
pub struct OneShotCell<T> {
    // Task 2: replace this field by what the two halves share.
    _value: PhantomData<T>,
}

impl<T> Future for OneShotCell<T> {
    /// The value, or the news that none will ever come.
    type Output = Result<T, SenderDropped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _ = cx;
        todo!("task 2: take the value, or keep the waker")
    }
}

// Task 2: a sender and a cell that are dropped have something to say too:
// add `impl<T> Drop for …` where you need it.

/// Task 3: drives two futures at once, ready when both are.
///
/// An inner future that was ready is dropped at once and never polled again.
pub struct Join2<A: Future, B: Future> {
    // Task 3: replace this field by one state for each side.
    _sides: PhantomData<(A, B)>,
}

// A `Join2` never pins what it stores itself: the inner futures live in boxes
// of their own. So it may be moved between two polls, whatever `A` and `B` are,
// and this line (safe code) tells the compiler; `poll` may then change fields
// through `&mut *self`. Delete it if you use `pin-project-lite` instead.
impl<A: Future, B: Future> Unpin for Join2<A, B> {}

impl<A: Future, B: Future> Join2<A, B> {
    /// Joins `left` and `right`. Neither starts before the first poll.
    pub fn new(left: A, right: B) -> Self {
        let _ = (left, right);
        todo!("task 3: keep both futures, pinned")
    }
}

impl<A: Future, B: Future> Future for Join2<A, B> {
    /// What `left` gave, then what `right` gave, whichever was ready first.
    type Output = (A::Output, B::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _ = cx;
        todo!("task 3: poll each side that is not ready yet")
    }
}

/// Task 4: runs `future` to its end on the calling thread, and sleeps in
/// between.
///
/// Polls once at the start and then once after each wake. While no wake has
/// come the thread is parked.
pub fn block_on<F: Future>(future: F) -> F::Output {
    drop(future);
    todo!("task 4: poll, and park the thread until it is woken")
}
