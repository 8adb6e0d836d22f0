//! wrong: the shed still believes after a call what it was told before it
//! fails: the shed answers 503 at once, never calls the unready: failed
//! pitfall: wrong-result

mod given;
pub use given::*;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::{Layer, Service, ServiceBuilder};

// ------------------------------------------------------- Task 1: the routes

/// The routes of a ticket shop with so many seats in each hall.
pub fn shop(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>) -> Router {
    let free = Mutex::new(halls.into_iter().collect());
    Router::new()
        .route("/shows/{name}", get(show))
        .route("/shows/{name}/tickets", post(buy))
        .with_state(Arc::new(Shop { free, bank }))
}

struct Shop {
    // A std mutex: it is held for a few lines, and its guard cannot cross an
    // await, for a handler's future has to be `Send`.
    free: Mutex<BTreeMap<String, u32>>,
    bank: Arc<dyn Bank>,
}

impl Shop {
    /// Does something with the number of a show's free seats.
    fn with_free<T>(
        &self,
        name: &str,
        what: impl FnOnce(&mut u32) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        what(free.get_mut(name).ok_or(Refusal::NoSuchShow)?)
    }
}

/// Why a request is not granted.
enum Refusal {
    NoSuchShow,
    SoldOut,
    Declined,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoSuchShow => (StatusCode::NOT_FOUND, "no such show"),
            Self::SoldOut => (StatusCode::CONFLICT, "not enough seats"),
            Self::Declined => (StatusCode::PAYMENT_REQUIRED, "the bank declined"),
        }
        .into_response()
    }
}

/// Seats that are held while their buyer pays. Dropped, they are free again,
/// whatever ended the payment: a refusal, a panic, or a deadline.
struct Held {
    shop: Arc<Shop>,
    show: String,
    seats: NonZeroU32,
    sold: bool,
}

impl Held {
    /// Looks and takes in one step, under one lock.
    fn take(shop: &Arc<Shop>, show: String, seats: NonZeroU32) -> Result<Self, Refusal> {
        shop.with_free(&show, |free| {
            *free = free.checked_sub(seats.get()).ok_or(Refusal::SoldOut)?;
            Ok(())
        })?;
        Ok(Self {
            shop: Arc::clone(shop),
            show,
            seats,
            sold: false,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.sold {
            let _ = self.shop.with_free(&self.show, |free| {
                *free += self.seats.get();
                Ok(())
            });
        }
    }
}

async fn show(
    State(shop): State<Arc<Shop>>,
    Path(name): Path<String>,
) -> Result<Json<Show>, Refusal> {
    let free = shop.with_free(&name, |free| Ok(*free))?;
    Ok(Json(Show { name, free }))
}

async fn buy(
    State(shop): State<Arc<Shop>>,
    Path(name): Path<String>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<Ticket>), Refusal> {
    let mut held = Held::take(&shop, name, order.seats)?;
    let paid = shop.bank.charge(&held.show, held.seats).await;
    let receipt = paid.map_err(|Declined| Refusal::Declined)?;
    held.sold = true;
    let ticket = Ticket {
        show: held.show.clone(),
        seats: held.seats,
        receipt,
    };
    Ok((StatusCode::CREATED, Json(ticket)))
}

// -------------------------------------------------- Task 2: the request's id

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request an id, and tells it in the response.
#[derive(Debug, Clone, Default)]
pub struct RequestIdLayer {
    // In the layer, not in the service: a router calls `layer` for every route.
    given: Arc<AtomicU64>,
}

impl RequestIdLayer {
    /// A layer that has not given any id yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        let given = Arc::clone(&self.given);
        RequestId { inner, given }
    }
}

/// What [`RequestIdLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct RequestId<S> {
    inner: S,
    given: Arc<AtomicU64>,
}

impl<S> Service<Request> for RequestId<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = request.headers().get(REQUEST_ID).cloned();
        let id = id.unwrap_or_else(|| {
            let number = self.given.fetch_add(1, Relaxed) + 1;
            HeaderValue::try_from(format!("r-{number}")).expect("letters and digits")
        });
        request.headers_mut().insert(REQUEST_ID, id.clone());
        // `self.inner` is the one that said it is ready. It is called here, not
        // in the future below; a clone of it would have to be asked anew.
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            response.headers_mut().insert(REQUEST_ID, id);
            Ok(response)
        })
    }
}

// ------------------------------------------------------ Task 3: the deadline

const TIMEOUT_MS: HeaderName = HeaderName::from_static("x-timeout-ms");

/// Answers 408 when a response takes too long.
#[derive(Debug, Clone)]
pub struct DeadlineLayer {
    max: Duration,
}

impl DeadlineLayer {
    /// No response takes longer than `max`.
    pub fn new(max: Duration) -> Self {
        Self { max }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        let max = self.max;
        Deadline { inner, max }
    }
}

/// What [`DeadlineLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
    max: Duration,
}

impl<S> Deadline<S> {
    /// How long this request may take; `None`: it says something else than a
    /// number.
    fn allowed(&self, request: &Request) -> Option<Duration> {
        let Some(said) = request.headers().get(TIMEOUT_MS) else {
            return Some(self.max);
        };
        let wanted = said.to_str().ok()?.parse().ok()?;
        Some(Duration::from_millis(wanted).min(self.max))
    }
}

impl<S> Service<Request> for Deadline<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(allowed) = self.allowed(&request) else {
            let refused = (StatusCode::BAD_REQUEST, "x-timeout-ms is not a number");
            return Box::pin(async move { Ok(refused.into_response()) });
        };
        // The future itself is in the timeout, not a task's handle: when time
        // is up it is dropped, and with it everything the handler holds. (A
        // timeout polls what is inside first: at the very instant of the
        // deadline a response wins.)
        let response = timeout(allowed, self.inner.call(request));
        Box::pin(async move {
            let late = (StatusCode::REQUEST_TIMEOUT, "it took too long");
            response
                .await
                .unwrap_or_else(|_elapsed| Ok(late.into_response()))
        })
    }
}

// ------------------------------------------- Task 4: the limit, and the shed

/// Lets so many requests through at a time; the others wait in `poll_ready`.
#[derive(Debug, Clone)]
pub struct LimitLayer {
    // In the layer: one limit for all services that it makes.
    places: Arc<Semaphore>,
}

impl LimitLayer {
    /// At most `limit` requests at a time, over all services of this layer.
    pub fn new(limit: NonZeroUsize) -> Self {
        let places = Arc::new(Semaphore::new(limit.get()));
        Self { places }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            places: Arc::clone(&self.places),
            turn: None,
            place: None,
        }
    }
}

/// A wait for a place. Between two calls of `poll_ready` it has to live
/// somewhere, or its turn in the line would be lost.
type Turn = Pin<Box<dyn Future<Output = OwnedSemaphorePermit> + Send + Sync>>;

/// What [`LimitLayer`] makes of a service.
pub struct Limit<S> {
    inner: S,
    places: Arc<Semaphore>,
    turn: Option<Turn>,
    /// The place of the next call: that is what "ready" means.
    place: Option<OwnedSemaphorePermit>,
}

impl<S: Clone> Clone for Limit<S> {
    /// The clone has no place: it was not told that it is ready.
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            places: Arc::clone(&self.places),
            turn: None,
            place: None,
        }
    }
}

impl<S> Service<Request> for Limit<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.place.is_none() {
            let turn = self.turn.get_or_insert_with(|| {
                let places = Arc::clone(&self.places);
                Box::pin(async move { places.acquire_owned().await.expect("is never closed") })
            });
            self.place = Some(ready!(turn.as_mut().poll(cx)));
            self.turn = None;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let place = self.place.take().expect("`poll_ready` said ready");
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await;
            // Named here, it is moved into the future, and is free when this
            // one ends or is dropped.
            drop(place);
            response
        })
    }
}

/// Answers 503 in place of waiting until the inner service is ready.
#[derive(Debug, Clone, Default)]
pub struct ShedLayer;

impl ShedLayer {
    /// The layer.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        Shed {
            inner,
            ready: false,
        }
    }
}

/// What [`ShedLayer`] makes of a service.
#[derive(Debug)]
pub struct Shed<S> {
    inner: S,
    /// What the inner service said the last time.
    ready: bool,
}

impl<S: Clone> Clone for Shed<S> {
    /// Nobody has asked the clone's inner service yet.
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            ready: false,
        }
    }
}

impl<S> Service<Request> for Shed<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.ready = match self.inner.poll_ready(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => false,
        };
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.ready {
            return Box::pin(self.inner.call(request));
        }
        let busy = (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::RETRY_AFTER, "1")],
            "try again later",
        );
        Box::pin(async move { Ok(busy.into_response()) })
    }
}

// ------------------------------------------------------------ Task 5: the app

/// The shop behind its layers.
pub fn app(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>, limits: Limits) -> Router {
    // In one stack, not in one `layer` call each: a router answers for the
    // services in it that they are always ready, so a shed must sit right on
    // the limit, with no router between them.
    let guards = ServiceBuilder::new()
        .layer(ShedLayer::new())
        .layer(LimitLayer::new(limits.in_flight))
        .layer(DeadlineLayer::new(limits.patience));
    Router::new()
        .route("/health", get(async || "ok"))
        .merge(shop(halls, bank).layer(guards))
        // The last one is the outermost: every response passes through it.
        .layer(RequestIdLayer::new())
}
