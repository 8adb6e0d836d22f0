//! What one run knows: its seed, its clock, its tasks, and everything that is written down about it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use kata_report::{CheckRecord, Finding, FindingKind};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::idle::{Idle, Park};
use crate::lab::Heavy;
use crate::outcome::Outcome;
use crate::panics::Panic;
use crate::place::Stack;
use crate::pulse::Pulse;
use crate::span::Spans;
use crate::task::Tasks;
use crate::threads;

/// Everything one run of one check shares between its root, its tasks and its hooks.
pub(crate) struct World {
    pub seed: u64,
    /// The record of the check, without this run.
    pub so_far: CheckRecord,
    pub idle: Idle,
    pub pulse: Pulse,
    pub tasks: Tasks,
    pub spans: Spans,
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
    pub heavy: Vec<Heavy>,
    /// Where threads were started on the runtime's thread, those of tokio's pool included.
    pub threads: Vec<Stack>,
    /// Said behind every finding of a cancel sweep's round: "dropped at its 2nd pending".
    pub circumstance: Option<String>,
    /// What the run gave, as far as that is known while it is looked into.
    pub outcome: Option<Outcome>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

impl World {
    pub fn new(seed: u64, so_far: CheckRecord) -> Arc<Self> {
        Arc::new(Self {
            seed,
            so_far,
            idle: Idle::default(),
            pulse: Pulse::default(),
            tasks: Tasks::default(),
            spans: Spans::default(),
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

    pub fn handle(&self) -> Option<&Handle> {
        self.clock.get().map(|(handle, _)| handle)
    }

    /// Virtual time since the run began, on whatever thread.
    pub fn now(&self) -> Duration {
        self.clock
            .get()
            .map_or_else(Duration::default, |(handle, begin)| {
                // Outside of a runtime tokio's clock is the real one, and in another runtime, which
                // the code under test may have entered, another one.
                let own = Handle::try_current().is_ok_and(|current| current.id() == handle.id());
                let _inside = (!own).then(|| handle.enter());
                Instant::now().saturating_duration_since(*begin)
            })
    }

    /// Virtual milliseconds since the run began, on whatever thread.
    pub fn now_ms(&self) -> u64 {
        in_ms(self.now())
    }

    /// What the park hook does: nothing can run any more at this instant.
    pub fn about_to_park(&self) {
        self.pulse.park();
        let awaited = threads::can_tell() && self.idle.is_awaited();
        if awaited && threads::has_jobs(self) && self.idle.asks_for_jobs() {
            threads::wait_for_jobs(self);
            self.idle.wake_root(); // what the jobs woke runs first
            return;
        }
        if let Park::After { from, to } = self.idle.about_to_park(self.now()) {
            self.spans.jump(in_ms(from), in_ms(to));
        }
    }

    /// The run is over: what time went on since the last idle moment is drawn, too.
    pub fn end_of_time(&self) {
        let (from, to) = (self.idle.last_own(), self.now());
        if from < to {
            self.spans.jump(in_ms(from), in_ms(to));
        }
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

/// Whole milliseconds.
pub(crate) fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
pub(crate) fn blank(kind: FindingKind, at_ms: u64) -> Finding {
    Finding {
        kind,
        expected: String::new(),
        got: String::new(),
        why: String::new(),
        pitfall: None,
        location: None,
        sites: Vec::new(),
        at_ms,
        panics: Vec::new(),
    }
}
