//! One small test for each way to break a rule, each in a task of its own.

mod given;
pub use given::*;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_test::{assert_err, assert_ok};

const TTL: Duration = Duration::from_mins(1);
const LOAD: Duration = Duration::from_secs(1);
const COOLDOWN: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(1);

pub async fn keeping(maker: &dyn Maker) {
    let mut tests = JoinSet::new();
    let (cache, source) = make(maker, 1);
    tests.spawn(async move {
        let first = assert_ok!(cache.get("a").await);
        for _ in 0..3 {
            sleep(LOAD).await;
            assert_eq!(cache.get("a").await, Ok(first.clone()));
        }
        assert_eq!(cache.len(), 1);
        assert_eq!(source.count(), 1);
    });
    let (cache, source) = make(maker, 1);
    tests.spawn(async move {
        assert_ok!(cache.get("a").await);
        sleep(2 * TTL).await;
        assert_ok!(cache.get("a").await);
        assert_eq!(source.count(), 2);
    });
    tests.join_all().await;
}

pub async fn expiry(maker: &dyn Maker) {
    let mut tests = JoinSet::new();
    let (cache, source) = make(maker, 1);
    tests.spawn(async move {
        assert_ok!(cache.get("a").await);
        sleep(TTL).await;
        assert_ok!(cache.get("a").await);
        assert_eq!(source.count(), 2, "at its ttl it is not fresh");
    });
    let (cache, source) = make(maker, 1);
    tests.spawn(async move {
        assert_ok!(cache.get("a").await);
        sleep(TTL - TICK).await;
        assert_ok!(cache.get("a").await);
        assert_eq!(source.count(), 1, "before its ttl it is fresh");
        sleep(TTL - TICK).await;
        assert_ok!(cache.get("a").await);
        assert_eq!(source.count(), 2, "reading prolongs nothing");
    });
    tests.join_all().await;
}

pub async fn circuit(maker: &dyn Maker) {
    let mut tests = JoinSet::new();
    let (cache, source) = make(maker, 2);
    tests.spawn(async move {
        source.set_failing(true);
        assert_err!(cache.get("a").await);
        source.set_failing(false);
        assert_ok!(cache.get("a").await);
        source.set_failing(true);
        assert_err!(cache.get("b").await);
        source.set_failing(false);
        assert_ok!(cache.get("b").await);
    });
    let (cache, source) = make(maker, 2);
    tests.spawn(async move {
        assert_ok!(cache.get("fresh").await);
        source.set_failing(true);
        // Both at once: together they are two in a row.
        let (one, other) = tokio::join!(cache.get("a"), cache.get("b"));
        assert!(matches!(one, Err(CacheError::Failed(_))));
        assert!(matches!(other, Err(CacheError::Failed(_))));
        let refused = assert_err!(cache.get("c").await);
        assert!(matches!(refused, CacheError::Open(_)));
        assert_eq!(source.count(), 3);
        assert_ok!(cache.get("fresh").await);
    });
    tests.join_all().await;
}

pub async fn recovery(maker: &dyn Maker) {
    let mut tests = JoinSet::new();
    let (cache, source) = open(maker).await;
    tests.spawn(async move {
        let mut crowd = JoinSet::new();
        for key in ["a", "b", "c"] {
            let cache = Arc::clone(&cache);
            crowd.spawn(async move { cache.get(key).await.is_ok() });
        }
        let loaded = crowd.join_all().await;
        let loaded = loaded.into_iter().filter(|&loaded| loaded).count();
        assert_eq!(loaded, 1, "one of three is the probe");
        assert_eq!(source.count(), 2);
    });
    let (cache, source) = open(maker).await;
    tests.spawn(async move {
        source.set_failing(true);
        assert_err!(cache.get("a").await);
        source.set_failing(false);
        sleep(COOLDOWN - TICK).await;
        assert_err!(cache.get("a").await);
        sleep(TICK).await;
        assert_ok!(cache.get("a").await);
    });
    let (cache, source) = open(maker).await;
    tests.spawn(async move {
        let probe = {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { cache.get("a").await })
        };
        sleep(TICK).await;
        assert_eq!(source.count(), 2);
        probe.abort();
        assert!(probe.await.is_err_and(|error| error.is_cancelled()));
        assert_ok!(cache.get("b").await);
    });
    tests.join_all().await;
}

/// A cache whose cooldown is just over, and whose source is well again.
async fn open(maker: &dyn Maker) -> (Arc<dyn Cache>, FakeSource) {
    let (cache, source) = make(maker, 1);
    source.set_failing(true);
    assert_err!(cache.get("z").await);
    source.set_failing(false);
    sleep(COOLDOWN).await;
    (cache, source)
}

fn make(maker: &dyn Maker, threshold: u32) -> (Arc<dyn Cache>, FakeSource) {
    let source = FakeSource::new(LOAD);
    let settings = Settings {
        ttl: TTL,
        threshold: NonZeroU32::new(threshold).expect("not zero"),
        cooldown: COOLDOWN,
    };
    (maker.make(Arc::new(source.clone()), settings), source)
}
