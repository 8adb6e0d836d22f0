//! The public shapes of day 11.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use exercise::{Bank, DeadlineLayer, LimitLayer, Limits, RequestIdLayer, ShedLayer};
use futures::future::BoxFuture;
use tower::{Layer, Service};

/// A service of the kind that the layers sit on.
#[derive(Clone)]
struct Inner;

impl Service<Request> for Inner {
    type Response = Response;
    type Error = String;
    type Future = BoxFuture<'static, Result<Response, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request) -> Self::Future {
        Box::pin(async { Err(String::new()) })
    }
}

/// Holds only for a layer that a router takes, and that keeps the error's type.
fn layer<L>(layer: &L)
where
    L: Layer<Inner> + Clone + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = String>,
    L::Service: Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    let _ = layer.layer(Inner);
}

/// Task 1.
pub fn shape_of_shop(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>) -> Router {
    exercise::shop(halls, bank)
}

/// Task 2.
pub fn shape_of_request_id() {
    layer::<RequestIdLayer>(&RequestIdLayer::new());
}

/// Task 3.
pub fn shape_of_deadline(max: Duration) {
    layer::<DeadlineLayer>(&DeadlineLayer::new(max));
}

/// Task 4.
pub fn shape_of_limit_and_shed(limit: NonZeroUsize) {
    layer::<LimitLayer>(&LimitLayer::new(limit));
    layer::<ShedLayer>(&ShedLayer::new());
}

/// Task 5.
pub fn shape_of_app(halls: Vec<(String, u32)>, bank: Arc<dyn Bank>, limits: Limits) -> Router {
    exercise::app(halls, bank, limits)
}
