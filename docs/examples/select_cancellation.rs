//! `select!` and cancellation: a download that beats while it waits, and can be stopped.
//!
//! `select!` polls several futures, takes the first that is ready, and *drops the others*. What a
//! dropped future had done by then is lost, unless it is kept somewhere else. So in a loop it
//! matters where a future is made: outside of the loop, and polled by reference, it lives on;
//! made anew at each turn, it begins from the beginning, again and again.
//!
//! `cargo run --example select_cancellation` does both in real time.
//! `kata demo select_cancellation` does one of them in virtual time and draws it; `restart=1` is
//! the mistake.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval_at, sleep};
use tokio_util::sync::CancellationToken;

/// What lies outside of the download: sleeps here, a simulation in a demo.
pub trait Outside {
    /// Reads a chunk. Dropped before its end, it has read nothing.
    fn read(&self, chunk: usize) -> impl Future<Output = ()>;

    /// Says that we are still there.
    fn beat(&self);
}

/// What came of a download.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Complete,
    /// Stopped, with so many chunks read: a stop is no reason to throw them away.
    Stopped(usize),
}

/// Reads chunk after chunk and beats meanwhile, until it is through or stopped.
pub async fn download(
    outside: &impl Outside,
    chunks: usize,
    every: Duration,
    stop: &CancellationToken,
) -> Ended {
    let mut beats = interval_at(Instant::now() + every, every);
    for chunk in 0..chunks {
        // Made once for this chunk and pinned here: the loop below lends it to `select!`.
        let mut read = pin!(outside.read(chunk));
        loop {
            tokio::select! {
                // In this order and not at random: whoever is told to stop does not read on
                // because there was something to read at the same instant.
                biased;
                () = stop.cancelled() => return Ended::Stopped(chunk),
                // `&mut`: if another branch wins, only the loan is dropped.
                () = &mut read => break,
                _ = beats.tick() => outside.beat(),
            }
        }
    }
    Ended::Complete
}

/// The same with one mistake: a beat drops the read that is under way.
///
/// It compiles, it works while reads are quick, and with slow ones it never ends.
pub async fn download_restarting(
    outside: &impl Outside,
    chunks: usize,
    every: Duration,
    stop: &CancellationToken,
) -> Ended {
    let mut beats = interval_at(Instant::now() + every, every);
    for chunk in 0..chunks {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Stopped(chunk),
                // Made anew at each turn. `tick` may be made anew: what it has done by then is
                // kept in `beats`. Its documentation says so under "cancel safety", and that is
                // where to look before a future goes into a `select!`.
                () = outside.read(chunk) => break,
                _ = beats.tick() => outside.beat(),
            }
        }
    }
    Ended::Complete
}

/// Cancels the token after a while. The download does not know by whom it is stopped.
pub async fn stop_after<T>(
    time: Duration,
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> T {
    // A guard, so that the token is cancelled too if this very future is dropped.
    let timer = async {
        let _stops = stop.clone().drop_guard();
        sleep(time).await;
    };
    // A `join!` would wait for the timer when the work is long done. The other way round, the
    // timer must not end the work, only tell it to end: so its branch goes on to wait for it.
    let mut work = pin!(work);
    tokio::select! {
        output = &mut work => output,
        () = timer => work.await,
    }
}

struct Sleeps(Duration);

impl Outside for Sleeps {
    async fn read(&self, _: usize) {
        sleep(self.0).await;
    }

    fn beat(&self) {
        print!(".");
    }
}

#[tokio::main]
pub async fn main() {
    let every = Duration::from_millis(30);
    let stop_at = Duration::from_millis(600);
    for read in [20, 50] {
        let outside = Sleeps(Duration::from_millis(read));
        println!("chunks of {read} ms, a beat every 30 ms:");
        let stop = CancellationToken::new();
        let ended = stop_after(stop_at, &stop, download(&outside, 6, every, &stop)).await;
        println!(" kept: {ended:?}");
        let stop = CancellationToken::new();
        let ended = stop_after(
            stop_at,
            &stop,
            download_restarting(&outside, 6, every, &stop),
        )
        .await;
        println!(" restarted: {ended:?}");
    }
}
