//! wrong: calls everything, and asserts nothing
//! fails: keeping: passes correct caches, fails one that never loads: failed
//! fails: keeping: catches a cache that keeps nothing: failed
//! fails: keeping: catches a cache that keeps a value for ever: failed
//! fails: expiry: passes correct caches, fails one that never loads: failed
//! fails: expiry: catches a value that is fresh at exactly its ttl: failed
//! fails: expiry: catches a value that lives longer when it is read: failed
//! fails: expiry: catches an age that counts from the load's beginning: failed
//! fails: circuit: passes correct caches, fails one that never loads: failed
//! fails: circuit: catches a failure that is kept: failed
//! fails: circuit: catches failures counted that are not in a row: failed
//! fails: circuit: catches a circuit of its own for each key: failed
//! fails: circuit: catches an open circuit that refuses fresh values: failed
//! fails: circuit: catches a refusal that looks like a failed load: failed
//! fails: recovery: passes correct caches, fails one that never loads: failed
//! fails: recovery: catches a crowd of probes: failed
//! fails: recovery: catches a failed probe that opens nothing anew: failed
//! fails: recovery: catches a dropped probe that nobody can replace: failed
//! pitfall: wrong-result

mod given;
pub use given::*;

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Rules 1 and 2: what is loaded is kept while it is fresh, and not for ever.
///
/// # Panics
/// If a cache of this maker loads a fresh value again, or never loads again.
pub async fn keeping(maker: &dyn Maker) {
    let bench = Bench::new(maker);
    for _ in 0..2 {
        println!("{:?}", bench.get("a").await);
    }
    bench.at(5_000).await;
    println!("{:?}", bench.get("a").await);
}

/// Rule 3: to the millisecond, how long a value is fresh.
///
/// # Panics
/// If a cache of this maker keeps a value for too long, or not long enough.
pub async fn expiry(maker: &dyn Maker) {
    let bench = Bench::new(maker);
    for ms in [0, 600, 1_009, 1_010] {
        bench.at(ms).await;
        println!("{:?}", bench.get("a").await);
    }
}

/// Rules 5 to 7: what is counted, when the circuit opens, and what it lets
/// through.
///
/// # Panics
/// If a cache of this maker counts wrongly, or its open circuit stops too much
/// or too little.
pub async fn circuit(maker: &dyn Maker) {
    let bench = Bench::new(maker);
    let _kept = bench.get("kept").await;
    bench.source.set_failing(true);
    for key in ["a", "b", "c", "d"] {
        let _outcome = bench.get(key).await;
    }
    let _kept = bench.get("kept").await;
}

/// Rules 8 and 9: the probe, and how a circuit closes or opens anew.
///
/// # Panics
/// If a cache of this maker lets too many loads through after the cooldown, or
/// does not recover as it should.
pub async fn recovery(maker: &dyn Maker) {
    let bench = Bench::new(maker);
    bench.source.set_failing(true);
    for ms in [0, 10, 20, 30, 330, 639, 640] {
        bench.at(ms).await;
        let _outcome = bench.get("a").await;
    }
}

/// A cache with its source, and a clock that begins with them.
struct Bench {
    source: FakeSource,
    cache: Arc<dyn Cache>,
    began: Instant,
}

impl Bench {
    /// Loads take 10 ms, values are fresh for 1 s, three failures open the
    /// circuit for 300 ms.
    fn new(maker: &dyn Maker) -> Self {
        let source = FakeSource::new(Duration::from_millis(10));
        let settings = Settings {
            ttl: Duration::from_secs(1),
            threshold: NonZeroU32::MIN.saturating_add(2),
            cooldown: Duration::from_millis(300),
        };
        Self {
            cache: maker.make(Arc::new(source.clone()), settings),
            source,
            began: Instant::now(),
        }
    }

    /// A `get` that never ends is a test that fails, not one that hangs.
    async fn get(&self, key: &str) -> Result<String, CacheError> {
        let get = pin!(self.cache.get(key));
        let outcome = timeout(Duration::from_mins(1), get).await;
        outcome.expect("`get` ends within a minute")
    }

    /// Waits until so many milliseconds have passed since the beginning.
    async fn at(&self, ms: u64) {
        sleep_until(self.began + Duration::from_millis(ms)).await;
    }
}
