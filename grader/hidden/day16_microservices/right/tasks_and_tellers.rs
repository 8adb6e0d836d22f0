//! right: every look in a task, a list of those who are to be told, a beat and its consequence apart

mod given;
pub use given::*;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tokio_util::task::AbortOnDropHandle;
use tower::{Layer, Service, ServiceExt, service_fn};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each address once: its registration, and until when it is good.
type Book = HashMap<(String, String), (u64, Instant)>;

#[derive(Debug, Clone)]
pub struct Registry {
    ttl: Duration,
    shared: Arc<Mutex<(u64, Book)>>,
}

impl Registry {
    pub fn new(ttl: Duration) -> Self {
        let shared = Arc::default();
        Self { ttl, shared }
    }

    pub fn register(&self, service: &str, address: &str) -> Lease {
        let mut shared = lock(&self.shared);
        shared.0 += 1;
        let id = shared.0;
        let key = (service.to_owned(), address.to_owned());
        let until = Instant::now() + self.ttl;
        shared.1.retain(|_, (_, until)| *until > Instant::now());
        shared.1.insert(key.clone(), (id, until));
        let registry = self.clone();
        Lease { registry, key, id }
    }

    pub fn lookup(&self, service: &str) -> Vec<Instance> {
        let shared = lock(&self.shared);
        let mut live = Vec::new();
        for ((of, address), (id, until)) in &shared.1 {
            if of == service && *until > Instant::now() {
                let (id, address) = (*id, address.clone());
                live.push(Instance { id, address });
            }
        }
        live.sort_unstable_by_key(|instance| instance.id);
        live
    }
}

#[derive(Debug)]
pub struct Lease {
    registry: Registry,
    key: (String, String),
    id: u64,
}

impl Lease {
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn renew(&self) -> Result<(), Expired> {
        let now = Instant::now();
        match lock(&self.registry.shared).1.get_mut(&self.key) {
            Some((id, until)) if *id == self.id && *until > now => {
                *until = now + self.registry.ttl;
                Ok(())
            }
            _ => Err(Expired),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut shared = lock(&self.registry.shared);
        if shared
            .1
            .get(&self.key)
            .is_some_and(|(id, _)| *id == self.id)
        {
            shared.1.remove(&self.key);
        }
    }
}

pub async fn keep_alive(
    registry: Registry,
    service: String,
    address: String,
    every: Duration,
    check: Arc<dyn Check>,
) -> Infallible {
    // What the check says, and who acts on it, are two futures.
    let (seen, mut news) = watch::channel(());
    let looks = async {
        let mut beats = interval(every);
        beats.tick().await;
        loop {
            let well = async {
                if check.check().await.is_ok() {
                    let _ = seen.send(());
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = well => {}
                _ = beats.tick() => {}
            }
        }
    };
    let acts = async {
        let mut lease: Option<Lease> = None;
        loop {
            let _ = news.changed().await;
            if !matches!(lease.as_ref().map(Lease::renew), Some(Ok(()))) {
                lease = Some(registry.register(&service, &address));
            }
        }
    };
    let never: (Infallible, Infallible) = tokio::join!(looks, acts);
    never.0
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

type Waiting = Vec<oneshot::Sender<Report>>;

pub struct HealthBoard {
    board: Arc<Board>,
    /// The task of the latest round.
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

struct Board {
    dependencies: Vec<Dependency>,
    patience: Duration,
    fresh_for: Duration,
    /// The last report, and those who wait for the next one.
    known: Mutex<(Option<(Instant, Report)>, Waiting)>,
    come: Notify,
}

impl HealthBoard {
    pub fn new(dependencies: Vec<Dependency>, patience: Duration, fresh_for: Duration) -> Self {
        let board = Arc::new(Board {
            dependencies,
            patience,
            fresh_for,
            known: Mutex::default(),
            come: Notify::new(),
        });
        let task = Mutex::default();
        Self { board, task }
    }

    pub async fn report(&self) -> Report {
        let told = {
            let mut known = lock(&self.board.known);
            if let Some((at, report)) = &known.0
                && at.elapsed() < self.board.fresh_for
            {
                return report.clone();
            }
            // Those who have left, and with the last of them their round, are no more.
            known.1.retain(|waiting| !waiting.is_closed());
            let (tell, told) = oneshot::channel();
            let first = known.1.is_empty();
            known.1.push(tell);
            if first {
                let task = tokio::spawn(Arc::clone(&self.board).round());
                *lock(&self.task) = Some(AbortOnDropHandle::new(task));
            }
            self.board.come.notify_one();
            told
        };
        told.await.expect("a round tells all who wait")
    }
}

impl Board {
    async fn round(self: Arc<Self>) {
        let looks = self.dependencies.iter().cloned();
        let looks: Vec<_> = looks.map(|one| look(one, self.patience)).collect();
        let looking = async {
            let mut parts = Vec::new();
            for look in looks {
                parts.push(look.await);
            }
            parts
        };
        let mut parts = std::pin::pin!(looking);
        let parts = loop {
            let gone = std::future::poll_fn(|cx| {
                let mut known = lock(&self.known);
                let mut gone =
                    |waiting: &mut oneshot::Sender<Report>| waiting.poll_closed(cx).is_ready();
                known.1.retain_mut(|waiting| !gone(waiting));
                if known.1.is_empty() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            tokio::select! {
                biased;
                parts = &mut parts => break parts,
                () = gone => return,
                // Who has come meanwhile is to be listened to as well.
                () = self.come.notified() => {}
            }
        };
        let mut health = Health::Up;
        for (dependency, part) in self.dependencies.iter().zip(&parts) {
            health = match (&part.trouble, dependency.critical, health) {
                (None, _, health) => health,
                (Some(_), false, Health::Up) => Health::Degraded,
                (Some(_), false, health) => health,
                (Some(_), true, _) => Health::Down,
            };
        }
        let report = Report { health, parts };
        let mut known = lock(&self.known);
        known.0 = Some((Instant::now(), report.clone()));
        for waiting in known.1.drain(..) {
            let _ = waiting.send(report.clone());
        }
    }
}

/// A look in a task of its own: all are under way before the first is awaited.
fn look(dependency: Dependency, patience: Duration) -> BoxFuture<'static, Part> {
    let task: JoinHandle<_> = tokio::spawn({
        let check = dependency.check.check();
        async move { timeout(patience, check).await }
    });
    let task = AbortOnDropHandle::new(task);
    async move {
        let trouble = match task.await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(message))) => Some(Trouble::Failed(message)),
            Ok(Err(_elapsed)) => Some(Trouble::Late),
            Err(_panic) => Some(Trouble::Panicked),
        };
        let name = dependency.name;
        Part { name, trouble }
    }
    .boxed()
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
