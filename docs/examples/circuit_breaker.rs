//! A circuit breaker: after some failures in a row it stops asking for a while.
//!
//! A service that is down is slow to say so: each call waits for a timeout. Whoever goes on asking
//! waits for nothing, and keeps the service from getting up again. An open breaker fails at once;
//! after a while it lets one call through, and that one decides.
//!
//! `cargo run --example circuit_breaker` calls a service that is down for a while, in real time.
//! `kata demo circuit_breaker` does it in virtual time and draws it.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::{Instant, interval, sleep};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls go through; so many failed in a row.
    Closed { failures: u32 },
    /// No call goes through before this instant.
    Open { until: Instant },
    /// One call is under way on trial; the others are rejected.
    HalfOpen,
}

/// Why a call gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<E> {
    /// The breaker is open, and the service was not asked.
    Rejected,
    /// The service was asked, and failed.
    Failed(E),
}

pub struct Breaker<S> {
    threshold: u32,
    cooldown: Duration,
    state: Mutex<State>,
    /// Hears of every change.
    service: S,
}

impl<S: Service> Breaker<S> {
    pub fn new(threshold: u32, cooldown: Duration, service: S) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self {
            threshold,
            cooldown,
            state,
            service,
        }
    }

    /// The call's output, or an error at once if the breaker is open.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error<E>> {
        if !self.lets_through() {
            return Err(Error::Rejected); // `call` is dropped, and has never been polled
        }
        // From here on the breaker has to learn how it ended. If this future is dropped while it
        // waits, by somebody's timeout for example, the drop counts it as a failure. Forgotten, a
        // call on trial would leave the breaker half open for good.
        let mut outcome = Outcome {
            breaker: self,
            success: false,
        };
        let result = call.await;
        outcome.success = result.is_ok();
        drop(outcome);
        result.map_err(Error::Failed)
    }

    fn lets_through(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        match *state {
            State::Closed { .. } => true,
            State::Open { until } if Instant::now() >= until => {
                self.change(&mut state, State::HalfOpen);
                true
            }
            State::Open { .. } | State::HalfOpen => false,
        }
    }

    fn learn(&self, success: bool) {
        let mut state = self.state.lock().unwrap();
        let failures = match *state {
            // A call that began before the breaker opened: its news is old.
            State::Open { .. } => return,
            State::Closed { .. } | State::HalfOpen if success => 0,
            State::Closed { failures } => failures + 1,
            State::HalfOpen => self.threshold, // the one on trial failed
        };
        let next = if failures >= self.threshold {
            State::Open {
                until: Instant::now() + self.cooldown,
            }
        } else {
            State::Closed { failures }
        };
        self.change(&mut state, next);
    }

    fn change(&self, state: &mut State, next: State) {
        *state = next;
        self.service.changed(next);
    }
}

struct Outcome<'a, S: Service> {
    breaker: &'a Breaker<S>,
    success: bool,
}

impl<S: Service> Drop for Outcome<'_, S> {
    fn drop(&mut self) {
        self.breaker.learn(self.success);
    }
}

/// The service: up and down by the clock here, a simulation in a demo.
pub trait Service: Clone + Send + Sync + 'static {
    fn call(&self, number: usize) -> impl Future<Output = Result<(), String>> + Send;

    /// Call `number` was not made; a demo draws it.
    fn rejected(&self, _number: usize) {}

    /// The breaker has changed; a demo draws it.
    fn changed(&self, _state: State) {}
}

/// How the calls ended.
pub type Ends = Vec<Result<(), Error<String>>>;

/// Starts a call at every tick, whatever has become of those before; each end in its place.
pub async fn call_all<S: Service>(
    service: &S,
    breaker: Breaker<S>,
    calls: usize,
    every: Duration,
) -> Ends {
    let breaker = Arc::new(breaker);
    let mut ticks = interval(every);
    let mut tasks = Vec::new();
    for number in 0..calls {
        ticks.tick().await;
        let (service, breaker) = (service.clone(), Arc::clone(&breaker));
        tasks.push(tokio::spawn(async move {
            let end = breaker.call(service.call(number)).await;
            if end == Err(Error::Rejected) {
                service.rejected(number);
            }
            end
        }));
    }
    try_join_all(tasks).await.expect("no call panics")
}

/// `5 succeeded, 4 failed, 7 rejected`
pub fn summary(ends: &Ends) -> String {
    let rejected = ends
        .iter()
        .filter(|end| **end == Err(Error::Rejected))
        .count();
    let succeeded = ends.iter().filter(|end| end.is_ok()).count();
    let failed = ends.len() - rejected - succeeded;
    format!("{succeeded} succeeded, {failed} failed, {rejected} rejected")
}

/// Answers after 5 ms, but from 100 to 300 ms it is down, and a call takes 50 ms to find out.
#[derive(Clone)]
struct Clock(Instant);

impl Service for Clock {
    async fn call(&self, _: usize) -> Result<(), String> {
        if (100..300).contains(&self.0.elapsed().as_millis()) {
            sleep(Duration::from_millis(50)).await;
            return Err("timed out".to_owned());
        }
        sleep(Duration::from_millis(5)).await;
        Ok(())
    }
}

#[tokio::main]
pub async fn main() {
    for threshold in [1000, 3] {
        let clock = Clock(Instant::now());
        let breaker = Breaker::new(threshold, Duration::from_millis(80), clock.clone());
        let ends = call_all(&clock, breaker, 25, Duration::from_millis(20)).await;
        println!("threshold {threshold:>4}: {}", summary(&ends));
    }
}
