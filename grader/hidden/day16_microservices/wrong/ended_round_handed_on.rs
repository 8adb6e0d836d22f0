//! wrong: a round that has ended is handed on, as long as one who waited still holds it
//! fails: one round for all who ask, and good while it is fresh: failed
//! pitfall: wrong-result

mod given;
pub use given::*;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::ready;
use std::mem::take;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared, join_all};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tower::{Layer, Service, ServiceExt, service_fn};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// --------------------------------------------------------- Task 1: the leases

/// Who is there: the instances of each service whose lease is good.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Leases>,
}

#[derive(Debug)]
struct Leases {
    ttl: Duration,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    last_id: u64,
    /// In the order of registration.
    services: BTreeMap<String, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    instance: Instance,
    /// At this instant it is over.
    until: Instant,
}

impl Book {
    /// The entries of a service that are still good; the others are forgotten.
    fn live(&mut self, service: &str) -> &mut Vec<Entry> {
        let now = Instant::now();
        let entries = self.services.entry(service.to_owned()).or_default();
        entries.retain(|entry| entry.until > now);
        entries
    }
}

impl Registry {
    /// A registry whose leases are good for `ttl` after each renewal.
    pub fn new(ttl: Duration) -> Self {
        let book = Mutex::default();
        let shared = Arc::new(Leases { ttl, book });
        Self { shared }
    }

    /// Registers an instance, in place of one with the same address.
    pub fn register(&self, service: &str, address: &str) -> Lease {
        let mut book = lock(&self.shared.book);
        book.last_id += 1;
        let id = book.last_id;
        let entries = book.live(service);
        entries.retain(|entry| entry.instance.address != address);
        entries.push(Entry {
            instance: Instance {
                id,
                address: address.to_owned(),
            },
            until: Instant::now() + self.shared.ttl,
        });
        Lease {
            leases: Arc::clone(&self.shared),
            service: service.to_owned(),
            id,
        }
    }

    /// The live instances of a service, in the order of registration.
    ///
    /// Nothing has to run for a lease to end: who looks compares the time.
    pub fn lookup(&self, service: &str) -> Vec<Instance> {
        let mut book = lock(&self.shared.book);
        let live = book.live(service).iter();
        live.map(|entry| entry.instance.clone()).collect()
    }
}

/// The right to be found. Dropped, the instance is gone.
#[derive(Debug)]
pub struct Lease {
    leases: Arc<Leases>,
    service: String,
    /// Not the address: by now that may belong to a newer registration.
    id: u64,
}

impl Lease {
    /// Which registration this is.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Makes the lease good for the whole time again, from now on.
    ///
    /// # Errors
    ///
    /// When it is over: it ran out, or was replaced.
    pub fn renew(&self) -> Result<(), Expired> {
        let mut book = lock(&self.leases.book);
        let mut live = book.live(&self.service).iter_mut();
        let own = live.find(|entry| entry.instance.id == self.id);
        own.ok_or(Expired)?.until = Instant::now() + self.leases.ttl;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut book = lock(&self.leases.book);
        let live = book.live(&self.service);
        live.retain(|entry| entry.instance.id != self.id);
    }
}

// ------------------------------------------------------ Task 2: the heartbeat

/// Keeps an instance registered for as long as its check is good. Never returns.
pub async fn keep_alive(
    registry: Registry,
    service: String,
    address: String,
    every: Duration,
    check: Arc<dyn Check>,
) -> Infallible {
    let mut lease: Option<Lease> = None;
    let mut next = Instant::now();
    loop {
        // From beat to beat, not from the end of a check: beats do not drift.
        next += every;
        if let Ok(Ok(())) = timeout_at(next, check.check()).await {
            let renewed = lease.as_ref().is_some_and(|lease| lease.renew().is_ok());
            if !renewed {
                lease = Some(registry.register(&service, &address));
            }
        }
        // A missed beat is no reason to leave: that is what the rest of the
        // lease is for.
        sleep_until(next).await;
    }
}

// -------------------------------------------------------- Task 3: the breaker

/// A breaker in front of services. All that it makes share one state.
#[derive(Debug, Clone)]
pub struct BreakerLayer {
    core: Arc<Core>,
}

#[derive(Debug)]
struct Core {
    settings: Settings,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// Counts the changes of the phase: a call that began before the last one
    /// has nothing to say any more.
    changes: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

impl Now {
    fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.changes += 1;
    }
}

impl Core {
    /// The state at this instant. No timer ends the open phase: who looks
    /// compares the time.
    fn now(&self) -> MutexGuard<'_, Now> {
        let mut now = lock(&self.now);
        if let Phase::Open { until } = now.phase
            && until <= Instant::now()
        {
            now.change(Phase::HalfOpen { probing: false });
        }
        now
    }

    fn refuses(&self) -> bool {
        matches!(
            self.now().phase,
            Phase::Open { .. } | Phase::HalfOpen { probing: true }
        )
    }

    /// Lets one call through, if it may.
    fn admit(self: &Arc<Self>) -> Option<Pass> {
        let mut now = self.now();
        match &mut now.phase {
            Phase::Open { .. } | Phase::HalfOpen { probing: true } => return None,
            Phase::HalfOpen { probing } => *probing = true,
            Phase::Closed { .. } => {}
        }
        Some(Pass {
            core: Arc::clone(self),
            changes: now.changes,
        })
    }
}

/// A call that was let through. Dropped without a word about its end, it makes
/// way for another probe.
struct Pass {
    core: Arc<Core>,
    changes: u64,
}

impl Pass {
    fn ended(self, well: bool) {
        let settings = self.core.settings;
        let mut now = self.core.now();
        if now.changes != self.changes {
            return;
        }
        match &mut now.phase {
            Phase::Closed { failures } if well => *failures = 0,
            Phase::Closed { failures } if *failures + 1 < settings.failures.get() => *failures += 1,
            _ if well => now.change(Phase::Closed { failures: 0 }),
            _ => {
                let until = Instant::now() + settings.open_for;
                now.change(Phase::Open { until });
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut now = self.core.now();
        if now.changes == self.changes
            && let Phase::HalfOpen { probing } = &mut now.phase
        {
            *probing = false;
        }
    }
}

impl BreakerLayer {
    /// A closed breaker.
    pub fn new(settings: Settings) -> Self {
        let now = Now {
            phase: Phase::Closed { failures: 0 },
            changes: 0,
        };
        let now = Mutex::new(now);
        let core = Arc::new(Core { settings, now });
        Self { core }
    }

    /// What it does at this instant.
    pub fn state(&self) -> State {
        match self.core.now().phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        Breaker {
            inner,
            core: Arc::clone(&self.core),
            asked: false,
        }
    }
}

/// What [`BreakerLayer`] makes of a service.
#[derive(Debug)]
pub struct Breaker<S> {
    inner: S,
    core: Arc<Core>,
    /// Whether the inner service said that it is ready, for the next call.
    asked: bool,
}

impl<S: Clone> Clone for Breaker<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            core: Arc::clone(&self.core),
            asked: false,
        }
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
        if self.core.refuses() {
            // To refuse nothing is needed, least of all a service that is ill.
            self.asked = false;
            return Poll::Ready(Ok(()));
        }
        let ready = self.inner.poll_ready(cx).map_err(Refused::Failed);
        self.asked = matches!(ready, Poll::Ready(Ok(())));
        ready
    }

    fn call(&mut self, request: R) -> Self::Future {
        // Not asked: it was to be refused a moment ago, and an inner service
        // must not be called without having said that it is ready.
        let asked = take(&mut self.asked);
        let Some(pass) = asked.then(|| self.core.admit()).flatten() else {
            return Box::pin(ready(Err(Refused::Open)));
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let result = response.await;
            pass.ended(result.is_ok());
            result.map_err(Refused::Failed)
        })
    }
}

// --------------------------------------------------------- Task 4: the health

/// Says how a service is, and asks its dependencies no more often than it must.
pub struct HealthBoard {
    dependencies: Arc<[Dependency]>,
    patience: Duration,
    fresh_for: Duration,
    known: Arc<Mutex<Known>>,
    /// The latest round, as long as anybody holds it.
    round: Mutex<Option<WeakShared<Round>>>,
}

type Round = BoxFuture<'static, Report>;

enum Known {
    Nothing,
    Since(Instant, Report),
}

impl HealthBoard {
    /// Each check has `patience`; a report is good for `fresh_for`.
    pub fn new(dependencies: Vec<Dependency>, patience: Duration, fresh_for: Duration) -> Self {
        Self {
            dependencies: dependencies.into(),
            patience,
            fresh_for,
            known: Arc::new(Mutex::new(Known::Nothing)),
            round: Mutex::new(None),
        }
    }

    /// How the service is.
    pub async fn report(&self) -> Report {
        let round = match self.fresh_or_round() {
            Ok(report) => return report,
            Err(round) => round,
        };
        round.await
    }

    fn fresh_or_round(&self) -> Result<Report, Shared<Round>> {
        match &*lock(&self.known) {
            Known::Since(at, report) if at.elapsed() < self.fresh_for => {
                return Ok(report.clone());
            }
            Known::Since(..) | Known::Nothing => {}
        }
        let mut latest = lock(&self.round);
        if let Some(round) = latest.as_ref().and_then(WeakShared::upgrade) {
            return Err(round);
        }
        let round = self.round().boxed().shared();
        *latest = round.downgrade();
        Err(round)
    }

    /// All checks at the same time.
    fn round(&self) -> impl Future<Output = Report> + Send + use<> {
        let dependencies = Arc::clone(&self.dependencies);
        let (patience, known) = (self.patience, Arc::clone(&self.known));
        async move {
            let looks = dependencies.iter().cloned();
            let looks = looks.map(|dependency| look(dependency, patience));
            let parts = join_all(looks).await;
            let worst = dependencies
                .iter()
                .zip(&parts)
                .filter(|(_, part)| part.trouble.is_some())
                .map(|(dependency, _)| dependency.critical)
                .max();
            let health = match worst {
                None => Health::Up,
                Some(false) => Health::Degraded,
                Some(true) => Health::Down,
            };
            let report = Report { health, parts };
            *lock(&known) = Known::Since(Instant::now(), report.clone());
            report
        }
    }
}

async fn look(dependency: Dependency, patience: Duration) -> Part {
    let check = async { dependency.check.check().await };
    // Around the panic of one check, so that the others go on.
    let check = AssertUnwindSafe(check).catch_unwind();
    let trouble = match timeout(patience, check).await {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(message))) => Some(Trouble::Failed(message)),
        Ok(Err(_panic)) => Some(Trouble::Panicked),
        Err(_elapsed) => Some(Trouble::Late),
    };
    Part {
        name: dependency.name,
        trouble,
    }
}

// --------------------------------------------------------- Task 5: the client

/// Calls services by their name: whoever is there, and well.
pub struct Client {
    registry: Registry,
    network: Arc<dyn Network>,
    settings: Settings,
    services: Mutex<HashMap<String, Peers>>,
}

/// What a client remembers of one service.
#[derive(Default)]
struct Peers {
    calls: usize,
    /// A breaker for each registration that is still there.
    breakers: HashMap<u64, BreakerLayer>,
}

impl Client {
    /// A client that knows nothing about anybody yet.
    pub fn new(registry: Registry, network: Arc<dyn Network>, settings: Settings) -> Self {
        Self {
            registry,
            network,
            settings,
            services: Mutex::default(),
        }
    }

    /// Sends a request to one instance after the other, until one replies.
    ///
    /// # Errors
    ///
    /// When nobody could be tried, or all who were have failed.
    pub async fn call(&self, service: &str, request: &str) -> Result<String, CallError> {
        let mut errors = Vec::new();
        for (instance, breaker) in self.turn(service) {
            // The attempts before this one took time.
            if !self.registry.lookup(service).contains(&instance) {
                continue;
            }
            match self.attempt(&breaker, &instance.address, request).await {
                Ok(reply) => return Ok(reply),
                Err(Refused::Open) => {}
                Err(Refused::Failed(error)) => errors.push((instance.address, error)),
            }
        }
        if errors.is_empty() {
            return Err(CallError::Unavailable);
        }
        Err(CallError::AllFailed(errors))
    }

    /// One request to one address, through its breaker. (Boxed here: within an
    /// `async fn` the compiler cannot see that a service of a closure is `Send`.)
    fn attempt(
        &self,
        breaker: &BreakerLayer,
        address: &str,
        request: &str,
    ) -> BoxFuture<'static, Result<String, Refused<String>>> {
        let (network, address) = (Arc::clone(&self.network), address.to_owned());
        let send = service_fn(move |request: String| network.send(&address, &request));
        breaker.layer(send).oneshot(request.to_owned()).boxed()
    }

    /// Who is there, each with its breaker, beginning with the one whose turn it is.
    fn turn(&self, service: &str) -> Vec<(Instance, BreakerLayer)> {
        let mut live = self.registry.lookup(service);
        let mut services = lock(&self.services);
        let known = services.entry(service.to_owned()).or_default();
        let turn = known.calls % live.len().max(1);
        known.calls += 1;
        known
            .breakers
            .retain(|id, _| live.iter().any(|instance| instance.id == *id));
        live.rotate_left(turn);
        let with_breaker = |instance: Instance| {
            let breaker = known.breakers.entry(instance.id);
            let breaker = breaker.or_insert_with(|| BreakerLayer::new(self.settings));
            (instance, breaker.clone())
        };
        live.into_iter().map(with_breaker).collect()
    }
}
