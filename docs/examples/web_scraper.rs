//! A web scraper: it follows links from page to page, with a limit on the fetches in flight.
//!
//! Look at two things. A page can only be fetched once its link was found, so the first fetches
//! come one after the other whatever the limit is. And the limit needs no lock: one loop owns the
//! queue, and asks before it starts another fetch.
//!
//! `cargo run --example web_scraper` scrapes a server of its own on the loopback.
//! `kata demo web_scraper` runs the same `scrape` in virtual time and draws it.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// What lies outside of the scraper: a network here, a simulation in a demo.
pub trait Web {
    /// The text of the page at `path`.
    fn fetch(&self, path: &str) -> impl Future<Output = io::Result<String>>;
}

/// What a scraper brings home.
#[derive(Debug, Default)]
pub struct Report {
    /// The paths of the pages that came, in the order in which they came.
    pub pages: Vec<String>,
    /// The paths that gave an error, and the error.
    pub failed: Vec<(String, String)>,
}

/// Fetches `start` and all that can be reached from it, at most `limit` pages at a time.
pub async fn scrape(web: &impl Web, start: &str, limit: usize) -> Report {
    // Two pages may link to a third: whoever inserts it first queues it.
    let mut seen = HashSet::from([start.to_owned()]);
    let mut queue = VecDeque::from([start.to_owned()]);
    let mut in_flight = FuturesUnordered::new();
    let mut report = Report::default();
    loop {
        while in_flight.len() < limit
            && let Some(path) = queue.pop_front()
        {
            // An async block does nothing until it is polled: here that is when `next` is awaited.
            in_flight.push(async {
                let answer = web.fetch(&path).await;
                (path, answer)
            });
        }
        // All the fetches go on while we wait for whichever ends first. `None` means that there
        // are none, and that the loop above found nothing to start: we are done.
        let Some((path, answer)) = in_flight.next().await else {
            return report;
        };
        match answer {
            Ok(text) => {
                queue.extend(links(&text).filter(|link| seen.insert(link.clone())));
                report.pages.push(path);
            }
            // One broken page is no reason to give up the others.
            Err(error) => report.failed.push((path, error.to_string())),
        }
    }
}

/// The paths that a page links to: `href="…"`.
pub fn links(text: &str) -> impl Iterator<Item = String> {
    let ends = text.split("href=\"").skip(1);
    ends.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
}

/// A page of a small site: page n links to the pages 2n+1 and 2n+2, and to its neighbour n+1, so
/// that most pages are found twice.
pub fn page(path: &str, pages: usize) -> io::Result<String> {
    let missing = || io::Error::other(format!("404: {path}"));
    let number: usize = path
        .trim_start_matches('/')
        .parse()
        .map_err(|_| missing())?;
    if number >= pages {
        return Err(missing());
    }
    let links = [2 * number + 1, 2 * number + 2, number + 1].into_iter();
    let links = links.filter(|page| *page < pages);
    Ok(links
        .map(|page| format!("<a href=\"/{page}\">page {page}</a>\n"))
        .collect())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (came, failed) = (self.pages.len(), self.failed.len());
        write!(
            f,
            "{came} pages came, {failed} failed; the first: {}",
            self.pages[..came.min(5)].join(" ")
        )
    }
}

/// The real web, as far as this program goes: one server, HTTP/1.0, a connection for each page.
struct Loopback(SocketAddr);

impl Web for Loopback {
    async fn fetch(&self, path: &str) -> io::Result<String> {
        // Whoever talks to a network sets a deadline. Dropped, the socket is closed.
        let get = async {
            let mut socket = TcpStream::connect(self.0).await?;
            socket
                .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
                .await?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        let answer = timeout(Duration::from_secs(2), get).await??;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
            _ => Err(io::Error::other(
                answer.lines().next().unwrap_or("no answer").to_owned(),
            )),
        }
    }
}

/// Serves the site for ever; each connection is a task, so that a slow one holds up nobody.
async fn serve(listener: TcpListener, pages: usize) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut socket = BufReader::new(socket);
            let mut request = String::new();
            socket.read_line(&mut request).await?;
            let path = request.split(' ').nth(1).unwrap_or("/");
            sleep(Duration::from_millis(40)).await; // a server that takes its time
            let answer = match page(path, pages) {
                Ok(text) => format!("HTTP/1.0 200 OK\r\n\r\n{text}"),
                Err(error) => format!("HTTP/1.0 {error}\r\n\r\n"),
            };
            socket.write_all(answer.as_bytes()).await
        });
    }
}

#[tokio::main]
pub async fn main() -> io::Result<()> {
    // Port 0: the system picks one that is free.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let web = Loopback(listener.local_addr()?);
    tokio::spawn(serve(listener, 20));
    for limit in [1, 4, 20] {
        let start = Instant::now();
        let report = scrape(&web, "/0", limit).await;
        println!(
            "limit {limit:>2}: {:>4} ms. {report}",
            start.elapsed().as_millis()
        );
    }
    Ok(())
}
