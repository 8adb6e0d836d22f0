//! wrong: a value is delivered only to somebody who waits
//! fails: a value sent before the first poll is kept: failed
//! pitfall: lost-wakeup

mod given;
pub use given::*;

pub use futures::executor::block_on;
use futures::future::{Join, join};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::task::{Context, Poll};

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

struct Shared<T> {
    value: Option<T>,
    waker: Option<Waker>,
    sender_gone: bool,
    cell_gone: bool,
}

pub struct Sender<T>(Arc<Mutex<Shared<T>>>);

pub struct OneShotCell<T>(Arc<Mutex<Shared<T>>>);

pub fn one_shot_cell<T>() -> (Sender<T>, OneShotCell<T>) {
    let shared = Arc::new(Mutex::new(Shared {
        value: None,
        waker: None,
        sender_gone: false,
        cell_gone: false,
    }));
    (Sender(Arc::clone(&shared)), OneShotCell(shared))
}

impl<T> Sender<T> {
    pub fn send(self, value: T) -> Result<(), T> {
        let mut shared = self.0.lock().unwrap();
        if shared.cell_gone {
            return Err(value);
        }
        let waker = shared.waker.take();
        if let Some(waker) = waker {
            shared.value = Some(value);
            drop(shared);
            waker.wake();
        }
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut shared = self.0.lock().unwrap();
        shared.sender_gone = true;
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for OneShotCell<T> {
    type Output = Result<T, SenderDropped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = self.0.lock().unwrap();
        if let Some(value) = shared.value.take() {
            return Poll::Ready(Ok(value));
        }
        if shared.sender_gone {
            return Poll::Ready(Err(SenderDropped));
        }
        shared.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for OneShotCell<T> {
    fn drop(&mut self) {
        self.0.lock().unwrap().cell_gone = true;
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
