//! wrong: has a load under way when the circuit opens, and counts on what becomes of it
//! fails: circuit: passes correct caches, fails one that never loads: failed
//! fails: circuit: catches a failure that is kept: failed
//! fails: circuit: catches failures counted that are not in a row: failed
//! fails: circuit: catches a circuit of its own for each key: failed
//! fails: circuit: catches an open circuit that refuses fresh values: failed
//! fails: circuit: catches a refusal that looks like a failed load: failed
//! pitfall: wrong-result

mod given;
pub use given::*;

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_test::assert_err;

/// Rules 1 and 2: what is loaded is kept while it is fresh, and not for ever.
///
/// # Panics
/// If a cache of this maker loads a fresh value again, or never loads again.
pub async fn keeping(maker: &dyn Maker) {
    let bench = Bench::new(maker);

    assert_eq!(bench.get("a").await, value("a", 1));
    assert_eq!(bench.now_ms(), 10, "a load's outcome comes at its end");

    assert_eq!(bench.get("a").await, value("a", 1));
    assert_eq!(bench.now_ms(), 10, "a fresh value takes no time");
    assert_eq!(bench.source.count(), 1, "a fresh value needs no load");

    bench.at(5_000).await;
    assert_eq!(bench.get("a").await, value("a", 2));
}

/// Rule 3: to the millisecond, how long a value is fresh.
///
/// # Panics
/// If a cache of this maker keeps a value for too long, or not long enough.
pub async fn expiry(maker: &dyn Maker) {
    // The load ends at 10 ms, so the value is fresh before 1010 ms.
    let bench = Bench::new(maker);
    assert_eq!(bench.get("a").await, value("a", 1));
    // Reading it must not prolong that, and its age is not that of the load's
    // beginning: by that count it would have ended at 1000 ms.
    bench.at(600).await;
    assert_eq!(bench.get("a").await, value("a", 1));
    bench.at(1_009).await;
    assert_eq!(bench.get("a").await, value("a", 1), "1 ms before its end");
    bench.at(1_010).await;
    assert_eq!(bench.get("a").await, value("a", 2), "at exactly its ttl");
}

/// Rules 5 to 7: what is counted, when the circuit opens, and what it lets
/// through.
///
/// # Panics
/// If a cache of this maker counts wrongly, or its open circuit stops too much
/// or too little.
pub async fn circuit(maker: &dyn Maker) {
    let bench = Bench::new(maker);
    assert_eq!(bench.get("kept").await, value("kept", 1));

    // Two failures, a success, two failures: four, but never three in a row.
    bench.source.set_failing(true);
    assert_eq!(bench.get("a").await, failure("a", 2));
    assert_eq!(bench.get("b").await, failure("b", 3));
    bench.source.set_failing(false);
    assert_eq!(bench.get("a").await, value("a", 4), "failures are not kept");
    bench.source.set_failing(true);
    assert_eq!(bench.get("b").await, failure("b", 5));
    assert_eq!(bench.get("c").await, failure("c", 6));
    // The third in a row, of a third key, opens the circuit: for every key.
    // `late` ends 20 ms after the circuit has opened.
    let late = async {
        bench.source.set_takes(Duration::from_millis(30));
        bench.source.set_failing(false);
        bench.get("late").await
    };
    let failing = async {
        sleep(Duration::from_millis(1)).await;
        bench.source.set_takes(Duration::from_millis(10));
        bench.source.set_failing(true);
        bench.get("d").await
    };
    let (_late, failing) = tokio::join!(late, failing);
    assert_eq!(failing, failure("d", 8));
    bench.source.set_failing(false);
    let at_ms = bench.now_ms();
    for key in ["b", "e"] {
        assert_open(&bench.get(key).await);
    }
    assert_eq!(bench.source.count(), 8, "an open circuit asks nobody");
    // What is fresh needs no load.
    assert_eq!(bench.get("kept").await, value("kept", 1));
    assert_eq!(bench.now_ms(), at_ms, "neither takes time");
}

/// Rules 8 and 9: the probe, and how a circuit closes or opens anew.
///
/// # Panics
/// If a cache of this maker lets too many loads through after the cooldown, or
/// does not recover as it should.
pub async fn recovery(maker: &dyn Maker) {
    // Three failures of 10 ms: the circuit opens at 30 ms, for 300 ms.
    let bench = Bench::new(maker);
    bench.source.set_failing(true);
    for key in ["a", "b", "c"] {
        assert_err!(bench.get(key).await);
    }
    bench.at(329).await;
    assert_open(&bench.get("a").await);

    // The first probe fails, and opens it anew at 340 ms, until 640 ms.
    bench.at(330).await;
    assert_eq!(bench.get("a").await, failure("a", 4));
    bench.at(639).await;
    assert_open(&bench.get("a").await);
    assert_eq!(bench.source.count(), 4);

    // The second probe is long, and its caller leaves after 5 ms. While it is
    // under way others are refused.
    bench.at(640).await;
    bench.source.set_failing(false);
    bench.source.set_takes(Duration::from_secs(1));
    let probe = timeout(Duration::from_millis(5), bench.get("a"));
    let another = async {
        // The probe first, whichever of the two is polled first.
        sleep(Duration::from_millis(1)).await;
        bench.get("b").await
    };
    let (probe, another) = tokio::join!(probe, another);
    assert_err!(probe);
    assert_open(&another);
    assert_eq!(bench.source.count(), 5, "one probe at a time");

    // The next `get` is the third probe, and closes it.
    bench.source.set_takes(Duration::from_millis(10));
    assert_eq!(bench.get("b").await, value("b", 6));
    assert_eq!(bench.source.loads()[4].state, LoadState::Dropped);
    assert_eq!(bench.get("a").await, value("a", 7));
    // The count begins at 0 again.
    bench.source.set_failing(true);
    for (key, number) in [("c", 8), ("d", 9)] {
        assert_eq!(bench.get(key).await, failure(key, number));
    }
    bench.source.set_failing(false);
    assert_eq!(bench.get("c").await, value("c", 10));
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

    fn now_ms(&self) -> u128 {
        self.began.elapsed().as_millis()
    }
}

/// What load `number`, of this key, gives.
fn value(key: &str, number: usize) -> Result<String, CacheError> {
    Ok(format!("{key} {number}"))
}

/// How load `number`, of this key, fails.
fn failure(key: &str, number: usize) -> Result<String, CacheError> {
    Err(CacheError::Failed(LoadError(format!("{key} {number}"))))
}

/// The circuit is open; in which words it says so is nobody's business.
#[track_caller]
fn assert_open(outcome: &Result<String, CacheError>) {
    assert!(
        matches!(outcome, Err(CacheError::Open(_))),
        "the circuit is open, but there came {outcome:?}"
    );
}
