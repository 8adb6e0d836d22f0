//! right: futures written by hand, the original called and a clone left behind, a line of wakers

mod given;
pub use given::*;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

/// One counter for each hall, changed without any lock.
type Halls = Arc<HashMap<String, AtomicU32>>;

pub fn shop(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>) -> Router {
    let halls: HashMap<_, _> = halls
        .into_iter()
        .map(|(name, seats)| (name, AtomicU32::new(seats)))
        .collect();
    Router::new()
        .route("/shows/{name}", get(page))
        .route("/shows/{name}/tickets", post(buy))
        .layer(Extension(Arc::new(halls)))
        .layer(Extension(bank))
}

async fn page(Extension(halls): Extension<Halls>, Path(name): Path<String>) -> Response {
    match halls.get(&name) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(free) => {
            let free = free.load(SeqCst);
            Json(Show { name, free }).into_response()
        }
    }
}

struct Back<'a>(&'a AtomicU32, u32);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(self.1, SeqCst);
    }
}

async fn buy(
    Extension(halls): Extension<Halls>,
    Extension(bank): Extension<Arc<dyn Bank>>,
    Path(show): Path<String>,
    Json(Order { seats }): Json<Order>,
) -> Response {
    let Some(free) = halls.get(&show) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let take = |free: u32| free.checked_sub(seats.get());
    if free.fetch_update(SeqCst, SeqCst, take).is_err() {
        return StatusCode::CONFLICT.into_response();
    }
    let back = Back(free, seats.get());
    match bank.charge(&show, seats).await {
        Err(Declined) => StatusCode::PAYMENT_REQUIRED.into_response(),
        Ok(receipt) => {
            mem::forget(back);
            let ticket = Ticket {
                show,
                seats,
                receipt,
            };
            (StatusCode::CREATED, Json(ticket)).into_response()
        }
    }
}

#[derive(Debug, Clone)]
pub struct RequestIdLayer(Arc<AtomicUsize>);

impl RequestIdLayer {
    pub fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        RequestId(inner, self.clone())
    }
}

#[derive(Debug, Clone)]
pub struct RequestId<S>(S, RequestIdLayer);

impl<S> Service<Request> for RequestId<S>
where
    S: Service<Request, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Told<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Told<S::Future> {
        let next = || format!("r-{}", (self.1).0.fetch_add(1, SeqCst)).parse();
        let id: HeaderValue = request
            .headers_mut()
            .entry("x-request-id")
            .or_insert_with(|| next().expect("a header"))
            .clone();
        let inner = self.0.call(request);
        Told { inner, id }
    }
}

pin_project! {
    pub struct Told<F> {
        #[pin]
        inner: F,
        id: HeaderValue,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Told<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        response
            .headers_mut()
            .insert("x-request-id", this.id.clone());
        Poll::Ready(Ok(response))
    }
}

#[derive(Debug, Clone)]
pub struct DeadlineLayer(Duration);

impl DeadlineLayer {
    pub fn new(max: Duration) -> Self {
        Self(max)
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline(inner, self.0)
    }
}

#[derive(Debug, Clone)]
pub struct Deadline<S>(S, Duration);

impl<S> Service<Request> for Deadline<S>
where
    S: Service<Request, Response = Response> + Clone,
{
    type Response = Response;
    type Error = S::Error;
    type Future = InTime<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> InTime<S::Future> {
        let said = request.headers().get("x-timeout-ms").map(|said| {
            let said = said.to_str().unwrap_or("no text");
            said.parse::<u64>()
        });
        let allowed = match said {
            None => self.1,
            Some(Err(_)) => return InTime::Refused,
            Some(Ok(wanted)) => self.1.min(Duration::from_millis(wanted)),
        };
        // The one that was asked is used up, and a fresh one takes its place.
        let fresh = self.0.clone();
        let mut asked = mem::replace(&mut self.0, fresh);
        InTime::Running {
            inner: asked.call(request),
            clock: sleep(allowed),
        }
    }
}

pin_project! {
    #[project = InTimeProject]
    pub enum InTime<F> {
        Refused,
        Running {
            #[pin]
            inner: F,
            #[pin]
            clock: Sleep,
        },
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for InTime<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            InTimeProject::Refused => Poll::Ready(Ok(StatusCode::BAD_REQUEST.into_response())),
            InTimeProject::Running { inner, clock } => {
                if let Poll::Ready(response) = inner.poll(cx) {
                    return Poll::Ready(response);
                }
                ready!(clock.poll(cx));
                Poll::Ready(Ok(StatusCode::REQUEST_TIMEOUT.into_response()))
            }
        }
    }
}

/// Who waits, oldest first; and how many places nobody has.
#[derive(Debug)]
struct Line {
    free: usize,
    next: u64,
    waiting: VecDeque<(u64, Waker)>,
    /// Places that were handed over and not picked up yet.
    handed: Vec<u64>,
}

#[derive(Debug, Clone)]
pub struct LimitLayer(Arc<Mutex<Line>>);

impl LimitLayer {
    pub fn new(limit: NonZeroUsize) -> Self {
        let line = Line {
            free: limit.get(),
            next: 0,
            waiting: VecDeque::new(),
            handed: Vec::new(),
        };
        Self(Arc::new(Mutex::new(line)))
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            place: Place(Arc::clone(&self.0), Has::Nothing),
        }
    }
}

enum Has {
    Nothing,
    Turn(u64),
    Place,
}

/// A place, or a turn in the line, or neither: it goes back on drop.
struct Place(Arc<Mutex<Line>>, Has);

impl Place {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut line = self.0.lock().unwrap();
        match self.1 {
            Has::Place => return Poll::Ready(()),
            Has::Nothing if line.free > 0 => {
                line.free -= 1;
                self.1 = Has::Place;
                return Poll::Ready(());
            }
            Has::Nothing => {
                let turn = line.next;
                line.next += 1;
                line.waiting.push_back((turn, cx.waker().clone()));
                self.1 = Has::Turn(turn);
            }
            Has::Turn(turn) => {
                if let Some(at) = line.handed.iter().position(|&handed| handed == turn) {
                    line.handed.swap_remove(at);
                    self.1 = Has::Place;
                    return Poll::Ready(());
                }
                for waiting in &mut line.waiting {
                    if waiting.0 == turn {
                        waiting.1.clone_from(cx.waker());
                    }
                }
            }
        }
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.0.lock().unwrap();
        let returns = match self.1 {
            Has::Nothing => false,
            Has::Place => true,
            Has::Turn(turn) => {
                line.waiting.retain(|waiting| waiting.0 != turn);
                let handed = line.handed.len();
                line.handed.retain(|&handed| handed != turn);
                line.handed.len() < handed
            }
        };
        if !returns {
            return;
        }
        match line.waiting.pop_front() {
            None => line.free += 1,
            Some((turn, waker)) => {
                line.handed.push(turn);
                drop(line);
                waker.wake();
            }
        }
    }
}

pub struct Limit<S> {
    inner: S,
    place: Place,
}

impl<S: Clone> Clone for Limit<S> {
    fn clone(&self) -> Self {
        LimitLayer(Arc::clone(&self.place.0)).layer(self.inner.clone())
    }
}

impl<S> Service<Request> for Limit<S>
where
    S: Service<Request, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Placed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // The inner service first: here the place comes last.
        ready!(self.inner.poll_ready(cx))?;
        self.place.poll(cx).map(Ok)
    }

    fn call(&mut self, request: Request) -> Placed<S::Future> {
        let none = Place(Arc::clone(&self.place.0), Has::Nothing);
        Placed {
            inner: self.inner.call(request),
            place: Some(mem::replace(&mut self.place, none)),
        }
    }
}

pin_project! {
    pub struct Placed<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
    }
}

impl<F: Future> Future for Placed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = ready!(this.inner.poll(cx));
        *this.place = None;
        Poll::Ready(output)
    }
}

#[derive(Debug, Clone)]
pub struct ShedLayer(());

impl ShedLayer {
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        Shed(inner, false)
    }
}

pub struct Shed<S>(S, bool);

impl<S: Clone> Clone for Shed<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), false)
    }
}

impl<S> Service<Request> for Shed<S>
where
    S: Service<Request, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Shedding<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.1 = self.0.poll_ready(cx)?.is_ready();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Shedding<S::Future> {
        let inner = mem::replace(&mut self.1, false).then(|| self.0.call(request));
        Shedding { inner }
    }
}

pin_project! {
    pub struct Shedding<F> {
        #[pin]
        inner: Option<F>,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Shedding<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(inner) = self.project().inner.as_pin_mut() {
            return inner.poll(cx);
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
            .headers_mut()
            .insert("retry-after", HeaderValue::from_static("1"));
        Poll::Ready(Ok(response))
    }
}

pub fn app(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>, limits: Limits) -> Router {
    // A tuple of layers is a layer, too; the first one is outermost.
    let guards = (
        ShedLayer::new(),
        (
            DeadlineLayer::new(limits.patience),
            LimitLayer::new(limits.in_flight),
        ),
    );
    shop(halls, bank)
        .layer(guards)
        .route("/health", get(|| async { "ok" }))
        .layer(RequestIdLayer::new())
}
