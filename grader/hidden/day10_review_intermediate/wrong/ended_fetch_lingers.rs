//! wrong: a fetch that failed stays in the table for as long as somebody holds it
//! fails: an error reaches all who wait, and is not kept: failed
//! pitfall: wrong-result

mod given;
pub use given::*;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use futures::stream;
use futures::stream::StreamExt;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{Mutex, RwLock};
use tokio::time::{Instant, interval, sleep, sleep_until};

/// Question 7: dropping the set aborts its task; what it owns is dropped, the
/// locals first. A task that is aborted before its first poll runs nothing, and
/// its arguments are dropped all the same.
pub fn answer_7() -> &'static str {
    "begin@0 lamp@10 ticket@10 next@50 voucher@50 aborted@100"
}

/// Question 8: a loser by value is dropped at that instant. One by reference is
/// only left alone: it keeps its time, and goes on when it is polled again.
pub fn answer_8() -> &'static str {
    "a_gone@100 first@110 second@210 b_done@460 b_gone@460 third@460"
}

/// Question 12: 100, 200, 400 and 800 ms in between, and none at the end.
pub fn answer_12() -> &'static str {
    "try@0 try@100 try@300 try@700 try@1500 gave_up@1500"
}

/// Question 9: passes on what comes `from` one channel `to` another, and beats
/// meanwhile, until there is nothing more to come.
pub async fn forward(mut from: Receiver<u32>, to: Sender<u32>, beat: fn()) {
    let mut beats = interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = beats.tick() => beat(),
            more = pass_on(&mut from, &to) => {
                if !more {
                    return;
                }
            }
        }
    }
}

/// First the room, then the number: whoever drops this at one of its awaits
/// drops no number, for none has been taken.
async fn pass_on(from: &mut Receiver<u32>, to: &Sender<u32>) -> bool {
    let Ok(room) = to.reserve().await else {
        return false;
    };
    let Some(number) = from.recv().await else {
        return false;
    };
    room.send(number);
    true
}

/// Question 9: the `send`, with a number in hand.
pub fn answer_9() -> u32 {
    19
}

/// Question 10: an office that sells, audits and quotes.
#[derive(Debug)]
pub struct Office {
    stock: Mutex<u32>,
    cash: Mutex<u32>,
    price: RwLock<u32>,
}

impl Office {
    /// An office with so many pieces in stock, no cash, and a price of 1.
    pub fn new(stock: u32) -> Self {
        Self {
            stock: Mutex::new(stock),
            cash: Mutex::new(0),
            price: RwLock::new(1),
        }
    }

    async fn walk(&self) {
        sleep(Duration::from_millis(10)).await;
    }

    /// Sells one piece: one less in stock, one more in cash.
    pub async fn sell(&self) {
        let mut stock = self.stock.lock().await;
        self.walk().await;
        let mut cash = self.cash.lock().await;
        *stock -= 1;
        *cash += 1;
    }

    /// Stock and cash, as they are at one instant.
    pub async fn audit(&self) -> (u32, u32) {
        let stock = self.stock.lock().await;
        self.walk().await;
        let cash = self.cash.lock().await;
        (*stock, *cash)
    }

    /// The price, twice: before a walk and after it, and the same.
    pub async fn quote(&self) -> (u32, u32) {
        let price = self.price.read().await;
        let before = *price;
        self.walk().await;
        (before, *price)
    }

    /// Sets the price.
    pub async fn reprice(&self, price: u32) {
        *self.price.write().await = price;
    }
}

/// Question 10: the second read.
pub fn answer_10() -> u32 {
    19
}

/// Question 11: runs all jobs, at most three at the same time.
pub async fn three_at_a_time(jobs: Vec<BoxFuture<'_, u32>>) -> Vec<u32> {
    stream::iter(jobs).buffered(3).collect().await
}

/// What a fetch comes to.
type Outcome = Result<String, ApiError>;

/// A client of an [`Api`].
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    api: Arc<dyn Api>,
    settings: Settings,
    known: StdMutex<Known>,
    recent: Mutex<VecDeque<Instant>>,
}

#[derive(Default)]
struct Known {
    values: HashMap<String, String>,
    fetches: HashMap<String, WeakShared<BoxFuture<'static, Outcome>>>,
}

impl Client {
    /// A client that knows nothing yet.
    pub fn new(api: Arc<dyn Api>, settings: Settings) -> Self {
        let inner = Arc::new(Inner {
            api,
            settings,
            known: StdMutex::default(),
            recent: Mutex::default(),
        });
        Self { inner }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// The service's last error, to all who waited. It is not remembered.
    pub async fn get(&self, key: &str) -> Outcome {
        let fetch = {
            let mut known = self.inner.known();
            if let Some(value) = known.values.get(key) {
                return Ok(value.clone());
            }
            let running = known.fetches.get(key);
            match running.and_then(WeakShared::upgrade) {
                Some(shared) => shared,
                None => self.inner.begin(&mut known, key),
            }
        };
        fetch.await
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new fetch of `key`, for others to share.
    fn begin(
        self: &Arc<Self>,
        known: &mut Known,
        key: &str,
    ) -> Shared<BoxFuture<'static, Outcome>> {
        let (inner, own_key) = (Arc::clone(self), key.to_owned());
        let shared = async move {
            let outcome = inner.fetch(&own_key).await;
            if let Ok(value) = &outcome {
                let mut known = inner.known();
                known.values.insert(own_key.clone(), value.clone());
                known.fetches.remove(&own_key);
            }
            outcome
        };
        let shared = shared.boxed().shared();
        if let Some(weak) = shared.downgrade() {
            known.fetches.insert(key.to_owned(), weak);
        }
        shared
    }

    async fn fetch(&self, key: &str) -> Outcome {
        let mut delay = self.settings.first_delay;
        let mut attempt = 1;
        loop {
            self.turn().await;
            match self.api.get(key).await {
                Err(ApiError::Busy(_)) if attempt < self.settings.attempts.get() => {}
                outcome => return outcome,
            }
            sleep(delay).await;
            delay = delay.saturating_mul(2);
            attempt += 1;
        }
    }

    /// Waits until one more call may begin.
    async fn turn(&self) {
        let Settings { calls, per, .. } = self.settings;
        let mut recent = self.recent.lock().await;
        if recent.len() == calls.get()
            && let Some(oldest) = recent.front()
        {
            sleep_until(*oldest + per).await;
            recent.pop_front();
        }
        recent.push_back(Instant::now());
    }
}
