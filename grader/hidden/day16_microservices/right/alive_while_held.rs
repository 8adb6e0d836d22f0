//! right: what is alive is held: weak leases, a token for the probe, a task that its waiters own

mod given;
pub use given::*;

use std::collections::HashMap;
use std::convert::Infallible;
use std::mem::replace;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tower::{Layer, Service};

/// A registration: alive as long as its lease is, and its time is not over.
#[derive(Debug)]
struct Entry {
    instance: Instance,
    renewed: Mutex<Option<Instant>>,
    ttl: Duration,
}

impl Entry {
    fn is_good(&self) -> bool {
        let renewed = self.renewed.lock().unwrap();
        renewed.is_some_and(|at| at.elapsed() < self.ttl)
    }
}

#[derive(Debug, Default)]
struct Book {
    ids: u64,
    services: HashMap<String, Vec<Weak<Entry>>>,
}

#[derive(Debug, Clone)]
pub struct Registry {
    ttl: Duration,
    book: Arc<Mutex<Book>>,
}

impl Registry {
    pub fn new(ttl: Duration) -> Self {
        let book = Arc::default();
        Self { ttl, book }
    }

    pub fn register(&self, service: &str, address: &str) -> Lease {
        let mut book = self.book.lock().unwrap();
        book.ids += 1;
        let (id, address) = (book.ids, address.to_owned());
        let entries = book.services.entry(service.to_owned()).or_default();
        entries.retain(|entry| entry.upgrade().is_some_and(|entry| entry.is_good()));
        for older in entries.iter().filter_map(Weak::upgrade) {
            if older.instance.address == address {
                *older.renewed.lock().unwrap() = None;
            }
        }
        let entry = Arc::new(Entry {
            instance: Instance { id, address },
            renewed: Mutex::new(Some(Instant::now())),
            ttl: self.ttl,
        });
        entries.push(Arc::downgrade(&entry));
        Lease { entry }
    }

    pub fn lookup(&self, service: &str) -> Vec<Instance> {
        let book = self.book.lock().unwrap();
        let Some(entries) = book.services.get(service) else {
            return Vec::new();
        };
        let entries = entries.iter().filter_map(Weak::upgrade);
        let good = entries.filter(|entry| entry.is_good());
        good.map(|entry| entry.instance.clone()).collect()
    }
}

#[derive(Debug)]
pub struct Lease {
    entry: Arc<Entry>,
}

impl Lease {
    pub fn id(&self) -> u64 {
        self.entry.instance.id
    }

    pub fn renew(&self) -> Result<(), Expired> {
        if !self.entry.is_good() {
            return Err(Expired);
        }
        *self.entry.renewed.lock().unwrap() = Some(Instant::now());
        Ok(())
    }
}

pub async fn keep_alive(
    registry: Registry,
    service: String,
    address: String,
    every: Duration,
    check: Arc<dyn Check>,
) -> Infallible {
    let mut beats = interval(every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut lease: Option<Lease> = None;
    beats.tick().await;
    loop {
        let well = tokio::select! {
            well = check.check() => well.is_ok(),
            _ = beats.tick() => continue,
        };
        match &lease {
            Some(lease) if well && lease.renew().is_ok() => {}
            _ if well => lease = Some(registry.register(&service, &address)),
            _ => {}
        }
        beats.tick().await;
    }
}

#[derive(Debug)]
struct Core {
    failures: u32,
    /// Since when it is open, or half open.
    open: Option<Instant>,
    /// Held by the probe, if there is one.
    probe: Weak<()>,
    /// Held by the calls of this closed time.
    era: Arc<()>,
}

#[derive(Debug, Clone)]
pub struct BreakerLayer {
    settings: Settings,
    core: Arc<Mutex<Core>>,
}

impl BreakerLayer {
    pub fn new(settings: Settings) -> Self {
        let core = Core {
            failures: 0,
            open: None,
            probe: Weak::new(),
            era: Arc::new(()),
        };
        let core = Arc::new(Mutex::new(core));
        Self { settings, core }
    }

    pub fn state(&self) -> State {
        match self.core.lock().unwrap().open {
            None => State::Closed,
            Some(since) if since.elapsed() < self.settings.open_for => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    fn refuses(&self) -> bool {
        match self.state() {
            State::Closed => false,
            State::Open => true,
            State::HalfOpen => self.core.lock().unwrap().probe.strong_count() > 0,
        }
    }

    /// A token that has to be kept until the call ends.
    fn begin(&self) -> Option<Arc<()>> {
        if self.refuses() {
            return None;
        }
        let mut core = self.core.lock().unwrap();
        if core.open.is_none() {
            return Some(Arc::clone(&core.era));
        }
        let probe = Arc::new(());
        core.probe = Arc::downgrade(&probe);
        Some(probe)
    }

    fn end(&self, token: &Arc<()>, well: bool) {
        let mut core = self.core.lock().unwrap();
        let is_probe = std::ptr::eq(core.probe.as_ptr(), Arc::as_ptr(token));
        let is_counted = core.open.is_none() && Arc::ptr_eq(&core.era, token);
        if is_counted && well {
            core.failures = 0;
        } else if is_counted {
            core.failures += 1;
            if core.failures >= self.settings.failures.get() {
                core.open = Some(Instant::now());
            }
        } else if is_probe && core.open.is_some() {
            core.failures = 0;
            core.open = (!well).then(Instant::now);
            core.era = Arc::new(());
            core.probe = Weak::new();
        }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        let layer = self.clone();
        let asked = false;
        Breaker {
            inner,
            layer,
            asked,
        }
    }
}

pub struct Breaker<S> {
    inner: S,
    layer: BreakerLayer,
    asked: bool,
}

impl<S: Clone> Clone for Breaker<S> {
    fn clone(&self) -> Self {
        self.layer.layer(self.inner.clone())
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
        self.asked = !self.layer.refuses();
        if !self.asked {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_ready(cx).map_err(Refused::Failed)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = replace(&mut self.inner, clone);
        let (layer, asked) = (self.layer.clone(), replace(&mut self.asked, false));
        Box::pin(async move {
            // It is decided when the future is polled, not when it is made.
            let Some(token) = asked.then(|| layer.begin()).flatten() else {
                return Err(Refused::Open);
            };
            let result = inner.call(request).await;
            layer.end(&token, result.is_ok());
            result.map_err(Refused::Failed)
        })
    }
}

/// A round in a task, which dies with the last one who holds it.
struct Round {
    report: watch::Receiver<Option<(Instant, Report)>>,
    task: AbortHandle,
}

impl Drop for Round {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub struct HealthBoard {
    dependencies: Vec<Dependency>,
    patience: Duration,
    fresh_for: Duration,
    round: Mutex<Weak<Round>>,
    last: Arc<Mutex<Option<(Instant, Report)>>>,
}

impl HealthBoard {
    pub fn new(dependencies: Vec<Dependency>, patience: Duration, fresh_for: Duration) -> Self {
        Self {
            dependencies,
            patience,
            fresh_for,
            round: Mutex::default(),
            last: Arc::default(),
        }
    }

    fn round(&self) -> Result<Report, Arc<Round>> {
        let mut round = self.round.lock().unwrap();
        if let Some((at, report)) = &*self.last.lock().unwrap()
            && at.elapsed() < self.fresh_for
        {
            return Ok(report.clone());
        }
        // One that has ended may still be held by those who have not woken yet.
        if let Some(running) = round.upgrade()
            && running.report.borrow().is_none()
        {
            return Err(running);
        }
        let (told, report) = watch::channel(None);
        let (dependencies, patience) = (self.dependencies.clone(), self.patience);
        let last = Arc::clone(&self.last);
        let task = tokio::spawn(async move {
            let outcome = (look(dependencies, patience).await, Instant::now());
            let outcome = (outcome.1, outcome.0);
            *last.lock().unwrap() = Some(outcome.clone());
            let _ = told.send(Some(outcome));
        });
        let task = task.abort_handle();
        let fresh = Arc::new(Round { report, task });
        *round = Arc::downgrade(&fresh);
        Err(fresh)
    }

    pub async fn report(&self) -> Report {
        let round = match self.round() {
            Ok(report) => return report,
            Err(round) => round,
        };
        let mut report = round.report.clone();
        let told = report.wait_for(Option::is_some).await;
        told.unwrap().clone().unwrap().1
    }
}

async fn look(dependencies: Vec<Dependency>, patience: Duration) -> Report {
    let mut checks = JoinSet::new();
    let (mut parts, mut indices) = (Vec::new(), HashMap::new());
    for (index, dependency) in dependencies.iter().enumerate() {
        let check = Arc::clone(&dependency.check);
        let task = checks.spawn(async move { timeout(patience, check.check()).await });
        indices.insert(task.id(), index);
        let name = dependency.name.clone();
        let trouble = None;
        parts.push(Part { name, trouble });
    }
    let mut health = Health::Up;
    while let Some(ended) = checks.join_next_with_id().await {
        let (id, trouble) = match ended {
            Ok((_, Ok(Ok(())))) => continue,
            Ok((id, Ok(Err(message)))) => (id, Trouble::Failed(message)),
            Ok((id, Err(_))) => (id, Trouble::Late),
            Err(error) => (error.id(), Trouble::Panicked),
        };
        let index = indices[&id];
        parts[index].trouble = Some(trouble);
        health = match health {
            Health::Down => Health::Down,
            _ if dependencies[index].critical => Health::Down,
            _ => Health::Degraded,
        };
    }
    Report { health, parts }
}

/// A request to one address.
#[derive(Clone)]
struct Sender {
    network: Arc<dyn Network>,
    address: String,
}

impl Service<String> for Sender {
    type Response = String;
    type Error = String;
    type Future = BoxFuture<'static, Result<String, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: String) -> Self::Future {
        self.network.send(&self.address, &request)
    }
}

pub struct Client {
    registry: Registry,
    network: Arc<dyn Network>,
    settings: Settings,
    turns: Mutex<HashMap<String, usize>>,
    senders: Mutex<HashMap<u64, Breaker<Sender>>>,
}

impl Client {
    pub fn new(registry: Registry, network: Arc<dyn Network>, settings: Settings) -> Self {
        Self {
            registry,
            network,
            settings,
            turns: Mutex::default(),
            senders: Mutex::default(),
        }
    }

    fn sender(&self, instance: &Instance) -> Breaker<Sender> {
        let mut senders = self.senders.lock().unwrap();
        let sender = senders.entry(instance.id).or_insert_with(|| {
            let (network, address) = (Arc::clone(&self.network), instance.address.clone());
            BreakerLayer::new(self.settings).layer(Sender { network, address })
        });
        sender.clone()
    }

    pub async fn call(&self, service: &str, request: &str) -> Result<String, CallError> {
        let turn = {
            let mut turns = self.turns.lock().unwrap();
            let turn = turns.entry(service.to_owned()).or_default();
            *turn += 1;
            *turn - 1
        };
        let first = self.registry.lookup(service);
        let start = turn % first.len().max(1);
        let order: Vec<u64> = (0..first.len())
            .map(|step| first[(start + step) % first.len()].id)
            .collect();
        let mut errors = Vec::new();
        for id in order {
            let mut live = self.registry.lookup(service).into_iter();
            let Some(instance) = live.find(|instance| instance.id == id) else {
                self.senders.lock().unwrap().remove(&id);
                continue;
            };
            let mut sender = self.sender(&instance);
            let _ = std::future::poll_fn(|cx| sender.poll_ready(cx)).await;
            match sender.call(request.to_owned()).await {
                Ok(reply) => return Ok(reply),
                Err(Refused::Open) => {}
                Err(Refused::Failed(error)) => errors.push((instance.address, error)),
            }
        }
        match errors.len() {
            0 => Err(CallError::Unavailable),
            _ => Err(CallError::AllFailed(errors)),
        }
    }
}
