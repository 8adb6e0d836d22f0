//! The public shapes of day 20.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use exercise::{
    Breaker, CallError, Dead, Executor, Job, Lease, LeaseLost, Model, PushError, Queue, Server,
    Settings, Store, answer_i1, answer_i2, answer_i3, answer_i4, answer_i5, answer_i6, answer_i9,
    app, gather, ingest, shut_down,
};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Holds only for what many tasks may share.
fn shared<T: Send + Sync + 'static>() {}

/// Task 1.
pub fn shapes_of_answers() -> [&'static str; 4] {
    [answer_i1(), answer_i2(), answer_i3(), answer_i4()]
}

/// Task 2.
pub fn shapes_to_spot(
    lines: BoxStream<'static, String>,
    store: Arc<dyn Store>,
) -> ([u32; 2], [Model; 5]) {
    send_future_of::<()>(ingest(lines, store));
    shared::<Breaker>();
    let breaker = Breaker::new(Duration::ZERO);
    let call = async { Ok::<u32, String>(1) };
    send_future_of::<Result<u32, CallError<String>>>(breaker.call(call));
    ([answer_i5(), answer_i6()], answer_i9())
}

/// Task 3.
pub fn shapes_to_complete(
    server: &dyn Server,
    jobs: Vec<BoxFuture<'static, Result<u32, String>>>,
) -> usize {
    send_future_of::<()>(shut_down(server, Duration::ZERO));
    send_future_of::<Result<Vec<u32>, String>>(gather(jobs));
    let mut executor = Executor::new();
    executor.spawn(async {});
    executor.run()
}

/// Tasks 4 and 5.
pub fn shape_of_queue(settings: Settings, payload: Arc<str>) -> Router {
    shared::<Queue>();
    let queue = Queue::new(settings);
    let _: Result<u64, PushError> = queue.push(1, payload);
    send_future_of::<Option<Lease>>(queue.lease());
    let _: [Result<(), LeaseLost>; 2] = [queue.done(1), queue.failed(1, "reason")];
    let _: Vec<Dead> = queue.take_dead();
    send_future_of::<Vec<Job>>(queue.drain(Duration::ZERO));
    app(Arc::new(queue))
}
