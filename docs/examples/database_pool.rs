//! A database pool: a few SQLite connections, shared by many clients.
//!
//! SQLite blocks the thread that calls it, so each query runs on the blocking pool; and a
//! connection serves one query at a time, so whoever finds none free waits for one. The guard
//! that `get` returns gives the connection back when it is dropped, however that comes about.
//!
//! `cargo run --example database_pool` writes into a real file.
//! `kata demo database_pool` runs the same clients with queries of virtual time and draws them.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::try_join_all;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// A fixed number of connections.
pub struct Pool<C> {
    idle: Mutex<Vec<C>>,
    /// As many permits as idle connections: it is what clients queue at, first come, first served.
    free: Arc<Semaphore>,
}

impl<C> Pool<C> {
    pub fn new(connections: Vec<C>) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(connections.len())),
            idle: Mutex::new(connections),
        })
    }

    /// A connection, as soon as one is free.
    pub async fn get(self: &Arc<Self>) -> Pooled<C> {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let permit = permit.expect("nobody closes the semaphore");
        // A std lock is right here: it is held for an instant, and over no await.
        let connection = self.idle.lock().unwrap().pop();
        Pooled {
            connection: Some(connection.expect("a permit stands for a connection")),
            pool: Arc::clone(self),
            _permit: permit,
        }
    }
}

/// A connection on loan.
pub struct Pooled<C> {
    connection: Option<C>,
    pool: Arc<Pool<C>>,
    _permit: OwnedSemaphorePermit,
}

impl<C> Pooled<C> {
    pub fn connection(&mut self) -> &mut C {
        self.connection
            .as_mut()
            .expect("it is there until the drop")
    }
}

impl<C> Drop for Pooled<C> {
    /// First this runs, then the fields are dropped: the connection is back before its permit is,
    /// so that no one can come for it too early.
    fn drop(&mut self) {
        self.pool
            .idle
            .lock()
            .unwrap()
            .extend(self.connection.take());
    }
}

/// What lies outside of the pool: SQLite here, a simulation in a demo.
pub trait Database {
    type Connection;
    type Error;

    /// One query of a client, which gives the connection back when it is done.
    fn query(
        &self,
        client: usize,
        with: Pooled<Self::Connection>,
    ) -> impl Future<Output = Result<(), Self::Error>>;

    /// A client does something else.
    fn think(&self) -> impl Future<Output = ()>;

    /// A client waits for a connection; a demo draws it.
    fn wait<T>(&self, _client: usize, getting: impl Future<Output = T>) -> impl Future<Output = T> {
        getting
    }
}

/// So many clients make so many queries each; the first error ends them all.
pub async fn serve<D: Database>(
    db: &D,
    pool: &Arc<Pool<D::Connection>>,
    clients: usize,
    queries: usize,
) -> Result<(), D::Error> {
    let clients = (0..clients).map(|client| async move {
        for _ in 0..queries {
            // Asked for late and given back early: whoever thinks holds no connection.
            let connection = db.wait(client, pool.get()).await;
            db.query(client, connection).await?;
            db.think().await;
        }
        Ok(())
    });
    try_join_all(clients).await.map(|_| ())
}

struct Sqlite;

impl Database for Sqlite {
    type Connection = Connection;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    async fn query(&self, client: usize, mut with: Pooled<Connection>) -> Result<(), Self::Error> {
        // The job owns the guard. Even if the client is dropped while it waits here, the job goes
        // on to its end, and only then is the connection free again.
        let client = i64::try_from(client)?;
        let job = spawn_blocking(move || {
            let statement = "INSERT INTO visit (client) VALUES (?1)";
            with.connection().execute(statement, [client]).map(|_| ())
        });
        Ok(job.await??)
    }

    async fn think(&self) {
        sleep(Duration::from_millis(5)).await;
    }
}

/// A connection to a database file. Writers wait for each other instead of failing.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "OFF")?; // it is thrown away anyway
    connection.execute("CREATE TABLE IF NOT EXISTS visit (client INTEGER)", [])?;
    Ok(connection)
}

/// Removes the database when it goes out of scope, also on the way of an error.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let scratch =
        Scratch(std::env::temp_dir().join(format!("database_pool-{}", std::process::id())));
    std::fs::create_dir_all(&scratch.0)?;
    let file = scratch.0.join("visits.sqlite");
    for connections in [1, 3] {
        let opened: Result<Vec<_>, _> = (0..connections).map(|_| open(&file)).collect();
        let pool = Pool::new(opened?);
        let start = Instant::now();
        serve(&Sqlite, &pool, 6, 10).await?;
        let mut connection = pool.get().await;
        let counting = connection.connection();
        let visits: i64 = counting.query_row("SELECT count(*) FROM visit", [], |row| row.get(0))?;
        println!(
            "{connections} connections: {visits} visits after {} ms",
            start.elapsed().as_millis()
        );
    }
    Ok(())
}
