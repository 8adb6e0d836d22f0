//! A simulated backend: latency, failures, a call log, and how many calls were in flight.

use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use kata_report::SpanEnd;

use crate::lab::{Lab, ms};
use crate::place::Place;
use crate::span::SpanGuard;
use crate::world::mix;

/// So many calls of a service remember who made them; a stack costs some microseconds.
const MAX_PLACES: usize = 64;

/// What is known of a call when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallInfo {
    /// Counted from 0, in order of their start.
    pub number: usize,
    /// What the caller said.
    pub label: String,
    /// Virtual milliseconds since the run began.
    pub at_ms: u64,
}

/// A call in the log.
#[derive(Debug, Clone)]
pub struct Call {
    /// Counted from 0, in order of their start.
    pub number: usize,
    /// What the caller said.
    pub label: String,
    /// Virtual milliseconds since the run began.
    pub started_ms: u64,
    /// When it ended; `None`: it is in flight.
    pub ended_ms: Option<u64>,
    /// How it ended; `Running`: it is in flight.
    pub end: SpanEnd,
    /// Where the learner's code made it; known for the first 64 calls.
    pub location: Place,
}

/// A call's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What the service said.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

type Latency = dyn Fn(&CallInfo) -> u64 + Send + Sync;
type Failure = dyn Fn(&CallInfo) -> Option<String> + Send + Sync;

/// Describes a service before its first call.
#[must_use = "call `build()`"]
pub struct ServiceBuilder {
    lab: Lab,
    name: String,
    latency: Box<Latency>,
    failure: Box<Failure>,
}

impl ServiceBuilder {
    pub(crate) fn new(lab: Lab, name: String) -> Self {
        Self {
            lab,
            name,
            latency: Box::new(|_| 0),
            failure: Box::new(|_| None),
        }
    }

    /// Every call takes so many milliseconds.
    pub fn takes(self, ms: u64) -> Self {
        self.takes_with(move |_| ms)
    }

    /// Every call takes a number of milliseconds in `range`, fixed by the seed and its number.
    pub fn takes_between(self, range: RangeInclusive<u64>) -> Self {
        let stream = self.lab.world.stream();
        self.takes_with(move |call| {
            Rng::with_seed(mix(stream, call.number as u64)).u64(range.clone())
        })
    }

    /// A call takes as many milliseconds as `latency` says.
    pub fn takes_with(
        mut self,
        latency: impl Fn(&CallInfo) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.latency = Box::new(latency);
        self
    }

    /// A call fails, after its latency, with what `failure` says.
    pub fn fails_with(
        mut self,
        failure: impl Fn(&CallInfo) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.failure = Box::new(failure);
        self
    }

    /// The service.
    pub fn build(self) -> Service {
        Service {
            inner: Arc::new(Inner {
                builder: self,
                log: Mutex::default(),
            }),
        }
    }
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServiceBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A simulated backend. Clones share the log.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    builder: ServiceBuilder,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    calls: Vec<Call>,
    in_flight: usize,
    peak: usize,
}

impl Service {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.inner
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A call, which starts when it is first polled. Its output is its number, or the fault
    /// that [`ServiceBuilder::fails_with`] gave it. Dropped, it is cancelled at that instant.
    pub fn call(
        &self,
        label: impl Into<String>,
    ) -> Pin<Box<dyn Future<Output = Result<usize, Fault>> + Send>> {
        let (service, label) = (self.clone(), label.into());
        Box::pin(async move {
            let (call_info, in_flight) = service.start(label);
            let builder = &service.inner.builder;
            tokio::time::sleep(ms((builder.latency)(&call_info))).await;
            if let Some(message) = (builder.failure)(&call_info) {
                in_flight.end(SpanEnd::Failed);
                return Err(Fault { message });
            }
            in_flight.end(SpanEnd::Done);
            Ok(call_info.number)
        })
    }

    fn start(&self, label: String) -> (CallInfo, InFlight) {
        let lab = &self.inner.builder.lab;
        let at_ms = lab.now_ms();
        let mut log = self.log();
        let number = log.calls.len();
        log.calls.push(Call {
            number,
            label: label.clone(),
            started_ms: at_ms,
            ended_ms: None,
            end: SpanEnd::Running,
            location: if number < MAX_PLACES {
                Place::here()
            } else {
                Place::default()
            },
        });
        log.in_flight += 1;
        log.peak = log.peak.max(log.in_flight);
        drop(log);
        let span = lab.span(
            format!("{} {number}", self.inner.builder.name),
            label.clone(),
        );
        let in_flight = InFlight {
            service: self.clone(),
            number,
            span: Some(span),
        };
        (
            CallInfo {
                number,
                label,
                at_ms,
            },
            in_flight,
        )
    }

    /// Every call so far, in order of their start.
    pub fn calls(&self) -> Vec<Call> {
        self.log().calls.clone()
    }

    /// How many calls were started.
    pub fn count(&self) -> usize {
        self.log().calls.len()
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> usize {
        self.log().in_flight
    }

    /// How many calls were in flight at once, at most.
    pub fn peak(&self) -> usize {
        self.log().peak
    }

    /// What the callers said, in order of their start.
    pub fn labels(&self) -> Vec<String> {
        self.log()
            .calls
            .iter()
            .map(|call| call.label.clone())
            .collect()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Service")
            .field("name", &self.inner.builder.name)
            .finish_non_exhaustive()
    }
}

/// A call under way; dropped, it was cancelled.
struct InFlight {
    service: Service,
    number: usize,
    span: Option<SpanGuard>,
}

impl InFlight {
    fn end(mut self, end: SpanEnd) {
        self.close(end);
    }

    fn close(&mut self, end: SpanEnd) {
        let Some(span) = self.span.take() else { return };
        span.end(end);
        let ended_ms = self.service.inner.builder.lab.now_ms();
        let mut log = self.service.log();
        log.in_flight -= 1;
        let call = &mut log.calls[self.number];
        call.ended_ms = Some(ended_ms);
        call.end = end;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.close(SpanEnd::Cancelled);
    }
}
