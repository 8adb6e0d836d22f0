//! The public shapes of day 6.

use std::time::Duration;

use exercise::{End, Exit, Job, Restart, Supervisor, end_of, run_all};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Task 1.
pub fn shape_of_end_of(result: Result<(), JoinError>) -> End {
    end_of(result)
}

/// Task 1.
pub fn shape_of_run_all(jobs: Vec<(String, Job)>) {
    send_future_of::<Vec<(String, End)>>(run_all(jobs));
}

/// Task 2.
pub fn shape_of_supervisor(restart: Restart) {
    let mut supervisor: Supervisor = Supervisor::new(restart);
    let greeting = String::from("hello");
    supervisor.spawn("worker", move |token: CancellationToken| {
        let greeting = greeting.clone();
        async move {
            token.cancelled().await;
            drop(greeting);
        }
    });
    send_future_of::<Vec<Exit>>(supervisor.wait());
}

/// Task 3.
pub fn shape_of_shutdown(supervisor: Supervisor, grace: Duration) {
    send_future_of::<Vec<Exit>>(supervisor.shutdown(grace));
}

/// Task 5.
pub fn shape_of_run_until(supervisor: Supervisor, stop: CancellationToken, grace: Duration) {
    send_future_of::<Vec<Exit>>(supervisor.run_until(stop, grace));
}
