//! right: the handler in a task that is aborted with its future; services stacked around a whole router

mod given;
pub use given::*;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Json, Path, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, routing};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

/// A seat is a permit. A ticket forgets its permits, everything else returns them.
pub fn shop(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>) -> Router {
    let seats = |(name, seats)| (name, Arc::new(Semaphore::new(seats as usize)));
    let halls: Arc<HashMap<String, Arc<Semaphore>>> =
        Arc::new(halls.into_iter().map(seats).collect());
    let pages = Arc::clone(&halls);
    let page = async move |Path(name): Path<String>| {
        let seats = pages.get(&name).ok_or(StatusCode::NOT_FOUND)?;
        let free = seats.available_permits() as u32;
        Ok::<_, StatusCode>(Json(Show { name, free }))
    };
    let buy = async move |Path(show): Path<String>, Json(order): Json<Order>| {
        let seats = Arc::clone(halls.get(&show).ok_or(StatusCode::NOT_FOUND)?);
        let held = match seats.try_acquire_many_owned(order.seats.get()) {
            Ok(held) => held,
            Err(TryAcquireError::NoPermits) => return Err(StatusCode::CONFLICT),
            Err(TryAcquireError::Closed) => unreachable!("nobody closes a hall"),
        };
        let charge = bank.charge(&show, order.seats);
        let receipt = charge.await.map_err(|_| StatusCode::PAYMENT_REQUIRED)?;
        held.forget();
        let seats = order.seats;
        let ticket = Ticket {
            show,
            seats,
            receipt,
        };
        Ok((StatusCode::CREATED, Json(ticket)))
    };
    Router::new()
        .route("/shows/{name}", routing::get(page))
        .route("/shows/{name}/tickets", routing::post(buy))
}

#[derive(Debug, Clone)]
pub struct RequestIdLayer {
    next: Arc<StdMutex<u64>>,
}

impl RequestIdLayer {
    pub fn new() -> Self {
        let next = Arc::new(StdMutex::new(1));
        Self { next }
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        let next = Arc::clone(&self.next);
        RequestId { inner, next }
    }
}

#[derive(Debug, Clone)]
pub struct RequestId<S> {
    inner: S,
    next: Arc<StdMutex<u64>>,
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
        if !request.headers().contains_key("x-request-id") {
            let mut next = self.next.lock().unwrap();
            let id = HeaderValue::from_str(&format!("r-{next}")).unwrap();
            *next += 1;
            request.headers_mut().insert("x-request-id", id);
        }
        let id = request.headers()["x-request-id"].clone();
        let add = move |mut response: Response| {
            response.headers_mut().insert("x-request-id", id);
            response
        };
        self.inner.call(request).map(|ended| ended.map(add)).boxed()
    }
}

#[derive(Debug, Clone)]
pub struct DeadlineLayer {
    max: Duration,
}

impl DeadlineLayer {
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
        let mut allowed = self.max;
        if let Some(said) = request.headers().get("x-timeout-ms") {
            let text = std::str::from_utf8(said.as_bytes()).unwrap_or_default();
            match text.parse() {
                Ok(wanted) => allowed = allowed.min(Duration::from_millis(wanted)),
                Err(_) => return async { Ok(StatusCode::BAD_REQUEST.into_response()) }.boxed(),
            }
        }
        let deadline = Instant::now() + allowed;
        // Dropped, a `JoinSet` aborts what is in it.
        let mut handler = JoinSet::new();
        handler.spawn(self.inner.call(request));
        async move {
            tokio::select! {
                biased;
                ended = handler.join_next() => ended.unwrap().unwrap(),
                () = sleep_until(deadline) => {
                    // A task that ends now has its turn before the verdict.
                    yield_now().await;
                    match handler.try_join_next() {
                        Some(ended) => ended.unwrap(),
                        None => Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
                    }
                }
            }
        }
        .boxed()
    }
}

#[derive(Debug, Clone)]
pub struct LimitLayer {
    places: Arc<Semaphore>,
}

impl LimitLayer {
    pub fn new(limit: NonZeroUsize) -> Self {
        let places = Arc::new(Semaphore::new(limit.get()));
        Self { places }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        let places = Arc::clone(&self.places);
        let has = Has::Nothing;
        Limit { inner, places, has }
    }
}

enum Has {
    Nothing,
    Turn(StdMutex<BoxFuture<'static, OwnedSemaphorePermit>>),
    Place(OwnedSemaphorePermit),
}

pub struct Limit<S> {
    inner: S,
    places: Arc<Semaphore>,
    has: Has,
}

impl<S: Clone> Clone for Limit<S> {
    fn clone(&self) -> Self {
        let places = Arc::clone(&self.places);
        LimitLayer { places }.layer(self.inner.clone())
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
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        loop {
            match &mut self.has {
                Has::Place(_) => return self.inner.poll_ready(cx),
                Has::Nothing => {
                    let places = Arc::clone(&self.places);
                    let turn = async move { places.acquire_owned().await.unwrap() };
                    self.has = Has::Turn(StdMutex::new(turn.boxed()));
                }
                Has::Turn(turn) => match turn.get_mut().unwrap().as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(place) => self.has = Has::Place(place),
                },
            }
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let has = std::mem::replace(&mut self.has, Has::Nothing);
        let response = self.inner.call(request);
        Box::pin(async move {
            let _place = has;
            response.await
        })
    }
}

#[derive(Debug, Clone)]
pub struct ShedLayer;

impl ShedLayer {
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        Shed { inner, asked: None }
    }
}

pub struct Shed<S> {
    inner: S,
    asked: Option<bool>,
}

impl<S: Clone> Clone for Shed<S> {
    fn clone(&self) -> Self {
        ShedLayer.layer(self.inner.clone())
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
        let asked = self.inner.poll_ready(cx);
        self.asked = Some(asked.is_ready());
        match asked {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.asked.take() == Some(true) {
            return self.inner.call(request).boxed();
        }
        async {
            let busy = StatusCode::SERVICE_UNAVAILABLE;
            Ok((busy, [("retry-after", "1")]).into_response())
        }
        .boxed()
    }
}

pub fn app(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>, limits: Limits) -> Router {
    // The stack is around the whole router of the shop: one service, not one
    // for each route.
    let shop = ServiceBuilder::new()
        .layer(ShedLayer::new())
        .layer(LimitLayer::new(limits.in_flight))
        .layer(DeadlineLayer::new(limits.patience))
        .service(shop(halls, bank));
    let all = Router::new()
        .route("/health", get(async || "ok"))
        .fallback_service(shop);
    let all = RequestIdLayer::new().layer(all);
    Router::new().fallback_service(all.map_response(|response| response))
}
