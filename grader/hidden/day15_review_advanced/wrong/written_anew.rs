//! wrong: a shop that keeps to everything, and has nothing left of the one that was given
//! fails: a whole day, mended in few lines: failed
//! pitfall: over-engineered

mod given;
pub use given::*;

use std::collections::HashMap;
use std::convert::Infallible;
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
    10
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

// ------------------------------------------------- Tasks 3 to 5: a shop, anew

/// What everybody in the shop knows.
struct Desk {
    resources: Parts,
    shelves: Shelves,
    journal: Journal,
    mailbox: mpsc::Sender<Order>,
}

/// A lock for each product.
#[derive(Default)]
struct Shelves(StdMutex<HashMap<String, Arc<Mutex<()>>>>);

impl Shelves {
    async fn enter(&self, product: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let shelf = {
            let mut shelves = held(&self.0);
            shelves.entry(product.to_owned()).or_default().clone()
        };
        shelf.lock_owned().await
    }
}

/// What became of each order.
#[derive(Default)]
struct Journal(StdMutex<HashMap<u64, Status>>);

impl Journal {
    fn look_up(&self, number: u64) -> Result<Status, ShopError> {
        let entries = held(&self.0);
        entries.get(&number).cloned().ok_or(ShopError::Unknown)
    }

    fn write(&self, number: u64, status: Status) {
        let mut entries = held(&self.0);
        entries.insert(number, status);
    }
}

fn held<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => PoisonError::into_inner(poisoned),
    }
}

/// A connection and its transaction in one.
struct Session {
    connection: Pooled,
    committed: bool,
}

impl Session {
    async fn start(pool: &Pool) -> Result<Self, ShopError> {
        let mut connection = pool.get().await;
        connection.begin().await?;
        Ok(Self {
            connection,
            committed: false,
        })
    }

    async fn pieces(&mut self, product: &str) -> Result<u32, ShopError> {
        match self.connection.stock(product).await? {
            Some(pieces) => Ok(pieces),
            None => Err(ShopError::Unknown),
        }
    }

    async fn finish(mut self) -> Result<(), ShopError> {
        self.connection.commit().await?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        self.connection.rollback();
    }
}

/// A shop: takes orders, sells what is there, and tells how far an order is.
pub struct Shop {
    desk: Arc<Desk>,
}

impl Shop {
    /// A shop made of `parts`, and its worker, who still has to run.
    pub fn open(parts: Parts) -> (Arc<Self>, Worker) {
        let (mailbox, letters) = mpsc::channel(64);
        let desk = Arc::new(Desk {
            resources: parts,
            shelves: Shelves::default(),
            journal: Journal::default(),
            mailbox,
        });
        let shop = Self {
            desk: Arc::clone(&desk),
        };
        (Arc::new(shop), Worker { desk, letters })
    }

    /// The shop as a web service.
    pub fn router(self: &Arc<Self>) -> Router {
        let orders = Router::new()
            .route("/", post(take_order))
            .route("/{number}", get(tell_status))
            .route("/{number}/outcome", get(tell_outcome));
        let items = Router::new().route("/{product}", post(take_delivery));
        Router::new()
            .nest("/orders", orders)
            .nest("/items", items)
            .with_state(Arc::clone(&self.desk))
    }
}

impl Desk {
    async fn sell(&self, product: String, pieces: u32) -> Result<u64, ShopError> {
        let Ok(letter) = self.mailbox.reserve().await else {
            return Err(ShopError::Closed);
        };
        let _shelf = self.shelves.enter(&product).await;
        let mut session = Session::start(&self.resources.pool).await?;
        let there = session.pieces(&product).await?;
        if there < pieces {
            return Err(ShopError::SoldOut);
        }
        let rest = there - pieces;
        session.connection.set_stock(&product, rest).await?;
        let number = session.connection.insert_order(&product, pieces).await?;
        session.finish().await?;
        self.journal.write(number, Status::Accepted);
        letter.send(Order {
            id: number,
            item: product,
            count: pieces,
        });
        Ok(number)
    }

    async fn restock(&self, product: &str, pieces: u32) -> Result<(), ShopError> {
        let _shelf = self.shelves.enter(product).await;
        let mut session = Session::start(&self.resources.pool).await?;
        session.connection.insert_delivery(product, pieces).await?;
        let there = session.pieces(product).await?;
        let all = there.saturating_add(pieces);
        session.connection.set_stock(product, all).await?;
        session.finish().await
    }

    async fn settle(&self, order: Order) {
        let charged = self.resources.bank.charge(&order).await;
        if let Err(declined) = charged {
            let why = Status::Failed(declined.to_string());
            return self.journal.write(order.id, why);
        }
        let number = order.id;
        let printer = Arc::clone(&self.resources.printer);
        let printed = spawn_blocking(move || printer.print(&order)).await;
        let status = match printed {
            Ok(invoice) => Status::Done(invoice),
            Err(panic) => Status::Failed(panic.to_string()),
        };
        self.journal.write(number, status);
    }
}

/// Who turns accepted orders into invoices, one after the other.
pub struct Worker {
    desk: Arc<Desk>,
    letters: mpsc::Receiver<Order>,
}

impl Worker {
    /// Works on orders as they come, until the shop is closed and all are done.
    pub async fn run(mut self, closing: CancellationToken) {
        let closed = loop {
            tokio::select! {
                letter = self.letters.recv() => match letter {
                    Some(order) => self.desk.settle(order).await,
                    None => break true,
                },
                () = closing.cancelled() => break false,
            }
        };
        if closed {
            return;
        }
        self.letters.close();
        while let Some(order) = self.letters.recv().await {
            self.desk.settle(order).await;
        }
    }
}

async fn take_order(
    State(desk): State<Arc<Desk>>,
    Json(wanted): Json<NewOrder>,
) -> Result<(StatusCode, Json<Placed>), ShopError> {
    let number = desk.sell(wanted.item, wanted.count).await?;
    let placed = Placed { id: number };
    Ok((StatusCode::CREATED, Json(placed)))
}

async fn take_delivery(
    State(desk): State<Arc<Desk>>,
    Path(product): Path<String>,
    Json(delivered): Json<Delivery>,
) -> Result<StatusCode, ShopError> {
    let restocked = desk.restock(&product, delivered.count).await;
    restocked.map(|()| StatusCode::NO_CONTENT)
}

async fn tell_status(
    State(desk): State<Arc<Desk>>,
    Path(number): Path<u64>,
) -> Result<Json<View>, ShopError> {
    let status = desk.journal.look_up(number)?;
    Ok(Json(View::from(status)))
}

async fn tell_outcome(
    State(desk): State<Arc<Desk>>,
    Path(number): Path<u64>,
) -> Result<Json<View>, ShopError> {
    let mut glances = interval(Duration::from_millis(100));
    loop {
        glances.tick().await;
        let status = desk.journal.look_up(number)?;
        if status.is_final() {
            break Ok(Json(View::from(status)));
        }
    }
}
