//! The public shapes of day 10.

use std::sync::Arc;

use exercise::{
    Api, ApiError, Client, Office, Settings, answer_7, answer_8, answer_9, answer_10, answer_12,
    forward, three_at_a_time,
};
use futures::future::BoxFuture;
use tokio::sync::mpsc::{Receiver, Sender};

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Holds only for what many tasks may share.
fn shared<T: Send + Sync + 'static>() {}

/// Task 1.
pub fn shapes_of_answers() -> [&'static str; 3] {
    [answer_7(), answer_8(), answer_12()]
}

/// Task 2.
pub fn shapes_of_questions(
    from: Receiver<u32>,
    to: Sender<u32>,
    beat: fn(),
    jobs: Vec<BoxFuture<'_, u32>>,
) -> [u32; 2] {
    shared::<Office>();
    let office = Office::new(1);
    send_future_of::<()>(forward(from, to, beat));
    send_future_of::<()>(office.sell());
    send_future_of::<(u32, u32)>(office.audit());
    send_future_of::<(u32, u32)>(office.quote());
    send_future_of::<()>(office.reprice(2));
    send_future_of::<Vec<u32>>(three_at_a_time(jobs));
    [answer_9(), answer_10()]
}

/// Tasks 3 to 5.
pub fn shape_of_client(api: Arc<dyn Api>, settings: Settings, key: &str) {
    shared::<Client>();
    let client = Client::new(api, settings);
    send_future_of::<Result<String, ApiError>>(client.get(key));
}
