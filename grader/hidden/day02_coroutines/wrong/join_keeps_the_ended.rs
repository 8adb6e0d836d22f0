//! wrong: a side that has ended is kept until both have
//! fails: a side that has ended is dropped at once: failed
//! pitfall: leaked-resource

mod given;
pub use given::*;

pub use futures::executor::block_on;
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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        if self.left == 0 {
            return Poll::Ready(self.n);
        }
        self.left -= 1;
        cx.waker().wake_by_ref();
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

pub struct Join2<A: Future, B: Future> {
    left: Pin<Box<A>>,
    right: Pin<Box<B>>,
    left_output: Option<A::Output>,
    right_output: Option<B::Output>,
}

impl<A: Future, B: Future> Unpin for Join2<A, B> {}

impl<A: Future, B: Future> Join2<A, B> {
    pub fn new(left: A, right: B) -> Self {
        Self {
            left: Box::pin(left),
            right: Box::pin(right),
            left_output: None,
            right_output: None,
        }
    }
}

impl<A: Future, B: Future> Future for Join2<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left_output.is_none()
            && let Poll::Ready(output) = self.left.as_mut().poll(cx)
        {
            self.left_output = Some(output);
        }
        if self.right_output.is_none()
            && let Poll::Ready(output) = self.right.as_mut().poll(cx)
        {
            self.right_output = Some(output);
        }
        if self.left_output.is_none() || self.right_output.is_none() {
            return Poll::Pending;
        }
        let left = self.left_output.take().expect("ready");
        let right = self.right_output.take().expect("ready");
        Poll::Ready((left, right))
    }
}
