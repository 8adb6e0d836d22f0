//! A pipeline: read, parse, write, with bounded channels between, so that the slowest stage sets
//! the pace of all.
//!
//! Backpressure is nothing to be built: it is what a bounded channel does. The stage before a slow
//! one waits for room, then the stage before that, up to the source. So the number of items that
//! are under way has a bound, however long the input is.
//!
//! `cargo run --example pipeline_backpressure` runs it with sleeps of real time.
//! `kata demo pipeline_backpressure` runs it in virtual time and draws it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// A step that an item goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Read,
    Parse,
    Write,
}

/// The work in the stages: sleeps here, a simulation in a demo.
pub trait Work: Clone + Send + Sync + 'static {
    fn work(&self, stage: Stage, item: usize) -> impl Future<Output = ()> + Send;

    /// An item waits for room in the next stage; a demo draws it.
    fn wait<T: Send>(
        &self,
        _item: usize,
        waiting: impl Future<Output = T> + Send,
    ) -> impl Future<Output = T> + Send {
        waiting
    }
}

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The items in the order in which they were written.
    pub items: Vec<usize>,
    /// How many items had been read and were not yet written, at most.
    pub under_way: usize,
}

/// Sends `items` items through the stages; `parsers` of them are parsed at a time, and each
/// channel holds `capacity`.
pub async fn run(work: &impl Work, items: usize, parsers: usize, capacity: usize) -> Written {
    let under_way = Arc::new(AtomicUsize::new(0));
    let (to_parse, raw) = mpsc::channel(capacity);
    let (to_write, parsed) = mpsc::channel(capacity);
    // Each stage is a task and owns its ends of the channels. When the first one is through, its
    // sender is dropped; the second one sees the end, and so it goes on to the last.
    let read = tokio::spawn(read(work.clone(), items, to_parse, Arc::clone(&under_way)));
    let parse = tokio::spawn(parse(work.clone(), parsers, raw, to_write));
    let write = tokio::spawn(write(work.clone(), parsed, under_way));
    // All three are awaited: a panic in a stage must not pass for the end of the input.
    let (read, parse, written) = tokio::join!(read, parse, write);
    read.and(parse).and(written).expect("no stage panics")
}

async fn read(
    work: impl Work,
    items: usize,
    to_parse: mpsc::Sender<usize>,
    under_way: Arc<AtomicUsize>,
) {
    for item in 0..items {
        work.work(Stage::Read, item).await;
        under_way.fetch_add(1, SeqCst);
        if work.wait(item, to_parse.send(item)).await.is_err() {
            return; // the next stage is gone: there is no use in reading on
        }
    }
}

async fn parse(
    work: impl Work,
    parsers: usize,
    mut raw: mpsc::Receiver<usize>,
    to_write: mpsc::Sender<usize>,
) {
    let work = &work;
    // A receiver as a stream. `buffered` takes items only while it has room for another, and
    // gives them out in the order in which they came, whichever is parsed first.
    let input = stream::poll_fn(move |cx| raw.poll_recv(cx));
    let mut parsed = input
        .map(|item| async move {
            work.work(Stage::Parse, item).await;
            item
        })
        .buffered(parsers);
    // While this waits for room, nobody polls `parsed`: what is in it stands still. That is the
    // backpressure here; with costly work in it one would rather have tasks.
    while let Some(item) = parsed.next().await {
        if work.wait(item, to_write.send(item)).await.is_err() {
            return;
        }
    }
}

async fn write(
    work: impl Work,
    mut parsed: mpsc::Receiver<usize>,
    under_way: Arc<AtomicUsize>,
) -> Written {
    let (mut items, mut most) = (Vec::new(), 0);
    while let Some(item) = parsed.recv().await {
        most = most.max(under_way.load(SeqCst));
        work.work(Stage::Write, item).await;
        most = most.max(under_way.fetch_sub(1, SeqCst));
        items.push(item);
    }
    Written {
        items,
        under_way: most,
    }
}

/// Writing is slowest, by far.
#[derive(Clone)]
struct Sleeps;

impl Work for Sleeps {
    async fn work(&self, stage: Stage, _: usize) {
        sleep(Duration::from_millis(match stage {
            Stage::Read => 2,
            Stage::Parse => 5,
            Stage::Write => 20,
        }))
        .await;
    }
}

#[tokio::main]
pub async fn main() {
    for capacity in [1, 4, 100] {
        let start = Instant::now();
        let written = run(&Sleeps, 20, 1, capacity).await;
        let (items, took) = (written.items.len(), start.elapsed().as_millis());
        println!(
            "capacity {capacity:>3}: {items} items in {took} ms, {} under way at most",
            written.under_way
        );
    }
}
