//! What every block of the pages uses without saying so.

pub use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

pub use futures::{
    StreamExt,
    future::join_all,
    stream::{self, FuturesUnordered},
    task::AtomicWaker,
};
pub use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout, timeout_at},
};

/// So many milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Words with the virtual time at which they were noted. Clones share them.
#[derive(Debug, Clone)]
pub struct Log {
    start: tokio::time::Instant,
    lines: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            lines: Arc::default(),
        }
    }
}

impl Log {
    /// Notes a word.
    pub fn note(&self, word: &str) {
        let at = self.start.elapsed().as_millis();
        self.lines.lock().unwrap().push(format!("{at} {word}"));
    }

    /// What was noted so far: `20 saved`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

/// A server that answers ten times the number after 100 ms.
#[derive(Debug, Default)]
pub struct Server {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Server {
    /// Fetches one value.
    pub async fn fetch(&self, id: u32) -> u32 {
        struct Leave<'a>(&'a AtomicUsize);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.peak.fetch_max(now, SeqCst);
        let _leave = Leave(&self.now);
        sleep(ms(100)).await;
        id * 10
    }

    /// The most fetches that were in flight at once.
    pub fn peak(&self) -> usize {
        self.peak.load(SeqCst)
    }
}
