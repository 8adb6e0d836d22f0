//! wrong: a wake that comes before the thread sleeps is not remembered
//! fails: a wake during the poll is not lost: failed
//! fails: a wake from another thread is not lost: failed
//! pitfall: lost-wakeup

mod given;
pub use given::*;

use futures::future::{Join, join};
use std::pin::Pin;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll};
use std::task::{Wake, Waker};
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

pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        let asleep = bell.lock.lock().unwrap();
        drop(bell.rung.wait(asleep).unwrap());
    }
}

#[derive(Default)]
struct Bell {
    lock: Mutex<()>,
    rung: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.notify_one();
    }
}
