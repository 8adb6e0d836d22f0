//! Given, not to be changed: the questions' code, and what a shop is made of.

use std::error::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

// ------------------------------------------- task 1: the questions to predict

/// `n` milliseconds.
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Question 15: an interval that is not asked for 250 ms.
pub async fn q15(log: Log, missed: MissedTickBehavior) {
    let mut ticks = interval(ms(100));
    ticks.set_missed_tick_behavior(missed);
    ticks.tick().await;
    log.note("stall");
    sleep(ms(250)).await;
    for _ in 0..4 {
        ticks.tick().await;
        log.note("tick");
    }
}

/// Question 16: a sleep of the thread beside a timer of 10 ms.
pub async fn q16(log: Log) {
    tokio::join!(
        async {
            sleep(ms(10)).await;
            log.note("timer");
        },
        async {
            log.note("begin");
            std::thread::sleep(ms(30));
            log.note("slept");
        },
    );
    log.note("both");
    let job = spawn_blocking(|| std::thread::sleep(ms(30)));
    let outcome = timeout(ms(10), job).await;
    log.note(if outcome.is_ok() { "job" } else { "too_late" });
    sleep(ms(20)).await;
    log.note("end");
}

/// A notebook: what happened, and when. A clone is the same notebook.
#[derive(Debug, Clone)]
pub struct Log {
    began: Instant,
    events: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// An empty notebook, whose time begins now. Needs the tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Arc::default(),
        }
    }

    /// Notes that `event` happens now.
    pub fn note(&self, event: &str) {
        let at_ms = self.began.elapsed().as_millis();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(format!("{event}@{at_ms}"));
    }

    /// All that was noted, in order, as an answer is written: `a@0 b@100`.
    #[must_use]
    pub fn events(&self) -> String {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.join(" ")
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

// ------------------------------------------- task 2: the gate of question 17

/// A gate that lets one pass in 100 ms.
///
/// - The first one passes at once. Whoever comes later passes 100 ms after the
///   one before, or at once if that instant is over.
/// - First come, first served.
/// - A turn that nobody wants is gone: turns are not saved up.
/// - Whoever leaves while waiting (the future is dropped) takes no turn: those
///   behind move up.
pub trait Gate: Send + Sync + 'static {
    /// Waits for one's turn.
    fn pass(&self) -> BoxFuture<'_, ()>;
}

// ------------------------------------------- the database

/// A connection to the database.
///
/// Each method but `rollback` is a statement that takes a while. A statement
/// that fails, or whose future is dropped before it has ended, has done nothing:
/// what was open before it is open still.
pub trait Conn: Send + 'static {
    /// Opens a transaction: what follows counts for others only when it is
    /// committed. Is one open already, this changes nothing, and what follows
    /// belongs to that one.
    fn begin(&mut self) -> BoxFuture<'_, Result<(), DbError>>;

    /// How many pieces of `item` there are; `None`: nobody sells it.
    fn stock<'a>(&'a mut self, item: &'a str) -> BoxFuture<'a, Result<Option<u32>, DbError>>;

    /// Sets how many pieces of `item` there are.
    fn set_stock<'a>(&'a mut self, item: &'a str, count: u32)
    -> BoxFuture<'a, Result<(), DbError>>;

    /// Writes an order down. Returns its number, which no other order has.
    fn insert_order<'a>(
        &'a mut self,
        item: &'a str,
        count: u32,
    ) -> BoxFuture<'a, Result<u64, DbError>>;

    /// Writes a delivery down.
    fn insert_delivery<'a>(
        &'a mut self,
        item: &'a str,
        count: u32,
    ) -> BoxFuture<'a, Result<(), DbError>>;

    /// Ends the open transaction: all of it counts from now on.
    fn commit(&mut self) -> BoxFuture<'_, Result<(), DbError>>;

    /// Ends the open transaction: nothing of it counts. Takes no time, and does
    /// nothing if none is open.
    fn rollback(&mut self);
}

/// What the database says when a statement fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbError(pub String);

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database: {}", self.0)
    }
}

impl Error for DbError {}

/// Some connections, each used by one at a time. A clone is the same pool.
#[derive(Clone)]
pub struct Pool {
    turns: Arc<Semaphore>,
    free: Arc<Mutex<Vec<Box<dyn Conn>>>>,
}

impl Pool {
    /// A pool of these connections.
    #[must_use]
    pub fn new(conns: Vec<Box<dyn Conn>>) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(conns.len())),
            free: Arc::new(Mutex::new(conns)),
        }
    }

    /// Waits for a connection: first come, first served. It goes back to the
    /// pool, as it is, when what this returns is dropped.
    pub async fn get(&self) -> Pooled {
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire_owned().await.expect("it is never closed");
        let conn = self.free().pop().expect("a turn is a connection");
        Pooled {
            conn: Some(conn),
            pool: self.clone(),
            _turn: turn,
        }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Conn>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection out of a [`Pool`].
pub struct Pooled {
    conn: Option<Box<dyn Conn>>,
    pool: Pool,
    _turn: OwnedSemaphorePermit,
}

impl Deref for Pooled {
    type Target = dyn Conn;

    fn deref(&self) -> &Self::Target {
        self.conn.as_deref().expect("it is here until the drop")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.conn.as_deref_mut().expect("it is here until the drop")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.free().push(conn);
        }
    }
}

// ------------------------------------------- the shop's world

/// What a shop is made of.
pub struct Parts {
    /// The way to the database.
    pub pool: Pool,
    /// Who takes the customers' money.
    pub bank: Arc<dyn Bank>,
    /// Who prints the invoices.
    pub printer: Arc<dyn Printer>,
}

/// Somewhere else: takes money.
pub trait Bank: Send + Sync + 'static {
    /// Charges the customer for `order`. Takes a while, and may fail.
    fn charge(&self, order: &Order) -> BoxFuture<'static, Result<(), Declined>>;
}

/// Why the bank takes no money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined(pub String);

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "declined: {}", self.0)
    }
}

impl Error for Declined {}

/// An old library that prints.
pub trait Printer: Send + Sync + 'static {
    /// Prints the invoice of `order`, and returns its text. A plain function: it
    /// keeps the thread that calls it until it has ended. It may panic.
    fn print(&self, order: &Order) -> String;
}

/// An order that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// What is wanted.
    pub item: String,
    /// How many of it.
    pub count: u32,
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It waits for the worker, or is being worked on.
    Accepted,
    /// It is charged, and its invoice is printed: this one.
    Done(String),
    /// It will never be done, and why.
    Failed(String),
}

impl Status {
    /// Whether it will stay as it is.
    #[must_use]
    pub fn is_final(&self) -> bool {
        *self != Self::Accepted
    }
}

// ------------------------------------------- what goes over the wire

/// The body of `POST /orders`.
#[derive(Debug, Clone, Deserialize)]
pub struct NewOrder {
    /// What is wanted.
    pub item: String,
    /// How many of it.
    pub count: u32,
}

/// The body of `POST /items/{item}`.
#[derive(Debug, Clone, Deserialize)]
pub struct Delivery {
    /// How many pieces have come.
    pub count: u32,
}

/// The answer to `POST /orders`.
#[derive(Debug, Clone, Serialize)]
pub struct Placed {
    /// The order's number.
    pub id: u64,
}

/// The answer to `GET /orders/{id}`: `{"status": "done", "detail": "…"}`.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// `accepted`, `done` or `failed`.
    pub status: &'static str,
    /// The invoice, or why it failed.
    pub detail: String,
}

impl From<Status> for View {
    fn from(status: Status) -> Self {
        let (status, detail) = match status {
            Status::Accepted => ("accepted", String::new()),
            Status::Done(invoice) => ("done", invoice),
            Status::Failed(why) => ("failed", why),
        };
        Self { status, detail }
    }
}

/// Why a request is not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShopError {
    /// 404: nobody sells this item, or there is no such order.
    Unknown,
    /// 409: there are not so many pieces left.
    SoldOut,
    /// 503: the shop is closed.
    Closed,
    /// 503: the database refuses.
    Db(DbError),
}

impl From<DbError> for ShopError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::SoldOut => f.write_str("sold out"),
            Self::Closed => f.write_str("closed"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl Error for ShopError {}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        let code = match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::SoldOut => StatusCode::CONFLICT,
            Self::Closed | Self::Db(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let body = View {
            status: "error",
            detail: self.to_string(),
        };
        (code, Json(body)).into_response()
    }
}
