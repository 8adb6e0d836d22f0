//! wrong: pending, and nobody to wake it
//! fails: each pending poll wakes its own waker once: failed
//! fails: an awaited countdown takes n + 1 polls: deadlock
//! pitfall: lost-wakeup

mod given;
pub use given::*;

pub use futures::executor::block_on;
use futures::future::{Join, join};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Counts in fields.
pub struct Countdown {
    n: u32,
    left: u32,
}

impl Countdown {
    pub fn new(n: u32) -> Self {
        Self { n, left: n }
    }
}

impl Future for Countdown {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<u32> {
        if self.left == 0 {
            return Poll::Ready(self.n);
        }
        self.left -= 1;
        Poll::Pending
    }
}

/// Tokio's channel.
pub struct Sender<T>(oneshot::Sender<T>);

pub struct OneShotCell<T>(oneshot::Receiver<T>);

pub fn one_shot_cell<T>() -> (Sender<T>, OneShotCell<T>) {
    let (sender, receiver) = oneshot::channel();
    (Sender(sender), OneShotCell(receiver))
}

impl<T> Sender<T> {
    pub fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }
}

impl<T> Future for OneShotCell<T> {
    type Output = Result<T, SenderDropped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| SenderDropped)
    }
}

/// The join of the futures crate.
pub struct Join2<A: Future, B: Future>(Pin<Box<Join<A, B>>>);

impl<A: Future, B: Future> Join2<A, B> {
    pub fn new(left: A, right: B) -> Self {
        Self(Box::pin(join(left, right)))
    }
}

impl<A: Future, B: Future> Future for Join2<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}
