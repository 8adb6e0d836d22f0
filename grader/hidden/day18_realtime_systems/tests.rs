//! Hidden checks of day 18: one connection, outboxes, the room, heartbeats, the end.

use std::fmt::Debug;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use exercise::{
    Delivery, Ended, Leave, Outbox, Policy, Refused, Room, Settings, Socket, Text, Wire, accept,
    echo,
};
use kata_harness::{Cancel, Lab, Suite, ms};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    // The seeds choose instants, sizes and close codes: six are enough.
    Suite::new()
        .seeds(6)
        .task(1)
        .check("accept takes a handshake, refuses others, gives up in time", 2, accepts)
        .check("echo sends text and binary back, in order", 1, echoes)
        .check("echo completes the closing handshake and says how it ended", 2, echo_ends)
        .task(2)
        .check("messages come out in order, and a waiting next is woken", 1, outbox_in_order)
        .check("DropOldest keeps the newest and notes what is missing", 2, drops_oldest)
        .check("DropNewest keeps the oldest, the note stands where the gap is", 2, drops_newest)
        .check("Disconnect ends the outbox with the message too many", 1, outbox_overflows)
        .seeds(2)
        .check("a next that is dropped loses nothing", 2, next_dropped)
        .seeds(6)
        .task(3)
        .check("all members read all texts in one order, the sender too", 1, one_order)
        .check("a slow member delays nobody else", 3, slow_delays_nobody)
        .check("what waits for a slow member is bounded by its policy", 2, bounded_by_policy)
        .check("a member that is too slow is out at once, then closed", 2, too_slow)
        .check("a member that reads nothing is heard all the same", 2, unread_but_heard)
        .check("who closes or is lost leaves, and the others go on", 1, closed_or_lost)
        .seeds(2)
        .check("a join that is dropped at any pending leaves the room", 2, join_dropped)
        .seeds(6)
        .task(4)
        .check("pings come at their time, before all that waits", 2, pinged)
        .check("who does not answer a ping is out at the deadline", 3, no_pong)
        .check("who says nothing is out, however well it answers pings", 2, idle)
        .task(5)
        .check("a shutdown sends what waits, then closes, then returns", 3, shutdown_drains)
        .check("a shutdown takes close_within at most, and lets nobody in", 2, shutdown_is_limited)
        .run()
}

// ------------------------------------------------------------------- frames

const HOUR: Duration = Duration::from_secs(3600);

/// Longer than any check takes.
const AGES: Duration = Duration::from_secs(600);

/// A wire that takes two of the `long` messages, and not one byte more.
const NARROW: usize = 64;

/// A wire on which nothing in these checks ever waits.
const WIDE: usize = 64 * 1024;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Frame {
    Message {
        opcode: u8,
        payload: Vec<u8>,
    },
    /// The wire has ended; `cut`: within a frame.
    End {
        cut: bool,
    },
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Message { opcode, payload } = self else {
            let cut = *self == Self::End { cut: true };
            return f.write_str(if cut { "[cut off]" } else { "[end]" });
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match *opcode {
            TEXT => f.write_str(text(payload).trim_end_matches('.')),
            BINARY => write!(f, "[binary {payload:?}]"),
            PING => f.write_str("[ping]"),
            PONG => write!(f, "[pong {}]", text(payload)),
            CLOSE => match payload.split_at_checked(2) {
                Some((code, reason)) => {
                    let code = u16::from_be_bytes([code[0], code[1]]);
                    write!(f, "[close {}]", format!("{code} {}", text(reason)).trim())
                }
                None => f.write_str("[close]"),
            },
            _ => write!(f, "[frame {opcode}]"),
        }
    }
}

/// Reads one frame byte by byte: not one more is taken off the wire.
async fn read_frame(wire: &mut (impl AsyncReadExt + Unpin)) -> Frame {
    let mut head = [0; 2];
    if wire.read_exact(&mut head[..1]).await.is_err() {
        return Frame::End { cut: false };
    }
    let cut = Frame::End { cut: true };
    if wire.read_exact(&mut head[1..]).await.is_err() {
        return cut;
    }
    let length = match head[1] & 0x7f {
        126 => wire.read_u16().await.map(usize::from),
        127 => wire
            .read_u64()
            .await
            .map(|n| usize::try_from(n).unwrap_or(0)),
        short => Ok(usize::from(short)),
    };
    let Ok(length) = length else { return cut };
    let mut payload = vec![0; length];
    if wire.read_exact(&mut payload).await.is_err() {
        return cut;
    }
    let opcode = head[0] & 0x0f;
    Frame::Message { opcode, payload }
}

/// A frame as a client sends it: with a mask, which changes nothing here.
fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short frames only");
    let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

fn close_payload(code: Option<u16>) -> Vec<u8> {
    code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec())
}

/// A text that fills half of a narrow wire when this member has said it.
fn long_from(name: &str, text: &str) -> String {
    let width = 28 - name.len();
    format!("{text:.<width$}")
}

fn long(text: &str) -> String {
    long_from("ann", text)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn server_side(wire: Wire) -> Socket {
    WebSocketStream::from_raw_socket(wire, Role::Server, None).await
}

// ------------------------------------------------------------------- guests

/// How a guest behaves.
#[derive(Debug, Clone, Copy)]
struct Habits {
    wire: usize,
    /// Whether it reads from the beginning, or only when it is told to.
    reads: bool,
    /// So long it rests after each frame that it has read.
    pace_ms: u64,
    /// So long after a ping it sends a pong; `None`: never.
    pong_after_ms: Option<u64>,
    /// Whether it answers a close frame.
    closes: bool,
}

const PROMPT: Habits = Habits {
    wire: WIDE,
    reads: true,
    pace_ms: 0,
    pong_after_ms: Some(0),
    closes: true,
};

/// It reads nothing before it is told to.
const STALLED: Habits = Habits {
    wire: NARROW,
    reads: false,
    ..PROMPT
};

type Writer = Arc<tokio::sync::Mutex<Option<WriteHalf<Wire>>>>;

type Log = Arc<Mutex<Vec<(u64, String)>>>;

/// The client's end of one connection. A task reads and notes every frame, at
/// the instant at which it came.
struct Guest {
    writer: Writer,
    reads: watch::Sender<bool>,
    log: Log,
    reading: JoinHandle<()>,
}

impl Guest {
    /// A guest, and the server's end of its wire. Instants count from `start_ms`.
    fn new(lab: &Lab, name: &'static str, start_ms: u64, habits: Habits) -> (Self, Wire) {
        let (wire, server) = duplex(habits.wire);
        let (reader, writer) = split(wire);
        let writer = Arc::new(tokio::sync::Mutex::new(Some(writer)));
        let (reads, may_read) = watch::channel(habits.reads);
        let log = Log::default();
        let notes = Notes {
            lab: lab.clone(),
            name,
            start_ms,
            log: Arc::clone(&log),
        };
        let reading = read_all(notes, habits, may_read, reader, Arc::clone(&writer));
        let guest = Self {
            writer,
            reads,
            log,
            reading: tokio::spawn(reading),
        };
        (guest, server)
    }

    async fn frame(&self, opcode: u8, payload: &[u8]) {
        write(&self.writer, &client_frame(opcode, payload)).await;
    }

    async fn says(&self, text: &str) {
        self.frame(TEXT, text.as_bytes()).await;
    }

    async fn closes(&self, code: Option<u16>) {
        self.frame(CLOSE, &close_payload(code)).await;
    }

    /// Begins to read, for good.
    fn reads_on(&self) {
        let _ = self.reads.send(true);
    }

    /// Drops its end of the wire.
    async fn hangs_up(&self) {
        self.reading.abort();
        self.writer.lock().await.take();
    }

    /// What it has read: `ann: hi @10, [end] @20`.
    fn log(&self) -> String {
        time_line(&*locked(&self.log))
    }
}

struct Notes {
    lab: Lab,
    name: &'static str,
    start_ms: u64,
    log: Log,
}

impl Notes {
    fn note(&self, what: &impl ToString) {
        let at_ms = self.lab.now_ms() - self.start_ms;
        locked(&self.log).push((at_ms, what.to_string()));
    }
}

/// What goes wrong in writing is seen in reading.
async fn write(writer: &Writer, bytes: &[u8]) {
    if let Some(writer) = &mut *writer.lock().await {
        let _ = writer.write_all(bytes).await;
    }
}

async fn read_all(
    notes: Notes,
    habits: Habits,
    mut may_read: watch::Receiver<bool>,
    mut reader: ReadHalf<Wire>,
    writer: Writer,
) {
    // The guest keeps the sender as long as it reads.
    let deaf = (!habits.reads).then(|| notes.lab.span(notes.name, "reads nothing"));
    let _ = may_read.wait_for(|reads| *reads).await;
    if let Some(deaf) = deaf {
        deaf.done();
    }
    loop {
        let frame = read_frame(&mut reader).await;
        notes.note(&frame);
        match frame {
            Frame::End { .. } => return,
            Frame::Message { opcode, payload } if opcode == PING => {
                if let Some(after_ms) = habits.pong_after_ms {
                    // A task of its own: meanwhile the guest reads on.
                    let writer = Arc::clone(&writer);
                    tokio::spawn(async move {
                        sleep(ms(after_ms)).await;
                        write(&writer, &client_frame(PONG, &payload)).await;
                    });
                }
            }
            Frame::Message { opcode, payload } if opcode == CLOSE && habits.closes => {
                let code = &payload[..payload.len().min(2)];
                write(&writer, &client_frame(CLOSE, code)).await;
            }
            Frame::Message { .. } => {}
        }
        if habits.pace_ms > 0 {
            let rest = notes.lab.span(notes.name, "rests");
            sleep(ms(habits.pace_ms)).await;
            rest.done();
        }
    }
}

// ------------------------------------------------------------------- parties

fn settings(outbox: usize) -> Settings {
    Settings {
        outbox: capacity(outbox),
        ping_every: HOUR,
        pong_within: HOUR / 2,
        idle_after: HOUR,
        close_within: ms(CLOSE_WITHIN_MS),
    }
}

const CLOSE_WITHIN_MS: u64 = 500;

fn capacity(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("no outbox of these checks has no place")
}

/// A room, and the instants of one check, counted from its making.
struct Party {
    lab: Lab,
    start_ms: u64,
    room: Room,
}

/// A guest in the room, and how `join` ended for it.
struct Member {
    guest: Guest,
    serving: JoinHandle<()>,
    left: Arc<Mutex<Option<(u64, Leave)>>>,
}

impl std::ops::Deref for Member {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.guest
    }
}

impl Member {
    /// `TooSlow @120`, or `nothing` as long as it is served.
    fn left(&self) -> String {
        let left = *locked(&self.left);
        time_line(&left.map(|(at_ms, leave)| (at_ms, format!("{leave:?}"))))
    }
}

impl Party {
    fn new(lab: &Lab, settings: Settings) -> Self {
        Self {
            lab: lab.clone(),
            start_ms: lab.now_ms(),
            room: Room::new(settings),
        }
    }

    /// Lets a guest in: it is a member when this returns.
    async fn joins(&self, name: &'static str, policy: Policy, habits: Habits) -> Member {
        let (guest, wire) = Guest::new(&self.lab, name, self.start_ms, habits);
        let socket = server_side(wire).await;
        let (room, lab, start_ms) = (self.room.clone(), self.lab.clone(), self.start_ms);
        let left = Arc::new(Mutex::new(None));
        let ended = Arc::clone(&left);
        let serving = tokio::spawn(async move {
            let span = lab.span(name, "join");
            let leave = room.join(name, policy, socket).await;
            span.done();
            *locked(&ended) = Some((lab.now_ms() - start_ms, leave));
        });
        self.settled().await;
        Member {
            guest,
            serving,
            left,
        }
    }

    /// Settles, and passes on the panic of a `join`.
    async fn settled(&self) {
        self.lab.settle().await;
        self.lab
            .expect_no_lost_panics()
            .why("A member's connection is served by `join`: its panic ends the task it runs in.")
            .or_fail();
    }

    /// Waits until this instant, and until everybody has done what there is to do.
    async fn at(&self, at_ms: u64) {
        let now_ms = self.lab.now_ms() - self.start_ms;
        sleep(ms(at_ms.saturating_sub(now_ms))).await;
        self.settled().await;
    }

    async fn members(&self) -> String {
        let members = timeout(ms(1), self.room.members()).await;
        members.map_or("no answer".to_owned(), |names| names.join(", "))
    }

    async fn expect_members(&self, expected: &str, why: &str, pitfall: &str) {
        let now_ms = self.lab.now_ms() - self.start_ms;
        let got = self.members().await;
        self.lab
            .expect(got == expected)
            .expected(format!("members at {now_ms} ms: [{expected}]"))
            .got(format!("[{got}]"))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    fn expect_log(&self, name: &str, guest: &Guest, expected: &str, why: &str, pitfall: &str) {
        let got = guest.log();
        self.lab
            .expect(got == expected)
            .expected(format!("{name} reads {expected}"))
            .got(format!("{name} reads {got}"))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    fn expect_left(&self, name: &str, member: &Member, expected: &str, why: &str, pitfall: &str) {
        let got = member.left();
        self.lab
            .expect(got == expected)
            .expected(match expected {
                "nothing" => format!("the join of {name} has not returned yet"),
                returned => format!("the join of {name} returns {returned}"),
            })
            .got(match got.as_str() {
                "nothing" => "it has not returned yet",
                returned => returned,
            })
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    /// Drops the room. No task of anybody may be left after that: all wires of
    /// the check have ended by then.
    async fn expect_nothing_left(self, what: &str) {
        let Self { lab, room, .. } = self;
        drop(room);
        lab.expect_no_tasks_left()
            .await
            .why(format!(
                "{what}: what was spawned for a connection ends with the connection, and what was \
                 spawned for the room with the room's last clone."
            ))
            .or_fail();
    }
}

/// `ann: hi @10, [end] @20`
fn time_line<'a>(events: impl IntoIterator<Item = &'a (u64, String)>) -> String {
    let events = events.into_iter();
    let events: Vec<_> = events.map(|(ms, event)| format!("{event} @{ms}")).collect();
    if events.is_empty() {
        return "nothing".to_owned();
    }
    events.join(", ")
}

/// Joins what is expected: `["ann: hi @10", "[end] @20"]`.
fn list<S: AsRef<str>>(events: impl IntoIterator<Item = S>) -> String {
    let events: Vec<_> = events.into_iter().map(|e| e.as_ref().to_owned()).collect();
    events.join(", ")
}

/// Waits ten minutes at most: what is late gives a wrong time, not a run
/// without end.
async fn timed<F: Future>(lab: &Lab, future: F) -> (Option<F::Output>, Duration) {
    let (output, took) = lab.timed(timeout(AGES, future)).await;
    (output.ok(), took)
}

fn drawn<T: Debug>(output: Option<&T>) -> String {
    output.map_or_else(
        || "nothing, for ten minutes".to_owned(),
        |o| format!("{o:?}"),
    )
}

// ------------------------------------------------------------------- task 1

const REQUEST: &str = "GET /room HTTP/1.1\r\nHost: kata\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn expect_accept(
    lab: &Lab,
    what: &str,
    (got, took): &(Option<Result<Socket, Refused>>, Duration),
    (expected, expected_ms): (&str, u64),
    (why, pitfall): (&str, &str),
) {
    let drawn = match got {
        None => "nothing, for ten minutes".to_owned(),
        Some(Ok(_)) => "Ok(the socket)".to_owned(),
        Some(Err(refused)) => format!("Err({refused:?})"),
    };
    lab.expect(drawn == expected && *took == ms(expected_ms))
        .expected(format!("{what}: {expected} after {expected_ms} ms"))
        .got(format!("{drawn} after {} ms", took.as_millis()))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

async fn accepts(lab: Lab) {
    let within_ms = lab.pick(60..=150);
    let pause_ms = lab.pick(10..=50);
    // In two parts, as networks like to do it.
    let (mut client, server) = duplex(WIDE);
    let handshake = async {
        let (head, rest) = REQUEST.as_bytes().split_at(40);
        client.write_all(head).await.expect("the server reads");
        sleep(ms(pause_ms)).await;
        client.write_all(rest).await.expect("the server reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            match timeout(ms(300), client.read_u8()).await {
                Ok(Ok(byte)) => answer.push(byte),
                _ => break,
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let accepting = timed(&lab, accept(server, ms(within_ms)));
    let (accepted, answer) = futures::join!(accepting, handshake);
    expect_accept(
        &lab,
        "a handshake in two parts",
        &accepted,
        ("Ok(the socket)", pause_ms),
        (
            "The socket is there as soon as the whole request is: nothing else is waited for.",
            "wrong-result",
        ),
    );
    lab.expect(answer.starts_with("HTTP/1.1 101"))
        .expected("the client reads an answer that begins with HTTP/1.1 101")
        .got(format!("{:?}", answer.lines().next().unwrap_or_default()))
        .why("A websocket begins as an HTTP request, and the server answers 101: now we switch.")
        .pitfall("wrong-result")
        .or_fail();

    for request in ["GET /room HTTP/1.1\r\nHost: kata\r\n\r\n", "hello\r\n\r\n"] {
        let (mut client, server) = duplex(WIDE);
        let written = client.write_all(request.as_bytes()).await;
        written.expect("the wire is wide");
        let refused = timed(&lab, accept(server, ms(within_ms))).await;
        expect_accept(
            &lab,
            &format!("{request:?} in place of a handshake"),
            &refused,
            ("Err(NotWebSocket)", 0),
            (
                "This can become no handshake any more. It is an error to return, at once.",
                "swallowed-error",
            ),
        );
    }

    let (client, server) = duplex(WIDE);
    drop(client);
    let refused = timed(&lab, accept(server, ms(within_ms))).await;
    expect_accept(
        &lab,
        "a wire that ends before a handshake",
        &refused,
        ("Err(NotWebSocket)", 0),
        ("Who hangs up sends no handshake.", "swallowed-error"),
    );

    let (mut client, server) = duplex(WIDE);
    let written = client.write_all(&REQUEST.as_bytes()[..40]).await;
    written.expect("the wire is wide");
    let refused = timed(&lab, accept(server, ms(within_ms))).await;
    expect_accept(
        &lab,
        "half a handshake, and then nothing",
        &refused,
        ("Err(TooLate)", within_ms),
        (
            "Somebody who connects and sends nothing more would hold a connection for ever. Every \
             wait for a peer needs a limit.",
            "never-ends",
        ),
    );
    let hung_up = timeout(ms(1), client.read_u8()).await;
    lab.expect(matches!(hung_up, Ok(Err(_))))
        .expected("the wire is dropped with the refusal")
        .got("the wire is still open")
        .why("A refused wire must not be kept: neither by a task nor in a list.")
        .pitfall("leaked-resource")
        .or_fail();
}

/// Echo, with a guest at the other end, and how it ended.
struct Echo {
    lab: Lab,
    start_ms: u64,
    guest: Guest,
    leave: Arc<Mutex<Option<(u64, Leave)>>>,
}

impl Echo {
    async fn new(lab: &Lab) -> Self {
        let start_ms = lab.now_ms();
        let (guest, wire) = Guest::new(lab, "client", start_ms, PROMPT);
        let socket = server_side(wire).await;
        let leave = Arc::new(Mutex::new(None));
        let (ended, at) = (Arc::clone(&leave), lab.clone());
        tokio::spawn(async move {
            let leave = echo(socket).await;
            *locked(&ended) = Some((at.now_ms() - start_ms, leave));
        });
        let lab = lab.clone();
        Self {
            lab,
            start_ms,
            guest,
            leave,
        }
    }

    async fn at(&self, at_ms: u64) {
        let now_ms = self.lab.now_ms() - self.start_ms;
        sleep(ms(at_ms.saturating_sub(now_ms))).await;
        self.lab.settle().await;
        self.lab
            .expect_no_lost_panics()
            .why("A message, an error or the end of a stream: none of them is a reason to panic.")
            .or_fail();
    }

    fn expect_log(&self, expected: &str, why: &str, pitfall: &str) {
        let got = self.guest.log();
        self.lab
            .expect(got == expected)
            .expected(format!("the client reads {expected}"))
            .got(format!("the client reads {got}"))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }

    fn expect_left(&self, what: &str, expected: &str, why: &str, pitfall: &str) {
        let left = *locked(&self.leave);
        let got = time_line(&left.map(|(at_ms, leave)| (at_ms, format!("{leave:?}"))));
        self.lab
            .expect(got == expected)
            .expected(format!("{what}: echo returns {expected}"))
            .got(match got.as_str() {
                "nothing" => "it has not returned yet",
                returned => returned,
            })
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }
}

async fn echoes(lab: Lab) {
    let pause_ms = lab.pick(10..=50);
    let echo = Echo::new(&lab).await;
    echo.guest.says("one").await;
    echo.guest.frame(BINARY, &[1, 2, 3]).await;
    echo.at(pause_ms).await;
    echo.guest.frame(PONG, b"unasked").await;
    echo.guest.says("two").await;
    echo.guest.says("two").await;
    echo.at(2 * pause_ms).await;
    echo.guest.frame(PING, b"there?").await;
    echo.at(3 * pause_ms).await;
    echo.guest.frame(BINARY, &[]).await;
    echo.at(3 * pause_ms + 1).await;
    let expected = list([
        "one @0".to_owned(),
        "[binary [1, 2, 3]] @0".to_owned(),
        format!("two @{pause_ms}"),
        format!("two @{pause_ms}"),
        format!("[pong there?] @{}", 2 * pause_ms),
        format!("[binary []] @{}", 3 * pause_ms),
    ]);
    echo.expect_log(
        &expected,
        "Text comes back as text and binary as binary, each at the instant at which it came. A \
         pong needs no answer, and a ping gets its pong from tungstenite, if you go on reading.",
        "wrong-result",
    );
}

async fn echo_ends(lab: Lab) {
    let code = u16::try_from(lab.pick(4000..=4999)).expect("it fits");
    let codes = [None, Some(1000), Some(code)];
    for code in codes {
        let echo = Echo::new(&lab).await;
        echo.guest.says("bye").await;
        echo.at(20).await;
        echo.guest.closes(code).await;
        echo.at(21).await;
        let answer = code.map_or("[close]".to_owned(), |code| format!("[close {code}]"));
        echo.expect_log(
            &list(["bye @0", &format!("{answer} @20"), "[end] @20"]),
            "A close frame is answered by a close frame. tungstenite has it ready when you read \
             the peer's, and sends it when the stream is polled again: read on until it ends.",
            "cleanup-forgotten",
        );
        echo.expect_left(
            "the peer closes",
            &format!("{:?} @20", Leave::Closed(code)),
            "The code of the peer's close frame is in the message that you have read.",
            "wrong-result",
        );
    }

    let cut = &client_frame(TEXT, b"a message")[..8];
    let unmasked = [0x80 | TEXT, 2, b'h', b'i'];
    let broken: [(&str, &[u8]); 3] = [
        ("the wire ends", b""),
        ("the wire ends within a frame", cut),
        ("the peer sends what is no client's frame", &unmasked),
    ];
    for (what, bytes) in broken {
        let echo = Echo::new(&lab).await;
        echo.at(20).await;
        write(&echo.guest.writer, bytes).await;
        if bytes != unmasked {
            echo.guest.hangs_up().await;
        }
        echo.at(21).await;
        echo.expect_left(
            what,
            "Lost @20",
            "Without a close frame nobody has closed: the connection is lost. Networks do that \
             every day, so it is a result and no panic.",
            "swallowed-error",
        );
    }
    lab.expect_no_tasks_left()
        .await
        .why("When echo has returned nothing of the connection is left.")
        .or_fail();
}

// ------------------------------------------------------------------- task 2

/// `a, Missed(2), c, the end`
fn roll(deliveries: &[Option<Delivery>]) -> String {
    let deliveries = deliveries.iter().map(|delivery| match delivery {
        Some(Delivery::Text(text)) => text.to_string(),
        Some(missed @ Delivery::Missed(_)) => format!("{missed:?}"),
        None => "the end".to_owned(),
    });
    let deliveries: Vec<_> = deliveries.collect();
    if deliveries.is_empty() {
        return "nothing".to_owned();
    }
    deliveries.join(", ")
}

/// An outbox, and what was done with it so far: its story.
struct Trial {
    lab: Lab,
    outbox: Outbox,
    story: String,
}

impl Trial {
    fn new(lab: &Lab, places: usize, policy: Policy) -> Self {
        Self {
            lab: lab.clone(),
            outbox: Outbox::new(capacity(places), policy),
            story: format!("{places} places, {policy:?}"),
        }
    }

    /// Pushes messages that are all taken.
    fn push(&mut self, texts: &str) {
        for text in texts.split(' ') {
            self.push_gives(text, Ok(()), "wrong-result");
        }
    }

    fn push_gives(&mut self, text: &str, expected: Result<(), Ended>, pitfall: &str) {
        self.story += &format!("; push {text}");
        let got = self.outbox.push(Text::from(text.to_owned()));
        self.lab
            .expect(got == expected)
            .expected(format!("{}: {expected:?}", self.story))
            .got(format!("{got:?}"))
            .why(
                "A push is Ok as long as the outbox goes on, whatever the policy has dropped. It \
                 is Err(Ended) after `close`, and under Disconnect from the message on that finds \
                 no place.",
            )
            .pitfall(pitfall)
            .or_fail();
    }

    /// Takes out what is there without waiting, `most` at most.
    async fn take(&self, most: usize) -> Vec<Option<Delivery>> {
        let mut deliveries = Vec::new();
        while deliveries.len() < most && deliveries.last() != Some(&None) {
            match timeout(ms(1), self.outbox.next()).await {
                Ok(delivery) => deliveries.push(delivery),
                Err(_) => break,
            }
        }
        deliveries
    }

    /// Takes out `most` at most, and expects these: `a, Missed(2), c`.
    async fn gives(&mut self, most: usize, expected: &str, why: &str, pitfall: &str) {
        let got = roll(&self.take(most).await);
        self.lab
            .expect(got == expected)
            .expected(format!("{}; then {expected}", self.story))
            .got(&got)
            .why(why)
            .pitfall(pitfall)
            .or_fail();
        self.story += &format!("; take {got}");
    }
}

async fn outbox_in_order(lab: Lab) {
    let policies = [Policy::DropOldest, Policy::DropNewest, Policy::Disconnect];
    let why = "First in, first out, and nothing else, as long as there is room.";
    for policy in policies {
        let mut outbox = Trial::new(&lab, 3, policy);
        outbox.push("a b c");
        outbox.gives(2, "a, b", why, "wrong-result").await;
        outbox.push("d e");
        outbox.gives(9, "c, d, e", why, "wrong-result").await;
        outbox.push("f g");
        outbox.outbox.close();
        outbox.story += "; close";
        outbox.push_gives("h", Err(Ended), "wrong-result");
        let why = "`close` refuses what is new. What is in the outbox comes out, then None.";
        outbox
            .gives(9, "f, g, the end", why, "leaked-resource")
            .await;
    }

    // A waiting next, woken by a push and by the end.
    let wait_ms = lab.pick(10..=50);
    let outbox = Arc::new(Outbox::new(capacity(2), Policy::DropOldest));
    let (theirs, at) = (Arc::clone(&outbox), lab.clone());
    let consumer = async move {
        let mut got = Vec::new();
        while got.len() < 9 {
            let delivery = theirs.next().await;
            got.push((at.now_ms(), roll(std::slice::from_ref(&delivery))));
            if delivery.is_none() {
                break;
            }
        }
        got
    };
    let start_ms = lab.now_ms();
    let producer = async {
        sleep(ms(wait_ms)).await;
        let _ = outbox.push(Text::from("a"));
        sleep(ms(wait_ms)).await;
        let _ = outbox.push(Text::from("b"));
        let _ = outbox.push(Text::from("c"));
        sleep(ms(wait_ms)).await;
        outbox.close();
    };
    let (got, ()) = futures::join!(timeout(ms(1000), tokio::spawn(consumer)), producer);
    let got = got.map_or_else(
        |_| "a consumer that still waits after 1000 ms".to_owned(),
        |joined| time_line(&joined.unwrap_or_default()),
    );
    let instants = [("a", 1), ("b", 2), ("c", 2), ("the end", 3)];
    let expected = instants.map(|(what, n)| format!("{what} @{}", start_ms + n * wait_ms));
    lab.expect(got == list(&expected))
        .expected(list(&expected))
        .got(got)
        .why(
            "Who waits in `next` is woken by the next push, and by `close`. Whoever is not woken waits \
             on, with a message or the end in front of it.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
}

const GAP: &str = "The note stands where the missing messages would have stood, says how many \
                   they are, and is given once.";

async fn drops_oldest(lab: Lab) {
    let mut outbox = Trial::new(&lab, 2, Policy::DropOldest);
    outbox.push("a b c d");
    outbox
        .gives(9, "Missed(2), c, d", GAP, "unbounded-queue")
        .await;
    outbox.push("e f g");
    outbox.gives(1, "Missed(1)", GAP, "wrong-result").await;
    // The place of a message that was dropped is used up at once.
    outbox.push("h i");
    outbox.gives(2, "Missed(2), h", GAP, "wrong-result").await;
    outbox.push("j");
    outbox.gives(9, "i, j", GAP, "wrong-result").await;

    let mut outbox = Trial::new(&lab, 1, Policy::DropOldest);
    outbox.push("a b c d");
    outbox.gives(9, "Missed(3), d", GAP, "wrong-result").await;

    let places = usize::try_from(lab.pick(3..=9)).expect("a small number");
    let extra = usize::try_from(lab.pick(10..=400)).expect("a small number");
    let mut outbox = Trial::new(&lab, places, Policy::DropOldest);
    let texts: Vec<_> = (0..places + extra).map(|n| format!("m{n}")).collect();
    for text in &texts {
        let _ = outbox.outbox.push(Text::from(text.clone()));
    }
    outbox.story += &format!("; push {} messages", texts.len());
    let expected = format!("Missed({extra}), {}", texts[extra..].join(", "));
    outbox.gives(999, &expected, GAP, "unbounded-queue").await;
    outbox.push("z");
    outbox.gives(9, "z", GAP, "wrong-result").await;
}

async fn drops_newest(lab: Lab) {
    let mut outbox = Trial::new(&lab, 2, Policy::DropNewest);
    outbox.push("a b c d");
    let why = "The messages c and d are missing behind a and b. The note comes in its turn, also \
               if nothing follows it.";
    outbox
        .gives(9, "a, b, Missed(2)", why, "unbounded-queue")
        .await;
    outbox.push("e f g");
    outbox.gives(1, "e", GAP, "wrong-result").await;
    // g is missing before h, and i is missing after it.
    outbox.push("h i");
    outbox
        .gives(9, "f, Missed(1), h, Missed(1)", GAP, "wrong-result")
        .await;
    outbox.push("j");
    outbox.gives(9, "j", GAP, "wrong-result").await;

    let places = usize::try_from(lab.pick(1..=9)).expect("a small number");
    let extra = usize::try_from(lab.pick(10..=400)).expect("a small number");
    let mut outbox = Trial::new(&lab, places, Policy::DropNewest);
    let texts: Vec<_> = (0..places + extra).map(|n| format!("m{n}")).collect();
    for text in &texts {
        let _ = outbox.outbox.push(Text::from(text.clone()));
    }
    outbox.story += &format!("; push {} messages", texts.len());
    let expected = format!("{}, Missed({extra})", texts[..places].join(", "));
    outbox.gives(999, &expected, GAP, "unbounded-queue").await;
}

async fn outbox_overflows(lab: Lab) {
    let mut outbox = Trial::new(&lab, 2, Policy::Disconnect);
    outbox.push("a b");
    outbox.gives(1, "a", GAP, "wrong-result").await;
    outbox.push("c");
    outbox.push_gives("d", Err(Ended), "unbounded-queue");
    outbox.push_gives("e", Err(Ended), "wrong-result");
    let why = "The member is to be disconnected. What waits for it will not be sent any more.";
    outbox.gives(9, "the end", why, "leaked-resource").await;
    outbox.outbox.close();
    outbox.story += "; close";
    outbox.push_gives("f", Err(Ended), "wrong-result");
    outbox.gives(9, "the end", why, "leaked-resource").await;
}

async fn next_dropped(lab: Lab) {
    let why = "A `next` that is dropped while it waits has taken nothing: whoever takes a message \
               out and then awaits something else loses it there.";
    let texts: Vec<_> = (0..10).map(|n| format!("m{n}")).collect();
    lab.cancel_sweep(async |cancel: Cancel| {
        let outbox = Arc::new(Outbox::new(capacity(8), Policy::DropOldest));
        let (theirs, to_push) = (Arc::clone(&outbox), texts.clone());
        let producer = tokio::spawn(async move {
            let mut texts = to_push.into_iter();
            // At 0, 10, 20 and 30 ms.
            for count in [1, 2, 3, 4] {
                for text in texts.by_ref().take(count) {
                    let _ = theirs.push(Text::from(text));
                }
                sleep(ms(10)).await;
            }
        });
        let got = Mutex::new(Vec::new());
        let consume = async || {
            while locked(&got).len() < 10 {
                let delivery = outbox.next().await;
                locked(&got).push(delivery);
            }
        };
        let _ = cancel.drop_at(timeout(ms(1000), consume())).await;
        // Another consumer goes on where that one was dropped.
        let _ = timeout(ms(1000), consume()).await;
        let _ = producer.await;
        let got = roll(&locked(&got));
        lab.expect(got == texts.join(", "))
            .expected(texts.join(", "))
            .got(got)
            .why(why)
            .pitfall("cancel-unsafe-select")
            .or_fail();
    })
    .await;

    // Woken, and dropped before it was polled again.
    let outbox = Outbox::new(capacity(4), Policy::DropOldest);
    {
        let mut waiting = pin!(outbox.next());
        poll_fn(|cx| {
            let _ = waiting.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
        let _ = outbox.push(Text::from("a"));
    }
    let got = timeout(ms(100), outbox.next()).await;
    let expected = Some(Delivery::Text(Text::from("a")));
    lab.expect(got.as_ref() == Ok(&expected))
        .expected("a `next` is woken by a push and dropped; the one after it gives the message")
        .got(drawn(got.ok().as_ref()))
        .why(why)
        .pitfall("cancel-unsafe-select")
        .or_fail();
}

// ------------------------------------------------------------------- task 3

async fn one_order(lab: Lab) {
    let party = Party::new(&lab, settings(16));
    let (first_ms, later_ms) = (lab.pick(10..=50), lab.pick(60..=100));
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    party.at(5).await;
    ann.says("hello?").await;
    party.at(6).await;
    let alone = "ann: hello? @5";
    let why = "A text goes to all who are members then, its sender included. Here that is all.";
    party.expect_log("ann", &ann, alone, why, "wrong-result");

    let bob = party.joins("bob", Policy::DropNewest, PROMPT).await;
    let cleo = party.joins("cleo", Policy::Disconnect, PROMPT).await;
    let why = "A member is in the room from the first poll of its `join` on.";
    party
        .expect_members("ann, bob, cleo", why, "wrong-result")
        .await;

    party.at(first_ms).await;
    bob.says("hi").await;
    party.at(later_ms).await;
    // All at one instant: in whatever order, but the same for everybody.
    futures::join!(ann.says("1"), bob.says("2"), cleo.says("3"));
    party.at(later_ms + 20).await;
    let dan = party.joins("dan", Policy::DropOldest, PROMPT).await;
    ann.says("4").await;
    ann.says("5").await;
    ann.frame(BINARY, b"no text").await;
    ann.says("6").await;
    party.at(later_ms + 30).await;

    let mut said = [
        (later_ms, "ann: 1"),
        (later_ms, "bob: 2"),
        (later_ms, "cleo: 3"),
    ];
    // Which order it was only the wires know: ann's decides.
    let order = ann.log();
    said.sort_by_key(|(_, text)| order.find(text));
    let last = [4, 5, 6].map(|n| format!("ann: {n} @{}", later_ms + 20));
    let mut expected = vec![format!("bob: hi @{first_ms}")];
    expected.extend(said.map(|(at_ms, text)| format!("{text} @{at_ms}")));
    expected.extend(last.clone());
    let why = "A text goes to every member as `name: text`, at the instant at which it came, and \
               to its sender as well: so all of them read the same conversation. To put a message \
               into all outboxes is one step, that no other message may come into.";
    for (name, member) in [("bob", &bob), ("cleo", &cleo)] {
        party.expect_log(name, member, &list(&expected), why, "wrong-result");
    }
    expected.insert(0, alone.to_owned());
    party.expect_log("ann", &ann, &list(&expected), why, "wrong-result");
    let why = "Who comes late reads what is said from then on. Binary messages are no chat.";
    party.expect_log("dan", &dan, &list(&last), why, "wrong-result");
}

/// ann, who says something long at every tenth millisecond: m1 at 10, m2 at 20.
async fn chatter(party: &Party, ann: &Member, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        party.at(10 * number).await;
        ann.says(&long(&format!("m{number}"))).await;
    }
    party.settled().await;
}

/// What a prompt reader reads of it.
fn heard(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    heard_from("ann", numbers)
}

fn heard_from(name: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers
        .map(|n| format!("{name}: m{n} @{}", 10 * n))
        .collect()
}

async fn slow_delays_nobody(lab: Lab) {
    let policies = [Policy::DropOldest, Policy::DropNewest, Policy::Disconnect];
    let policy = policies[usize::try_from(lab.seed() % 3).unwrap_or(0)];
    let slow_habits = Habits {
        wire: NARROW,
        pace_ms: lab.pick(80..=120),
        ..PROMPT
    };
    let party = Party::new(&lab, settings(2));
    let slow = party.joins("slow", policy, slow_habits).await;
    let ann = party.joins("ann", policy, PROMPT).await;
    let stuck = party.joins("stuck", policy, STALLED).await;
    let bob = party.joins("bob", policy, PROMPT).await;
    chatter(&party, &ann, 1..=15).await;
    let why = "A message that cannot be delivered to one member waits in that member's outbox. \
               Whoever relays it must not wait: no `send` to a socket, and no `send` into a \
               bounded channel, on the way from one member to the others.";
    party.expect_log("bob", &bob, &list(heard(1..=15)), why, "sequential-awaits");
    let (slow, stuck) = (slow.log(), stuck.log());
    lab.expect(slow.starts_with("ann: m1 @10, ann: m2") && stuck == "nothing")
        .expected("the slow one reads m1 at 10 ms, and then m2")
        .got(slow)
        .why("A slow member reads late, but it reads: its outbox is emptied as its socket allows.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn bounded_by_policy(lab: Lab) {
    let places = lab.pick(2..=5);
    let size = usize::try_from(places).expect("a small number");
    let extra = lab.pick(2..=6);
    let party = Party::new(&lab, settings(size));
    let oldest = party.joins("old", Policy::DropOldest, STALLED).await;
    let newest = party.joins("new", Policy::DropNewest, STALLED).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    // Two are on the wire, one is being sent, `places` wait, the others are too many.
    let last = 3 + places + extra;
    chatter(&party, &ann, 1..=last).await;
    party.at(400).await;
    oldest.reads_on();
    newest.reads_on();
    party.at(410).await;
    ann.says("again").await;
    party.at(420).await;

    let text = |n: u64| format!("ann: m{n} @400");
    let note = format!("* {extra} messages missed @400");
    let again = "ann: again @410".to_owned();
    let why = format!(
        "Nobody reads for a while: the wire takes m1 and m2, m3 is being sent, {places} more wait \
         in the outbox, and that is all. The next message leaves the outbox when the socket has \
         taken the one before, which is when `send` returns; `feed` and `forward` would move them \
         into a buffer of the library."
    );
    let mut kept: Vec<_> = (1..=3).map(text).collect();
    kept.push(note.clone());
    kept.extend((4 + extra..=last).map(text));
    kept.push(again.clone());
    let got = oldest.log();
    let ended = got.contains("[close") || got.contains("[end]");
    lab.expect(!ended)
        .expected("under DropOldest a member that was slow for a while is still connected")
        .got(format!("old reads {got}"))
        .why(
            "To have missed something is not fatal. The note of it is a message like any other, \
             and the connection goes on after that.",
        )
        .pitfall("wrong-result")
        .or_fail();
    party.expect_log("old", &oldest, &list(&kept), &why, "unbounded-queue");

    let mut kept: Vec<_> = (1..=3 + places).map(text).collect();
    kept.push(note);
    kept.push(again);
    party.expect_log("new", &newest, &list(&kept), &why, "unbounded-queue");
}

async fn too_slow(lab: Lab) {
    let pause_ms = lab.pick(50..=200);
    let party = Party::new(&lab, settings(4));
    let awakes = party.joins("awakes", Policy::Disconnect, STALLED).await;
    let never = party.joins("never", Policy::Disconnect, STALLED).await;
    let ann = party.joins("ann", Policy::Disconnect, PROMPT).await;
    let bob = party.joins("bob", Policy::Disconnect, PROMPT).await;
    // m1 and m2 are on the wire, m3 is being sent, m4 to m7 wait.
    chatter(&party, &ann, 1..=7).await;
    let why = "Four wait in the outbox, and it has four places. Nobody is too slow yet.";
    party
        .expect_members("awakes, never, ann, bob", why, "wrong-result")
        .await;
    chatter(&party, &ann, 8..=8).await;
    let why = "The message that finds the outbox full is one too many. Its member is out at that \
               instant, though its connection is in the middle of a `send` that does not return.";
    party
        .expect_members("ann, bob", why, "unbounded-queue")
        .await;
    party.expect_left(
        "awakes",
        &awakes,
        "nothing",
        "Out of the room is not the end: the member is told by a close frame, and gets \
         `close_within` to read it and to answer.",
        "cleanup-forgotten",
    );

    party.at(80 + pause_ms).await;
    awakes.reads_on();
    party.at(81 + pause_ms).await;
    let mut expected: Vec<_> = (1..=3)
        .map(|n| format!("ann: m{n} @{}", 80 + pause_ms))
        .collect();
    expected.push(format!("[close 1008 too slow] @{}", 80 + pause_ms));
    expected.push(format!("[end] @{}", 80 + pause_ms));
    party.expect_log(
        "awakes",
        &awakes,
        &list(&expected),
        "m3 was being sent, and is completed: half a frame can be followed by nothing. Then comes \
         the close frame, in place of all that was in the outbox. Its answer ends the connection.",
        "cleanup-forgotten",
    );
    party.expect_left(
        "awakes",
        &awakes,
        &format!("TooSlow @{}", 80 + pause_ms),
        "The connection is over when the member has answered the close frame.",
        "sequential-awaits",
    );

    // Heard by nobody: it comes from a member no more.
    never.says("too late").await;
    party.at(80 + CLOSE_WITHIN_MS + 1).await;
    party.expect_left(
        "never",
        &never,
        &format!("TooSlow @{}", 80 + CLOSE_WITHIN_MS),
        "A member that does not read cannot be told either. The wait for its answer has a limit, \
         `close_within` after it left, and so has the sending of the close frame.",
        "never-ends",
    );
    party.expect_log(
        "bob",
        &bob,
        &list(heard(1..=8)),
        "The others go on, and read nothing from who has left.",
        "wrong-result",
    );
}

async fn unread_but_heard(lab: Lab) {
    let says_ms = lab.pick(200..=300);
    let party = Party::new(&lab, settings(2));
    let deaf = party.joins("deaf", Policy::DropOldest, STALLED).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    let bob = party.joins("bob", Policy::DropOldest, PROMPT).await;
    chatter(&party, &ann, 1..=7).await;
    party.at(says_ms).await;
    deaf.says("I cannot hear you").await;
    party.at(says_ms + 10).await;
    let mut expected = heard(1..=7);
    expected.push(format!("deaf: I cannot hear you @{says_ms}"));
    party.expect_log(
        "bob",
        &bob,
        &list(&expected),
        "The wire to this member is full, the one from it is not. Whoever awaits `send` in a \
         branch of the loop that reads, reads nothing until `send` returns: sending and reading \
         have to go on side by side.",
        "sequential-awaits",
    );
    deaf.closes(Some(1000)).await;
    party.at(says_ms + 20).await;
    let why = "A close frame is read as soon as it is there, also if nothing can be sent.";
    party
        .expect_members("ann, bob", why, "sequential-awaits")
        .await;
    let limit_ms = says_ms + 10 + CLOSE_WITHIN_MS;
    party.at(limit_ms + 1).await;
    let left = *locked(&deaf.left);
    let in_time = left.is_some_and(|(at_ms, _)| at_ms <= limit_ms);
    lab.expect(in_time && left.is_some_and(|(_, leave)| leave == Leave::Closed(Some(1000))))
        .expected(format!(
            "the join of deaf returns Closed(Some(1000)) by {limit_ms} ms"
        ))
        .got(deaf.left())
        .why(
            "The answer to a close frame cannot be sent over a full wire. After `close_within` \
             nobody waits for that any more.",
        )
        .pitfall("never-ends")
        .or_fail();
}

async fn closed_or_lost(lab: Lab) {
    let code = u16::try_from(lab.pick(4000..=4999)).expect("it fits");
    let party = Party::new(&lab, settings(4));
    let polite = party.joins("polite", Policy::DropOldest, PROMPT).await;
    let gone = party.joins("gone", Policy::DropOldest, PROMPT).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    let broken = party.joins("broken", Policy::DropOldest, PROMPT).await;
    // Names need not be unique.
    let bob = party.joins("bob", Policy::DropOldest, PROMPT).await;
    let ann2 = party.joins("ann", Policy::DropOldest, PROMPT).await;
    party.at(10).await;
    gone.says("bye").await;
    party.at(20).await;
    polite.closes(Some(code)).await;
    party.at(30).await;
    let why = "A member has left when its close frame was read.";
    party
        .expect_members("gone, ann, broken, bob, ann", why, "leaked-resource")
        .await;
    gone.hangs_up().await;
    party.at(40).await;
    let why = "A member has left when its connection is lost.";
    party
        .expect_members("ann, broken, bob, ann", why, "leaked-resource")
        .await;
    // What no client may send: a frame without a mask.
    write(&broken.writer, &[0x80 | TEXT, 2, b'h', b'i']).await;
    party.at(50).await;
    ann2.closes(None).await;
    party.at(60).await;
    let why = "It is the second ann that has closed, and the connection of `broken` has failed.";
    party.expect_members("ann, bob", why, "wrong-result").await;
    bob.says("alone").await;
    party.at(70).await;

    let closing = format!("gone: bye @10, [close {code}] @20, [end] @20");
    party.expect_log(
        "polite",
        &polite,
        &closing,
        "A member's close frame is answered before the connection is dropped: read the stream on \
         to its end.",
        "cleanup-forgotten",
    );
    let log = "gone: bye @10, bob: alone @60";
    let why = "The end of one connection is nothing to the others.";
    party.expect_log("ann", &ann, log, why, "wrong-result");
    let why = "`Closed` with the code of the member's close frame; `Lost` if there was none.";
    let closed = format!("Closed(Some({code})) @20");
    party.expect_left("polite", &polite, &closed, why, "wrong-result");
    party.expect_left("gone", &gone, "Lost @30", why, "wrong-result");
    party.expect_left("broken", &broken, "Lost @40", why, "wrong-result");
    party.expect_left(
        "the second ann",
        &ann2,
        "Closed(None) @50",
        why,
        "wrong-result",
    );
}

async fn join_dropped(lab: Lab) {
    lab.cancel_sweep(async |cancel: Cancel| {
        let party = Party::new(&lab, settings(1));
        let bob = party.joins("bob", Policy::DropOldest, PROMPT).await;
        let cleo = party.joins("cleo", Policy::DropOldest, PROMPT).await;
        // Reads nothing before 30 ms: so `join` is dropped in the middle of a send, too.
        let (ann, wire) = Guest::new(&lab, "ann", party.start_ms, STALLED);
        let ann = Arc::new(ann);
        let socket = server_side(wire).await;
        let script = {
            let ann = Arc::clone(&ann);
            tokio::spawn(async move {
                for text in ["m1", "m2", "m3", "m4"] {
                    ann.says(&long(text)).await;
                    sleep(ms(10)).await;
                }
                ann.reads_on();
                sleep(ms(10)).await;
                ann.closes(Some(1000)).await;
            })
        };
        let join = party.room.join("ann", Policy::DropOldest, socket);
        let joined = cancel.drop_at(timeout(ms(5000), join)).await;
        let dropped_ms = lab.now_ms() - party.start_ms;
        party.settled().await;
        let why = "However `join` ends, its member leaves with it. A line at its end is not reached \
                   when the future is dropped: give the place in the room a guard whose `Drop` \
                   frees it.";
        party.expect_members("bob, cleo", why, "cleanup-forgotten").await;
        if joined.is_none() {
            ann.reads_on();
            party.settled().await;
            let end = ann.log();
            // Dropped in the middle of a send, it leaves half a frame behind.
            let ends = ["[end]", "[cut off]"].map(|end| format!("{end} @{dropped_ms}"));
            lab.expect(ends.iter().any(|ended| end.ends_with(ended)))
                .expected(format!("ann's wire ends at {dropped_ms} ms, when `join` is dropped"))
                .got(format!("ann reads {end}"))
                .why(
                    "The socket belongs to the future. A task that was spawned for one half of it \
                     runs on when its handle is dropped, and keeps the connection open.",
                )
                .pitfall("leaked-task")
                .or_fail();
        }
        script.abort();
        let said_ms = lab.now_ms() - party.start_ms + 10;
        party.at(said_ms).await;
        bob.says("still here").await;
        party.settled().await;
        let log = cleo.log();
        let expected = format!("bob: still here @{said_ms}");
        lab.expect(log.ends_with(&expected))
            .expected(format!("cleo reads {expected}"))
            .got(format!("cleo reads {log}"))
            .why("The others go on, whatever happens to one member.")
            .pitfall("deadlock")
            .or_fail();
        bob.closes(None).await;
        cleo.closes(None).await;
        party.settled().await;
        party
            .expect_nothing_left("all connections have ended, and the room was dropped")
            .await;
    })
    .await;
}

// ------------------------------------------------------------------- task 4

fn heartbeat(outbox: usize) -> Settings {
    Settings {
        ping_every: ms(100),
        pong_within: ms(60),
        ..settings(outbox)
    }
}

async fn pinged(lab: Lab) {
    let slow_pong = Habits {
        pong_after_ms: Some(lab.pick(20..=50)),
        ..PROMPT
    };
    let party = Party::new(&lab, heartbeat(8));
    let ann = party.joins("ann", Policy::DropOldest, slow_pong).await;
    let cleo = party.joins("cleo", Policy::DropOldest, PROMPT).await;
    party.at(50).await;
    let bob = party.joins("bob", Policy::DropOldest, STALLED).await;
    // For bob m6 and m7 are on the wire, m8 is being sent, m9 to m14 wait.
    for number in 6..=14 {
        party.at(10 * number).await;
        cleo.says(&long_from("cleo", &format!("m{number}"))).await;
    }
    party.at(180).await;
    bob.reads_on();
    party.at(400).await;

    let mut heard = heard_from("cleo", 6..=14);
    heard.insert(4, "[ping] @100".to_owned());
    heard.extend([200, 300, 400].map(|at_ms| format!("[ping] @{at_ms}")));
    let log = ann.log();
    // Of ping and m10, both at 100 ms, either may come first.
    let swapped =
        |log: &str| log.replace("cleo: m10 @100, [ping] @100", "[ping] @100, cleo: m10 @100");
    lab.expect(swapped(&log) == swapped(&list(&heard)))
        .expected(format!("ann reads {}", list(&heard)))
        .got(format!("ann reads {log}"))
        .why(
            "A ping is sent every 100 ms, counted from the joining, whatever else is sent in \
             between. Who answers each of them within 60 ms stays.",
        )
        .pitfall("wrong-result")
        .or_fail();

    let mut expected: Vec<_> = (6..=8).map(|n| format!("cleo: m{n} @180")).collect();
    expected.push("[ping] @180".to_owned());
    expected.extend((9..=14).map(|n| format!("cleo: m{n} @180")));
    expected.extend([250, 350].map(|at_ms| format!("[ping] @{at_ms}")));
    let log = bob.log();
    lab.expect(!log.contains("no pong"))
        .expected(format!("bob reads {}", list(&expected)))
        .got(format!("bob reads {log}"))
        .why(if log.contains("no pong] @210") {
            "bob's ping was due at 150 ms and could be sent at 180 ms, and its pong came then, \
             within the 60 ms."
        } else {
            "bob's pong came at 250 ms, the instant at which the ping was due: it counts."
        })
        .pitfall("wrong-result")
        .or_fail();
    party.expect_log(
        "bob",
        &bob,
        &list(&expected),
        "bob's ping was due at 150 ms, while m8 was being sent. It comes right after that, and \
         before all that waits in the outbox: a ping behind a long queue is answered too late, \
         though the member is well.",
        "sequential-awaits",
    );
    let why = "All have answered every ping in time.";
    party
        .expect_members("ann, cleo, bob", why, "wrong-result")
        .await;
}

async fn no_pong(lab: Lab) {
    let mute_habits = Habits {
        pong_after_ms: None,
        ..PROMPT
    };
    let party = Party::new(&lab, heartbeat(4));
    let mute = party.joins("mute", Policy::DropOldest, mute_habits).await;
    let stuck = party.joins("stuck", Policy::DropOldest, STALLED).await;
    let once = party.joins("once", Policy::DropOldest, mute_habits).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    // A pong before there was a ping is an answer to nothing.
    party.at(lab.pick(20..=90)).await;
    mute.frame(PONG, b"").await;
    // The wire of `stuck` is full before its ping is due.
    for text in ["m1", "m2", "m3"] {
        ann.says(&long(text)).await;
    }
    party.at(110).await;
    once.frame(PONG, b"").await;
    party.at(lab.pick(120..=150)).await;
    // Alive, it seems; but a text is no pong.
    mute.says("I am here").await;
    party.at(159).await;
    let why = "A pong may take 60 ms after the ping was due, at 100 ms.";
    party
        .expect_members("mute, stuck, once, ann", why, "wrong-result")
        .await;
    party.at(161).await;
    let why = "The ping was due at 100 ms, and 60 ms later there is no pong to it: neither a text \
               nor an earlier pong answers it. That the ping could not even be sent, over a full \
               wire, is no excuse. A connection that is dead looks like that, and says nothing.";
    let prompt = "ann's pong came at 100 ms, the instant at which the ping was due: it counts.";
    let (said, pitfall) = if party.members().await.contains("ann") {
        (why, "never-ends")
    } else {
        (prompt, "wrong-result")
    };
    party.expect_members("once, ann", said, pitfall).await;
    party.expect_left(
        "mute",
        &mute,
        "NoPong @160",
        "It is closed at the deadline; it has answered the close frame at once.",
        "never-ends",
    );
    let log = mute.log();
    let end = "[close 1008 no pong] @160, [end] @160";
    lab.expect(log.ends_with(end))
        .expected(format!("the log of mute ends with {end}"))
        .got(format!("mute reads {log}"))
        .why("Whoever is put out is told why, by the close frame that belongs to the reason.")
        .pitfall("cleanup-forgotten")
        .or_fail();

    party.at(300).await;
    let why = "One pong answers one ping. The next one was due at 200 ms.";
    party.expect_members("ann", why, "never-ends").await;
    party.expect_left("once", &once, "NoPong @260", why, "never-ends");
    party.at(161 + CLOSE_WITHIN_MS).await;
    party.expect_left(
        "stuck",
        &stuck,
        &format!("NoPong @{}", 160 + CLOSE_WITHIN_MS),
        "It cannot be told, so it cannot answer: after `close_within` the socket is dropped.",
        "never-ends",
    );
    party.expect_left(
        "ann",
        &ann,
        "nothing",
        "It answers every ping.",
        "wrong-result",
    );
}

async fn idle(lab: Lab) {
    let says_ms = lab.pick(20..=90);
    let party = Party::new(
        &lab,
        Settings {
            idle_after: ms(330),
            ..heartbeat(4)
        },
    );
    let lurker = party.joins("lurker", Policy::DropOldest, PROMPT).await;
    let once = party.joins("once", Policy::DropOldest, PROMPT).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    party.at(says_ms).await;
    once.says("here").await;
    ann.says("well?").await;
    party.at(says_ms + 220).await;
    ann.says("well?").await;
    lurker.frame(PING, b"there?").await;
    lurker.frame(PONG, b"").await;
    party.at(329).await;
    let why = "Nobody has been silent for 330 ms yet. And each has answered every ping, at the \
               instant at which it was due: such a pong counts.";
    party
        .expect_members("lurker, once, ann", why, "wrong-result")
        .await;
    party.at(331).await;
    let why = "The lurker has said nothing for 330 ms, counted from its joining. Pings and pongs \
               say that the connection lives, and what it reads comes from others.";
    let anew = "Each text begins the time anew, for the member that has said it and for no other.";
    let (said, pitfall) = if party.members().await.contains("lurker") {
        (why, "never-ends")
    } else {
        (anew, "wrong-result")
    };
    party.expect_members("once, ann", said, pitfall).await;
    party.expect_left("lurker", &lurker, "Idle @330", why, "never-ends");
    let log = lurker.log();
    let end = "[close 1000 idle] @330, [end] @330";
    lab.expect(log.ends_with(end))
        .expected(format!("the log of the lurker ends with {end}"))
        .got(format!("the lurker reads {log}"))
        .why("Whoever is put out is told why, by the close frame that belongs to the reason.")
        .pitfall("cleanup-forgotten")
        .or_fail();

    let why = anew;
    party.at(says_ms + 329).await;
    party.expect_members("once, ann", why, "wrong-result").await;
    party.at(says_ms + 331).await;
    party.expect_members("ann", why, "wrong-result").await;
    let expected = format!("Idle @{}", says_ms + 330);
    party.expect_left("once", &once, &expected, why, "wrong-result");
    party.at(says_ms + 551).await;
    let expected = format!("Idle @{}", says_ms + 550);
    party.expect_left("ann", &ann, &expected, why, "wrong-result");
}

// ------------------------------------------------------------------- task 5

/// The shutdown in a task of its own, and when it has returned.
fn shut_down(party: &Party) -> (JoinHandle<()>, Arc<Mutex<Option<u64>>>) {
    let (room, lab, start_ms) = (party.room.clone(), party.lab.clone(), party.start_ms);
    let done = Arc::new(Mutex::new(None));
    let at = Arc::clone(&done);
    let task = tokio::spawn(async move {
        let span = lab.span("shutdown", "shutdown");
        room.shutdown().await;
        span.done();
        *locked(&at) = Some(lab.now_ms() - start_ms);
    });
    (task, done)
}

fn expect_shut_down(lab: &Lab, done: &Mutex<Option<u64>>, at_ms: u64, why: &str, pitfall: &str) {
    let got = *locked(done);
    lab.expect(got == Some(at_ms))
        .expected(format!("shutdown returns at {at_ms} ms"))
        .got(got.map_or("it still waits".to_owned(), |ms| format!("at {ms} ms")))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
}

async fn shutdown_drains(lab: Lab) {
    let wakes_ms = 100 + lab.pick(50..=300);
    let empty = Party::new(&lab, settings(4));
    let (nothing, took) = timed(&lab, empty.room.shutdown()).await;
    lab.expect(nothing.is_some() && took.is_zero())
        .expected("a shutdown of an empty room returns at once")
        .got(format!(
            "{} after {} ms",
            drawn(nothing.as_ref()),
            took.as_millis()
        ))
        .why("Nobody is there to wait for.")
        .pitfall("never-ends")
        .or_fail();
    drop(empty);

    let party = Party::new(&lab, settings(4));
    let slow = party.joins("slow", Policy::DropOldest, STALLED).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    let bob = party.joins("bob", Policy::DropOldest, PROMPT).await;
    // m1 and m2 are on the wire, m3 is being sent, m4 to m7 wait.
    chatter(&party, &ann, 1..=7).await;
    party.at(100).await;
    let (_task, done) = shut_down(&party);
    party.settled().await;
    let why = "From the first poll of the shutdown on nobody is a member.";
    party.expect_members("", why, "wrong-result").await;
    party.expect_left(
        "bob",
        &bob,
        "Shutdown @100",
        "Nothing waits for bob, and it has answered the close frame at once.",
        "sequential-awaits",
    );
    let mut expected = heard(1..=7);
    expected.extend(["[close 1001 shutdown] @100", "[end] @100"].map(str::to_owned));
    let why = "The close frame of a shutdown is 1001: the server goes away.";
    party.expect_log("bob", &bob, &list(&expected), why, "cleanup-forgotten");

    // It comes from a member no more.
    slow.says("wait!").await;
    party.at(wakes_ms).await;
    slow.reads_on();
    party.at(wakes_ms + 1).await;
    let mut expected: Vec<_> = (1..=7).map(|n| format!("ann: m{n} @{wakes_ms}")).collect();
    expected.push(format!("[close 1001 shutdown] @{wakes_ms}"));
    expected.push(format!("[end] @{wakes_ms}"));
    party.expect_log(
        "slow",
        &slow,
        &list(&expected),
        "What waits in an outbox when the room ends is still sent, and after that the close frame. \
         What is said after the beginning of the shutdown is not relayed.",
        "cleanup-forgotten",
    );
    let left = format!("Shutdown @{wakes_ms}");
    let why = "The last connection is over when its member has answered the close frame.";
    party.expect_left("slow", &slow, &left, why, "wrong-result");
    let why = "The shutdown waits for every connection, and for nothing after the last one.";
    expect_shut_down(&lab, &done, wakes_ms, why, "dropped-join-handle");
    party
        .expect_nothing_left("the shutdown has returned, and the room was dropped")
        .await;
}

async fn shutdown_is_limited(lab: Lab) {
    let rude_habits = Habits {
        closes: false,
        ..PROMPT
    };
    let wait_ms = lab.pick(100..=300);
    let party = Party::new(&lab, settings(4));
    let stuck = party.joins("stuck", Policy::DropOldest, STALLED).await;
    let rude = party.joins("rude", Policy::DropOldest, rude_habits).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    chatter(&party, &ann, 1..=7).await;
    party.at(100).await;
    let (first, _) = shut_down(&party);
    party.settled().await;
    // Who has begun a shutdown may go: it goes on.
    first.abort();
    party.at(100 + wait_ms).await;
    let late = party.joins("late", Policy::DropOldest, PROMPT).await;
    party.at(110 + wait_ms).await;
    party
        .expect_members("", "Nobody is let in.", "wrong-result")
        .await;
    let expected = format!("Shutdown @{}", 100 + wait_ms);
    let why = "A shutdown that has begun is not taken back, also if its future is dropped. Who \
               comes later is not let in, but told by a close frame of its own.";
    party.expect_left("late", &late, &expected, why, "wrong-result");
    let log = format!("[close 1001 shutdown] @{0}, [end] @{0}", 100 + wait_ms);
    party.expect_log("late", &late, &log, why, "cleanup-forgotten");
    let tardy = party.joins("tardy", Policy::DropOldest, STALLED).await;
    party.at(140 + wait_ms).await;
    let why = "It came too late, and does not answer the close frame yet: it has `close_within`, \
               counted from its own `join`.";
    party.expect_left("tardy", &tardy, "nothing", why, "cleanup-forgotten");
    tardy.reads_on();
    party.at(150 + wait_ms).await;
    let why = "It has answered the close frame: its connection is over.";
    let expected = format!("Shutdown @{}", 140 + wait_ms);
    party.expect_left("tardy", &tardy, &expected, why, "never-ends");

    // Called again, it waits for the same end.
    let (_task, done) = shut_down(&party);
    let end_ms = 100 + CLOSE_WITHIN_MS;
    party.at(end_ms + 1).await;
    let why = "One of them reads nothing, the other one does not answer the close frame. After \
               `close_within`, counted once from the beginning of the shutdown, for what waits in \
               the outbox and the close frame together, their sockets are dropped.";
    for (name, member) in [("stuck", &stuck), ("rude", &rude)] {
        let expected = format!("Shutdown @{end_ms}");
        party.expect_left(name, member, &expected, why, "never-ends");
    }
    expect_shut_down(&lab, &done, end_ms, why, "never-ends");
    stuck.reads_on();
    party.at(end_ms + 2).await;
    party
        .expect_nothing_left("the shutdown has returned, and the room was dropped")
        .await;

    // One that is closing already has a limit of its own, and counts as well. One
    // whose `join` was dropped is over.
    let party = Party::new(
        &lab,
        Settings {
            idle_after: ms(80),
            ..settings(4)
        },
    );
    let rude = party.joins("rude", Policy::DropOldest, rude_habits).await;
    let ann = party.joins("ann", Policy::DropOldest, PROMPT).await;
    let gone = party.joins("gone", Policy::DropOldest, STALLED).await;
    party.at(40).await;
    ann.says("well?").await;
    gone.serving.abort();
    party.at(100).await;
    let (_task, done) = shut_down(&party);
    let end_ms = 80 + CLOSE_WITHIN_MS;
    party.at(end_ms + 1).await;
    let why = "`rude` was put out at 80 ms, and has the rest of its `close_within`. The shutdown \
               waits for every connection, also for one that was closing before it began, and \
               for none whose `join` was dropped: a line at its end is not reached then.";
    let expected = format!("Idle @{end_ms}");
    party.expect_left("rude", &rude, &expected, why, "wrong-result");
    expect_shut_down(&lab, &done, end_ms, why, "dropped-join-handle");
}
