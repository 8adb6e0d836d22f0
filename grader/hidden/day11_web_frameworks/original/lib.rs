//! Day 11: Web Frameworks.
//!
//! A ticket shop on axum, and the layers that protect it. `README.md` states
//! the whole contract; the bank and the shop's words are in `given.rs`.

mod given;
pub use given::*;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures::future::BoxFuture;
use tower::{Layer, Service};

// ------------------------------------------------------- Task 1: the routes

/// The routes of a ticket shop: `halls` names each show and says how many seats
/// it has.
///
/// | request | answer |
/// |---|---|
/// | `GET /shows/{name}` | 200 and a [`Show`] |
/// | `POST /shows/{name}/tickets` and an [`Order`] | 201 and a [`Ticket`] |
/// | either, and there is no such show | 404 |
/// | an order for more seats than are free | 409, at once |
/// | an order that the bank declines | 402 |
///
/// An order holds its seats while the bank is charged, and nobody waits for
/// anybody else's payment. Seats that are not paid for are free again, also
/// when the handler is dropped.
pub fn shop(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>) -> Router {
    let _ = (halls, bank);
    todo!("task 1: the two routes of the shop")
}

// -------------------------------------------------- Task 2: the request's id

/// Gives each request an id, and tells it in the response.
///
/// The id is in the header `x-request-id`. A request that has one keeps it. The
/// others are given `r-1`, `r-2` and so on in the order of their calls, counted
/// over all services that this layer and its clones make.
#[derive(Debug, Clone)]
pub struct RequestIdLayer {
    // What all services of this layer share goes here.
}

impl RequestIdLayer {
    /// A layer that has not given any id yet.
    pub fn new() -> Self {
        todo!("task 2: nothing is counted yet")
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        let _ = inner;
        todo!("task 2: the service around `inner`")
    }
}

/// What [`RequestIdLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct RequestId<S> {
    inner: S,
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
        let _ = (&mut self.inner, cx);
        todo!("task 2: ready when the inner service is")
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let _ = request;
        todo!("task 2: the id goes into the request, and into the response")
    }
}

// ------------------------------------------------------ Task 3: the deadline

/// Answers 408 when a response takes too long.
///
/// A request may take `max`, or what its header `x-timeout-ms` says if that is
/// less. At that instant the inner future is dropped. A header that is no
/// number is answered with 400, and the inner service is not called.
#[derive(Debug, Clone)]
pub struct DeadlineLayer {
    // Fields are yours.
}

impl DeadlineLayer {
    /// No response takes longer than `max`.
    pub fn new(max: Duration) -> Self {
        let _ = max;
        todo!("task 3: keep the longest time")
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        let _ = inner;
        todo!("task 3: the service around `inner`")
    }
}

/// What [`DeadlineLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
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
        let _ = (&mut self.inner, cx);
        todo!("task 3: ready when the inner service is")
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let _ = request;
        todo!("task 3: the response, or 408 at the deadline")
    }
}

// ------------------------------------------- Task 4: the limit, and the shed

/// Lets so many requests through at a time; the others wait in `poll_ready`.
///
/// The limit is one for all services that this layer and its clones make.
#[derive(Debug, Clone)]
pub struct LimitLayer {
    // What all services of this layer share goes here.
}

impl LimitLayer {
    /// At most `limit` requests at a time, over all services of this layer.
    pub fn new(limit: NonZeroUsize) -> Self {
        let _ = limit;
        todo!("task 4: so many places")
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        let _ = inner;
        todo!("task 4: the service around `inner`")
    }
}

/// What [`LimitLayer`] makes of a service.
///
/// It is ready when it has a place, and the inner service is ready. The place
/// is for its next call, and for nobody else's: a clone has none.
pub struct Limit<S> {
    inner: S,
    // It has to be `Send` and `Sync` if `S` is: a router asks for both.
}

impl<S: Clone> Clone for Limit<S> {
    fn clone(&self) -> Self {
        todo!("task 4: a clone that was not told that it is ready")
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
        let _ = (&mut self.inner, cx);
        todo!("task 4: ready with a place, when the inner service is ready, too")
    }

    /// The place is free again when the future has ended, or is dropped.
    fn call(&mut self, request: Request) -> Self::Future {
        let _ = request;
        todo!("task 4: the response, with the place in hand")
    }
}

/// Answers 503 in place of waiting until the inner service is ready.
#[derive(Debug, Clone)]
pub struct ShedLayer {
    // Fields, if there are any, are yours.
}

impl ShedLayer {
    /// The layer.
    pub fn new() -> Self {
        todo!("task 4: the layer")
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        let _ = inner;
        todo!("task 4: the service around `inner`")
    }
}

/// What [`ShedLayer`] makes of a service.
///
/// It is always ready. What it is given when the inner service is not ready it
/// answers itself: 503, with the header `retry-after: 1`, at once.
pub struct Shed<S> {
    inner: S,
}

impl<S: Clone> Clone for Shed<S> {
    fn clone(&self) -> Self {
        todo!("task 4: a clone whose inner service nobody has asked yet")
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
        let _ = (&mut self.inner, cx);
        todo!("task 4: ask the inner service, remember what it says, be ready")
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let _ = request;
        todo!("task 4: the response if the inner service was ready, else 503")
    }
}

// ------------------------------------------------------------ Task 5: the app

/// The shop behind its layers.
///
/// - `GET /health` is answered with 200 and `ok`, however busy the shop is.
/// - At most `limits.in_flight` requests to the shop's routes, taken together,
///   are in flight. One more is answered with 503 at once.
/// - A request to the shop takes `limits.patience` at most, or what its
///   `x-timeout-ms` says; then it is answered with 408.
/// - Every response has an `x-request-id`, whoever made it.
pub fn app(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>, limits: Limits) -> Router {
    let _ = (halls, bank, limits);
    todo!("task 5: the shop behind its layers, and the health route")
}
