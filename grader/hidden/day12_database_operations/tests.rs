//! Hidden checks of day 12: off the loop, a fair pool, transactions, retries.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::Poll;
use std::time::Duration;

use exercise::{BoxFuture, Conn, Connect, DbError, IsBusy, Lease, Pool, Retry, Sqlite, open_file};
use futures::FutureExt;
use kata_harness::{Cancel, Heavy, Lab, Probe, Suite, ms};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    // What does not depend on the seed runs under two: enough to see chance at work. The storm
    // waits for a real file.
    Suite::new()
        .seeds(2)
        .task(1)
        .check("the database is never called on the runtime's thread", 2, off_the_loop)
        .check("a call gives what its job gave: a value, an error or a panic", 2, gives_it_all)
        .check("after a call that was dropped the connection is in order", 2, dropped_call)
        .check("begin, commit and rollback do so in the file", 2, in_the_file)
        .seeds(8)
        .task(2)
        .check("at most `size` connections are opened, when they are needed", 2, opened)
        .check("whoever has waited longest gets the next connection", 2, in_order)
        .check("acquire gives up when the acquire timeout has passed", 2, gives_up)
        .check("a failed open gives its error and frees the slot", 1, failed_open)
        .seeds(2)
        .check("an acquire dropped at any pending loses nothing", 2, dropped_acquire)
        .seeds(8)
        .task(3)
        .check("with_tx begins, works, commits and gives the value", 1, commits)
        .check("an error is given when its rollback has ended", 2, rolls_back)
        .check("a begin or a commit that fails leaves no transaction behind", 2, failed_ends)
        .task(4)
        .check("after a panic it is rolled back, and the panic goes on", 2, panics)
        .seeds(2)
        .check("dropped at any pending it is all or nothing", 3, dropped_transaction)
        .seeds(8)
        .check("the next in line waits until the rollback has ended", 2, waits_for_rollback)
        .check("what could not be rolled back is never lent again", 2, failed_rollback)
        .task(5)
        .check("a busy transaction is begun again, after the delay", 2, begun_again)
        .check("no connection is held between two attempts", 2, held_between)
        .seeds(4)
        .check("in a storm the file holds each transfer whole, or not at all", 3, storm)
        .run()
}

// ------------------------------------- a database in virtual time, for tasks 2 to 5

type Latency = dyn Fn(&'static str, usize) -> u64 + Send + Sync;
type Failure = dyn Fn(&'static str, usize) -> Option<DbError> + Send + Sync;

/// How the server behaves. A statement is named by its kind and by how many of
/// that kind were begun before it.
struct Plan {
    takes: Box<Latency>,
    fails: Box<Failure>,
    /// Whether a statement takes effect as soon as it is begun, or at its end:
    /// it makes a difference only for one that is dropped in between.
    lands_early: bool,
    /// What its connections are called in the chart.
    rows: &'static str,
}

const OPEN_MS: u64 = 5;
const BEGIN_MS: u64 = 10;
const WRITE_MS: u64 = 20;
const COMMIT_MS: u64 = 15;
const ROLLBACK_MS: u64 = 30;

/// Every kind of statement takes its own time, and nothing fails.
fn plan() -> Plan {
    let takes = |kind, _| match kind {
        "open" => OPEN_MS,
        "begin" => BEGIN_MS,
        "commit" => COMMIT_MS,
        "rollback" => ROLLBACK_MS,
        _ => WRITE_MS,
    };
    Plan {
        takes: Box::new(takes),
        fails: Box::new(|_, _| None),
        lands_early: false,
        rows: "conn",
    }
}

impl Plan {
    fn takes(mut self, takes: impl Fn(&'static str, usize) -> u64 + Send + Sync + 'static) -> Self {
        self.takes = Box::new(takes);
        self
    }

    fn fails(
        mut self,
        fails: impl Fn(&'static str, usize) -> Option<DbError> + Send + Sync + 'static,
    ) -> Self {
        self.fails = Box::new(fails);
        self
    }

    fn lands_early(mut self, lands_early: bool) -> Self {
        self.lands_early = lands_early;
        self
    }

    /// For a second server of a run: its connections in rows of their own.
    fn second(mut self, second: bool) -> Self {
        if second {
            self.rows = "then";
        }
        self
    }
}

/// A database server, as its connections see it.
struct Server {
    lab: Lab,
    plan: Plan,
    /// When it was made: its log counts from here.
    since_ms: u64,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// Statements begun, and when: `0 begin`.
    log: Vec<(u64, String)>,
    counts: BTreeMap<&'static str, usize>,
    /// Connections that were opened, or are being opened, and not closed yet.
    alive: usize,
    /// The most there ever were at once.
    peak: usize,
    /// What was committed, in that order.
    written: Vec<&'static str>,
    /// Open transactions by connection, and what was written in them.
    open: BTreeMap<usize, Vec<&'static str>>,
    /// Connections on which a rollback is under way.
    rolling_back: Vec<usize>,
}

/// One connection to the [`Server`].
struct Line {
    id: usize,
    server: Arc<Server>,
}

impl Server {
    fn new(lab: &Lab, plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            lab: lab.clone(),
            plan,
            since_ms: lab.now_ms(),
            books: Mutex::default(),
        })
    }

    fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn connect(self: &Arc<Self>) -> Connect<Line> {
        let server = Arc::clone(self);
        Box::new(move || {
            let server = Arc::clone(&server);
            Box::pin(async move {
                let id = server.books(|books| {
                    books.alive += 1;
                    books.peak = books.peak.max(books.alive);
                    books.counts.get("open").copied().unwrap_or(0)
                });
                // Dropped on the way, it is closed again.
                let line = Line { id, server };
                line.server.statement(id, "open", "", |_| {}).await?;
                Ok(line)
            })
        })
    }

    /// A statement: it takes its time, and then it succeeds or fails.
    async fn statement(
        &self,
        id: usize,
        kind: &'static str,
        what: &str,
        effect: impl FnOnce(&mut Books) + Send,
    ) -> Result<(), DbError> {
        let label = format!("{kind} {what}").trim_end().to_owned();
        let now_ms = self.lab.now_ms() - self.since_ms;
        let nth = self.books(|books| {
            books.log.push((now_ms, format!("{id} {label}")));
            let count = books.counts.entry(kind).or_default();
            *count += 1;
            *count - 1
        });
        // Short, so that the row says how a rollback ended; the writes are in the log.
        let drawn = if what.is_empty() { kind } else { "" };
        let span = self.lab.span(format!("{} {id}", self.plan.rows), drawn);
        let failure = (self.plan.fails)(kind, nth);
        let mut effect = failure.is_none().then_some(effect);
        if self.plan.lands_early
            && let Some(effect) = effect.take()
        {
            self.books(effect);
        }
        let takes_ms = (self.plan.takes)(kind, nth);
        if takes_ms > 0 {
            sleep(ms(takes_ms)).await;
        }
        if let Some(effect) = effect {
            self.books(effect);
        }
        match failure {
            Some(failure) => {
                span.failed();
                Err(failure)
            }
            None => {
                span.done();
                Ok(())
            }
        }
    }

    fn in_transaction(&self, id: usize) -> bool {
        self.books(|books| books.open.contains_key(&id))
    }

    fn written(&self) -> Vec<&'static str> {
        self.books(|books| books.written.clone())
    }

    fn count(&self, kind: &'static str) -> usize {
        self.books(|books| books.counts.get(kind).copied().unwrap_or(0))
    }

    /// `0 open @0, 0 begin @5`
    fn log(&self) -> String {
        self.books(|books| time_line(&books.log))
    }

    /// When statements of this kind were begun.
    fn begun(&self, kind: &str) -> Vec<u64> {
        let is_it = |label: &str| label.split(' ').nth(1) == Some(kind);
        self.books(|books| {
            let log = books.log.iter();
            log.filter(|entry| is_it(&entry.1)).map(|e| e.0).collect()
        })
    }

    /// Open transactions that nobody is rolling back.
    fn left_open(&self) -> Vec<usize> {
        self.books(|books| {
            let open = books.open.keys().copied();
            open.filter(|id| !books.rolling_back.contains(id)).collect()
        })
    }
}

fn time_line(log: &[(u64, String)]) -> String {
    let entries: Vec<_> = log
        .iter()
        .map(|(ms, what)| format!("{what} @{ms}"))
        .collect();
    if entries.is_empty() {
        return "nothing".to_owned();
    }
    entries.join(", ")
}

/// A rollback under way, in the books.
struct RollingBack<'a>(&'a Server, usize);

impl Drop for RollingBack<'_> {
    fn drop(&mut self) {
        self.0
            .books(|books| books.rolling_back.retain(|id| *id != self.1));
    }
}

impl Line {
    fn id(&self) -> usize {
        self.id
    }

    /// Writes a word: in the transaction, if one is open, or else for good.
    async fn write(&mut self, word: &'static str) -> Result<(), DbError> {
        let id = self.id;
        let effect = move |books: &mut Books| match books.open.get_mut(&id) {
            Some(words) => words.push(word),
            None => books.written.push(word),
        };
        self.server.statement(id, "write", word, effect).await
    }
}

impl Conn for Line {
    fn begin(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        let id = self.id;
        Box::pin(async move {
            if self.server.in_transaction(id) {
                let message = "a transaction is open on this connection already";
                return Err(DbError::Failed(message.to_owned()));
            }
            let effect = move |books: &mut Books| {
                books.open.insert(id, Vec::new());
            };
            self.server.statement(id, "begin", "", effect).await
        })
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        let id = self.id;
        Box::pin(async move {
            if !self.server.in_transaction(id) {
                return Err(DbError::Failed("no transaction is open".to_owned()));
            }
            let effect = move |books: &mut Books| {
                let words = books.open.remove(&id).unwrap_or_default();
                books.written.extend(words);
            };
            self.server.statement(id, "commit", "", effect).await
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        let id = self.id;
        Box::pin(async move {
            if !self.server.in_transaction(id) {
                return Ok(());
            }
            self.server.books(|books| books.rolling_back.push(id));
            let _under_way = RollingBack(&self.server, id);
            let effect = move |books: &mut Books| {
                books.open.remove(&id);
            };
            self.server.statement(id, "rollback", "", effect).await
        })
    }
}

impl Drop for Line {
    /// The server ends the transaction of a connection that is closed.
    fn drop(&mut self) {
        let id = self.id;
        self.server.books(|books| {
            books.alive -= 1;
            books.open.remove(&id);
        });
    }
}

// ------------------------------------------- a real file, for tasks 1 and 5

/// A database file of this process. It is removed in the end.
struct File {
    path: PathBuf,
}

impl File {
    fn new(schema: &str) -> Self {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, SeqCst);
        let name = format!("kata-day12-{}-{number}.db", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = Self { path };
        file.remove();
        let made = file.own().execute_batch(schema);
        made.expect("a schema that SQLite takes");
        file
    }

    /// A connection of the check's own, to look into the file.
    fn own(&self) -> Connection {
        // The error would tell the file's name, which is another one every time.
        let Ok(connection) = open_file(&self.path) else {
            panic!("no database file can be made in the temporary folder");
        };
        connection
    }

    /// A number that stands in the file now.
    fn number(&self, sql: &str) -> i64 {
        let number = self.own().query_row(sql, [], |row| row.get(0));
        number.expect("a query that SQLite takes")
    }

    /// What opens a connection that tells when it is used on the runtime's thread.
    fn opener(&self, lab: &Lab) -> impl FnOnce() -> rusqlite::Result<Connection> + Send + use<> {
        opener(self.path.clone(), lab.clone())
    }

    fn connect(&self, lab: &Lab) -> Connect<Sqlite> {
        let (path, lab) = (self.path.clone(), lab.clone());
        Box::new(move || Box::pin(Sqlite::open(opener(path.clone(), lab.clone()))))
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.path.with_extension("db-journal"));
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.remove();
    }
}

fn opener(path: PathBuf, lab: Lab) -> impl FnOnce() -> rusqlite::Result<Connection> + Send + use<> {
    move || {
        note_thread(&lab, "opening the file");
        let mut connection = open_file(&path)?;
        // No check pulls the plug, so nothing has to reach the disk.
        connection.execute_batch("PRAGMA synchronous = OFF")?;
        // SQLite asks this before it runs a statement, on the same thread.
        let asked = move |context: AuthContext<'_>| {
            note_thread(
                &lab,
                match context.action {
                    AuthAction::Transaction { operation } => match operation {
                        TransactionOperation::Begin => "BEGIN",
                        TransactionOperation::Rollback => "ROLLBACK",
                        _ => "COMMIT",
                    },
                    _ => "a statement",
                },
            );
            Authorization::Allow
        };
        connection.authorizer(Some(asked))?;
        Ok(connection)
    }
}

/// Writes down what the database does on the runtime's thread, and by which line.
fn note_thread(lab: &Lab, what: &str) {
    if lab.on_runtime_thread() {
        lab.heavy(what, 1);
    }
}

/// Nothing of what the database did so far was done on the runtime's thread.
fn expect_off_the_loop(lab: &Lab) {
    let calls: Vec<Heavy> = lab.heavy_calls();
    let first = calls.first().cloned();
    let what = first.as_ref().map_or("", |heavy| heavy.label.as_str());
    lab.expect(first.is_none())
        .expected("the database is called on threads that may be blocked")
        .got(format!("{what} on the runtime's thread"))
        .why(
            "SQLite reads and writes a file, and waits for the disk, in the thread that calls \
             it. On the runtime's thread no other task and no timer runs meanwhile. \
             `spawn_blocking` has threads that are there to be blocked.",
        )
        .pitfall("blocking-the-runtime")
        .at(first.map(|heavy| heavy.location).unwrap_or_default())
        .or_fail();
}

// ---------------------------------------------------------------- helpers

/// How long a check waits for what must come before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// An acquire timeout that never passes.
const AGES: Duration = Duration::from_secs(600);

fn size(size: usize) -> NonZeroUsize {
    NonZeroUsize::new(size).expect("no pool has no slots")
}

fn pool_of(server: &Arc<Server>, slots: usize) -> Arc<Pool<Line>> {
    Arc::new(Pool::new(size(slots), AGES, server.connect()))
}

/// A connection that must be lent within a second, with no transaction open on
/// it; if it is not, `why` says why.
async fn lent(
    lab: &Lab,
    server: &Server,
    pool: &Pool<Line>,
    why: &str,
    pitfall: &str,
) -> Lease<Line> {
    let lease = match timeout(PATIENCE, pool.acquire()).await {
        Ok(Ok(lease)) => lease,
        other => {
            let got = match other {
                Ok(Err(error)) => format!("{error:?}"),
                _ => "still waiting after 1000 ms".to_owned(),
            };
            lab.expect(false)
                .expected("a connection: there is a free slot")
                .got(got)
                .why(why)
                .pitfall(pitfall)
                .or_fail();
            unreachable!("a failed expectation ends the check")
        }
    };
    lab.expect(!server.in_transaction(lease.id()))
        .expected("a connection without an open transaction")
        .got(format!(
            "connection {}, and a transaction is still open on it",
            lease.id()
        ))
        .why(
            "The next one writes into a transaction of somebody else, which nobody commits. \
             Roll back before the connection goes back to the pool, on every way out. If the \
             rollback failed (`!`), drop the connection, do not lend it again (task 4).",
        )
        .pitfall("cleanup-forgotten")
        .or_fail();
    lease
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "something that is no text".to_owned())
}

/// A future's output, or what its panic said. A stub's `todo!` goes on, and so does an
/// expectation that failed.
async fn survived<F: Future>(future: F) -> Result<F::Output, String> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(output) => Ok(output),
        Err(panic) => {
            let words = words_of(&*panic);
            if words.starts_with("not yet implemented")
                || !(panic.is::<&str>() || panic.is::<String>())
            {
                resume_unwind(panic);
            }
            Err(words)
        }
    }
}

/// A panic that is part of the check: it unwinds like any other, and prints nothing.
fn panic_as_planned(words: &'static str) {
    resume_unwind(Box::new(words));
}

/// Polls a future, at this instant, until it is ready or nothing goes on.
async fn ready_now<F: Future>(lab: &Lab, probe: &mut Probe<F>) -> Option<F::Output> {
    for _ in 0..8 {
        if let Poll::Ready(output) = probe.poll() {
            return Some(output);
        }
        lab.settle().await;
    }
    None
}

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// What a closure of the checks may fail with.
#[derive(Debug, Clone, PartialEq)]
enum Oops {
    Refused,
    Db(DbError),
}

impl From<DbError> for Oops {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl IsBusy for Oops {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_busy())
    }
}

fn locked() -> DbError {
    DbError::Busy
}

fn broken(what: &str) -> DbError {
    DbError::Failed(format!("{what} failed"))
}

/// The usual closure: two writes that belong together.
fn transfer(line: &mut Line) -> BoxFuture<'_, Result<&'static str, Oops>> {
    Box::pin(async move {
        line.write("debit").await?;
        line.write("credit").await?;
        Ok("transferred")
    })
}

/// A closure that writes, and then does not want to any more.
fn refused(line: &mut Line) -> BoxFuture<'_, Result<&'static str, Oops>> {
    Box::pin(async move {
        line.write("debit").await?;
        Err(Oops::Refused)
    })
}

/// What is permanent by now, when everything that goes on has gone on.
async fn expect_written(lab: &Lab, server: &Server, expected: &[&str], why: &str, pitfall: &str) {
    lab.settle().await;
    let written = server.written();
    lab.expect_eq(&written, expected)
        .expected(format!("permanent in the end: {expected:?}"))
        .got(format!("{written:?}"))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

// ----------------------------------------------------------------- task 1

const NOTES: &str = "CREATE TABLE notes (word TEXT NOT NULL)";
const COUNT: &str = "SELECT count(*) FROM notes";

/// Writes a word into the file.
fn note(word: &'static str) -> impl FnOnce(&mut Connection) -> rusqlite::Result<usize> + Send {
    move |connection| connection.execute("INSERT INTO notes VALUES (?1)", [word])
}

fn count(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.query_row(COUNT, [], |row| row.get(0))
}

/// Opens a connection that must come.
async fn sqlite(lab: &Lab, file: &File) -> Sqlite {
    let opened = Sqlite::open(file.opener(lab)).await;
    match opened {
        Ok(sqlite) => sqlite,
        Err(error) => {
            lab.expect(false)
                .expected("a connection to the file")
                .got(format!("{error:?}"))
                .why("`open` gave a connection, and so must you.")
                .pitfall("swallowed-error")
                .or_fail();
            unreachable!("a failed expectation ends the check")
        }
    }
}

async fn off_the_loop(lab: Lab) {
    let file = File::new(NOTES);
    let mut sqlite = sqlite(&lab, &file).await;
    expect_off_the_loop(&lab);
    let mut outcomes = Vec::new();
    outcomes.push(sqlite.call(note("one")).await.map(drop));
    expect_off_the_loop(&lab);
    outcomes.push(sqlite.begin().await);
    outcomes.push(sqlite.call(note("two")).await.map(drop));
    outcomes.push(sqlite.commit().await);
    outcomes.push(sqlite.begin().await);
    outcomes.push(sqlite.rollback().await);
    expect_off_the_loop(&lab);
    lab.expect(outcomes.iter().all(Result::is_ok))
        .expected("two words written, and every call is Ok")
        .got(format!("{outcomes:?}"))
        .why("Nobody else uses the file, and every statement is right.")
        .pitfall("wrong-result")
        .or_fail();
    let rows = file.number(COUNT);
    lab.expect_eq(&rows, &2)
        .expected("2 words in the file, read back by another connection")
        .got(format!("{rows}"))
        .why("What a call wrote, alone or in a transaction that was committed, is in the file.")
        .pitfall("wrong-result")
        .or_fail();
    drop(sqlite);
    lab.expect_no_tasks_left()
        .await
        .why("The connection was dropped: nothing of it may run on.")
        .or_fail();
}

async fn gives_it_all(lab: Lab) {
    let file = File::new(NOTES);
    let mut sqlite = sqlite(&lab, &file).await;
    let rows = sqlite.call(note("one")).await;
    let value = sqlite.call(count).await;
    lab.expect(rows == Ok(1) && value == Ok(1))
        .expected("Ok(1), the rows inserted, and Ok(1), the rows counted")
        .got(format!("{rows:?} and {value:?}"))
        .why("A call gives the value that its job gave.")
        .pitfall("wrong-result")
        .or_fail();

    let failed = sqlite
        .call(|connection| connection.execute("DELETE FROM nowhere", []))
        .await;
    let told = matches!(&failed, Err(DbError::Failed(words)) if words.contains("no such table"));
    lab.expect(told)
        .expected("Err(Failed(…)) with SQLite's words: no such table")
        .got(format!("{failed:?}"))
        .why("The job's error is the call's error; `DbError::from` makes one of the other.")
        .pitfall("swallowed-error")
        .or_fail();
    let unopened = Sqlite::open(|| Err(rusqlite::Error::InvalidQuery)).await;
    let unopened = unopened.map(|_| "a connection");
    lab.expect_eq(&unopened, &Err(rusqlite::Error::InvalidQuery.into()))
        .why("What `open` says is what the caller wants to know.")
        .pitfall("swallowed-error")
        .or_fail();

    for opens in [false, true] {
        let what = if opens { "open" } else { "the job" };
        let panicked = if opens {
            let open = || {
                panic_as_planned("out of paper");
                Err(rusqlite::Error::InvalidQuery)
            };
            survived(Sqlite::open(open))
                .await
                .map(|_| "a connection".to_owned())
        } else {
            let job = |connection: &mut Connection| {
                connection.execute("INSERT INTO notes VALUES ('two')", [])?;
                panic_as_planned("out of paper");
                Ok(())
            };
            let called = survived(sqlite.call(job)).await;
            called.map(|output| format!("{output:?}"))
        };
        lab.expect(
            panicked
                .as_ref()
                .is_err_and(|words| words == "out of paper"),
        )
        .expected(format!(
            "the panic of {what} goes on in the caller: \"out of paper\""
        ))
        .got(match panicked {
            Ok(output) => format!("it returned {output}"),
            Err(words) => format!("a panic that says {words:?}"),
        })
        .why(
            "`spawn_blocking` catches the panic and puts it into the `JoinError`. It is a \
                 mistake in the job, no answer of the database: take it out and let it go on.",
        )
        .pitfall("lost-panic")
        .or_fail();
    }
    let after = survived(sqlite.call(count)).await;
    lab.expect(after == Ok(Ok(2)))
        .expected("Ok(2): the connection can be used as before")
        .got(in_words(after))
        .why(
            "The job that panicked held the connection. A std lock is poisoned then, and a value \
             that was moved out is not put back by a line that comes later.",
        )
        .pitfall("panics")
        .or_fail();
}

/// A call's output, or how it panicked.
fn in_words<T: std::fmt::Debug>(outcome: Result<T, String>) -> String {
    match outcome {
        Ok(output) => format!("{output:?}"),
        Err(words) => format!("a panic: {words}"),
    }
}

const DROPPED: &str = "The call was dropped while its job ran. A blocking job cannot be stopped, \
                       so it has the connection until its end; then the connection must still be \
                       there, for the next call, which waits its turn off the runtime's thread.";

async fn dropped_call(lab: Lab) {
    let file = File::new(NOTES);
    let mut sqlite = sqlite(&lab, &file).await;
    // The job waits, on its thread, until this check lets it go on. Then it
    // begins a transaction, of which nobody is told any more.
    let (go_on, gate) = mpsc::channel::<()>();
    let started = Arc::new(AtomicBool::new(false));
    let starts = Arc::clone(&started);
    let job = move |connection: &mut Connection| {
        starts.store(true, SeqCst);
        let _ = gate.recv();
        connection.execute_batch("BEGIN; INSERT INTO notes VALUES ('one')")
    };
    let mut call = lab.probe(sqlite.call(job));
    let _pending = call.poll();
    lab.settle().await;
    drop(call);

    let mut next = lab.probe(survived(sqlite.call(count)));
    let early = next.poll();
    lab.settle().await;
    lab.expect(early.is_pending() || !started.load(SeqCst))
        .expected("the next call waits for the job that has the connection")
        .got(match early {
            Poll::Ready(outcome) => in_words(outcome),
            Poll::Pending => String::new(),
        })
        .why(DROPPED)
        .pitfall("leaked-resource")
        .or_fail();
    let _ = go_on.send(());
    let rows = ready_now(&lab, &mut next).await;
    drop(next);
    let expected = i64::from(started.load(SeqCst));
    lab.expect(rows == Some(Ok(Ok(expected))))
        .expected(format!("Ok({expected}): the next call, after the job"))
        .got(rows.map_or("it waits for ever".to_owned(), in_words))
        .why(DROPPED)
        .pitfall("leaked-resource")
        .or_fail();

    // The same with `rollback`: what it has to end is begun only after it was
    // called.
    let ended = sqlite.rollback().await;
    lab.expect_eq(&ended, &Ok(()))
        .why("A transaction is open, or none; `rollback` ends it and succeeds either way.")
        .pitfall("wrong-result")
        .or_fail();
    let (go_on, gate) = mpsc::channel::<()>();
    let job = move |connection: &mut Connection| {
        let _ = gate.recv();
        connection.execute_batch("BEGIN; INSERT INTO notes VALUES ('two')")
    };
    let mut call = lab.probe(sqlite.call(job));
    let _pending = call.poll();
    lab.settle().await;
    drop(call);
    let mut rollback = lab.probe(survived(sqlite.rollback()));
    let early = rollback.poll();
    let _ = go_on.send(());
    let ended = match early {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => ready_now(&lab, &mut rollback).await,
    };
    drop(rollback);
    let open = sqlite
        .call(|connection| Ok(!connection.is_autocommit()))
        .await;
    lab.expect(ended == Some(Ok(Ok(()))) && open == Ok(false))
        .expected("the rollback ends what the dropped call had begun")
        .got(format!(
            "rollback: {}; transaction open: {open:?}",
            ended.map_or("it waits for ever".to_owned(), in_words)
        ))
        .why(
            "Whether a transaction is open is known only when the job before has ended: ask for \
             it in the job, with the connection in hand.",
        )
        .pitfall("cleanup-forgotten")
        .or_fail();
    drop(sqlite);
    lab.expect_no_tasks_left()
        .await
        .why("The connection was dropped: nothing of it may run on.")
        .or_fail();
}

async fn in_the_file(lab: Lab) {
    let file = File::new(NOTES);
    let mut one = sqlite(&lab, &file).await;
    let mut two = sqlite(&lab, &file).await;
    let step = |what: &str, got: String, expected: &str, why: &str| {
        lab.expect(got == expected)
            .expected(format!("{what}: {expected}"))
            .got(got)
            .why(why)
            .pitfall("wrong-result")
            .or_fail();
    };
    step(
        "rollback when no transaction is open",
        format!("{:?}", one.rollback().await),
        "Ok(())",
        "For SQLite a ROLLBACK without a transaction is an error, for a `Conn` it is none: ask \
         `is_autocommit()` first.",
    );
    step(
        "begin",
        format!("{:?}", one.begin().await),
        "Ok(())",
        "Nobody else has the lock.",
    );
    let busy = two.begin().await;
    step(
        "begin on a second connection meanwhile",
        format!("{busy:?}"),
        "Err(Busy)",
        "Who writes later would find the lock taken in the middle of the work. `BEGIN IMMEDIATE` \
         takes it at the beginning, when nothing is lost.",
    );
    let wrote = one.call(note("one")).await;
    step(
        "a word written in the transaction, and read by another connection",
        format!("{wrote:?}, {} rows", file.number(COUNT)),
        "Ok(1), 0 rows",
        "Before the commit nobody else sees what was written.",
    );
    step(
        "commit, and read by another connection",
        format!("{:?}, {} rows", one.commit().await, file.number(COUNT)),
        "Ok(()), 1 rows",
        "A commit writes the transaction to the file.",
    );
    step(
        "begin on the second connection, after the commit",
        format!("{:?}", two.begin().await),
        "Ok(())",
        "The commit has ended the first transaction, and with it the lock.",
    );
    let wrote = two.call(note("two")).await;
    let back = two.rollback().await;
    let open = two.call(|connection| Ok(!connection.is_autocommit())).await;
    step(
        "a word written, rollback, and whether a transaction is open",
        format!("{wrote:?}, {back:?}, {open:?}, {} rows", file.number(COUNT)),
        "Ok(1), Ok(()), Ok(false), 1 rows",
        "A rollback takes back what was written, and ends the transaction.",
    );
    step(
        "commit when no transaction is open is an error",
        format!("{}", two.commit().await.is_err()),
        "true",
        "What SQLite refuses must be told.",
    );
}

// ----------------------------------------------------------------- task 2

const IN_TURN: &str = "A connection that becomes free belongs to whoever has waited longest. If it \
                       is merely put down, and the next in line is told to look, whoever looks \
                       first takes it: a newcomer, again and again, while others starve.";

async fn opened(lab: Lab) {
    let slots = usize::try_from(lab.pick(2..=4)).expect("a small number");
    let server = Server::new(&lab, plan());
    let pool = pool_of(&server, slots);
    lab.settle().await;
    let none = server.count("open");
    // One after the other: one connection is enough.
    for turn in 0..3 {
        let (lease, took) = lab
            .timed(lent(&lab, &server, &pool, FREE, "leaked-resource"))
            .await;
        let expected_ms = if turn == 0 { OPEN_MS } else { 0 };
        lab.expect_took(took, expected_ms)
            .why("The first one opens a connection. The next ones find it idle, and use it again.")
            .pitfall("over-engineered")
            .or_fail();
        drop(lease);
    }
    lab.expect(none == 0 && server.count("open") == 1)
        .expected("no connection opened by `new`, and 1 for three who come one after the other")
        .got(format!(
            "{none} opened by `new`, {} in the end",
            server.count("open")
        ))
        .why("A connection is opened when it is needed, and then kept for the next one.")
        .pitfall("leaked-resource")
        .or_fail();

    // All at once: as many as there are slots, and one more.
    let begin_ms = lab.now_ms();
    let users = (0..=slots).map(|_| {
        let (lab, server, pool) = (lab.clone(), Arc::clone(&server), Arc::clone(&pool));
        tokio::spawn(async move {
            let mut lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
            let at_ms = lab.now_ms() - begin_ms;
            let _ = lease.write("word").await;
            at_ms
        })
    });
    let users: Vec<_> = users.collect();
    let mut lent_at = Vec::new();
    for user in users {
        lent_at.push(joined(user).await);
    }
    lent_at.sort_unstable();
    let mut expected = vec![OPEN_MS; slots - 1];
    expected.insert(0, 0);
    // The idle one is given back first.
    expected.push(WRITE_MS);
    lab.expect_eq(&lent_at, &expected)
        .expected(format!(
            "{slots} slots, {} users who come together: connections lent after {expected:?} ms",
            slots + 1
        ))
        .got(format!("{lent_at:?}"))
        .why(
            "One connection is idle, the others are opened at the same time. The last user gets \
             the first one that is given back, at that instant.",
        )
        .pitfall("sequential-awaits")
        .or_fail();
    let peak = server.books(|books| books.peak);
    lab.expect(peak == slots)
        .expected(format!("{slots} connections at most: `size`"))
        .got(format!("{peak} at once"))
        .why(
            "Whoever looks how many there are, then opens, and only then counts, was overtaken \
             in between. Take the slot first.",
        )
        .pitfall("shared-state-race")
        .or_fail();

    // A lease may outlive its pool, and nothing outlives both.
    let mut lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
    drop(pool);
    let wrote = lease.write("word").await;
    drop(lease);
    lab.settle().await;
    let alive = server.books(|books| books.alive);
    lab.expect(wrote.is_ok() && alive == 0)
        .expected("the pool and all leases are dropped: every connection is closed")
        .got(format!("{alive} connections are still open"))
        .why("Something keeps the idle connections that nobody can ask for any more.")
        .pitfall("leaked-resource")
        .or_fail();
    lab.expect_no_tasks_left()
        .await
        .why("The pool and all leases were dropped: nothing of them may run on.")
        .or_fail();
}

const FREE: &str = "Nobody holds a connection any more, or fewer do than there are slots: one must \
                    be lent. A slot was lost on somebody's way out.";

async fn in_order(lab: Lab) {
    let server = Server::new(&lab, plan());
    let pool = pool_of(&server, 1);
    let first = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
    let begin_ms = lab.now_ms();
    let hold_ms = lab.pick(10..=20);
    let users = (0..5).map(|user| {
        let (lab, pool) = (lab.clone(), Arc::clone(&pool));
        tokio::spawn(async move {
            sleep(ms(user)).await;
            let lease = pool.acquire().await;
            let at_ms = lab.now_ms() - begin_ms;
            let held = lab.span("conn 0", format!("user {user}"));
            sleep(ms(hold_ms)).await;
            held.done();
            drop(lease);
            (at_ms, format!("user {user}"))
        })
    });
    let users: Vec<_> = users.collect();
    let held = lab.span("conn 0", "held");
    sleep(ms(hold_ms)).await;
    held.done();
    drop(first);
    let mut got = Vec::new();
    for user in users {
        got.push(joined(user).await);
    }
    got.sort_unstable();
    let turns = (1..).map(|turn| turn * hold_ms);
    let expected: Vec<_> = turns
        .zip((0..5).map(|user| format!("user {user}")))
        .collect();
    lab.expect_eq(&got, &expected)
        .expected(time_line(&expected))
        .got(time_line(&got))
        .why(IN_TURN)
        .pitfall("shared-state-race")
        .or_fail();

    // One who gives the connection back and asks for it again at once, while
    // another waits.
    let mut greedy = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
    let begin_ms = lab.now_ms();
    let patient = {
        let (lab, pool) = (lab.clone(), Arc::clone(&pool));
        tokio::spawn(async move {
            let lease = pool.acquire().await;
            let at_ms = lab.now_ms() - begin_ms;
            let held = lab.span("conn 0", "the one who waits");
            sleep(ms(hold_ms)).await;
            held.done();
            drop(lease);
            at_ms
        })
    };
    let mut turns = Vec::new();
    for _ in 0..4 {
        let held = lab.span("conn 0", "the one who asks again");
        sleep(ms(hold_ms)).await;
        held.done();
        drop(greedy);
        greedy = lent(&lab, &server, &pool, IN_TURN, "shared-state-race").await;
        turns.push(lab.now_ms() - begin_ms);
    }
    drop(greedy);
    let patient_ms = joined(patient).await;
    lab.expect(patient_ms == hold_ms && turns[0] == 2 * hold_ms)
        .expected(format!(
            "given back at {hold_ms} ms: lent to the one who waits, and {hold_ms} ms later again"
        ))
        .got(format!(
            "the one who waits gets it at {patient_ms} ms, the one who gave it back at {turns:?}"
        ))
        .why(IN_TURN)
        .pitfall("shared-state-race")
        .or_fail();
}

async fn gives_up(lab: Lab) {
    let patience_ms = lab.pick(60..=100);
    let timed_out = |what: &str, got: Option<DbError>, took: Duration| {
        lab.expect(got == Some(DbError::Timeout) && took == ms(patience_ms))
            .expected(format!("{what}: Timeout after {patience_ms} ms"))
            .got(match got {
                Some(error) => format!("{error:?} after {} ms", took.as_millis()),
                None => format!("a connection after {} ms", took.as_millis()),
            })
            .why(
                "The acquire timeout is for all of it, from the first poll: the time in the queue, \
                 however often one is woken there, and the time that `connect` takes.",
            )
            .pitfall("never-ends")
            .or_fail();
    };
    let ask = async |pool: &Pool<Line>| {
        let (outcome, took) = lab.timed(timeout(AGES, pool.acquire())).await;
        let error = match outcome {
            Ok(Ok(_lease)) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(broken("waiting for 600,000 ms")),
        };
        (error, took)
    };
    let pool_of = |server: &Arc<Server>| Pool::new(size(1), ms(patience_ms), server.connect());

    // In the queue. The future was made earlier than it is polled.
    let server = Server::new(&lab, plan());
    let pool = Arc::new(pool_of(&server));
    let lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
    let asked = ask(&pool);
    sleep(ms(30)).await;
    let (got, took) = asked.await;
    timed_out("the only connection is in use", got, took);
    // Another is before us in the queue, gets the connection, and keeps it.
    let before = Arc::clone(&pool);
    let before = tokio::spawn(async move {
        let lease = before.acquire().await;
        sleep(ms(1_000)).await;
        drop(lease);
    });
    lab.settle().await;
    let giver = tokio::spawn(async move {
        sleep(ms(40)).await;
        drop(lease);
    });
    let (got, took) = ask(&pool).await;
    timed_out(
        "the connection comes back after 40 ms, for another",
        got,
        took,
    );
    joined(giver).await;
    joined(before).await;
    // Those who gave up are no longer in the queue.
    let (lease, took) = lab
        .timed(lent(&lab, &server, &pool, FREE, "leaked-resource"))
        .await;
    lab.expect_took(took, 0)
        .why("Whoever gave up is in nobody's way any more.")
        .pitfall("leaked-resource")
        .or_fail();
    drop(lease);

    // In `connect`: the first one hangs.
    let slow = plan().takes(move |_, nth| if nth == 0 { patience_ms + 20 } else { OPEN_MS });
    let server = Server::new(&lab, slow);
    let pool = pool_of(&server);
    let (got, took) = ask(&pool).await;
    timed_out("`connect` takes 20 ms longer than that", got, took);
    let (lease, took) = lab
        .timed(lent(&lab, &server, &pool, FREE, "leaked-resource"))
        .await;
    lab.expect_took(took, OPEN_MS)
        .why("The one who gave up left the slot, and opened nothing: another may open.")
        .pitfall("leaked-resource")
        .or_fail();
    drop(lease);

    // Some time in the queue, and then some in `connect`.
    let slow = plan()
        .takes(move |_, nth| if nth == 0 { 40 } else { patience_ms - 20 })
        .fails(|kind, nth| (kind == "open" && nth == 0).then(|| broken("open")));
    let server = Server::new(&lab, slow);
    let pool = Arc::new(pool_of(&server));
    let first = Arc::clone(&pool);
    let first = tokio::spawn(async move { first.acquire().await.map(drop) });
    lab.settle().await;
    let (got, took) = ask(&pool).await;
    timed_out(
        "40 ms in the queue, and then `connect` takes too long",
        got,
        took,
    );
    let _ = joined(first).await;
}

async fn failed_open(lab: Lab) {
    let fails = |kind, nth| (kind == "open" && nth < 3).then(|| broken("open"));
    let server = Server::new(&lab, plan().fails(fails));
    let pool = pool_of(&server, 1);
    for turn in 0..2 {
        let (failed, took) = lab.timed(pool.acquire()).await;
        let failed = failed.map(|_lease| "a connection");
        lab.expect(failed == Err(broken("open")) && took == ms(OPEN_MS))
            .expected(format!(
                "{:?} after {OPEN_MS} ms",
                Err::<(), _>(broken("open"))
            ))
            .got(format!(
                "{failed:?} after {} ms, in turn {turn}",
                took.as_millis()
            ))
            .why("`connect` failed: the caller wants to know, and may try again.")
            .pitfall("swallowed-error")
            .or_fail();
    }
    // One more fails while another waits.
    let failing = Arc::clone(&pool);
    let failing = tokio::spawn(async move { failing.acquire().await.map(drop) });
    lab.settle().await;
    let (lease, took) = lab
        .timed(lent(&lab, &server, &pool, FREE, "leaked-resource"))
        .await;
    lab.expect_took(took, 2 * OPEN_MS)
        .expected(format!(
            "{} ms: the open that fails, then the next",
            2 * OPEN_MS
        ))
        .why("An open that failed frees its slot at that instant, for the next in line.")
        .pitfall("leaked-resource")
        .or_fail();
    let _ = joined(failing).await;
    drop(lease);
}

async fn dropped_acquire(lab: Lab) {
    // At each pending: in the queue, and in `connect`.
    lab.cancel_sweep(async |cancel: Cancel| {
        let fails = |kind, nth| (kind == "open" && nth == 0).then(|| broken("open"));
        let server = Server::new(&lab, plan().fails(fails));
        let pool = pool_of(&server, 1);
        let first = Arc::clone(&pool);
        let first = tokio::spawn(async move { first.acquire().await.map(drop) });
        lab.settle().await;
        drop(cancel.drop_at(pool.acquire()).await);
        let lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
        let alive = server.books(|books| books.alive);
        lab.expect(alive == 1)
            .expected("one connection, as there is one slot")
            .got(format!("{alive} connections are open"))
            .why("Whoever is dropped in the middle of `connect` must leave nothing behind.")
            .pitfall("leaked-resource")
            .or_fail();
        drop(lease);
        let _ = joined(first).await;
        drop(pool);
        lab.expect_no_tasks_left()
            .await
            .why("The pool was dropped: nothing of it may run on.")
            .or_fail();
    })
    .await;

    // Dropped when the connection was meant for it already.
    let server = Server::new(&lab, plan());
    let pool = pool_of(&server, 1);
    let lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
    let mut leaves = lab.probe(pool.acquire());
    let _pending = leaves.poll();
    lab.settle().await;
    let mut stays = lab.probe(pool.acquire());
    let _pending = stays.poll();
    lab.settle().await;
    drop(lease);
    drop(leaves);
    let got = ready_now(&lab, &mut stays).await;
    lab.expect(matches!(got, Some(Ok(_))))
        .expected("a connection for the next in line, at that instant")
        .got(match &got {
            Some(Err(error)) => format!("{error:?}"),
            _ => "it waits on".to_owned(),
        })
        .why(
            "The connection came back and was meant for one who was dropped before its next poll. \
             Then it must pass on.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
    drop((got, stays));
    drop(lent(&lab, &server, &pool, FREE, "leaked-resource").await);
}

// ----------------------------------------------------------------- task 3

async fn commits(lab: Lab) {
    let server = Server::new(&lab, plan());
    // Shorter than the closure takes.
    let patience_ms = lab.pick(10..=30);
    let pool = Pool::new(size(1), ms(patience_ms), server.connect());
    let transaction = pool.with_tx(transfer);
    lab.settle().await;
    let before = server.log();
    let (got, took) = lab.timed(transaction).await;
    lab.expect(got == Ok("transferred"))
        .expected("Ok(\"transferred\"), the closure's value")
        .got(format!("{got:?}"))
        .why(format!(
            "The closure writes twice and succeeds. The acquire timeout, {patience_ms} ms, is for \
             `acquire` alone: a transaction may take longer."
        ))
        .pitfall("wrong-result")
        .or_fail();
    let expected = "0 open @0, 0 begin @5, 0 write debit @15, 0 write credit @35, 0 commit @55";
    let got = server.log();
    lab.expect(got == expected && before == "nothing" && took == ms(70))
        .expected(format!(
            "nothing before the first poll; then {expected}; Ok at 70 ms"
        ))
        .got(format!(
            "{before}; then {got}; Ok at {} ms",
            took.as_millis()
        ))
        .why("A transaction is begun, the closure does its work in it, and then it is committed.")
        .pitfall("wrong-result")
        .or_fail();
    expect_written(
        &lab,
        &server,
        &["debit", "credit"],
        "What the closure wrote is permanent when `with_tx` gives Ok.",
        "wrong-result",
    )
    .await;
    let (lease, took) = lab
        .timed(lent(&lab, &server, &pool, FREE, "leaked-resource"))
        .await;
    lab.expect_took(took, 0)
        .why("After the commit the connection is in the pool again.")
        .pitfall("leaked-resource")
        .or_fail();
    // This one keeps the only connection.
    let called = AtomicBool::new(false);
    let transaction = pool.with_tx(|line: &mut Line| {
        called.store(true, SeqCst);
        transfer(line)
    });
    let (got, took) = lab.timed(timeout(PATIENCE, transaction)).await;
    let called = called.load(SeqCst);
    let told = got == Ok(Err(Oops::Db(DbError::Timeout)));
    lab.expect(told && took == ms(patience_ms) && !called)
        .expected(format!(
            "while another keeps the connection: Err(Db(Timeout)) after {patience_ms} ms"
        ))
        .got(format!(
            "{got:?} after {} ms; the closure called: {called}",
            took.as_millis()
        ))
        .why("Without a connection there is no transaction: the error of `acquire` is its error.")
        .pitfall("swallowed-error")
        .or_fail();
    drop(lease);
    drop(pool);
    lab.expect_no_tasks_left()
        .await
        .why("The pool was dropped: nothing of it may run on.")
        .or_fail();
}

async fn rolls_back(lab: Lab) {
    for rollback_fails in [false, true] {
        let fails = move |kind, _| {
            let fails = rollback_fails && kind == "rollback";
            fails.then(|| broken("rollback"))
        };
        let server = Server::new(&lab, plan().fails(fails).second(rollback_fails));
        let pool = pool_of(&server, 1);
        let (got, took) = lab.timed(pool.with_tx(refused)).await;
        let log = server.log();
        lab.expect(got == Err(Oops::Refused))
            .expected(if rollback_fails {
                "Err(Refused), the closure's error, although the rollback fails, too"
            } else {
                "Err(Refused), the closure's error"
            })
            .got(format!("{got:?}"))
            .why("The caller wants to know why the work was not done. That is the closure's error.")
            .pitfall("swallowed-error")
            .or_fail();
        expect_written(
            &lab,
            &server,
            &[],
            "The closure gave an error: what it wrote before that must not become permanent.",
            "cleanup-forgotten",
        )
        .await;
        let (expected_ms, begun_ms) = (65, 35);
        lab.expect(took == ms(expected_ms) && server.begun("rollback") == [begun_ms])
            .expected(format!(
                "one rollback, begun at {begun_ms} ms; the error when it has ended, at \
                 {expected_ms} ms"
            ))
            .got(format!("{log}; the error at {} ms", took.as_millis()))
            .why(
                "When the caller gets the error the transaction must be over, and its locks gone: \
                 roll back, wait for it, and then return.",
            )
            .pitfall("cleanup-forgotten")
            .or_fail();
        let again_ms = if rollback_fails { OPEN_MS } else { 0 };
        let (lease, took) = lab
            .timed(lent(&lab, &server, &pool, FREE, "leaked-resource"))
            .await;
        lab.expect(took <= ms(again_ms))
            .expected(format!("a connection after {again_ms} ms"))
            .got(format!("after {} ms", took.as_millis()))
            .why("The rollback has ended, so the slot is free.")
            .pitfall("leaked-resource")
            .or_fail();
        drop(lease);
        drop(pool);
        lab.expect_no_tasks_left()
            .await
            .why("The transaction is over, and the pool was dropped: nothing may run on.")
            .or_fail();
    }
}

async fn failed_ends(lab: Lab) {
    for kind in ["begin", "commit"] {
        let error = if lab.pick(0..=1) == 0 {
            locked()
        } else {
            broken(kind)
        };
        let said = error.clone();
        let fails = move |at, nth| (at == kind && nth == 0).then(|| said.clone());
        let server = Server::new(&lab, plan().fails(fails));
        let pool = pool_of(&server, 1);
        let called = AtomicBool::new(false);
        let got = pool
            .with_tx(|line: &mut Line| {
                called.store(true, SeqCst);
                transfer(line)
            })
            .await;
        let error = Err(Oops::Db(error));
        lab.expect(got == error)
            .expected(format!("{error:?}: what `{kind}` said"))
            .got(format!("{got:?}"))
            .why("A transaction that was not begun, or not committed, has not succeeded.")
            .pitfall("swallowed-error")
            .or_fail();
        lab.expect(called.load(SeqCst) == (kind == "commit"))
            .expected("the closure works in a transaction, or not at all")
            .got(format!(
                "`{kind}` failed; the closure called: {}",
                called.load(SeqCst)
            ))
            .why("Without a transaction every write of the closure would be permanent at once.")
            .pitfall("swallowed-error")
            .or_fail();
        let left = server.left_open();
        lab.expect(left.is_empty() && server.count("rollback") == usize::from(kind == "commit"))
            .expected(format!(
                "no transaction is open when the error of `{kind}` is given"
            ))
            .got(format!(
                "{}; still open on connections: {left:?}",
                server.log()
            ))
            .why(
                "A commit that failed leaves its transaction open, with everything in it: another \
                 held a lock, say. It must be rolled back like any other.",
            )
            .pitfall("cleanup-forgotten")
            .or_fail();
        drop(lent(&lab, &server, &pool, FREE, "leaked-resource").await);
        let again = timeout(PATIENCE, pool.with_tx(transfer)).await;
        lab.expect(again == Ok(Ok("transferred")))
            .expected("the next transaction succeeds")
            .got(format!("{again:?}"))
            .why("It fails only once, and leaves the connection in order.")
            .pitfall("cleanup-forgotten")
            .or_fail();
        expect_written(
            &lab,
            &server,
            &["debit", "credit"],
            "Only the second transaction was committed.",
            "cleanup-forgotten",
        )
        .await;
    }
}

// ----------------------------------------------------------------- task 4

/// A closure that panics before it gives a future.
fn panics_at_once(line: &mut Line) -> BoxFuture<'_, Result<&'static str, Oops>> {
    panic_as_planned("out of ink");
    transfer(line)
}

/// A closure that panics after its first write.
fn panics_half_way(line: &mut Line) -> BoxFuture<'_, Result<&'static str, Oops>> {
    Box::pin(async move {
        line.write("debit").await?;
        panic_as_planned("out of ink");
        Ok("transferred")
    })
}

async fn panics(lab: Lab) {
    for early in [true, false] {
        let server = Server::new(&lab, plan());
        let pool = pool_of(&server, 1);
        let work = if early {
            panics_at_once
        } else {
            panics_half_way
        };
        // With its own task, as a request's handler has it.
        let user = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { survived(pool.with_tx(work)).await })
        };
        let got = joined(user).await;
        lab.expect(got.as_ref().is_err_and(|words| words == "out of ink"))
            .expected("the closure's panic goes on in the caller: \"out of ink\"")
            .got(in_words(got))
            .why("A panic is a mistake in the closure. It is not yours to hide.")
            .pitfall("lost-panic")
            .or_fail();
        lab.settle().await;
        let panicked_ms = if early { 15 } else { 35 };
        let begun = server.begun("rollback");
        lab.expect_eq(&begun, &vec![panicked_ms])
            .expected(format!(
                "one rollback, begun with the panic at {panicked_ms} ms"
            ))
            .got(server.log())
            .why(
                "A panic unwinds: it drops every local on its way and runs no other line. What has \
                 to be done on this way out belongs into a `Drop`.",
            )
            .pitfall("cleanup-forgotten")
            .or_fail();
        let lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
        let peak = server.books(|books| books.peak);
        lab.expect(peak == 1)
            .expected("the connection is lent again when its rollback has ended")
            .got(format!("{peak} connections at once, and there is one slot"))
            .why("As long as a connection is being rolled back it takes up its slot.")
            .pitfall("cleanup-forgotten")
            .or_fail();
        drop(lease);
        expect_written(
            &lab,
            &server,
            &[],
            "The closure panicked in the middle of its work: half of it must not be permanent.",
            "cleanup-forgotten",
        )
        .await;
        drop(pool);
        lab.expect_no_tasks_left()
            .await
            .why("The rollback has ended, and the pool was dropped: nothing may run on.")
            .or_fail();
    }
}

async fn dropped_transaction(lab: Lab) {
    for (lands_early, succeeds) in [(false, true), (true, true), (false, false), (true, false)] {
        lab.cancel_sweep(async |cancel: Cancel| {
            let server = Server::new(&lab, plan().lands_early(lands_early));
            let pool = pool_of(&server, 1);
            let work = if succeeds { transfer } else { refused };
            let outcome = cancel.drop_at(pool.with_tx(work)).await;
            let committing = server.count("commit") > 0;
            // The rollback begins now, not when somebody comes to ask.
            lab.settle().await;
            let left = server.left_open();
            lab.expect(left.is_empty())
                .expected("the rollback begins when the transaction is dropped")
                .got(format!(
                    "{}; left open on connections: {left:?}",
                    server.log()
                ))
                .why(
                    "Dropped, the function gets no further than to this await: only the `Drop`s of \
                     its locals run. `begin` may have taken effect although its answer never came, \
                     and so may a `commit`, or not.",
                )
                .pitfall("cleanup-forgotten")
                .or_fail();
            drop(lent(&lab, &server, &pool, FREE, "leaked-resource").await);
            let written = server.written();
            let whole = written == ["debit", "credit"];
            let good = match &outcome {
                Some(Ok(_)) => whole,
                Some(Err(_)) => written.is_empty(),
                None => written.is_empty() || (whole && committing && succeeds),
            };
            let wanted = if committing {
                "all that was written, or nothing"
            } else {
                "nothing"
            };
            lab.expect(good)
                .expected(format!("permanent after that: {wanted}"))
                .got(format!("{written:?}; {}", server.log()))
                .why(
                    "Dropped before its commit, a transaction is taken back as a whole: nobody \
                     knows how far the closure had got.",
                )
                .pitfall("cancellation-ignored")
                .or_fail();
            // The connection, and the pool, are as good as new.
            let before = written.len();
            let next = timeout(PATIENCE, pool.with_tx(transfer)).await;
            let written = server.written();
            lab.expect(next == Ok(Ok("transferred")) && written.len() == before + 2)
                .expected("the next transaction succeeds, and writes what it should")
                .got(format!("{next:?}; permanent: {written:?}"))
                .why("Whoever comes next must find the connection in order.")
                .pitfall("cleanup-forgotten")
                .or_fail();
            let peak = server.books(|books| books.peak);
            lab.expect(peak == 1)
                .expected("one connection at a time, as there is one slot")
                .got(format!("{peak} at once"))
                .why("The slot is taken as long as the connection lives.")
                .pitfall("leaked-resource")
                .or_fail();
            drop(pool);
            lab.expect_no_tasks_left()
                .await
                .why("The rollback has ended, and the pool was dropped: nothing may run on.")
                .or_fail();
        })
        .await;
    }
}

async fn waits_for_rollback(lab: Lab) {
    let server = Server::new(&lab, plan());
    let pool = pool_of(&server, 2);
    // Both connections: their users give up together, in the middle of the work.
    let patience_ms = lab.pick(20..=30);
    let users: [_; 2] = std::array::from_fn(|_| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let transaction = timeout(ms(patience_ms), pool.with_tx(transfer));
            transaction.await.is_err()
        })
    });
    sleep(ms(10)).await;
    // Two who wait since then, and a third who comes during the rollback.
    let ask = |delay_ms: u64| {
        let (lab, pool, server) = (lab.clone(), Arc::clone(&pool), Arc::clone(&server));
        tokio::spawn(async move {
            sleep(ms(delay_ms)).await;
            let lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
            let at_ms = lab.now_ms();
            sleep(ms(10)).await;
            drop(lease);
            at_ms
        })
    };
    let waiters = [ask(0), ask(1), ask(patience_ms)];
    let mut gave_up = true;
    for user in users {
        gave_up &= joined(user).await;
    }
    let given_up_ms = lab.now_ms();
    lab.expect(gave_up && given_up_ms == patience_ms)
        .expected(format!("both users give up at {patience_ms} ms"))
        .got(format!("given up: {gave_up}, at {given_up_ms} ms"))
        .why("A transaction that is dropped is over for its caller at that instant.")
        .pitfall("cancellation-ignored")
        .or_fail();
    let mut got = Vec::new();
    for waiter in waiters {
        got.push(joined(waiter).await);
    }
    let free_ms = patience_ms + ROLLBACK_MS;
    let expected = vec![free_ms, free_ms, free_ms + 10];
    lab.expect_eq(&got, &expected)
        .expected(format!(
            "given up at {patience_ms} ms, a rollback takes {ROLLBACK_MS} ms: lent at {expected:?}"
        ))
        .got(format!("{got:?}"))
        .why(
            "Connection and slot are free when the rollback has ended: not earlier, for then there \
             is one connection too many, or one in a transaction; and not later. Rollbacks of two \
             connections have nothing to do with each other.",
        )
        .pitfall("cleanup-forgotten")
        .or_fail();
    let (peak, written) = server.books(|books| (books.peak, books.written.clone()));
    lab.expect(peak == 2 && written.is_empty() && server.count("rollback") == 2)
        .expected("two connections at most, two rollbacks, and nothing permanent")
        .got(format!(
            "{peak} connections, {}; permanent: {written:?}",
            server.log()
        ))
        .why("As long as a connection is being rolled back it takes up its slot.")
        .pitfall("leaked-resource")
        .or_fail();
    drop(pool);
    lab.expect_no_tasks_left()
        .await
        .why("The rollbacks have ended, and the pool was dropped: nothing may run on.")
        .or_fail();
}

async fn failed_rollback(lab: Lab) {
    for drops in [false, true] {
        let fails = |kind, nth| (kind == "rollback" && nth == 0).then(|| broken("rollback"));
        let server = Server::new(&lab, plan().fails(fails).second(drops));
        let pool = pool_of(&server, 1);
        let first = if drops {
            let given_up = timeout(ms(20), pool.with_tx(transfer)).await;
            given_up.map_or(Ok("given up"), |outcome| outcome)
        } else {
            pool.with_tx(refused).await
        };
        let expected = if drops {
            Ok("given up")
        } else {
            Err(Oops::Refused)
        };
        lab.expect_eq(&first, &expected)
            .why("The closure was dropped, or refused. That its rollback fails changes nothing.")
            .pitfall("swallowed-error")
            .or_fail();
        let lease = lent(&lab, &server, &pool, FREE, "leaked-resource").await;
        let peak = server.books(|books| books.peak);
        lab.expect(lease.id() == 1 && peak == 1)
            .expected("a new connection, number 1, after number 0 was closed")
            .got(format!(
                "connection {}, and {peak} open at once at most",
                lease.id()
            ))
            .why(
                "Nobody knows what is still open on a connection whose rollback failed. Drop it: \
                 that closes it, the server forgets what it had begun, and the slot is free for a \
                 new one.",
            )
            .pitfall("leaked-resource")
            .or_fail();
        drop(lease);
        let next = timeout(PATIENCE, pool.with_tx(transfer)).await;
        lab.expect(next == Ok(Ok("transferred")) && server.count("open") == 2)
            .expected("the next transaction succeeds, on the new connection")
            .got(format!(
                "{next:?}; {} connections were opened",
                server.count("open")
            ))
            .why("The new connection is as good as any.")
            .pitfall("leaked-resource")
            .or_fail();
        expect_written(
            &lab,
            &server,
            &["debit", "credit"],
            "Only the second transaction was committed.",
            "cleanup-forgotten",
        )
        .await;
    }
}

// ----------------------------------------------------------------- task 5

fn retry(attempts: u32, delay_ms: u64) -> Retry {
    Retry {
        attempts: NonZeroU32::new(attempts).expect("at least one attempt"),
        delay: ms(delay_ms),
    }
}

async fn begun_again(lab: Lab) {
    let delay_ms = lab.pick(50..=90);
    // Busy in `begin`, then in the closure, then in `commit`; then it succeeds.
    let busy = |kind: &str, nth| {
        let is_busy = matches!((kind, nth), ("begin" | "write" | "commit", 0));
        is_busy.then(locked)
    };
    let server = Server::new(&lab, plan().fails(busy));
    let pool = pool_of(&server, 1);
    let (got, took) = lab
        .timed(pool.with_retry(retry(5, delay_ms), transfer))
        .await;
    let second_ms = OPEN_MS + BEGIN_MS + delay_ms;
    let third_ms = second_ms + BEGIN_MS + WRITE_MS + ROLLBACK_MS + 2 * delay_ms;
    let work_ms = BEGIN_MS + 2 * WRITE_MS + COMMIT_MS;
    let fourth_ms = third_ms + work_ms + ROLLBACK_MS + 4 * delay_ms;
    let expected = [OPEN_MS, second_ms, third_ms, fourth_ms];
    lab.expect(got == Ok("transferred") && server.begun("begin") == expected)
        .expected(format!(
            "Ok(\"transferred\"), with `begin` at {expected:?} ms"
        ))
        .got(format!("{got:?}; {}", server.log()))
        .why(format!(
            "Begin, closure and commit meet a lock once each. Every time the transaction is rolled \
             back, and begun again as a whole: {delay_ms} ms after the end of the first attempt, \
             and twice as long after each further one."
        ))
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, fourth_ms + work_ms)
        .why("The fourth attempt succeeds, and there is nothing more to wait for.")
        .pitfall("sequential-awaits")
        .or_fail();
    expect_written(
        &lab,
        &server,
        &["debit", "credit"],
        "Of four attempts one was committed. What the others wrote was rolled back.",
        "cleanup-forgotten",
    )
    .await;

    // Always busy: the last attempt's error, and no delay after it.
    for attempts in [1, 3] {
        let busy = |kind: &str, _| (kind == "begin").then(locked);
        let server = Server::new(&lab, plan().fails(busy));
        let pool = pool_of(&server, 1);
        let (got, took) = lab
            .timed(pool.with_retry(retry(attempts, delay_ms), transfer))
            .await;
        let waits_ms = if attempts == 3 { 3 * delay_ms } else { 0 };
        let expected_ms = OPEN_MS + u64::from(attempts) * BEGIN_MS + waits_ms;
        let begun = server.count("begin");
        let told = got == Err(Oops::Db(locked()));
        lab.expect(told && begun == attempts as usize && took == ms(expected_ms))
            .expected(format!("Err(Db(Busy)) after {attempts} attempts, at {expected_ms} ms"))
            .got(format!("{got:?} after {begun}, at {} ms", took.as_millis()))
            .why("There are so many attempts in all, and after the last there is nothing to wait for.")
            .pitfall("sequential-awaits")
            .or_fail();
    }

    // What is not busy will not get better.
    let refuses = |kind: &str, _| (kind == "commit").then(|| broken("commit"));
    for closure_refuses in [true, false] {
        let server = Server::new(&lab, plan().fails(refuses));
        let pool = pool_of(&server, 1);
        let work = if closure_refuses { refused } else { transfer };
        let got = pool.with_retry(retry(5, delay_ms), work).await;
        let expected = if closure_refuses {
            Oops::Refused
        } else {
            Oops::Db(broken("commit"))
        };
        let begun = server.count("begin");
        lab.expect(got == Err(expected.clone()) && begun == 1)
            .expected(format!("Err({expected:?}) after 1 attempt"))
            .got(format!("{got:?} after {begun}"))
            .why("`is_busy` says whether another attempt may help. This error is final.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

async fn held_between(lab: Lab) {
    let delay_ms = lab.pick(200..=300);
    let busy = |kind: &str, nth| (kind == "begin" && nth == 0).then(locked);
    let server = Server::new(&lab, plan().fails(busy));
    let pool = pool_of(&server, 1);
    let patient = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.with_retry(retry(3, delay_ms), transfer).await })
    };
    sleep(ms(50)).await;
    let (other, took) = lab.timed(timeout(AGES, pool.with_tx(transfer))).await;
    let work_ms = BEGIN_MS + 2 * WRITE_MS + COMMIT_MS;
    lab.expect(other == Ok(Ok("transferred")) && took == ms(work_ms))
        .expected(format!("another transaction in between: Ok after {work_ms} ms"))
        .got(format!("{other:?} after {} ms", took.as_millis()))
        .why(
            "Whoever waits for the next attempt does nothing with a connection. Held meanwhile, it \
             is missing in the pool just when there is a crowd; perhaps to the one who has the lock.",
        )
        .pitfall("leaked-resource")
        .or_fail();
    let patient = joined(patient).await;
    lab.expect(patient == Ok("transferred"))
        .expected("Ok(\"transferred\") with the second attempt")
        .got(format!("{patient:?}"))
        .why("The lock was gone when it tried again.")
        .pitfall("wrong-result")
        .or_fail();

    // Dropped between two attempts, or in the middle of one.
    drop(pool);
    let server = Server::new(
        &lab,
        plan().fails(|kind, nth| (kind == "write" && nth == 0).then(locked)),
    );
    let pool = pool_of(&server, 1);
    for cut_ms in [100, 20] {
        let cut = timeout(ms(cut_ms), pool.with_retry(retry(3, 200), transfer)).await;
        lab.expect(cut.is_err())
            .expected(format!("dropped after {cut_ms} ms, on its way"))
            .got(format!("{cut:?}"))
            .why("A lock is in the way, and the work takes longer than that.")
            .pitfall("wrong-result")
            .or_fail();
        drop(lent(&lab, &server, &pool, FREE, "leaked-resource").await);
    }
    drop(pool);
    lab.expect_no_tasks_left()
        .await
        .why("Every attempt is over, and the pool was dropped: nothing may run on.")
        .or_fail();
}

const ACCOUNTS: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    INSERT INTO accounts VALUES (0, 1000), (1, 1000), (2, 1000);
    CREATE TABLE transfers (id INTEGER PRIMARY KEY, sender INTEGER, receiver INTEGER, sum INTEGER);
";

/// What the balances must be, by the transfers that were made.
const WRONG_BALANCES: &str = "
    SELECT count(*) FROM accounts WHERE balance <> 1000
        - (SELECT coalesce(sum(sum), 0) FROM transfers WHERE sender = accounts.id)
        + (SELECT coalesce(sum(sum), 0) FROM transfers WHERE receiver = accounts.id)";

/// How many transfers there are.
const TRANSFERS: u8 = 16;
/// Every pause is a multiple of this, and every transfer begins so many ms after
/// such a multiple as its number says, so no two of them do something at the same
/// instant: what a blocking thread does, and how fast, must not decide anything.
const TURN_MS: u64 = 2 * TRANSFERS as u64;

/// How a transfer of the storm ends, if nothing else is in its way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Succeeds,
    Refuses,
    Panics,
    /// Its caller gives up after so many milliseconds.
    Dropped(u64),
}

#[derive(Debug, Clone, Copy)]
struct Transfer {
    id: i64,
    sender: i64,
    receiver: i64,
    sum: i64,
    pause_ms: u64,
    fate: Fate,
}

impl Transfer {
    fn new(lab: &Lab, id: u8) -> Self {
        let sender = lab.pick(0..=2);
        let small = |number: u64| i64::try_from(number).expect("a small number");
        let pause_ms = TURN_MS * lab.pick(1..=4);
        let fate = match id % 4 {
            1 => Fate::Refuses,
            2 => Fate::Panics,
            3 => Fate::Dropped(TURN_MS * lab.pick(0..=8) + TURN_MS / 2),
            _ => Fate::Succeeds,
        };
        Self {
            id: id.into(),
            sender: small(sender),
            receiver: small((sender + lab.pick(1..=2)) % 3),
            sum: small(lab.pick(1..=20)),
            pause_ms,
            fate,
        }
    }

    /// Takes the sum from one account, thinks, and gives it to the other.
    fn work(self, sqlite: &mut Sqlite) -> BoxFuture<'_, Result<(), Oops>> {
        const GIVE: &str = "UPDATE accounts SET balance = balance + ?1 WHERE id = ?2";
        Box::pin(async move {
            let Self {
                id,
                sender,
                receiver,
                sum,
                ..
            } = self;
            let row = (id, sender, receiver, sum);
            let insert = "INSERT INTO transfers VALUES (?1, ?2, ?3, ?4)";
            sqlite.call(move |c| c.execute(insert, row)).await?;
            sqlite
                .call(move |c| c.execute(GIVE, (-sum, sender)))
                .await?;
            sleep(ms(self.pause_ms)).await;
            match self.fate {
                Fate::Refuses => return Err(Oops::Refused),
                Fate::Panics => panic_as_planned("in the middle of a transfer"),
                _ => {}
            }
            sqlite
                .call(move |c| c.execute(GIVE, (sum, receiver)))
                .await?;
            sleep(ms(self.pause_ms)).await;
            Ok(())
        })
    }

    async fn run(self, pool: Arc<Pool<Sqlite>>) -> Outcome {
        let whole = pool.with_retry(retry(12, TURN_MS), move |sqlite| self.work(sqlite));
        let whole = survived(whole);
        let outcome = match self.fate {
            Fate::Dropped(after_ms) => timeout(ms(after_ms), whole).await.ok(),
            _ => Some(whole.await),
        };
        (self, outcome)
    }
}

/// A transfer, and what came of it; `None`: its caller gave up.
type Outcome = (Transfer, Option<Result<Result<(), Oops>, String>>);

async fn storm(lab: Lab) {
    let file = File::new(ACCOUNTS);
    // All through one connection, or all at once: then the lock is in the way.
    let slots = if lab.seed().is_multiple_of(2) {
        1
    } else {
        usize::from(TRANSFERS)
    };
    let pool = Arc::new(Pool::new(size(slots), AGES, file.connect(&lab)));
    let transfers: Vec<Transfer> = (0..TRANSFERS).map(|id| Transfer::new(&lab, id)).collect();
    let users = transfers.into_iter().map(|transfer| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let number = transfer.id.unsigned_abs();
            sleep(ms(TURN_MS * (number / 3) + number)).await;
            transfer.run(pool).await
        })
    });
    let users: Vec<_> = users.collect();
    let mut outcomes = Vec::new();
    for user in users {
        match timeout(AGES, user).await {
            Ok(ended) => outcomes.push(ended.unwrap_or_else(|e| resume_unwind(e.into_panic()))),
            Err(_) => lab
                .expect(false)
                .expected("every transfer ends")
                .got("one is still waiting after 600,000 ms")
                .why(FREE)
                .pitfall("leaked-resource")
                .or_fail(),
        }
    }
    for (transfer, outcome) in &outcomes {
        let good = match (transfer.fate, outcome) {
            (Fate::Succeeds, Some(Ok(Ok(())))) | (Fate::Dropped(_), None | Some(Ok(Ok(())))) => {
                true
            }
            (Fate::Refuses, Some(Ok(Err(Oops::Refused)))) => true,
            (Fate::Panics, Some(Err(words))) => words == "in the middle of a transfer",
            _ => false,
        };
        lab.expect(good)
            .expected(format!(
                "transfer {}, which {:?}, ends so",
                transfer.id, transfer.fate
            ))
            .got(format!("{outcome:?}"))
            .why(
                "Locks go away, and every transfer has twelve attempts. A transaction left open on \
                 a connection keeps its lock, and refuses a second `BEGIN`.",
            )
            .pitfall("cleanup-forgotten")
            .or_fail();
    }
    // What those who gave up have left behind is rolled back by now.
    lab.settle().await;
    expect_off_the_loop(&lab);
    let wrong = file.number(WRONG_BALANCES);
    lab.expect(wrong == 0)
        .expected("the balances agree with the transfers in the file")
        .got(format!("{wrong} of 3 balances do not"))
        .why("A transfer writes three times, in one transaction: all of it is there, or nothing.")
        .pitfall("cleanup-forgotten")
        .or_fail();
    for (transfer, outcome) in &outcomes {
        let id = transfer.id;
        let found = file.number(&format!("SELECT count(*) FROM transfers WHERE id = {id}")) == 1;
        let good = match outcome {
            Some(Ok(Ok(()))) => found,
            // At the very instant of its commit a transfer may be dropped, too.
            None => true,
            _ => !found,
        };
        lab.expect(good)
            .expected(format!(
                "transfer {id}, which {:?}, is in the file: {}",
                transfer.fate, !found
            ))
            .got(format!("it is: {found}"))
            .why("Ok means that it is in the file, an error or a panic that it is not.")
            .pitfall("cleanup-forgotten")
            .or_fail();
    }
    let mut leases = Vec::new();
    for _ in 0..slots {
        leases.push(timeout(PATIENCE, pool.acquire()).await);
    }
    let lent = leases
        .iter()
        .filter(|lease| matches!(lease, Ok(Ok(_))))
        .count();
    lab.expect(lent == slots)
        .expected(format!(
            "after the storm all {slots} connections can be lent"
        ))
        .got(format!("{lent}"))
        .why(FREE)
        .pitfall("leaked-resource")
        .or_fail();
    drop((leases, pool));
    lab.expect_no_tasks_left()
        .await
        .why("The storm is over, and the pool was dropped: nothing may run on.")
        .or_fail();
}
