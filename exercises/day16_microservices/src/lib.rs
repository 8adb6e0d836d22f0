//! Day 16: Microservices.
//!
//! Who is there, who is well, and whom to spare. `README.md` states the whole
//! contract; what the parts say to each other is in `given.rs`.

mod given;
pub use given::*;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tower::{Layer, Service};

// --------------------------------------------------------- Task 1: the leases

/// Who is there: the instances of each service whose lease is good.
///
/// Clones share everything.
#[derive(Debug, Clone)]
pub struct Registry {
    // What clones and leases share goes here.
}

impl Registry {
    /// A registry whose leases are good for `ttl` after each renewal.
    pub fn new(ttl: Duration) -> Self {
        let _ = ttl;
        todo!("task 1: an empty registry")
    }

    /// Registers an instance of a service, in place of one of the same address.
    pub fn register(&self, service: &str, address: &str) -> Lease {
        let _ = (service, address);
        todo!("task 1: a new id, and a lease that is good from now on")
    }

    /// The live instances of a service, in the order of registration.
    ///
    /// A lease is good for less than `ttl` after its registration or its last
    /// renewal: at the instant `ttl` it is over.
    pub fn lookup(&self, service: &str) -> Vec<Instance> {
        let _ = service;
        todo!("task 1: those whose lease is good at this instant")
    }
}

/// The right to be found. Dropped, the instance is gone at that instant.
#[derive(Debug)]
pub struct Lease {
    // Fields are yours.
}

impl Lease {
    /// Which registration this is.
    pub fn id(&self) -> u64 {
        todo!("task 1: the id that the registration was given")
    }

    /// Makes the lease good for the whole time again, from now on.
    ///
    /// # Errors
    ///
    /// When it is over: it ran out, or another registration took its place. It
    /// stays over.
    pub fn renew(&self) -> Result<(), Expired> {
        todo!("task 1: good from now on, unless it is over")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A panic during a panic would end the program, and the report with it.
        if !std::thread::panicking() {
            todo!("task 1: this registration is gone, and no other")
        }
    }
}

// ------------------------------------------------------ Task 2: the heartbeat

/// Keeps an instance registered for as long as its check is good. Never returns.
///
/// There is a beat at once, and then one `every` so often. With each beat a
/// check begins, which has until the next beat. If it is good, the lease is
/// renewed at that instant, or the instance is registered if it has no lease
/// that is good. Dropped, the instance is gone.
pub async fn keep_alive(
    registry: Registry,
    service: String,
    address: String,
    every: Duration,
    check: Arc<dyn Check>,
) -> Infallible {
    let _ = (registry, service, address, every, check);
    todo!("task 2: a check with each beat, and a renewal if it is good")
}

// -------------------------------------------------------- Task 3: the breaker

/// A breaker in front of services. All that it and its clones make share one
/// state.
#[derive(Debug, Clone)]
pub struct BreakerLayer {
    // What all services of this layer share goes here.
}

impl BreakerLayer {
    /// A closed breaker.
    pub fn new(settings: Settings) -> Self {
        let _ = settings;
        todo!("task 3: closed, and no failure counted")
    }

    /// What it does at this instant.
    pub fn state(&self) -> State {
        todo!("task 3: the state at this instant")
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        let _ = inner;
        todo!("task 3: the service around `inner`")
    }
}

/// What [`BreakerLayer`] makes of a service.
pub struct Breaker<S> {
    inner: S,
}

impl<S: Clone> Clone for Breaker<S> {
    fn clone(&self) -> Self {
        todo!("task 3: the same breaker, and an inner service that nobody has asked")
    }
}

impl<S, R> Service<R> for Breaker<S>
where
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = Refused<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, Refused<S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let _ = (&mut self.inner, cx);
        todo!("task 3: ready at once to refuse, else when the inner service is")
    }

    fn call(&mut self, request: R) -> Self::Future {
        let _ = request;
        todo!("task 3: refuse it, or let it through and see how it ends")
    }
}

// --------------------------------------------------------- Task 4: the health

/// Says how a service is, and asks its dependencies no more often than it must.
pub struct HealthBoard {
    // Fields are yours.
}

impl HealthBoard {
    /// Each check may take `patience`; a report is good for `fresh_for`.
    pub fn new(dependencies: Vec<Dependency>, patience: Duration, fresh_for: Duration) -> Self {
        let _ = (dependencies, patience, fresh_for);
        todo!("task 4: nothing is known yet")
    }

    /// How the service is: what is known, if it is fresh; else the outcome of
    /// the round of checks that is under way, or of a new one.
    pub async fn report(&self) -> Report {
        todo!("task 4: all checks at the same time, one round for all who ask")
    }
}

// --------------------------------------------------------- Task 5: the client

/// Calls services by their name: whoever is there, and well.
pub struct Client {
    // Fields are yours.
}

impl Client {
    /// A client that knows nothing about anybody yet.
    pub fn new(registry: Registry, network: Arc<dyn Network>, settings: Settings) -> Self {
        let _ = (registry, network, settings);
        todo!("task 5: nobody was called yet")
    }

    /// Sends a request to one instance after the other, until one replies.
    ///
    /// # Errors
    ///
    /// When nobody could be tried, or all who were have failed.
    pub async fn call(&self, service: &str, request: &str) -> Result<String, CallError> {
        let _ = (service, request);
        todo!("task 5: in turn, past open breakers, on to the next after a failure")
    }
}
