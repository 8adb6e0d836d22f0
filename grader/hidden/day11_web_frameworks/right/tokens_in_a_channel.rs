//! right: places are tokens in a channel, the shop is one tokio lock held for a moment

mod given;
pub use given::*;

use std::collections::HashMap;
use std::mem::take;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::future::{BoxFuture, Either, select};
use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;
use tower::{Layer, Service};

#[derive(Clone)]
struct Shop {
    sold: Arc<Mutex<HashMap<String, (u32, Vec<Weak<u32>>)>>>,
    bank: Arc<dyn Bank>,
}

impl Shop {
    /// What is neither sold nor held: a hold counts as long as its buyer lives.
    fn free((left, holds): &(u32, Vec<Weak<u32>>)) -> u32 {
        let held: u32 = holds
            .iter()
            .filter_map(Weak::upgrade)
            .map(|seats| *seats)
            .sum();
        left - held
    }
}

pub fn shop(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>) -> Router {
    let halls = halls
        .into_iter()
        .map(|(name, seats)| (name, (seats, Vec::new())));
    let sold = Arc::new(Mutex::new(halls.collect()));
    Router::new()
        .route("/shows/{name}", get(page))
        .route("/shows/{name}/tickets", post(buy))
        .with_state(Shop { sold, bank })
}

async fn page(State(shop): State<Shop>, Path(name): Path<String>) -> Response {
    let sold = shop.sold.lock().await;
    let Some(hall) = sold.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let free = Shop::free(hall);
    Json(Show { name, free }).into_response()
}

async fn buy(
    State(shop): State<Shop>,
    Path(show): Path<String>,
    Json(Order { seats }): Json<Order>,
) -> Response {
    let hold = Arc::new(seats.get());
    {
        let mut sold = shop.sold.lock().await;
        let Some(hall) = sold.get_mut(&show) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        hall.1.retain(|hold| hold.strong_count() > 0);
        if Shop::free(hall) < seats.get() {
            return StatusCode::CONFLICT.into_response();
        }
        hall.1.push(Arc::downgrade(&hold));
    }
    let Ok(receipt) = shop.bank.charge(&show, seats).await else {
        return StatusCode::PAYMENT_REQUIRED.into_response();
    };
    let mut sold = shop.sold.lock().await;
    sold.get_mut(&show).expect("a hall stays").0 -= seats.get();
    drop(hold);
    let ticket = Ticket {
        show,
        seats,
        receipt,
    };
    (StatusCode::CREATED, Json(ticket)).into_response()
}

#[derive(Debug, Clone)]
pub struct RequestIdLayer {
    ids: Arc<std::sync::Mutex<std::ops::RangeFrom<u64>>>,
}

impl RequestIdLayer {
    pub fn new() -> Self {
        let ids = Arc::new(std::sync::Mutex::new(1..));
        Self { ids }
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        let layer = self.clone();
        RequestId { inner, layer }
    }
}

#[derive(Debug, Clone)]
pub struct RequestId<S> {
    inner: S,
    layer: RequestIdLayer,
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
        let id = match request.headers().get("x-request-id") {
            Some(id) => id.clone(),
            None => {
                let number = self.layer.ids.lock().unwrap().next().unwrap();
                HeaderValue::try_from(format!("r-{number}")).unwrap()
            }
        };
        request.headers_mut().insert("x-request-id", id.clone());
        // The clone stays, the one that was asked goes into the future.
        let clone = self.inner.clone();
        let mut asked = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let mut response = asked.call(request).await?;
            response.headers_mut().insert("x-request-id", id);
            Ok(response)
        })
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
        let clone = self.inner.clone();
        let mut asked = std::mem::replace(&mut self.inner, clone);
        let max = self.max;
        Box::pin(async move {
            let allowed = match request
                .headers()
                .get("x-timeout-ms")
                .map(HeaderValue::to_str)
            {
                None => max,
                Some(said) => match said.unwrap_or("").parse::<u64>() {
                    Ok(said) => Duration::from_millis(said).min(max),
                    Err(_) => return Ok(StatusCode::BAD_REQUEST.into_response()),
                },
            };
            let response = Box::pin(asked.call(request));
            match select(response, Box::pin(sleep(allowed))).await {
                Either::Left((response, _)) => response,
                Either::Right(((), _)) => Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
            }
        })
    }
}

/// A token in a channel: whoever holds it puts it back by dropping it.
struct Token(mpsc::UnboundedSender<()>);

impl Drop for Token {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[derive(Debug, Clone)]
pub struct LimitLayer {
    back: mpsc::UnboundedSender<()>,
    tokens: Arc<Mutex<mpsc::UnboundedReceiver<()>>>,
}

impl LimitLayer {
    pub fn new(limit: NonZeroUsize) -> Self {
        let (back, tokens) = mpsc::unbounded_channel();
        for _ in 0..limit.get() {
            back.send(()).expect("the receiver is here");
        }
        let tokens = Arc::new(Mutex::new(tokens));
        Self { back, tokens }
    }

    /// Whoever has the lock is first in the line.
    async fn token(self) -> Token {
        let mut tokens = Arc::clone(&self.tokens).lock_owned().await;
        tokens.recv().await.expect("a sender is here");
        Token(self.back)
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            layer: self.clone(),
            turn: None,
            token: None,
        }
    }
}

pub struct Limit<S> {
    inner: S,
    layer: LimitLayer,
    turn: Option<Pin<Box<dyn Future<Output = Token> + Send + Sync>>>,
    token: Option<Token>,
}

impl<S: Clone> Clone for Limit<S> {
    fn clone(&self) -> Self {
        self.layer.layer(self.inner.clone())
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
        if self.token.is_none() {
            let layer = self.layer.clone();
            let turn = self.turn.get_or_insert_with(|| Box::pin(layer.token()));
            let token = ready!(turn.as_mut().poll(cx));
            (self.turn, self.token) = (None, Some(token));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let token = self.token.take();
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await;
            drop(token);
            response
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub struct ShedLayer;

impl ShedLayer {
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        let ready = false;
        Shed { inner, ready }
    }
}

pub struct Shed<S> {
    inner: S,
    ready: bool,
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
        self.ready = asked.is_ready();
        if let Poll::Ready(result) = asked {
            result?;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if take(&mut self.ready) {
            let clone = self.inner.clone();
            let mut asked = std::mem::replace(&mut self.inner, clone);
            return Box::pin(async move { asked.call(request).await });
        }
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        Box::pin(async move { Ok((busy, [("retry-after", "1")]).into_response()) })
    }
}

pub fn app(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>, limits: Limits) -> Router {
    let guards = (
        ShedLayer::new(),
        LimitLayer::new(limits.in_flight),
        DeadlineLayer::new(limits.patience),
    );
    Router::new()
        .route("/health", get(async || "ok"))
        .merge(shop(halls, bank).route_layer(guards))
        .layer(RequestIdLayer::new())
}
