//! A run's pulse: what the watchdog feels to know whether it gets on.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};

use crate::threads;

/// Counts polls and parks; made on the run's own thread.
pub(crate) struct Pulse {
    /// The run's thread.
    pub thread: i32,
    job_thread: AtomicI32,
    beats: AtomicU64,
    parked: AtomicBool,
    job_sleeps: AtomicBool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            thread: threads::own_id(),
            job_thread: AtomicI32::new(0),
            beats: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            job_sleeps: AtomicBool::new(false),
        }
    }
}

impl Pulse {
    /// A poll begins.
    pub fn beat(&self) {
        self.beats.fetch_add(1, SeqCst);
    }

    pub fn park(&self) {
        self.parked.store(true, SeqCst);
        self.beat();
    }

    pub fn unpark(&self) {
        self.parked.store(false, SeqCst);
        self.beat();
    }

    pub fn beats(&self) -> u64 {
        self.beats.load(SeqCst)
    }

    /// Whether the runtime's thread waits for a timer or a wake, as it should.
    pub fn is_parked(&self) -> bool {
        self.parked.load(SeqCst)
    }

    /// The calling thread runs this run's blocking jobs.
    pub fn set_job_thread(&self) {
        self.job_thread.store(threads::own_id(), SeqCst);
    }

    /// The thread of the blocking pool; 0 before there is one.
    pub fn job_thread(&self) -> i32 {
        self.job_thread.load(SeqCst)
    }

    /// A blocking job begins or ends a `thread::sleep`, after which it goes on by itself.
    pub fn set_job_sleeps(&self, sleeps: bool) {
        self.job_sleeps.store(sleeps, SeqCst);
    }

    /// Whether a blocking job is in a `thread::sleep`.
    pub fn job_sleeps(&self) -> bool {
        self.job_sleeps.load(SeqCst)
    }
}
