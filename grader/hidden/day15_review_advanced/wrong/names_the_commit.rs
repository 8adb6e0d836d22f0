//! wrong: names the line of the commit
//! fails: question 14: a shift that is dropped leaves no half: failed
//! pitfall: cleanup-forgotten

mod given;
pub use given::*;

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::future::BoxFuture;
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

/// Question 15: three ticks are due at 250 ms, at 100, 200 and 300. `Burst` makes
/// up for each, `Delay` counts anew from the late one, `Skip` keeps to the old
/// instants.
pub fn answer_15() -> [&'static str; 3] {
    [
        "stall@0 tick@250 tick@250 tick@300 tick@400",
        "stall@0 tick@250 tick@350 tick@450 tick@550",
        "stall@0 tick@250 tick@300 tick@400 tick@500",
    ]
}

/// Question 16: the clock is moved by the runtime alone, from timer to timer, when
/// nothing can run. A thread that sleeps moves nothing, and a blocking job keeps
/// the clock where it is.
pub fn answer_16() -> &'static str {
    "begin@0 slept@0 timer@10 both@10 job@10 end@30"
}

/// Question 13: a layer that answers 408 for whatever takes too long.
#[derive(Debug, Clone)]
pub struct DeadlineLayer {
    limit: Duration,
}

impl DeadlineLayer {
    /// A layer that allows `limit`.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        let limit = self.limit;
        Deadline { inner, limit }
    }
}

/// What a [`DeadlineLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
    limit: Duration,
}

impl<S> Service<Request> for Deadline<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The timeout owns the inner future, and drops it when the time is up.
        let answer = timeout(self.limit, self.inner.call(request));
        Box::pin(async move {
            match answer.await {
                Ok(response) => response,
                Err(_) => Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
            }
        })
    }
}

/// Question 14: shifts pieces from one item to another, all of them or none.
///
/// # Errors
/// What the database says, or that there are not so many.
pub async fn shift(pool: &Pool, from: &str, to: &str, count: u32) -> Result<(), DbError> {
    let mut conn = Undo(pool.get().await);
    conn.0.begin().await?;
    rebook(&mut conn.0, from, to, count).await?;
    conn.0.commit().await
}

/// Rolls back what is open when it is dropped, whatever the reason: an error, the
/// end, or a caller who has left. After a commit there is nothing to roll back.
struct Undo(Pooled);

impl Drop for Undo {
    fn drop(&mut self) {
        self.0.rollback();
    }
}

async fn rebook(conn: &mut Pooled, from: &str, to: &str, count: u32) -> Result<(), DbError> {
    let has = conn.stock(from).await?.unwrap_or(0);
    let gets = conn.stock(to).await?.unwrap_or(0);
    let Some(left) = has.checked_sub(count) else {
        return Err(DbError("not so many".to_owned()));
    };
    conn.set_stock(from, left).await?;
    conn.set_stock(to, gets.saturating_add(count)).await
}

/// Question 14: nobody gets to the rollback of a future that was dropped.
pub fn answer_14() -> u32 {
    7
}

/// Question 17: ends if `gate` keeps to what [`Gate`] says, else panics.
pub async fn test_gate(gate: Arc<dyn Gate>) {
    let began = Instant::now();
    let pass = async || {
        gate.pass().await;
        began.elapsed().as_millis()
    };
    assert_eq!(pass().await, 0, "the first one passes at once");

    // One waits and leaves; two wait at the same time, one behind the other.
    let left = timeout(Duration::from_millis(50), pass()).await;
    assert!(left.is_err(), "nobody passes before 100 ms");
    let both = tokio::join!(pass(), pass());
    assert_eq!(both, (100, 200), "one after the other, and no turn is lost");

    // Nobody comes for a while.
    sleep(Duration::from_millis(300)).await;
    assert_eq!(pass().await, 500, "the turn at 300 ms is over");
    assert_eq!(pass().await, 600, "turns are not saved up");
}

// ------------------------------------------------- Tasks 3 to 5: a shop

/// So many orders wait for the worker at most.
const QUEUE: usize = 64;

/// So often somebody who waits for an order looks whether it is done.
const LOOK: Duration = Duration::from_millis(100);

/// A shop: takes orders, sells what is there, and tells how far an order is.
pub struct Shop {
    parts: Parts,
    /// A lock per item: whoever has it is the only one who changes that stock.
    items: StdMutex<HashMap<String, Arc<Mutex<()>>>>,
    statuses: StdMutex<HashMap<u64, Status>>,
    queue: mpsc::Sender<Order>,
}

impl Shop {
    /// A shop made of `parts`, and its worker, who still has to run.
    pub fn open(parts: Parts) -> (Arc<Self>, Worker) {
        let (queue, orders) = mpsc::channel(QUEUE);
        let shop = Arc::new(Self {
            parts,
            items: StdMutex::default(),
            statuses: StdMutex::default(),
            queue,
        });
        let worker = Worker {
            shop: Arc::clone(&shop),
            orders,
        };
        (shop, worker)
    }

    /// The shop as a web service.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/orders", post(place))
            .route("/orders/{id}", get(status))
            .route("/orders/{id}/outcome", get(outcome))
            .route("/items/{item}", post(deliver))
            .with_state(Arc::clone(self))
    }

    /// The lock of an item.
    fn item(&self, item: &str) -> Arc<Mutex<()>> {
        let mut items = guard(&self.items);
        Arc::clone(items.entry(item.to_owned()).or_default())
    }

    fn status(&self, id: u64) -> Option<Status> {
        guard(&self.statuses).get(&id).cloned()
    }

    fn set_status(&self, id: u64, status: Status) {
        guard(&self.statuses).insert(id, status);
    }

    /// Sells `count` pieces of an item, and hands the order to the worker.
    async fn place(&self, new: NewOrder) -> Result<u64, ShopError> {
        // Room in the queue comes first: once the order is written down, nothing
        // may wait any more.
        let room = self.queue.reserve().await;
        let room = room.map_err(|_| ShopError::Closed)?;

        let item = self.item(&new.item);
        let _item = item.lock().await;
        let mut conn = self.parts.pool.get().await;
        let tx = Tx::begin(&mut *conn).await?;
        let stock = tx.conn.stock(&new.item).await?.ok_or(ShopError::Unknown)?;
        let left = stock.checked_sub(new.count).ok_or(ShopError::SoldOut)?;
        tx.conn.set_stock(&new.item, left).await?;
        let id = tx.conn.insert_order(&new.item, new.count).await?;
        tx.commit().await?;

        self.set_status(id, Status::Accepted);
        room.send(Order {
            id,
            item: new.item,
            count: new.count,
        });
        Ok(id)
    }

    /// Puts `count` pieces of an item on the shelf, and writes the delivery down.
    async fn deliver(&self, name: &str, count: u32) -> Result<(), ShopError> {
        // As in `place`: the item first, and then a connection.
        let item = self.item(name);
        let _item = item.lock().await;
        let mut conn = self.parts.pool.get().await;
        let tx = Tx::begin(&mut *conn).await?;
        tx.conn.insert_delivery(name, count).await?;
        let stock = tx.conn.stock(name).await?.ok_or(ShopError::Unknown)?;
        tx.conn.set_stock(name, stock.saturating_add(count)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Charges the customer, and prints the invoice.
    async fn fulfil(&self, order: &Order) -> Result<String, Trouble> {
        self.parts.bank.charge(order).await?;
        let (printer, order) = (Arc::clone(&self.parts.printer), order.clone());
        let invoice = spawn_blocking(move || printer.print(&order)).await?;
        Ok(invoice)
    }
}

/// What can go wrong on the way from an order to its invoice.
type Trouble = Box<dyn Error + Send + Sync>;

/// A `std` lock: only for what takes no time, never across an `.await`.
fn guard<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A transaction. Whoever drops it before it is committed rolls it back.
struct Tx<'a> {
    conn: &'a mut dyn Conn,
    open: bool,
}

impl<'a> Tx<'a> {
    async fn begin(conn: &'a mut dyn Conn) -> Result<Self, DbError> {
        conn.begin().await?;
        Ok(Self { conn, open: true })
    }

    async fn commit(mut self) -> Result<(), DbError> {
        self.conn.commit().await?;
        // Only now: the commit may fail, or be dropped while it waits.
        self.open = false;
        Ok(())
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if self.open {
            self.conn.rollback();
        }
    }
}

/// Who turns accepted orders into invoices, one after the other.
pub struct Worker {
    shop: Arc<Shop>,
    orders: mpsc::Receiver<Order>,
}

impl Worker {
    /// Works on orders as they come. Once `closing` is cancelled, the shop takes
    /// no more; this ends when all that were accepted have been worked on.
    pub async fn run(mut self, closing: CancellationToken) {
        loop {
            let order = tokio::select! {
                order = self.orders.recv() => order,
                () = closing.cancelled(), if !self.orders.is_closed() => {
                    self.orders.close();
                    continue;
                }
            };
            let Some(order) = order else { return };
            let status = match self.shop.fulfil(&order).await {
                Ok(invoice) => Status::Done(invoice),
                Err(trouble) => Status::Failed(trouble.to_string()),
            };
            self.shop.set_status(order.id, status);
        }
    }
}

/// `POST /orders`
async fn place(
    State(shop): State<Arc<Shop>>,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, Json<Placed>), ShopError> {
    let id = shop.place(new).await?;
    Ok((StatusCode::CREATED, Json(Placed { id })))
}

/// `POST /items/{item}`
async fn deliver(
    State(shop): State<Arc<Shop>>,
    Path(item): Path<String>,
    Json(delivery): Json<Delivery>,
) -> Result<StatusCode, ShopError> {
    shop.deliver(&item, delivery.count).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /orders/{id}`
async fn status(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<u64>,
) -> Result<Json<View>, ShopError> {
    let status = shop.status(id).ok_or(ShopError::Unknown)?;
    Ok(Json(status.into()))
}

/// `GET /orders/{id}/outcome`: the same, but only when it will stay so.
async fn outcome(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<u64>,
) -> Result<Json<View>, ShopError> {
    // No task: what looks is a part of the request, and is dropped with it.
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let status = shop.status(id).ok_or(ShopError::Unknown)?;
        if status.is_final() {
            return Ok(Json(status.into()));
        }
    }
}
