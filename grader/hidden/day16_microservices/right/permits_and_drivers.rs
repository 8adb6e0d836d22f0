//! right: the probe is a permit that `call` takes; whoever waits longest drives the round

mod given;
pub use given::*;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use pin_project_lite::pin_project;
use tokio::sync::{Mutex as TokioMutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Layer, Service};

/// Every registration by its id, whatever its service.
type Entries = BTreeMap<u64, (String, Instance, Instant)>;

#[derive(Debug, Clone)]
pub struct Registry(Arc<(Duration, Mutex<(u64, Entries)>)>);

fn tidy(entries: &mut Entries) {
    let now = Instant::now();
    entries.retain(|_, (_, _, until)| now < *until);
}

impl Registry {
    pub fn new(ttl: Duration) -> Self {
        Self(Arc::new((ttl, Mutex::default())))
    }

    pub fn register(&self, service: &str, address: &str) -> Lease {
        let (ttl, book) = &*self.0;
        let mut book = book.lock().unwrap();
        let (ids, entries) = &mut *book;
        *ids += 1;
        entries.retain(|_, (s, instance, _)| s != service || instance.address != address);
        tidy(entries);
        let instance = Instance {
            id: *ids,
            address: address.to_owned(),
        };
        entries.insert(*ids, (service.to_owned(), instance, Instant::now() + *ttl));
        Lease(self.clone(), *ids)
    }

    pub fn lookup(&self, service: &str) -> Vec<Instance> {
        let (_, book) = &*self.0;
        let mut book = book.lock().unwrap();
        tidy(&mut book.1);
        let all = book.1.values();
        all.filter(|(s, ..)| s == service)
            .map(|(_, instance, _)| instance.clone())
            .collect()
    }
}

#[derive(Debug)]
pub struct Lease(Registry, u64);

impl Lease {
    pub fn id(&self) -> u64 {
        self.1
    }

    pub fn renew(&self) -> Result<(), Expired> {
        let (ttl, book) = &*(self.0).0;
        let mut book = book.lock().unwrap();
        tidy(&mut book.1);
        match book.1.get_mut(&self.1) {
            None => Err(Expired),
            Some((_, _, until)) => {
                *until = Instant::now() + *ttl;
                Ok(())
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (_, book) = &*(self.0).0;
        book.lock().unwrap().1.remove(&self.1);
    }
}

pub async fn keep_alive(
    registry: Registry,
    service: String,
    address: String,
    every: Duration,
    check: Arc<dyn Check>,
) -> Infallible {
    let start = Instant::now();
    let mut lease: Option<Lease> = None;
    for beat in 1.. {
        let next = start + every * beat;
        // In a task of its own; aborted with the set.
        let mut looking = JoinSet::new();
        looking.spawn(check.check());
        tokio::select! {
            biased;
            Some(Ok(Ok(()))) = looking.join_next() => {
                if lease.as_ref().is_none_or(|lease| lease.renew().is_err()) {
                    lease = Some(registry.register(&service, &address));
                }
                sleep_until(next).await;
            }
            () = sleep_until(next) => looking.shutdown().await,
        }
    }
    unreachable!("there are more beats than anybody waits for")
}

#[derive(Debug)]
enum Phase {
    Closed(u32),
    Open(Instant, Arc<Semaphore>),
}

#[derive(Debug)]
struct Core {
    settings: Settings,
    /// The phase, and its number.
    phase: Mutex<(Phase, u64)>,
}

impl Core {
    /// The one permit of a half open breaker.
    fn probes(&self) -> Option<Arc<Semaphore>> {
        match &self.phase.lock().unwrap().0 {
            Phase::Open(until, probes) if *until <= Instant::now() => Some(Arc::clone(probes)),
            _ => None,
        }
    }

    fn open(&self) -> Phase {
        let until = Instant::now() + self.settings.open_for;
        Phase::Open(until, Arc::new(Semaphore::new(1)))
    }

    fn ended(&self, number: u64, probe: bool, well: bool) {
        let mut phase = self.phase.lock().unwrap();
        let (now, current) = &mut *phase;
        if *current != number {
            return;
        }
        let next = match now {
            Phase::Closed(failures) if well => {
                *failures = 0;
                return;
            }
            Phase::Closed(failures) => {
                *failures += 1;
                if *failures < self.settings.failures.get() {
                    return;
                }
                self.open()
            }
            Phase::Open(..) if !probe => return,
            Phase::Open(..) if well => Phase::Closed(0),
            Phase::Open(..) => self.open(),
        };
        *phase = (next, number + 1);
    }
}

#[derive(Debug, Clone)]
pub struct BreakerLayer {
    core: Arc<Core>,
}

impl BreakerLayer {
    pub fn new(settings: Settings) -> Self {
        let phase = Mutex::new((Phase::Closed(0), 0));
        let core = Arc::new(Core { settings, phase });
        Self { core }
    }

    pub fn state(&self) -> State {
        match &self.core.phase.lock().unwrap().0 {
            Phase::Closed(_) => State::Closed,
            Phase::Open(until, _) if Instant::now() < *until => State::Open,
            Phase::Open(..) => State::HalfOpen,
        }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        Breaker {
            inner,
            layer: self.clone(),
            asked: false,
        }
    }
}

pub struct Breaker<S> {
    inner: S,
    layer: BreakerLayer,
    /// Whether its next call may go to the inner service.
    asked: bool,
}

impl<S: Clone> Clone for Breaker<S> {
    fn clone(&self) -> Self {
        self.layer.layer(self.inner.clone())
    }
}

impl<S, R> Service<R> for Breaker<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = Refused<S::Error>;
    type Future = Call<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.asked = false;
        let lets_through = match self.layer.state() {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => {
                let probes = self.layer.core.probes();
                probes.is_some_and(|probes| probes.available_permits() > 0)
            }
        };
        if !lets_through {
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx)).map_err(Refused::Failed)?;
        self.asked = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let asked = std::mem::take(&mut self.asked);
        let core = Arc::clone(&self.layer.core);
        let number = core.phase.lock().unwrap().1;
        let probes = if asked { core.probes() } else { None };
        let probe = probes.and_then(|probes| probes.try_acquire_owned().ok());
        let may = match self.layer.state() {
            State::Closed => asked,
            State::Open => false,
            State::HalfOpen => probe.is_some(),
        };
        let inner = may.then(|| self.inner.call(request));
        Call {
            inner,
            core,
            number,
            probe,
        }
    }
}

pin_project! {
    pub struct Call<F> {
        #[pin]
        inner: Option<F>,
        core: Arc<Core>,
        number: u64,
        probe: Option<OwnedSemaphorePermit>,
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for Call<F> {
    type Output = Result<T, Refused<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(Err(Refused::Open));
        };
        let result = ready!(inner.poll(cx));
        let probe = this.probe.take();
        this.core
            .ended(*this.number, probe.is_some(), result.is_ok());
        Poll::Ready(result.map_err(Refused::Failed))
    }
}

type Running = Pin<Box<dyn Future<Output = Report> + Send>>;

/// A round under way. Whoever has the lock polls it; if that one leaves, the
/// next in line goes on where it stood.
struct Round {
    running: TokioMutex<(Option<Running>, Option<Report>)>,
}

pub struct HealthBoard {
    dependencies: Arc<Vec<Dependency>>,
    patience: Duration,
    fresh_for: Duration,
    state: Mutex<(Option<(Instant, Report)>, Weak<Round>)>,
}

impl HealthBoard {
    pub fn new(dependencies: Vec<Dependency>, patience: Duration, fresh_for: Duration) -> Self {
        Self {
            dependencies: Arc::new(dependencies),
            patience,
            fresh_for,
            state: Mutex::default(),
        }
    }

    fn round(&self) -> Arc<Round> {
        let mut state = self.state.lock().unwrap();
        if let Some(round) = state.1.upgrade() {
            return round;
        }
        let running = look(Arc::clone(&self.dependencies), self.patience);
        let running: Running = Box::pin(running);
        let round = Arc::new(Round {
            running: TokioMutex::new((Some(running), None)),
        });
        state.1 = Arc::downgrade(&round);
        round
    }

    fn fresh(&self) -> Option<Report> {
        let state = self.state.lock().unwrap();
        let (at, report) = state.0.as_ref()?;
        (at.elapsed() < self.fresh_for).then(|| report.clone())
    }

    pub async fn report(&self) -> Report {
        if let Some(report) = self.fresh() {
            return report;
        }
        let round = self.round();
        let mut place = round.running.lock().await;
        let (running, ended) = &mut *place;
        if let Some(going) = running {
            let report = going.await;
            *running = None;
            *ended = Some(report.clone());
            *self.state.lock().unwrap() = (Some((Instant::now(), report)), Weak::new());
        }
        ended.clone().expect("it has ended")
    }
}

async fn look(dependencies: Arc<Vec<Dependency>>, patience: Duration) -> Report {
    let mut parts: Vec<Option<Part>> = dependencies.iter().map(|_| None).collect();
    let mut looking: FuturesUnordered<_> = FuturesUnordered::new();
    for (index, dependency) in dependencies.iter().cloned().enumerate() {
        looking.push(async move {
            let look = std::panic::AssertUnwindSafe(dependency.check.check()).catch_unwind();
            let trouble = tokio::select! {
                biased;
                looked = look => match looked {
                    Ok(Ok(())) => None,
                    Ok(Err(message)) => Some(Trouble::Failed(message)),
                    Err(_) => Some(Trouble::Panicked),
                },
                () = sleep(patience) => Some(Trouble::Late),
            };
            let name = dependency.name;
            (index, Part { name, trouble })
        });
    }
    while let Some((index, part)) = looking.next().await {
        parts[index] = Some(part);
    }
    let parts: Vec<Part> = parts.into_iter().flatten().collect();
    let wrong = |critical: bool| {
        let mut all = dependencies.iter().zip(&parts);
        all.any(|(dependency, part)| dependency.critical == critical && part.trouble.is_some())
    };
    let health = if wrong(true) {
        Health::Down
    } else if wrong(false) {
        Health::Degraded
    } else {
        Health::Up
    };
    Report { health, parts }
}

/// What is known of a registration, in the order in which they were seen.
type Peers = Vec<(u64, Arc<Core>)>;

pub struct Client {
    registry: Registry,
    network: Arc<dyn Network>,
    settings: Settings,
    services: Mutex<BTreeMap<String, (usize, Peers)>>,
}

impl Client {
    pub fn new(registry: Registry, network: Arc<dyn Network>, settings: Settings) -> Self {
        Self {
            registry,
            network,
            settings,
            services: Mutex::default(),
        }
    }

    fn core(&self, service: &str, id: u64) -> Arc<Core> {
        let mut services = self.services.lock().unwrap();
        let (_, peers) = services.entry(service.to_owned()).or_default();
        if let Some((_, core)) = peers.iter().find(|(known, _)| *known == id) {
            return Arc::clone(core);
        }
        let core = BreakerLayer::new(self.settings).core;
        peers.push((id, Arc::clone(&core)));
        core
    }

    pub async fn call(&self, service: &str, request: &str) -> Result<String, CallError> {
        let mut live = self.registry.lookup(service);
        {
            let mut services = self.services.lock().unwrap();
            let (turn, peers) = services.entry(service.to_owned()).or_default();
            peers.retain(|(id, _)| live.iter().any(|instance| instance.id == *id));
            let start = *turn;
            *turn += 1;
            let count = live.len().max(1);
            live.rotate_left(start % count);
        }
        let mut errors = Vec::new();
        let mut tried = Vec::new();
        // Always the first one of those that are still there and were not tried.
        loop {
            let now = self.registry.lookup(service);
            let next = live
                .iter()
                .find(|one| now.contains(one) && !tried.contains(&one.id));
            let Some(instance) = next.cloned() else { break };
            tried.push(instance.id);
            let core = self.core(service, instance.id);
            let layer = BreakerLayer { core };
            let probe = match layer.state() {
                State::Closed => None,
                State::Open => continue,
                State::HalfOpen => {
                    let probes = layer.core.probes();
                    match probes.and_then(|probes| probes.try_acquire_owned().ok()) {
                        None => continue,
                        some => some,
                    }
                }
            };
            let number = layer.core.phase.lock().unwrap().1;
            let result = self.network.send(&instance.address, request).await;
            layer.core.ended(number, probe.is_some(), result.is_ok());
            match result {
                Ok(reply) => return Ok(reply),
                Err(error) => errors.push((instance.address, error)),
            }
        }
        if errors.is_empty() {
            Err(CallError::Unavailable)
        } else {
            Err(CallError::AllFailed(errors))
        }
    }
}
