//! The public shapes of day 3.

use std::num::NonZeroUsize;
use std::ops::DerefMut;
use std::sync::Arc;

use exercise::{Defer, Lease, LeaseError, Pool, Report, Server, Session, defer};

fn _task_1(name: String) {
    // A guard may hold what cannot be cloned, and borrow what outlives it.
    let guard: Defer<_> = defer(|| println!("left {name}"));
    guard.disarm();

    fn may_cross_threads(_: impl Send) {}
    may_cross_threads(defer(move || drop(name)));
}

async fn _task_2(server: Arc<dyn Server>, limit: NonZeroUsize) -> Result<(), LeaseError> {
    let pool: Pool = Pool::new(server, limit);
    let mut lease: Lease = pool.lease().await?;
    lease.send("hello");
    let _: usize = lease.id();
    Ok(())
}

fn _a_lease_is_a_session(lease: Lease) -> impl DerefMut<Target = Session> {
    lease
}

async fn _task_4(pool: &Pool) -> Report {
    pool.shutdown().await
}

fn _all_may_cross_threads(pool: &Pool) {
    fn shared<T: Send + Sync + 'static>() {}
    fn owned<T: Send + 'static>() {}
    fn lease(_: impl Future<Output = Result<Lease, LeaseError>> + Send) {}
    fn shutdown(_: impl Future<Output = Report> + Send) {}

    shared::<Pool>();
    owned::<Lease>();
    lease(pool.lease());
    shutdown(pool.shutdown());
}
