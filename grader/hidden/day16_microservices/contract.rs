//! The public shapes of day 16.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use exercise::{
    BreakerLayer, CallError, Check, Client, Dependency, Expired, HealthBoard, Instance, Lease,
    Network, Refused, Registry, Report, Settings, State, keep_alive,
};
use futures::future::BoxFuture;
use tower::{Layer, Service};

/// Holds only for a type that tasks can share.
fn shared<T: Send + Sync + 'static>() {}

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Task 1.
pub fn shape_of_registry(ttl: Duration) {
    shared::<Registry>();
    shared::<Lease>();
    let registry: Registry = Registry::new(ttl);
    let lease: Lease = registry.clone().register("service", "address");
    let _: Result<(), Expired> = lease.renew();
    let _: u64 = lease.id();
    let _: Vec<Instance> = registry.lookup("service");
}

/// Task 2.
pub fn shape_of_keep_alive(registry: Registry, every: Duration, check: Arc<dyn Check>) {
    let (service, address) = (String::new(), String::new());
    let beats = keep_alive(registry, service, address, every, check);
    send_future_of::<Infallible>(beats);
}

/// A service of the kind that a breaker sits on.
#[derive(Clone)]
struct Inner;

impl Service<String> for Inner {
    type Response = u32;
    type Error = String;
    type Future = BoxFuture<'static, Result<u32, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Pending
    }

    fn call(&mut self, _: String) -> Self::Future {
        Box::pin(async { Err(String::new()) })
    }
}

/// Holds only for a service that responds and fails as a breaker does.
fn breaker<S>(_: &S)
where
    S: Service<String, Response = u32, Error = Refused<String>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
}

/// Task 3.
pub fn shape_of_breaker(settings: Settings) {
    shared::<BreakerLayer>();
    let layer: BreakerLayer = BreakerLayer::new(settings);
    let _: State = layer.clone().state();
    breaker(&layer.layer(Inner));
}

/// Task 4.
pub fn shape_of_health(dependencies: Vec<Dependency>, patience: Duration, fresh_for: Duration) {
    shared::<HealthBoard>();
    let board: HealthBoard = HealthBoard::new(dependencies, patience, fresh_for);
    send_future_of::<Report>(board.report());
}

/// Task 5.
pub fn shape_of_client(registry: Registry, network: Arc<dyn Network>, settings: Settings) {
    shared::<Client>();
    let client: Client = Client::new(registry, network, settings);
    send_future_of::<Result<String, CallError>>(client.call("service", "request"));
}
