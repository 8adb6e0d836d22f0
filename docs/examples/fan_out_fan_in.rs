//! Fan-out and fan-in: one question to many shards at once, one answer made of theirs.
//!
//! The answer is as late as the slowest shard. So there is a deadline: what has come by then is
//! the answer, and it says what is missing. Who is late is cancelled at that instant, because
//! nobody would hear what it says.
//!
//! `cargo run --example fan_out_fan_in` asks shards that sleep for a while.
//! `kata demo fan_out_fan_in` asks them in virtual time and draws it.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep, timeout_at};

/// The shards: sleeps here, a simulation in a demo.
pub trait Shards {
    /// How many hits this shard has, or why it cannot say.
    fn search(&self, shard: usize) -> impl Future<Output = Result<u64, String>>;
}

/// The one answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub hits: u64,
    /// The shards whose hits are in it, in the order in which they answered.
    pub answered: Vec<usize>,
    /// The shards that failed, and why.
    pub failed: Vec<(usize, String)>,
    /// The shards that were too late.
    pub late: Vec<usize>,
}

/// Asks all shards at once and waits for them until the deadline.
pub async fn search(shards: &impl Shards, count: usize, deadline: Duration) -> Found {
    let deadline = Instant::now() + deadline;
    // Fan out. The futures borrow `shards`: they are not tasks, they live in this function, and
    // whoever drops it drops them.
    let mut asked: FuturesUnordered<_> = (0..count)
        .map(|shard| async move { (shard, shards.search(shard).await) })
        .collect();
    // Fan in. What has come is kept out here: inside of the `timeout` it would be dropped with
    // the rest when time is up.
    let mut found = Found::default();
    while let Ok(Some((shard, answer))) = timeout_at(deadline, asked.next()).await {
        match answer {
            Ok(hits) => {
                found.hits += hits;
                found.answered.push(shard);
            }
            // A part of the answer is better than none, as long as it says so.
            Err(error) => found.failed.push((shard, error)),
        }
    }
    let heard = |shard: &usize| {
        found.answered.contains(shard) || found.failed.iter().any(|(failed, _)| failed == shard)
    };
    found.late = (0..count).filter(|shard| !heard(shard)).collect();
    found
    // Here `asked` goes out of scope, and with it every search that is still under way.
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hits,
            answered,
            failed,
            late,
        } = self;
        write!(f, "{hits} hits of {} shards", answered.len())?;
        if !failed.is_empty() {
            let failed: Vec<_> = failed
                .iter()
                .map(|(shard, why)| format!("{shard} ({why})"))
                .collect();
            write!(f, "; failed: {}", failed.join(", "))?;
        }
        if !late.is_empty() {
            write!(f, "; too late: {late:?}")?;
        }
        Ok(())
    }
}

/// Shard n takes n times 20 ms longer than the first; the third is broken.
struct Sleeps;

impl Shards for Sleeps {
    async fn search(&self, shard: usize) -> Result<u64, String> {
        sleep(Duration::from_millis(20 + 20 * shard as u64)).await;
        if shard == 2 {
            return Err("disk".to_owned());
        }
        Ok(10)
    }
}

#[tokio::main]
pub async fn main() {
    for deadline in [50, 110, 1000] {
        let start = Instant::now();
        let found = search(&Sleeps, 6, Duration::from_millis(deadline)).await;
        println!(
            "deadline {deadline:>4}: after {:>3} ms {found}",
            start.elapsed().as_millis()
        );
    }
}
