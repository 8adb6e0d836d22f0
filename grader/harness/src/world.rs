//! What one run knows: its seed, its clock, its tasks, and everything that is written down about it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use kata_report::{Finding, Location};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::idle::Idle;
use crate::panics::Panic;
use crate::span::Spans;
use crate::task::Tasks;

/// Everything one run of one check shares between its root, its tasks and its hooks.
pub(crate) struct World {
    pub seed: u64,
    pub idle: Idle,
    pub tasks: Tasks,
    pub spans: Spans,
    pub thread: ThreadId,
    clock: OnceLock<(Handle, Instant)>,
    streams: AtomicU64,
    failed: AtomicBool,
    written: Mutex<Written>,
}

/// What the run's parties wrote down.
#[derive(Default)]
pub(crate) struct Written {
    pub finding: Option<Finding>,
    pub panics: Vec<Panic>,
    pub events: Vec<(u64, String)>,
    pub heavy: Vec<crate::lab::Heavy>,
    /// Said behind every finding of a cancel sweep's round: "dropped at its 2nd pending".
    pub circumstance: Option<String>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

impl World {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            idle: Idle::default(),
            tasks: Tasks::default(),
            spans: Spans::default(),
            thread: thread::current().id(),
            clock: OnceLock::new(),
            streams: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            written: Mutex::default(),
        })
    }

    /// The world of the run that the calling thread belongs to.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT
            .try_with(|current| current.borrow().clone())
            .ok()
            .flatten()
    }

    /// Makes this the calling thread's world.
    pub fn enter(self: &Arc<Self>) {
        CURRENT.with(|current| *current.borrow_mut() = Some(Arc::clone(self)));
    }

    /// The calling thread belongs to no world any more.
    pub fn leave() {
        CURRENT.with(|current| *current.borrow_mut() = None);
    }

    /// Virtual time begins now.
    pub fn start(&self, handle: Handle) {
        let begin = {
            let _inside = handle.enter();
            Instant::now()
        };
        let _ = self.clock.set((handle, begin));
    }

    /// When the run began.
    pub fn begin(&self) -> Option<Instant> {
        self.clock.get().map(|(_, begin)| *begin)
    }

    /// Virtual milliseconds since the run began, on whatever thread.
    pub fn now(&self) -> std::time::Duration {
        self.clock
            .get()
            .map_or_else(Default::default, |(handle, begin)| {
                // Outside of a runtime tokio's clock is the real one.
                let _inside = Handle::try_current().is_err().then(|| handle.enter());
                Instant::now().saturating_duration_since(*begin)
            })
    }

    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn handle(&self) -> Option<&Handle> {
        self.clock.get().map(|(handle, _)| handle)
    }

    pub fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for the next stream of random numbers.
    pub fn stream(&self) -> u64 {
        mix(self.seed, self.streams.fetch_add(1, SeqCst))
    }

    /// Writes a finding down unless there is one already, and has the root look.
    pub fn fail(&self, mut finding: Finding) {
        {
            let mut written = self.written();
            if written.finding.is_some() {
                return;
            }
            if let Some(circumstance) = &written.circumstance {
                finding.got = format!("{} ({circumstance})", finding.got);
            }
            written.finding = Some(finding);
        }
        self.failed.store(true, SeqCst);
        self.idle.wake_root();
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(SeqCst)
    }
}

/// Spreads a seed and a number over 64 bits (the finalizer of `SplitMix64`).
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut bits = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(number.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A finding with nothing in it but its kind and time.
pub(crate) fn blank(kind: kata_report::FindingKind, at_ms: u64) -> Finding {
    Finding {
        kind,
        expected: String::new(),
        got: String::new(),
        why: String::new(),
        pitfall: None,
        location: None::<Location>,
        sites: Vec::new(),
        at_ms,
        panics: Vec::new(),
    }
}
