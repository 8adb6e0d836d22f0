//! Tables of steps, played by one small function on a source of its own.

mod given;
pub use given::*;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep, sleep_until};

/// At `ms`, get `key`: it must come to this, within its own time.
struct Step {
    ms: u64,
    key: &'static str,
    wants: Wants,
}

enum Wants {
    /// A load, which gives a value.
    Loaded,
    /// A load, which fails.
    Fails,
    /// The value of the load before, without a load.
    Fresh,
    /// No load, and no value.
    Refused,
    /// A load that is dropped after 7 ms.
    Dropped,
}
use Wants::{Dropped, Fails, Fresh, Loaded, Refused};

const fn step(ms: u64, key: &'static str, wants: Wants) -> Step {
    Step { ms, key, wants }
}

pub async fn keeping(maker: &dyn Maker) {
    let steps = [
        step(0, "a", Loaded),
        step(30, "b", Loaded),
        step(60, "a", Fresh),
        step(60, "b", Fresh),
        step(99_000, "b", Loaded),
    ];
    play(maker, &steps).await;
}

pub async fn expiry(maker: &dyn Maker) {
    let steps = [
        step(0, "a", Loaded),
        step(219, "a", Fresh),
        step(220, "a", Loaded),
        // This one is fresh from 240 ms on.
        step(300, "a", Fresh),
        step(439, "a", Fresh),
        step(440, "a", Loaded),
    ];
    play(maker, &steps).await;
}

pub async fn circuit(maker: &dyn Maker) {
    let steps = [
        step(0, "fresh", Loaded),
        step(20, "!a", Fails),
        step(40, "b", Loaded),
        step(60, "!a", Fails),
        step(80, "!c", Fails),
        step(101, "fresh", Fresh),
        step(101, "!a", Refused),
        step(101, "d", Refused),
        step(199, "d", Refused),
    ];
    play(maker, &steps).await;
}

pub async fn recovery(maker: &dyn Maker) {
    let open = [step(0, "!a", Fails), step(20, "!b", Fails)];
    let fails = [
        step(139, "c", Refused),
        step(140, "!c", Fails),
        step(161, "c", Refused),
        step(259, "c", Refused),
        step(260, "c", Loaded),
        step(290, "!a", Fails),
        step(310, "d", Loaded),
    ];
    let leaves = [
        step(140, "c", Dropped),
        step(150, "c", Loaded),
        step(170, "d", Loaded),
    ];
    let mut with_fails = open.into_iter().collect::<Vec<_>>();
    with_fails.extend(fails);
    play(maker, &with_fails).await;
    let mut with_leaves = vec![step(0, "!a", Fails), step(20, "!b", Fails)];
    with_leaves.extend(leaves);
    play(maker, &with_leaves).await;

    // Four come for four keys at the same instant: exactly one may load.
    let (cache, source) = make(maker);
    for key in ["!a", "!b"] {
        assert!(cache.get(key).await.is_err());
    }
    sleep(Duration::from_millis(100)).await;
    let crowd = ["c", "d", "e", "f"].map(|key| cache.get(key));
    let outcomes = futures::future::join_all(crowd).await;
    let loaded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((loaded, source.loads.load(SeqCst)), (1, 3), "{outcomes:?}");
}

fn make(maker: &dyn Maker) -> (Arc<dyn Cache>, Arc<Numbers>) {
    let source = Arc::<Numbers>::default();
    let settings = Settings {
        ttl: Duration::from_millis(200),
        threshold: NonZeroU32::new(2).expect("not zero"),
        cooldown: Duration::from_millis(100),
    };
    let cache = maker.make(Arc::clone(&source) as Arc<dyn Source>, settings);
    (cache, source)
}

async fn play(maker: &dyn Maker, steps: &[Step]) {
    let (cache, source) = make(maker);
    let began = Instant::now();
    for Step { ms, key, wants } in steps {
        sleep_until(began + Duration::from_millis(*ms)).await;
        let loads = source.loads.load(SeqCst);
        let outcome = if let Dropped = wants {
            let dropped = tokio::time::timeout(Duration::from_millis(7), cache.get(key)).await;
            assert!(
                dropped.is_err(),
                "{key}@{ms}: a load takes longer than that"
            );
            continue;
        } else {
            cache.get(key).await
        };
        let took = began.elapsed() - Duration::from_millis(*ms);
        let loaded = source.loads.load(SeqCst) - loads;
        let (cost, fits) = match wants {
            Loaded => (20, outcome == Ok(format!("{}", loads + 1))),
            Fails => (20, matches!(outcome, Err(CacheError::Failed(_)))),
            Fresh => (0, outcome.is_ok()),
            Refused => (0, matches!(outcome, Err(CacheError::Open(_)))),
            Dropped => unreachable!("done above"),
        };
        assert!(fits, "{key}@{ms}: {outcome:?}");
        assert_eq!(took, Duration::from_millis(cost), "{key}@{ms}");
        assert_eq!(loaded, usize::from(cost > 0), "{key}@{ms}");
    }
}

/// Gives the number of the load, after 20 ms; keys with a `!` fail.
#[derive(Default)]
struct Numbers {
    loads: AtomicUsize,
}

impl Source for Numbers {
    fn load(&self, key: &str) -> BoxFuture<'static, Result<String, LoadError>> {
        let number = self.loads.fetch_add(1, SeqCst) + 1;
        let fails = key.starts_with('!');
        Box::pin(async move {
            sleep(Duration::from_millis(20)).await;
            if fails {
                return Err(LoadError("!".to_owned()));
            }
            Ok(number.to_string())
        })
    }
}
