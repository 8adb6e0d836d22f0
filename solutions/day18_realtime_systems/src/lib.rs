//! Day 18: Real-time Systems.
//!
//! Whoever relays a message only puts it into outboxes, and that never waits.
//! Each connection has a future that empties its own outbox into its own
//! socket, as slowly as that socket is.

#[path = "../../../grader/hidden/day18_realtime_systems/original/given.rs"]
mod given;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::select;
use tokio::sync::Notify;
use tokio::time::{Instant, interval_at, sleep_until, timeout, timeout_at};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// Does the server's part of the websocket handshake.
///
/// # Errors
///
/// [`Refused::TooLate`] after `within`, [`Refused::NotWebSocket`] as soon as it
/// is clear that there will be no handshake.
pub async fn accept(wire: Wire, within: Duration) -> Result<Socket, Refused> {
    // `accept_async` owns the wire: a timeout that drops it hangs up.
    match timeout(within, accept_async(wire)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(_)) => Err(Refused::NotWebSocket),
        Err(_) => Err(Refused::TooLate),
    }
}

/// Sends every text and binary message back until the connection has ended.
pub async fn echo(mut socket: Socket) -> Leave {
    let mut leave = Leave::Lost;
    // Not until the close frame, but until the end of the stream: tungstenite
    // sends its answer to a close frame, as its pongs, when it is polled next.
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Close(frame) => leave = closed(frame.as_ref()),
            Message::Text(_) | Message::Binary(_) => {
                if socket.send(message).await.is_err() {
                    return Leave::Lost;
                }
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    leave
}

fn closed(frame: Option<&CloseFrame>) -> Leave {
    Leave::Closed(frame.map(|frame| frame.code.into()))
}

// ---------------------------------------------------------------- Task 2

/// A bounded queue of messages for one member. Putting in never waits.
pub struct Outbox {
    capacity: usize,
    policy: Policy,
    queue: Mutex<Queue>,
    /// Told whenever there may be something for `next`.
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    /// Messages, and notes where some are missing: never two notes in a row,
    /// so there is at most one note more than there are messages.
    deliveries: VecDeque<Delivery>,
    /// How many of them are messages.
    texts: usize,
    ended: bool,
}

impl Queue {
    /// Drops the oldest message: its place becomes a note, or part of the note
    /// that stands there. Under this policy notes stand nowhere but in front.
    fn drop_oldest(&mut self) {
        let mut missed = 1;
        while let Some(delivery) = self.deliveries.pop_front() {
            match delivery {
                Delivery::Missed(n) => missed += n,
                Delivery::Text(_) => break,
            }
        }
        self.deliveries.push_front(Delivery::Missed(missed));
        self.texts -= 1;
    }

    /// A message is missing at the end of the queue.
    fn drop_newest(&mut self) {
        if let Some(Delivery::Missed(n)) = self.deliveries.back_mut() {
            *n += 1;
        } else {
            self.deliveries.push_back(Delivery::Missed(1));
        }
    }

    fn push(&mut self, text: Text) {
        self.deliveries.push_back(Delivery::Text(text));
        self.texts += 1;
    }

    fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.texts -= usize::from(matches!(delivery, Delivery::Text(_)));
        Some(delivery)
    }
}

impl Outbox {
    /// An empty outbox for at most `capacity` messages.
    pub fn new(capacity: NonZeroUsize, policy: Policy) -> Self {
        Self {
            capacity: capacity.get(),
            policy,
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Puts a message in, or does what the policy says. Never waits.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the outbox was closed, has overflowed, or overflows now.
    pub fn push(&self, text: Text) -> Result<(), Ended> {
        let mut queue = locked(&self.queue);
        if queue.ended {
            return Err(Ended);
        }
        if queue.texts < self.capacity {
            queue.push(text);
        } else {
            match self.policy {
                Policy::DropOldest => {
                    queue.drop_oldest();
                    queue.push(text);
                }
                Policy::DropNewest => queue.drop_newest(),
                Policy::Disconnect => {
                    *queue = Queue {
                        ended: true,
                        ..Queue::default()
                    };
                }
            }
        }
        // One consumer: `notify_one` keeps a permit for it if it is not waiting
        // right now, so no push falls between its look and its wait.
        self.changed.notify_one();
        if queue.ended { Err(Ended) } else { Ok(()) }
    }

    /// Takes out what is next, and waits for it if there is nothing.
    ///
    /// `None` when the outbox has ended and nothing is left in it.
    pub async fn next(&self) -> Option<Delivery> {
        loop {
            {
                let mut queue = locked(&self.queue);
                let delivery = queue.pop();
                if delivery.is_some() || queue.ended {
                    return delivery;
                }
            }
            // Nothing was taken yet: dropped here, `next` has lost nothing.
            self.changed.notified().await;
        }
    }

    /// Takes no more messages. What is in it still comes out.
    pub fn close(&self) {
        locked(&self.queue).ended = true;
        self.changed.notify_one();
    }
}

/// Every lock of this file is held for a few lines without an await.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---------------------------------------------------------------- Task 3

/// A chat room. Clones are the same room.
#[derive(Clone)]
pub struct Room {
    hub: Arc<Hub>,
}

struct Hub {
    settings: Settings,
    state: Mutex<State>,
    /// Counts the connections, those that are closing as well.
    connections: TaskTracker,
}

#[derive(Default)]
struct State {
    /// When the shutdown began.
    shutdown_at: Option<Instant>,
    seats_given: u64,
    members: Vec<Member>,
}

struct Member {
    seat: u64,
    name: String,
    outbox: Arc<Outbox>,
    /// Cancelled when the room has put it out; the reason is `Seat::put_out`'s.
    out: CancellationToken,
}

impl Room {
    /// A room without members.
    pub fn new(settings: Settings) -> Self {
        let hub = Hub {
            settings,
            state: Mutex::default(),
            connections: TaskTracker::new(),
        };
        Self { hub: Arc::new(hub) }
    }

    /// The names of the members, in the order in which they joined.
    pub async fn members(&self) -> Vec<String> {
        let state = locked(&self.hub.state);
        let names = state.members.iter().map(|member| member.name.clone());
        names.collect()
    }

    /// Serves one member's connection until it has ended.
    pub async fn join(&self, name: &str, policy: Policy, socket: Socket) -> Leave {
        let hub = &self.hub;
        let _connection = hub.connections.token();
        let (mut sink, mut stream) = socket.split();
        let Some(seat) = hub.enter(name, policy) else {
            let deadline = Instant::now() + hub.settings.close_within;
            let closing = close(Leave::Shutdown, None, &mut sink, &mut stream);
            let _ = timeout_at(deadline, closing).await;
            return Leave::Shutdown;
        };
        // Three futures side by side. None of them waits for another: a socket
        // that does not take what `send` has for it holds up nothing else.
        let ping = Notify::new();
        let leave = select! {
            leave = listen(&seat, name, &mut stream, &ping) => leave,
            leave = send(&seat.outbox, &mut sink, &ping) => leave,
            leave = seat.put_out() => leave,
        };
        // Out of the room first, then the goodbye: that may take its time.
        let outbox = Arc::clone(&seat.outbox);
        let deadline = seat.leave();
        let closing = close(leave, Some(&outbox), &mut sink, &mut stream);
        let _ = timeout_at(deadline, closing).await;
        leave
    }
}

impl Hub {
    /// Takes a place in the room. `None`: it is shut down.
    fn enter(&self, name: &str, policy: Policy) -> Option<Seat<'_>> {
        let mut state = locked(&self.state);
        if state.shutdown_at.is_some() {
            return None;
        }
        state.seats_given += 1;
        let number = state.seats_given;
        let outbox = Arc::new(Outbox::new(self.settings.outbox, policy));
        let out = CancellationToken::new();
        state.members.push(Member {
            seat: number,
            name: name.to_owned(),
            outbox: Arc::clone(&outbox),
            out: out.clone(),
        });
        Some(Seat {
            hub: self,
            number,
            outbox,
            out,
        })
    }

    /// Puts a member's text into every outbox. All of them under one lock: so
    /// all members read all messages in the same order.
    fn relay(&self, seat: u64, text: &Text) {
        let mut state = locked(&self.state);
        // Who was put out a moment ago says nothing any more.
        if !state.members.iter().any(|member| member.seat == seat) {
            return;
        }
        state.members.retain(|member| {
            let taken = member.outbox.push(text.clone());
            if taken.is_err() {
                member.out.cancel();
            }
            taken.is_ok()
        });
    }
}

/// A place in the room. It is given up with the value, on every way out of
/// `join`, also when its future is dropped.
struct Seat<'a> {
    hub: &'a Hub,
    number: u64,
    outbox: Arc<Outbox>,
    out: CancellationToken,
}

impl Seat<'_> {
    /// Waits until the room puts this member out, and says why.
    async fn put_out(&self) -> Leave {
        self.out.cancelled().await;
        if locked(&self.hub.state).shutdown_at.is_some() {
            Leave::Shutdown
        } else {
            Leave::TooSlow
        }
    }

    /// Gives up the seat; by the instant it returns the connection must be over.
    fn leave(self) -> Instant {
        let close_within = self.hub.settings.close_within;
        let shutdown_at = locked(&self.hub.state).shutdown_at;
        shutdown_at.unwrap_or_else(Instant::now) + close_within
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.hub.state);
        state.members.retain(|member| member.seat != self.number);
    }
}

/// Empties the outbox into the socket, one message after the other.
async fn send(outbox: &Outbox, sink: &mut SplitSink<Socket, Message>, ping: &Notify) -> Leave {
    loop {
        let message = select! {
            // A ping waits for the message that is being sent, but not for the
            // outbox: a slow member would get it too late to answer in time.
            biased;
            () = ping.notified() => Message::Ping(Bytes::new()),
            delivery = outbox.next() => match delivery {
                Some(delivery) => Message::Text(delivery.into_text()),
                // It has ended: `put_out` knows why.
                None => std::future::pending().await,
            },
        };
        // `send`, not `feed`: it returns when the wire has taken the message.
        // `feed` would move the outbox into tungstenite's buffer of 128 KiB.
        if sink.send(message).await.is_err() {
            return Leave::Lost;
        }
    }
}

// ---------------------------------------------------------------- Task 4

/// Relays what the member says, and watches whether it is still there. Nothing
/// in here waits for a socket to take something.
async fn listen(
    seat: &Seat<'_>,
    name: &str,
    stream: &mut SplitStream<Socket>,
    ping: &Notify,
) -> Leave {
    let settings = &seat.hub.settings;
    let now = Instant::now();
    let mut pings = interval_at(now + settings.ping_every, settings.ping_every);
    let mut idle_at = now + settings.idle_after;
    let mut pong_by = None;
    loop {
        select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    idle_at = Instant::now() + settings.idle_after;
                    let text = Text::from(format!("{name}: {text}"));
                    seat.hub.relay(seat.number, &text);
                }
                Some(Ok(Message::Pong(_))) => pong_by = None,
                Some(Ok(Message::Close(frame))) => return closed(frame.as_ref()),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Leave::Lost,
            },
            due = pings.tick() => {
                pong_by = Some(due + settings.pong_within);
                ping.notify_one();
            }
            () = at(pong_by) => return Leave::NoPong,
            () = sleep_until(idle_at) => return Leave::Idle,
        }
    }
}

/// Waits until the instant, or for ever.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

// ---------------------------------------------------------------- Task 5

impl Room {
    /// Ends the room: what waits in the outboxes is sent, then every connection
    /// is closed. Returns when the last one is over.
    pub async fn shutdown(&self) {
        {
            let mut state = locked(&self.hub.state);
            state.shutdown_at.get_or_insert_with(Instant::now);
            for member in state.members.drain(..) {
                member.outbox.close();
                member.out.cancel();
            }
        }
        // `wait` ends when the tracker is closed and no token is left. Tokens can
        // still be taken: who comes too late is waited for as well.
        self.hub.connections.close();
        self.hub.connections.wait().await;
    }
}

/// The goodbye, for whatever reason: completes the closing handshake. To be
/// called with a limit of time.
async fn close(
    leave: Leave,
    outbox: Option<&Outbox>,
    sink: &mut SplitSink<Socket, Message>,
    stream: &mut SplitStream<Socket>,
) {
    if leave == Leave::Lost {
        return;
    }
    let farewell = async {
        if leave == Leave::Shutdown
            && let Some(outbox) = outbox
        {
            while let Some(delivery) = outbox.next().await {
                sink.send(Message::Text(delivery.into_text())).await?;
            }
        }
        if let Some(frame) = leave.close_frame() {
            sink.send(Message::Close(Some(frame))).await?;
        }
        Ok::<(), tokio_tungstenite::tungstenite::Error>(())
    };
    // The stream ends when both close frames went over the wire, whoever sent
    // the first one; or when the connection breaks.
    let end = async { while let Some(Ok(_)) = stream.next().await {} };
    let farewell = async {
        let _ = farewell.await;
        std::future::pending::<()>().await;
    };
    select! {
        () = end => {}
        () = farewell => {}
    }
}
