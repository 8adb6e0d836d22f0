//! A small axum service with a worker: stands for an exercise with heavy dependencies.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// What was ordered.
    pub items: Vec<String>,
}

/// What the handlers share.
#[derive(Clone, Default)]
pub struct Shop {
    orders: Arc<Mutex<Vec<Order>>>,
}

/// The service.
pub fn app(shop: Shop) -> Router {
    Router::new()
        .route("/orders", get(list).post(add))
        .route("/orders/{id}", get(find))
        .with_state(shop)
}

async fn list(State(shop): State<Shop>) -> Json<Vec<Order>> {
    sleep(Duration::from_millis(20)).await;
    Json(shop.orders.lock().await.clone())
}

async fn add(State(shop): State<Shop>, Json(order): Json<Order>) -> StatusCode {
    sleep(Duration::from_millis(30)).await;
    shop.orders.lock().await.push(order);
    StatusCode::CREATED
}

async fn find(State(shop): State<Shop>, Path(id): Path<u64>) -> Result<Json<Order>, StatusCode> {
    let orders = shop.orders.lock().await;
    let found = orders.iter().find(|order| order.id == id).cloned();
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Counts ticks of 10 ms until it is told to stop.
pub async fn worker(stop: CancellationToken) -> u64 {
    let mut ticks = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return ticks,
            () = sleep(Duration::from_millis(10)) => ticks += 1,
        }
    }
}

/// An order as JSON.
pub fn to_json(order: &Order) -> String {
    serde_json::to_string(order).expect("an order is JSON")
}
