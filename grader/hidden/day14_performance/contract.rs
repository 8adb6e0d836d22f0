//! The public shapes of day 14.

use std::num::NonZeroUsize;
use std::time::Duration;

use exercise::{
    BatchLimits, CpuPool, Failed, Limiter, Pack, Report, Settings, Sink, Slot, WriteError,
};
use futures::stream::{self, BoxStream};

fn is_send<T, F: Future<Output = T> + Send>(_: F) {}
fn is_shared<T: Send + Sync + 'static>(_: &T) {}

/// `CpuPool::run` takes any work that may be sent, and gives its output.
pub fn cpu_pool() {
    let pool: CpuPool = CpuPool::new(NonZeroUsize::MIN);
    is_shared(&pool);
    is_send::<String, _>(pool.run(String::new));
    is_send::<u32, _>(pool.run(|| 7_u32));
}

/// `batches` makes a stream of batches from a stream of lines.
pub fn batches() {
    let limits = BatchLimits {
        bytes: 1,
        age: Duration::ZERO,
    };
    let _: BoxStream<'static, Vec<String>> = exercise::batches(stream::empty::<String>(), limits);
}

/// `Limiter` and `Slot`.
pub fn limiter() {
    let limiter: Limiter = Limiter::new(NonZeroUsize::MIN, NonZeroUsize::MAX);
    is_shared(&limiter);
    let _: usize = limiter.limit();
    is_send::<Slot, _>(limiter.acquire());
    is_send(async move {
        let slot: Slot = limiter.acquire().await;
        is_shared(&slot);
        drop(limiter);
        slot.succeeded();
    });
    let _: fn(Slot) = Slot::overloaded;
}

struct Nothing;

impl Pack for Nothing {
    fn pack(&self, _lines: &[String]) -> Vec<u8> {
        Vec::new()
    }
}

impl Sink for Nothing {
    async fn write(&self, _block: &[u8]) -> Result<(), WriteError> {
        Ok(())
    }
}

/// `ingest` takes any stream of lines, any packer and any sink.
pub fn ingest(settings: Settings) {
    let lines = stream::empty::<String>();
    is_send::<Result<Report, Failed>, _>(exercise::ingest(lines, Nothing, Nothing, settings));
}
