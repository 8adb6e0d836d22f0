//! Producers and consumers around a bounded queue.
//!
//! The queue has room for a few items. Producers that are too fast wait for room, consumers that
//! are too fast wait for an item: nobody has to be told how fast the others are. And nobody has
//! to be told that it is over: when the last sender is gone, the queue ends.
//!
//! `cargo run --example producer_consumer` runs it with sleeps of real time.
//! `kata demo producer_consumer` runs it in virtual time and draws it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// What is put into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub producer: usize,
    pub number: usize,
}

/// The work at both ends: sleeps here, a simulation in a demo.
pub trait Work: Clone + Send + Sync + 'static {
    fn produce(&self, item: Item) -> impl Future<Output = ()> + Send;
    fn consume(&self, consumer: usize, item: Item) -> impl Future<Output = ()> + Send;

    /// Somebody waits at the queue; a demo draws it.
    fn wait<T: Send>(
        &self,
        _who: String,
        _what: &'static str,
        waiting: impl Future<Output = T> + Send,
    ) -> impl Future<Output = T> + Send {
        waiting
    }
}

/// How many there are, and how much there is to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub producers: usize,
    pub consumers: usize,
    /// Items of each producer.
    pub items: usize,
    /// Items that the queue holds.
    pub capacity: usize,
}

/// Runs until all is consumed; returns how many items each consumer took.
pub async fn run(work: &impl Work, plan: Plan) -> Vec<usize> {
    let (sender, receiver) = mpsc::channel(plan.capacity);
    let mut producers = JoinSet::new();
    for producer in 0..plan.producers {
        producers.spawn(produce(work.clone(), producer, plan.items, sender.clone()));
    }
    // Ours is a sender too. Kept, it would keep the queue open, and the consumers would wait for
    // ever for what nobody sends.
    drop(sender);

    // An mpsc has one receiver: who wants several consumers lets them take turns at it.
    let receiver = Arc::new(Mutex::new(receiver));
    let mut consumers = JoinSet::new();
    for consumer in 0..plan.consumers {
        let consuming = consume(work.clone(), consumer, Arc::clone(&receiver));
        consumers.spawn(async move { (consumer, consuming.await) });
    }
    producers.join_all().await;
    // In the order of their ends; sorted, in the order of their numbers.
    let mut taken = consumers.join_all().await;
    taken.sort_unstable();
    taken.into_iter().map(|(_, taken)| taken).collect()
}

async fn produce(work: impl Work, producer: usize, items: usize, queue: mpsc::Sender<Item>) {
    for number in 0..items {
        let item = Item { producer, number };
        work.produce(item).await;
        // The one line that slows a producer down. `try_send` would drop the item instead, and
        // an unbounded channel would take it, and the memory for it.
        let sending = queue.send(item);
        let sent = work
            .wait(format!("producer {producer}"), "room", sending)
            .await;
        if sent.is_err() {
            return; // no consumer is left
        }
    }
}

async fn consume(
    work: impl Work,
    consumer: usize,
    queue: Arc<Mutex<mpsc::Receiver<Item>>>,
) -> usize {
    let mut taken = 0;
    loop {
        // The lock is held while this consumer waits for an item, so it has to be tokio's; and
        // it is given back before the item is worked on, or there would be one consumer.
        let taking = async { queue.lock().await.recv().await };
        let item = work
            .wait(format!("consumer {consumer}"), "an item", taking)
            .await;
        let Some(item) = item else {
            return taken; // all senders are gone and the queue is empty
        };
        work.consume(consumer, item).await;
        taken += 1;
    }
}

#[derive(Clone)]
struct Sleeps;

impl Work for Sleeps {
    async fn produce(&self, _: Item) {
        sleep(Duration::from_millis(10)).await;
    }

    async fn consume(&self, _: usize, _: Item) {
        sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::main]
pub async fn main() {
    for consumers in [1, 2, 6] {
        let plan = Plan {
            producers: 2,
            consumers,
            items: 10,
            capacity: 4,
        };
        let start = Instant::now();
        let taken = run(&Sleeps, plan).await;
        println!(
            "{consumers} consumers: {taken:?} items after {} ms",
            start.elapsed().as_millis()
        );
    }
}
