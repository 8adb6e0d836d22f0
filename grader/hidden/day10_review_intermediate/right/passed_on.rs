//! right: the fetch lies in a lock; who leaves hands it on to the next, half done

mod given;
pub use given::*;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex as StdMutex, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{Mutex, RwLock, Semaphore};
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
            number = from.recv() => {
                let Some(number) = number else { return };
                if to.send(number).await.is_err() {
                    return;
                }
            }
        }
    }
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
    let room = Semaphore::new(3);
    let jobs = jobs.into_iter().map(async |job| {
        let _room = room.acquire().await;
        job.await
    });
    futures::future::join_all(jobs).await
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
    recent: Mutex<VecDeque<Instant>>,
    known: StdMutex<HashMap<String, String>>,
    flights: StdMutex<HashMap<String, Weak<Flight>>>,
}

impl Client {
    pub fn new(api: Arc<dyn Api>, settings: Settings) -> Self {
        let inner = Arc::new(Inner {
            api,
            settings,
            recent: Mutex::default(),
            known: StdMutex::default(),
            flights: StdMutex::default(),
        });
        Self { inner }
    }

    pub async fn get(&self, key: &str) -> Outcome {
        if let Some(value) = self.inner.known.lock().unwrap().get(key) {
            return Ok(value.clone());
        }
        let flight = self.inner.flight(key);
        // Whoever has the lock polls the fetch; the others wait for the lock.
        let mut flight = flight.lock().await;
        let outcome = match &mut *flight {
            State::Over(outcome) => return outcome.clone(),
            State::Running(fetch) => fetch.await,
        };
        *flight = State::Over(outcome.clone());
        self.inner.flights.lock().unwrap().remove(key);
        if let Ok(value) = &outcome {
            let mut known = self.inner.known.lock().unwrap();
            known.insert(key.to_owned(), value.clone());
        }
        outcome
    }
}

impl Inner {
    fn flight(self: &Arc<Self>, key: &str) -> Arc<Flight> {
        let mut flights = self.flights.lock().unwrap();
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        let (inner, own) = (Arc::clone(self), key.to_owned());
        let fetch = async move { inner.fetch(&own).await };
        let flight = Arc::new(Mutex::new(State::Running(Box::pin(fetch))));
        flights.insert(key.to_owned(), Arc::downgrade(&flight));
        flight
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

type Flight = Mutex<State>;

enum State {
    Running(BoxFuture<'static, Outcome>),
    Over(Outcome),
}
