//! Day 10: Practice & Review: Intermediate.
//!
//! Six questions on days 6 to 9, and an API client. `README.md` states what each
//! asks for; the code of the questions is in `given.rs` and below.

mod given;
pub use given::*;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{Mutex, RwLock};
use tokio::time::{interval, sleep};

// ------------------------------------------------- Task 1: predict

// What does the code note, and when? Answer with all events in their order, as
// in `"begin@0 end@250"`: name, `@`, milliseconds; a space in between.

/// Question 7: what does [`q7`] note?
pub fn answer_7() -> &'static str {
    todo!("question 7: what does q7 note, and when?")
}

/// Question 8: what does [`q8`] note?
pub fn answer_8() -> &'static str {
    todo!("question 8: what does q8 note, and when?")
}

/// Question 12: what does [`q12`] note?
pub fn answer_12() -> &'static str {
    todo!("question 12: what does q12 note, and when?")
}

// ------------------------------------------------- Task 2: spot and complete

/// Question 9: passes on what comes `from` one channel `to` another, and beats
/// meanwhile, until there is nothing more to come.
///
/// Now and then a number is lost. Find the line, mend it here.
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

async fn pass_on(from: &mut Receiver<u32>, to: &Sender<u32>) -> bool {
    let Some(number) = from.recv().await else {
        return false;
    };
    to.send(number).await.is_ok()
}

/// Question 9: the number of the line, in the README's listing, at whose
/// `.await` the number is lost.
pub fn answer_9() -> u32 {
    todo!("question 9: which line of the listing?")
}

/// Question 10: an office that sells, audits and quotes.
///
/// Now and then everybody in it waits. Mend it here.
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
        let cash = self.cash.lock().await;
        self.walk().await;
        let stock = self.stock.lock().await;
        (*stock, *cash)
    }

    /// The price, twice: before a walk and after it, and the same.
    pub async fn quote(&self) -> (u32, u32) {
        let price = self.price.read().await;
        self.walk().await;
        let again = self.price.read().await;
        (*price, *again)
    }

    /// Sets the price.
    pub async fn reprice(&self, price: u32) {
        *self.price.write().await = price;
    }
}

/// Question 10: the number of the line, in the README's listing, that the second
/// report names besides the writer's.
pub fn answer_10() -> u32 {
    todo!("question 10: which line of the listing?")
}

/// Question 11: runs all jobs, at most three at the same time. The results keep
/// the order of the jobs.
pub async fn three_at_a_time(jobs: Vec<BoxFuture<'_, u32>>) -> Vec<u32> {
    let _jobs = stream::iter(jobs);
    todo!("question 11: three in flight, in order, collected")
}

// ------------------------------------------------- Tasks 3 to 5: a client

/// A client of an [`Api`]: it asks once for all who want the same, remembers
/// what it got, keeps to the limit, and asks again when the service is busy.
pub struct Client {
    // your fields
}

impl Client {
    /// A client that knows nothing yet.
    pub fn new(api: Arc<dyn Api>, settings: Settings) -> Self {
        let _ = (api, settings);
        todo!("task 3: keep them, and room for what will be known")
    }

    /// The value of `key`: at once if it is known, else by a fetch that all who
    /// want this key meanwhile share.
    ///
    /// A fetch is up to `attempts` calls, with growing delays in between, and
    /// all calls of all fetches keep to the limit (task 5). It goes on as long
    /// as anybody waits for it, and is dropped when nobody does (task 4).
    ///
    /// # Errors
    /// The service's last error, to all who waited. It is not remembered.
    pub async fn get(&self, key: &str) -> Result<String, ApiError> {
        let _ = key;
        todo!("task 3: known? being fetched? else fetch it, for everybody")
    }
}
