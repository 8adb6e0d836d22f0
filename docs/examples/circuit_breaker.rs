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

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

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

pub struct Breaker<W> {
    threshold: u32,
    cooldown: Duration,
    state: Mutex<State>,
    /// Hears of every change.
    watch: W,
}

impl<W: Fn(State)> Breaker<W> {
    pub fn new(threshold: u32, cooldown: Duration, watch: W) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self {
            threshold,
            cooldown,
            state,
            watch,
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
        (self.watch)(next);
    }
}

struct Outcome<'a, W: Fn(State)> {
    breaker: &'a Breaker<W>,
    success: bool,
}

impl<W: Fn(State)> Drop for Outcome<'_, W> {
    fn drop(&mut self) {
        self.breaker.learn(self.success);
    }
}

/// The service: up and down by the clock here, a simulation in a demo.
pub trait Service: Clone + Send + Sync + 'static {
    fn call(&self, number: usize) -> impl Future<Output = Result<(), String>> + Send;
    fn rejected(&self, number: usize);
    fn changed(&self, state: State);
}

/// How many calls there were of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub succeeded: usize,
    pub failed: usize,
    pub rejected: usize,
}

/// Starts a call at every tick, whatever has become of those before.
pub async fn call_all(
    service: &impl Service,
    calls: usize,
    every: Duration,
    threshold: u32,
    cooldown: Duration,
) -> Count {
    let watch = {
        let service = service.clone();
        move |state| service.changed(state)
    };
    let breaker = Arc::new(Breaker::new(threshold, cooldown, watch));
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks = JoinSet::new();
    for number in 0..calls {
        ticks.tick().await;
        let (service, breaker) = (service.clone(), Arc::clone(&breaker));
        tasks.spawn(async move {
            let result = breaker.call(service.call(number)).await;
            if result == Err(Error::Rejected) {
                service.rejected(number);
            }
            result
        });
    }
    tasks
        .join_all()
        .await
        .into_iter()
        .fold(Count::default(), |mut count, result| {
            *match result {
                Ok(()) => &mut count.succeeded,
                Err(Error::Failed(_)) => &mut count.failed,
                Err(Error::Rejected) => &mut count.rejected,
            } += 1;
            count
        })
}

/// Answers after 5 ms, but from 100 to 300 ms it is down, and a call takes 50 ms to find out.
#[derive(Clone)]
struct Clock(Instant);

impl Service for Clock {
    async fn call(&self, _: usize) -> Result<(), String> {
        let up = !(100..300).contains(&self.0.elapsed().as_millis());
        sleep(Duration::from_millis(if up { 5 } else { 50 })).await;
        if up {
            Ok(())
        } else {
            Err("timed out".to_owned())
        }
    }

    fn rejected(&self, _: usize) {}

    fn changed(&self, state: State) {
        if !matches!(state, State::Closed { .. }) {
            println!("  {:>3} ms: {}", self.0.elapsed().as_millis(), name(state));
        }
    }
}

pub fn name(state: State) -> &'static str {
    match state {
        State::Closed { .. } => "closed",
        State::Open { .. } => "open",
        State::HalfOpen => "half open",
    }
}

#[tokio::main]
pub async fn main() {
    let every = Duration::from_millis(20);
    for (threshold, cooldown) in [(u32::MAX, 0), (3, 80)] {
        println!("threshold {threshold}:");
        let clock = Clock(Instant::now());
        let count = call_all(
            &clock,
            25,
            every,
            threshold,
            Duration::from_millis(cooldown),
        )
        .await;
        println!("  {count:?}");
    }
}
