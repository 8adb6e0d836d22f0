//! The public shapes of day 5.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exercise::{
    Cafe, Fetch, Ledger, Limits, Report, Torn, Url, Visitor, answer_1, answer_2, answer_3,
    answer_4, answer_6, crawl, sheets,
};
use futures::Stream;

fn _task_1() -> [&'static str; 4] {
    [answer_1(), answer_2(), answer_4(), answer_6()]
}

fn _task_2(walk: Duration, cafe: Arc<Mutex<Cafe>>, ledger: &dyn Ledger) -> u32 {
    fn seated(_: impl Future<Output = ()> + Send + 'static) {}
    fn sums(_: impl Stream<Item = Result<Vec<u32>, Torn>> + Send) {}

    seated(Visitor::new(walk, cafe));
    sums(sheets(ledger));
    answer_3()
}

fn _tasks_3_to_5(fetch: &dyn Fetch, seed: Url, limits: &Limits) {
    fn report(_: impl Future<Output = Report> + Send) {}

    report(crawl(fetch, seed, limits));
}
