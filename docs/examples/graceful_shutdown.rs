//! Graceful shutdown: no new requests, time for those under way, and an end in any case.
//!
//! The order is what matters: stop accepting, tell everybody, wait for a while, abort the rest,
//! and wait for that too. Only then may be closed what the requests use.
//!
//! `cargo run --example graceful_shutdown` serves clients of its own on the loopback.
//! `kata demo graceful_shutdown` runs the same server in virtual time and draws it.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Where requests come from, and how one is answered: a network here, a simulation in a demo.
pub trait Network {
    type Request: Send + 'static;

    /// The next request.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Request>>;

    /// Answers one. It is told of the shutdown, so that it may be brief.
    fn answer(
        &self,
        request: Self::Request,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// The server does something else from now on.
    fn now(&self, _what: &str) {}
}

/// What became of the requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Served {
    pub answered: usize,
    pub aborted: usize,
    pub panicked: usize,
}

/// Serves until `stop` is cancelled, then gives the requests under way `grace`.
pub async fn serve(
    network: &impl Network,
    stop: &CancellationToken,
    grace: Duration,
) -> io::Result<Served> {
    // The tasks belong to this set, and the set to this function: none can outlive it.
    let mut tasks = JoinSet::new();
    let mut served = Served::default();
    network.now("accept");
    loop {
        tokio::select! {
            biased; // a stop wins over a request that comes at the same instant
            () = stop.cancelled() => break,
            request = network.accept() => {
                tasks.spawn(network.answer(request?, stop.clone()));
            }
            // Taken as they end, or the set would grow for as long as the server runs.
            Some(end) = tasks.join_next() => served.count(end),
        }
    }
    network.now("drain");
    // A deadline around the whole of it, not one for each.
    let drained = async {
        while let Some(end) = tasks.join_next().await {
            served.count(end);
        }
    };
    if timeout(grace, drained).await.is_err() {
        // Abort is a wish. Who wants to know that they are gone awaits their ends.
        tasks.abort_all();
        while let Some(end) = tasks.join_next().await {
            served.count(end);
        }
    }
    network.now("closed");
    Ok(served)
}

impl Served {
    fn count(&mut self, end: Result<(), tokio::task::JoinError>) {
        match end {
            Ok(()) => self.answered += 1,
            Err(error) if error.is_panic() => self.panicked += 1,
            Err(_) => self.aborted += 1,
        }
    }
}

struct Loopback(TcpListener);

impl Network for Loopback {
    type Request = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Ok(self.0.accept().await?.0)
    }

    fn answer(
        &self,
        socket: TcpStream,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        async move {
            let mut socket = BufReader::new(socket);
            let mut line = String::new();
            // A client that says nothing is not waited for once we are to stop.
            tokio::select! {
                read = socket.read_line(&mut line) => if read.is_err() { return },
                () = stop.cancelled() => return,
            }
            let ms = line.trim().parse().unwrap_or(0);
            sleep(Duration::from_millis(ms)).await;
            let _ = socket.write_all(b"done\n").await; // the client may be gone
        }
    }

    fn now(&self, what: &str) {
        println!("server: {what}");
    }
}

/// Asks for an answer that takes so long, and says what came.
async fn client(server: std::net::SocketAddr, ms: u64) -> io::Result<String> {
    let mut socket = TcpStream::connect(server).await?;
    socket.write_all(format!("{ms}\n").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::main]
pub async fn main() -> io::Result<()> {
    let network = Loopback(TcpListener::bind("127.0.0.1:0").await?);
    let address = network.0.local_addr()?;
    let stop = CancellationToken::new();
    // A program of yours would wait for `tokio::signal::ctrl_c()` here.
    let signal = stop.clone();
    let clients = tokio::spawn(async move {
        let mut clients = JoinSet::new();
        for ms in [20, 150, 250, 5000] {
            clients.spawn(async move { (ms, client(address, ms).await) });
        }
        sleep(Duration::from_millis(100)).await;
        signal.cancel();
        while let Some(Ok((ms, answer))) = clients.join_next().await {
            println!(
                "the client of {ms} ms got {:?}",
                answer.unwrap_or_default().trim()
            );
        }
    });
    let served = serve(&network, &stop, Duration::from_millis(300)).await?;
    clients.await?;
    println!("{served:?}");
    Ok(())
}
