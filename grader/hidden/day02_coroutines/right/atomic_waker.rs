//! right: an `AtomicWaker` in the cell, pinned fields in the join, a `Condvar` under block_on

mod given;
pub use given::*;

use futures::task::AtomicWaker;
use pin_project_lite::pin_project;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};

/// An iterator remembers where it is, like any state machine.
pub struct Countdown {
    steps: Range<u32>,
}

impl Countdown {
    pub fn new(n: u32) -> Self {
        Self { steps: 0..n }
    }
}

impl Future for Countdown {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        match self.steps.next() {
            Some(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(self.steps.end),
        }
    }
}

struct Shared<T> {
    value: Mutex<Option<T>>,
    waker: AtomicWaker,
    sender_gone: AtomicBool,
}

pub struct Sender<T>(Arc<Shared<T>>);

pub struct OneShotCell<T>(Arc<Shared<T>>);

pub fn one_shot_cell<T>() -> (Sender<T>, OneShotCell<T>) {
    let shared = Arc::new(Shared {
        value: Mutex::new(None),
        waker: AtomicWaker::new(),
        sender_gone: AtomicBool::new(false),
    });
    (Sender(Arc::clone(&shared)), OneShotCell(shared))
}

impl<T> Sender<T> {
    pub fn send(self, value: T) -> Result<(), T> {
        // The only other owner is the cell.
        if Arc::strong_count(&self.0) == 1 {
            return Err(value);
        }
        *self.0.value.lock().unwrap() = Some(value);
        Ok(()) // and `drop` wakes
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.sender_gone.store(true, SeqCst);
        self.0.waker.wake();
    }
}

impl<T> Future for OneShotCell<T> {
    type Output = Result<T, SenderDropped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Register first and look afterwards: what comes in between wakes us.
        self.0.waker.register(cx.waker());
        // The value is stored before the sender goes, so look for it second.
        let sender_gone = self.0.sender_gone.load(SeqCst);
        match self.0.value.lock().unwrap().take() {
            Some(value) => Poll::Ready(Ok(value)),
            None if sender_gone => Poll::Ready(Err(SenderDropped)),
            None => Poll::Pending,
        }
    }
}

pin_project! {
    /// A side of the join, pinned in place: no box.
    #[project = SideProjection]
    #[project_replace = SideReplaced]
    enum Side<F: Future> {
        Running { #[pin] future: F },
        Ended { output: F::Output },
        Taken,
    }
}

impl<F: Future> Side<F> {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let SideProjection::Running { future } = self.as_mut().project() {
            let output = ready!(future.poll(cx));
            self.project_replace(Side::Ended { output });
        }
        Poll::Ready(())
    }

    fn take(self: Pin<&mut Self>) -> F::Output {
        match self.project_replace(Side::Taken) {
            SideReplaced::Ended { output } => output,
            _ => panic!("polled after it was ready"),
        }
    }
}

pin_project! {
    pub struct Join2<A: Future, B: Future> {
        #[pin]
        left: Side<A>,
        #[pin]
        right: Side<B>,
    }
}

impl<A: Future, B: Future> Join2<A, B> {
    pub fn new(left: A, right: B) -> Self {
        Self {
            left: Side::Running { future: left },
            right: Side::Running { future: right },
        }
    }
}

impl<A: Future, B: Future> Future for Join2<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let left = this.left.as_mut().poll(cx);
        let right = this.right.as_mut().poll(cx);
        ready!(left);
        ready!(right);
        Poll::Ready((this.left.take(), this.right.take()))
    }
}

/// A flag and the bell that announces it.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.rings.notify_one();
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
        let rung = bell.rung.lock().unwrap();
        let mut rung = bell.rings.wait_while(rung, |rung| !*rung).unwrap();
        *rung = false;
    }
}
