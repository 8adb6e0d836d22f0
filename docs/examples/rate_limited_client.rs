//! A client that keeps to a rate, and does as it is told when the server says "too many".
//!
//! Two parties count. The client's limiter spaces its calls, so that it need not be told off; the
//! server's quota refuses what is too much, and says when to come again. A client that ignores
//! the first is slowed down by the second, and has made calls for nothing.
//!
//! `cargo run --example rate_limited_client` talks to a server of its own on the loopback.
//! `kata demo rate_limited_client` runs the same client in virtual time and draws it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::try_join_all;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Refused; come again after this time.
    TooMany(Duration),
}

/// What lies outside of the client: a network here, a simulation in a demo.
pub trait Api {
    fn call(&self, number: usize) -> impl Future<Output = io::Result<Answer>>;

    /// Call `number` waits for something; a demo draws it.
    fn wait(
        &self,
        _number: usize,
        _what: &str,
        waiting: impl Future<Output = ()>,
    ) -> impl Future<Output = ()> {
        waiting
    }
}

/// Spaces calls: at most `burst` at once, and one per `period` in the long run.
pub struct Limiter {
    period: Duration,
    burst: u32,
    start: Instant,
    /// When the next call would come if all came evenly spaced, as time since `start`.
    even: Mutex<Duration>,
}

impl Limiter {
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            period: Duration::from_secs(1) / per_second,
            burst,
            start: Instant::now(),
            even: Mutex::default(),
        }
    }

    /// Waits for this call's turn. Turns are given out at once and in order, so that nobody is
    /// overtaken while it sleeps; a turn whose owner is dropped stays unused.
    pub async fn turn(&self) {
        let at = {
            let now = self.start.elapsed();
            let mut even = self.even.lock().unwrap();
            // A burst is to be early: by so many periods, and not before now.
            let at = even.saturating_sub(self.period * (self.burst - 1)).max(now);
            *even = even.max(now) + self.period;
            self.start + at
        }; // the lock goes here, before the await
        sleep_until(at).await;
    }
}

/// Makes `calls` calls and returns how many were refused on the way.
pub async fn call_all(api: &impl Api, limiter: &Limiter, calls: usize) -> io::Result<usize> {
    let calls = (0..calls).map(|number| async move {
        let mut refused = 0;
        loop {
            api.wait(number, "its turn", limiter.turn()).await;
            match api.call(number).await? {
                Answer::Done => return Ok::<_, io::Error>(refused),
                Answer::TooMany(wait) => {
                    refused += 1;
                    // The server knows best. And then it is a call like any other: back to the
                    // limiter, or all that were refused would come back at the same instant.
                    api.wait(number, "the server", sleep(wait)).await;
                }
            }
        }
    });
    Ok(try_join_all(calls).await?.into_iter().sum())
}

/// The server's side: so many calls in each window of a second.
#[derive(Debug)]
pub struct Quota {
    allowed: u32,
    window: Instant,
    used: u32,
}

impl Quota {
    pub fn new(allowed: u32) -> Self {
        Self {
            allowed,
            window: Instant::now(),
            used: 0,
        }
    }

    /// Counts a call.
    pub fn take(&mut self) -> Answer {
        const WINDOW: Duration = Duration::from_secs(1);
        while self.window.elapsed() >= WINDOW {
            self.window += WINDOW;
            self.used = 0;
        }
        if self.used == self.allowed {
            return Answer::TooMany(WINDOW - self.window.elapsed());
        }
        self.used += 1;
        Answer::Done
    }
}

/// The real API: a line there, `200` or `429` and milliseconds back.
struct Loopback(SocketAddr);

impl Api for Loopback {
    async fn call(&self, number: usize) -> io::Result<Answer> {
        let mut socket = TcpStream::connect(self.0).await?;
        socket
            .write_all(format!("call {number}\n").as_bytes())
            .await?;
        let mut line = String::new();
        socket.read_to_string(&mut line).await?;
        match line.split_once(' ') {
            Some(("200", _)) => Ok(Answer::Done),
            Some(("429", ms)) => {
                let ms = ms.trim().parse().map_err(io::Error::other)?;
                Ok(Answer::TooMany(Duration::from_millis(ms)))
            }
            _ => Err(io::Error::other(format!("not understood: {line}"))),
        }
    }
}

async fn serve(listener: TcpListener, quota: Arc<Mutex<Quota>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let quota = Arc::clone(&quota);
        tokio::spawn(async move {
            let mut socket = BufReader::new(socket);
            socket.read_line(&mut String::new()).await?;
            let answer = quota.lock().unwrap().take();
            let line = match answer {
                Answer::Done => "200 OK\n".to_owned(),
                // Rounded up: who comes a moment too early is refused again.
                Answer::TooMany(wait) => format!("429 {}\n", wait.as_millis() + 1),
            };
            socket.write_all(line.as_bytes()).await
        });
    }
}

#[tokio::main]
pub async fn main() -> io::Result<()> {
    for per_second in [20, 100] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = Loopback(listener.local_addr()?);
        let server = tokio::spawn(serve(listener, Arc::new(Mutex::new(Quota::new(20)))));
        let start = Instant::now();
        let refused = call_all(&api, &Limiter::new(per_second, 1), 24).await?;
        let took = start.elapsed().as_millis();
        println!(
            "{per_second:>3} calls a second where 20 are allowed: {took} ms, {refused} refused"
        );
        server.abort();
    }
    Ok(())
}
