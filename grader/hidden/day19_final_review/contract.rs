//! The public shapes of day 19.

use std::time::Duration;

use exercise::{
    Bank, Broken, Crew, Db, DbError, Deadline, DeadlineLayer, Failure, FirstLetter, Job, Lamp,
    Meter, Request, Response, answer_1, answer_2, answer_3, answer_4, answer_6, answer_7, answer_8,
    answer_9, answer_10, answer_12, answer_14, answer_15, answer_16, book, gather, in_a_window,
    pair_up, readings, scope, task_group, test_lamp,
};
use futures::future::BoxFuture;
use futures::stream::Stream;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Holds only for what many tasks may share.
fn shared<T: Send + Sync + 'static>() {}

/// Task 1.
pub fn shapes_of_answers() -> ([&'static str; 8], [&'static str; 3]) {
    let answers = [
        answer_1(),
        answer_2(),
        answer_4(),
        answer_6(),
        answer_7(),
        answer_8(),
        answer_12(),
        answer_16(),
    ];
    (answers, answer_15())
}

/// Task 2.
pub fn shapes_of_spots(
    letters: UnboundedReceiver<String>,
    from: Receiver<u32>,
    to: UnboundedSender<(u32, u32)>,
    beat: fn(),
    db: &Db,
) -> [u32; 4] {
    send_future_of::<Option<String>>(FirstLetter::new(letters));
    send_future_of::<()>(pair_up(from, to, beat));
    shared::<Bank>();
    let bank = Bank::new(2, 100);
    send_future_of::<()>(bank.transfer(0, 1, 1));
    send_future_of::<Vec<u32>>(bank.sums());
    send_future_of::<Result<(), DbError>>(book(db, "a", "b", 1));
    [answer_3(), answer_9(), answer_10(), answer_14()]
}

/// Task 3.
pub fn shapes_of_completions<S>(
    meter: &dyn Meter,
    jobs: Vec<BoxFuture<'_, u32>>,
    inner: S,
    make: &dyn Fn() -> Box<dyn Lamp>,
) where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    fn is_stream<T>(_stream: impl Stream<Item = T>) {}
    // Not asked to be `Send`: a closure that makes futures out of borrowed ones hides it from the
    // compiler, and such a closure is the natural way here.
    fn is_future<T>(_future: impl Future<Output = T>) {}
    fn is_service<S, E>(_service: S)
    where
        S: Service<Request, Response = Response, Error = E>,
    {
    }
    is_stream::<Result<u32, Broken>>(readings(meter));
    is_future::<Vec<u32>>(in_a_window(3, jobs));
    let deadline: Deadline<S> = DeadlineLayer::new(Duration::ZERO).layer(inner);
    is_service::<_, S::Error>(deadline);
    is_future::<()>(test_lamp(make));
}

/// Tasks 4 to 6.
pub fn shapes_of_the_runner(
    jobs: fn() -> Vec<Job>,
    stop: CancellationToken,
    first: fn(Crew) -> Job,
) {
    send_future_of::<Vec<Result<u32, Vec<Failure>>>>(gather(jobs()));
    send_future_of::<Result<Vec<u32>, Vec<Failure>>>(task_group(jobs()));
    send_future_of::<Result<Vec<u32>, Vec<Failure>>>(scope(stop, first));
}
