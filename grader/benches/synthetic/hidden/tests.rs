//! Hidden checks of the synthetic exercise.

use std::process::ExitCode;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use exercise::{Order, Shop, app, to_json, worker};
use kata_harness::{Lab, Suite, ms};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("an order is kept", 2, kept)
        .check("an unknown order is not found", 1, unknown)
        .check("the list takes 20 ms", 1, list_takes_time)
        .check("an added order is listed", 2, listed)
        .check("orders keep their sequence", 2, sequence)
        .check("the worker stops when told", 1, stops)
        .check("the worker ticks every 10 ms", 1, ticks)
        .check("an order is written as JSON", 1, json)
        .run()
}

fn order(id: u64) -> Order {
    Order { id, items: vec!["tea".to_owned(), "milk".to_owned()] }
}

async fn send(app: axum::Router, request: Request<Body>) -> (StatusCode, String) {
    let response = app.oneshot(request).await.expect("infallible");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a request")
}

fn post(order: &Order) -> Request<Body> {
    Request::post("/orders")
        .header("content-type", "application/json")
        .body(Body::from(to_json(order)))
        .expect("a request")
}

async fn kept(lab: Lab) {
    let shop = Shop::default();
    let (status, _) = send(app(shop.clone()), post(&order(7))).await;
    lab.expect_eq(&status, &StatusCode::CREATED).why("It was not stored.").or_fail();
    let (status, body) = send(app(shop), get("/orders/7")).await;
    lab.expect_eq(&status, &StatusCode::OK).why("It was not found.").or_fail();
    lab.expect_eq(&body, &to_json(&order(7))).why("It changed.").or_fail();
}

async fn unknown(lab: Lab) {
    let (status, _) = send(app(Shop::default()), get("/orders/9")).await;
    lab.expect_eq(&status, &StatusCode::NOT_FOUND).why("Nothing was there.").or_fail();
}

async fn list_takes_time(lab: Lab) {
    let (_, took) = lab.timed(send(app(Shop::default()), get("/orders"))).await;
    lab.expect_took(took, 20).why("It sleeps.").or_fail();
}

async fn listed(lab: Lab) {
    let shop = Shop::default();
    send(app(shop.clone()), post(&order(lab.pick(1..=9)))).await;
    let (_, body) = send(app(shop), get("/orders")).await;
    lab.expect(body.contains("tea")).expected("tea").got(body).why("Lost.").or_fail();
}

async fn sequence(lab: Lab) {
    let shop = Shop::default();
    for id in 0..20 {
        send(app(shop.clone()), post(&order(id))).await;
    }
    let (_, body) = send(app(shop), get("/orders")).await;
    let first = body.find("\"id\":3,").unwrap_or(usize::MAX);
    let second = body.find("\"id\":17").unwrap_or(0);
    lab.expect(first < second).expected("3 before 17").got(body).why("Order.").or_fail();
}

async fn stops(lab: Lab) {
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker(stop.clone()));
    tokio::time::sleep(ms(35)).await;
    stop.cancel();
    let (_, took) = lab.timed(running).await;
    lab.expect_took(took, 0).why("It was told.").or_fail();
}

async fn ticks(lab: Lab) {
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker(stop.clone()));
    tokio::time::sleep(ms(105)).await;
    stop.cancel();
    let ticks = running.await.unwrap_or(0);
    lab.expect_eq(&ticks, &10).why("Every 10 ms.").or_fail();
}

async fn json(lab: Lab) {
    let text = to_json(&order(1));
    lab.expect(text.contains("milk")).expected("milk").got(text).why("JSON.").or_fail();
}
