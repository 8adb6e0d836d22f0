//! right: flags and options in place of enums, and the bare token of `thread::park`

mod given;
pub use given::*;

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Counts up.
pub struct Countdown {
    n: u32,
    polled: u32,
}

impl Countdown {
    pub fn new(n: u32) -> Self {
        Self { n, polled: 0 }
    }
}

impl Future for Countdown {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        self.polled += 1;
        if self.polled > self.n {
            Poll::Ready(self.n)
        } else {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
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
        shared.value = Some(value);
        Ok(()) // and `drop` wakes
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
        match &mut shared.waker {
            // The same task as before: spare the clone.
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T> Drop for OneShotCell<T> {
    fn drop(&mut self) {
        self.0.lock().unwrap().cell_gone = true;
    }
}

/// A side is running while its future is there, and ended while its output is.
pub struct Join2<A: Future, B: Future> {
    left: Option<Pin<Box<A>>>,
    right: Option<Pin<Box<B>>>,
    left_output: Option<A::Output>,
    right_output: Option<B::Output>,
}

impl<A: Future, B: Future> Unpin for Join2<A, B> {}

impl<A: Future, B: Future> Join2<A, B> {
    pub fn new(left: A, right: B) -> Self {
        Self {
            left: Some(Box::pin(left)),
            right: Some(Box::pin(right)),
            left_output: None,
            right_output: None,
        }
    }
}

/// Polls a future that is still there; its output takes its place.
fn step<F: Future>(
    future: &mut Option<Pin<Box<F>>>,
    output: &mut Option<F::Output>,
    cx: &mut Context<'_>,
) {
    if let Some(running) = future
        && let Poll::Ready(value) = running.as_mut().poll(cx)
    {
        *future = None;
        *output = Some(value);
    }
}

impl<A: Future, B: Future> Future for Join2<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        step(&mut this.left, &mut this.left_output, cx);
        step(&mut this.right, &mut this.right_output, cx);
        match (this.left_output.take(), this.right_output.take()) {
            (Some(left), Some(right)) => Poll::Ready((left, right)),
            (left, right) => {
                (this.left_output, this.right_output) = (left, right);
                Poll::Pending
            }
        }
    }
}

/// `unpark` leaves a token that the next `park` takes: enough for one thread
/// that polls whenever it wakes up, even if now and then for nothing.
struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
