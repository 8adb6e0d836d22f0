//! Parts of the examples that no demo shows: what happens when somebody is dropped.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::demos::{
    circuit_breaker::example::{Breaker, Error, Service},
    database_pool::example::Pool,
    rate_limited_client::example::{Answer, Limiter, Quota},
    web_scraper::example::{links, page},
};

const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[tokio::test(start_paused = true)]
async fn a_connection_comes_back_from_whoever_is_dropped() {
    let pool = Pool::new(vec!["only one"]);
    let holds = async {
        let _connection = pool.get().await;
        sleep(ms(1000)).await;
    };
    assert!(timeout(ms(10), holds).await.is_err());
    let mut connection = timeout(ms(10), pool.get()).await.expect("it is free");
    assert_eq!(*connection.connection(), "only one");
    // Somebody who gives up waiting takes nothing along.
    assert!(timeout(ms(10), pool.get()).await.is_err());
    drop(connection);
    assert!(timeout(ms(10), pool.get()).await.is_ok());
}

#[derive(Clone)]
struct Unasked;

impl Service for Unasked {
    async fn call(&self, _: usize) -> Result<(), String> {
        unreachable!("the test calls by itself")
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_dropped_opens_the_breaker_again() {
    let breaker = Breaker::new(1, ms(100), Unasked);
    let failed = breaker.call(async { Err::<(), _>("down") }).await;
    assert_eq!(failed, Err(Error::Failed("down")));
    sleep(ms(100)).await;
    let endless = breaker.call(async { std::future::pending::<Result<(), &str>>().await });
    assert!(timeout(ms(10), endless).await.is_err());
    let works = || breaker.call(async { Ok::<_, &str>(7) });
    assert_eq!(works().await, Err(Error::Rejected));
    sleep(ms(100)).await;
    assert_eq!(works().await, Ok(7));
    assert_eq!(works().await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn an_unused_past_gives_a_burst_and_no_more() {
    let limiter = Limiter::new(10, 3);
    sleep(ms(5_000)).await;
    let start = Instant::now();
    let mut turns = Vec::new();
    for _ in 0..5 {
        limiter.turn().await;
        turns.push(start.elapsed().as_millis());
    }
    assert_eq!(turns, [0, 0, 0, 100, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_quota_begins_anew_with_each_second() {
    let mut quota = Quota::new(2);
    assert_eq!([quota.take(), quota.take()], [Answer::Done; 2]);
    sleep(ms(300)).await;
    assert_eq!(quota.take(), Answer::TooMany(ms(700)));
    sleep(ms(700)).await;
    assert_eq!(quota.take(), Answer::Done);
}

#[test]
fn a_page_links_to_what_the_site_has() {
    let found = |path| links(&page(path, 4).unwrap()).collect::<Vec<_>>();
    assert_eq!(found("/0"), ["/1", "/2", "/1"]);
    assert_eq!(found("/1"), ["/3", "/2"]);
    assert!(page("/4", 4).is_err());
    assert!(page("/x", 4).is_err());
}
