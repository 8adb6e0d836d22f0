//! right: a turnstile and a `Notify` for each side of the buffer; a signal from `watch`

mod given;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

pub use given::*;

/// Wakes those who wait until something is so.
#[derive(Debug)]
pub struct Signal {
    notices: watch::Sender<()>,
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    pub fn new() -> Self {
        let notices = watch::Sender::new(());
        Self { notices }
    }

    pub fn notify(&self) {
        self.notices.send_replace(());
    }

    pub async fn wait_until(&self, mut condition: impl FnMut() -> bool) {
        // A receiver knows which notice it saw last: one that comes during a
        // look is news to it.
        let mut notices = self.notices.subscribe();
        while !condition() {
            notices
                .changed()
                .await
                .expect("the sender lives in the signal");
        }
    }
}

/// A queue with room for `capacity` items.
#[derive(Debug)]
pub struct BoundedBuffer<T> {
    capacity: usize,
    inside: Mutex<Inside<T>>,
    // A turnstile for each side: only the first in line gets through and waits
    // at the door, so nobody can pass it. Both of tokio's kind, which is fair.
    producers: tokio::sync::Mutex<()>,
    consumers: tokio::sync::Mutex<()>,
    // At each door waits one at most: `notify_one` is enough, and it keeps a
    // notice that comes before anybody waits.
    room: Notify,
    item: Notify,
}

#[derive(Debug)]
struct Inside<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> BoundedBuffer<T> {
    pub fn new(capacity: NonZeroUsize) -> Self {
        let items = VecDeque::new();
        Self {
            capacity: capacity.get(),
            inside: Mutex::new(Inside {
                items,
                closed: false,
            }),
            producers: tokio::sync::Mutex::new(()),
            consumers: tokio::sync::Mutex::new(()),
            room: Notify::new(),
            item: Notify::new(),
        }
    }

    pub async fn push(&self, item: T) -> Result<(), Closed<T>> {
        let _turn = self.producers.lock().await;
        loop {
            {
                let mut inside = self.inside.lock().unwrap();
                if inside.closed {
                    return Err(Closed(item));
                }
                if inside.items.len() < self.capacity {
                    inside.items.push_back(item);
                    self.item.notify_one();
                    return Ok(());
                }
            }
            self.room.notified().await;
        }
    }

    pub async fn pop(&self) -> Option<T> {
        let _turn = self.consumers.lock().await;
        loop {
            {
                let mut inside = self.inside.lock().unwrap();
                if let Some(item) = inside.items.pop_front() {
                    self.room.notify_one();
                    return Some(item);
                }
                if inside.closed {
                    return None;
                }
            }
            self.item.notified().await;
        }
    }

    pub fn close(&self) {
        self.inside.lock().unwrap().closed = true;
        // The first in line sees it, leaves, and lets the next one see it.
        self.room.notify_one();
        self.item.notify_one();
    }
}

/// Lets at most `limit` calls through in any window of the length `per`.
#[derive(Debug)]
pub struct RateLimiter {
    per: Duration,
    turn: Semaphore,
    // The receiver is in use by whoever has the turn; nobody else wants it.
    window: tokio::sync::Mutex<(watch::Receiver<usize>, VecDeque<Instant>)>,
}

impl RateLimiter {
    pub fn new(per: Duration, limit: watch::Receiver<usize>) -> Self {
        Self {
            per,
            turn: Semaphore::new(1),
            window: tokio::sync::Mutex::new((limit, VecDeque::new())),
        }
    }

    pub async fn acquire(&self) {
        let _turn = self.turn.acquire().await.expect("never closed");
        let mut window = self.window.lock().await;
        let (limit, recent) = &mut *window;
        loop {
            recent.retain(|at| at.elapsed() < self.per);
            let allowed = *limit.borrow_and_update();
            if recent.len() < allowed {
                break;
            }
            let oldest = recent.front().map(|at| *at + self.per);
            // As soon as anything leaves the window look again.
            let leaves = async {
                match oldest {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Ok(()) = limit.changed() => {}
                () = leaves => {}
                else => pending().await,
            }
        }
        recent.push_back(Instant::now());
    }
}
