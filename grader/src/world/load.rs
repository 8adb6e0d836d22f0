//! A machine that is busy with something else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

/// Threads that compute without end, until this is dropped.
#[derive(Debug)]
pub struct Load {
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Keeps so many cores busy.
    pub fn on(cores: usize) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let threads = (0..cores).map(|_| {
            let done = Arc::clone(&done);
            thread::spawn(move || while !done.load(Relaxed) {})
        });
        Self {
            threads: threads.collect(),
            done,
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
