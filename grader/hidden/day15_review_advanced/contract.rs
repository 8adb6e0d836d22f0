//! The public shapes of day 15.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use exercise::{
    DbError, Deadline, DeadlineLayer, Gate, Parts, Pool, Shop, Worker, answer_14, answer_15,
    answer_16, shift, test_gate,
};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Holds only for what many tasks may share.
fn shared<T: Send + Sync + 'static>() {}

/// Task 1.
pub fn shapes_of_answers() -> ([&'static str; 3], &'static str) {
    (answer_15(), answer_16())
}

/// Task 2, question 13.
pub fn shapes_of_deadline<S>(
    inner: S,
) -> impl Service<Request, Response = Response, Error = Infallible>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    let layer = DeadlineLayer::new(Duration::from_millis(100));
    let deadline: Deadline<S> = layer.clone().layer(inner);
    deadline
}

/// Task 2, questions 14 and 17.
pub fn shapes_of_questions(pool: &Pool, gate: Arc<dyn Gate>) -> u32 {
    send_future_of::<Result<(), DbError>>(shift(pool, "a", "b", 1));
    send_future_of::<()>(test_gate(gate));
    answer_14()
}

/// Tasks 3 to 5.
pub fn shapes_of_shop(parts: Parts, closing: CancellationToken) -> Router {
    shared::<Shop>();
    let (shop, worker): (Arc<Shop>, Worker) = Shop::open(parts);
    send_future_of::<()>(worker.run(closing));
    shop.router()
}
