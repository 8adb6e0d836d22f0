//! Futures polled by hand with tokio-test, and loads that end when the test says so.

mod given;
pub use given::*;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_test::task::{self, Spawn};
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};

type Outcome = Result<String, CacheError>;
type Get<'a> = Spawn<BoxFuture<'a, Outcome>>;

pub async fn keeping(maker: &dyn Maker) {
    let (cache, hand) = make(maker);
    let mut get = started(&*cache, "a");
    assert_pending!(settled(&mut get).await, "the load has not ended");
    hand.end(Ok("first")).await;
    assert_ready_eq!(settled(&mut get).await, Ok("first".to_owned()));
    let mut get = started(&*cache, "a");
    assert_ready_eq!(settled(&mut get).await, Ok("first".to_owned()));
    assert_eq!(hand.waiting(), 0);

    sleep(Duration::from_secs(100)).await;
    let mut get = started(&*cache, "a");
    assert_pending!(settled(&mut get).await, "it has expired");
    hand.end(Ok("second")).await;
    assert_ready_eq!(settled(&mut get).await, Ok("second".to_owned()));
}

pub async fn expiry(maker: &dyn Maker) {
    let (cache, hand) = make(maker);
    let mut get = started(&*cache, "a");
    assert_pending!(settled(&mut get).await, "the load takes long");
    sleep(Duration::from_secs(3)).await;
    hand.end(Ok("first")).await;
    assert!(settled(&mut get).await.is_ready());

    for wait_ms in [5_000, 4_999] {
        sleep(Duration::from_millis(wait_ms)).await;
        let mut get = started(&*cache, "a");
        assert_ready_eq!(settled(&mut get).await, Ok("first".to_owned()));
    }
    sleep(Duration::from_millis(1)).await;
    let mut get = started(&*cache, "a");
    assert_pending!(settled(&mut get).await);
    assert_eq!(hand.waiting(), 1);
}

pub async fn circuit(maker: &dyn Maker) {
    let (cache, hand) = make(maker);
    load(&*cache, &hand, "kept", Ok("kept")).await;
    load(&*cache, &hand, "a", Err("1")).await;
    load(&*cache, &hand, "a", Ok("2")).await;
    load(&*cache, &hand, "b", Err("3")).await;
    load(&*cache, &hand, "b", Ok("4")).await;
    load(&*cache, &hand, "c", Err("5")).await;
    load(&*cache, &hand, "d", Err("6")).await;
    refused(&*cache, "e").await;
    refused(&*cache, "c").await;
    let mut get = started(&*cache, "kept");
    assert_ready_eq!(settled(&mut get).await, Ok("kept".to_owned()));
    assert_eq!(hand.waiting(), 0);
}

pub async fn recovery(maker: &dyn Maker) {
    let (cache, hand) = make(maker);
    for round in 0..3 {
        if round == 0 {
            load(&*cache, &hand, "a", Err("1")).await;
            load(&*cache, &hand, "b", Err("2")).await;
        } else {
            load(&*cache, &hand, "a", Err("probe")).await;
        }
        sleep(Duration::from_millis(699)).await;
        refused(&*cache, "a").await;
        sleep(Duration::from_millis(1)).await;
    }
    for round in 0..3 {
        // Whoever has the probe leaves, and the next one gets it.
        let mut probe = started(&*cache, "a");
        assert_pending!(settled(&mut probe).await, "round {}", round);
        assert_eq!(hand.waiting(), 1);
        refused(&*cache, "b").await;
        drop(probe);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(hand.waiting(), 0);
    }
    load(&*cache, &hand, "b", Ok("probe")).await;
    load(&*cache, &hand, "c", Ok("closed")).await;
}

fn make(maker: &dyn Maker) -> (Arc<dyn Cache>, Hand) {
    let hand = Hand::default();
    let settings = Settings {
        ttl: Duration::from_secs(10),
        threshold: NonZeroU32::new(2).expect("not zero"),
        cooldown: Duration::from_millis(700),
    };
    (maker.make(Arc::new(hand.clone()), settings), hand)
}

/// A `get` to be polled by hand.
fn started<'a>(cache: &'a dyn Cache, key: &'a str) -> Get<'a> {
    task::spawn(cache.get(key))
}

/// Polls as long as somebody wakes it at this instant.
async fn settled(get: &mut Get<'_>) -> std::task::Poll<Outcome> {
    for _ in 0..50 {
        let poll = get.poll();
        if poll.is_ready() {
            return poll;
        }
        yield_now().await;
    }
    std::task::Poll::Pending
}

/// One load from its beginning to its end.
async fn load(cache: &dyn Cache, hand: &Hand, key: &str, end: Result<&str, &str>) {
    let mut get = started(cache, key);
    assert_pending!(settled(&mut get).await, "{} needs a load", key);
    hand.end(end).await;
    let outcome = assert_ready!(settled(&mut get).await);
    match end {
        Ok(value) => assert_eq!(outcome, Ok(value.to_owned())),
        Err(words) => assert_eq!(
            outcome,
            Err(CacheError::Failed(LoadError(words.to_owned())))
        ),
    }
}

async fn refused(cache: &dyn Cache, key: &str) {
    let mut get = started(cache, key);
    let outcome = assert_ready!(settled(&mut get).await);
    assert!(matches!(outcome, Err(CacheError::Open(_))), "{outcome:?}");
}

type Ender = oneshot::Sender<Result<String, LoadError>>;

/// A source whose loads end when the test says so.
#[derive(Clone, Default)]
struct Hand {
    loads: Arc<Mutex<VecDeque<Ender>>>,
}

impl Hand {
    /// Ends the load that has waited longest.
    async fn end(&self, end: Result<&str, &str>) {
        for _ in 0..50 {
            yield_now().await;
        }
        let ender = self.loads.lock().expect("no panic here").pop_front();
        let end = end.map(str::to_owned);
        let end = end.map_err(|words| LoadError(words.to_owned()));
        let ended = ender.expect("a load is under way").send(end);
        ended.expect("somebody waits for it");
    }

    fn waiting(&self) -> usize {
        let mut loads = self.loads.lock().expect("no panic here");
        loads.retain(|ender| !ender.is_closed());
        loads.len()
    }
}

impl Source for Hand {
    fn load(&self, _key: &str) -> BoxFuture<'static, Result<String, LoadError>> {
        let loads = Arc::clone(&self.loads);
        Box::pin(async move {
            let (ender, end) = oneshot::channel();
            loads.lock().expect("no panic here").push_back(ender);
            end.await.expect("the test ends every load")
        })
    }
}
