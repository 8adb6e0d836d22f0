//! right: a hub that is a task, two tasks for each connection, gaps told by numbers

mod given;
pub use given::*;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::select;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::{Bytes, Message};

pub async fn accept(wire: Wire, within: Duration) -> Result<Socket, Refused> {
    select! {
        socket = tokio_tungstenite::accept_async(wire) => socket.map_err(|_| Refused::NotWebSocket),
        () = sleep(within) => Err(Refused::TooLate),
    }
}

pub async fn echo(socket: Socket) -> Leave {
    let (mut sink, mut stream) = socket.split();
    let mut leave = Leave::Lost;
    loop {
        match stream.next().await {
            Some(Ok(Message::Close(frame))) => {
                leave = Leave::Closed(frame.map(|frame| frame.code.into()));
            }
            Some(Ok(message)) if message.is_text() || message.is_binary() => {
                if sink.send(message).await.is_err() {
                    return leave;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return leave,
        }
    }
}

// ---------------------------------------------------------------- the outbox

/// Every message that was ever pushed has a number. A gap between the number
/// that is due and the one that is in front is what was missed.
struct Numbered {
    texts: VecDeque<(u64, Text)>,
    pushed: u64,
    due: u64,
    ended: bool,
}

pub struct Outbox {
    capacity: usize,
    policy: Policy,
    numbered: Mutex<Numbered>,
    changes: watch::Sender<()>,
}

impl Outbox {
    pub fn new(capacity: NonZeroUsize, policy: Policy) -> Self {
        let numbered = Numbered {
            texts: VecDeque::new(),
            pushed: 0,
            due: 0,
            ended: false,
        };
        Self {
            capacity: capacity.get(),
            policy,
            numbered: Mutex::new(numbered),
            changes: watch::Sender::new(()),
        }
    }

    pub fn push(&self, text: Text) -> Result<(), Ended> {
        let mut numbered = self.numbered.lock().unwrap();
        if numbered.ended {
            return Err(Ended);
        }
        let number = numbered.pushed;
        let full = numbered.texts.len() == self.capacity;
        if full && self.policy == Policy::Disconnect {
            numbered.ended = true;
            numbered.due = number;
            numbered.texts.clear();
            self.changes.send_replace(());
            return Err(Ended);
        }
        numbered.pushed += 1;
        if full && self.policy == Policy::DropOldest {
            numbered.texts.pop_front();
        }
        if !full || self.policy == Policy::DropOldest {
            numbered.texts.push_back((number, text));
        }
        self.changes.send_replace(());
        Ok(())
    }

    pub async fn next(&self) -> Option<Delivery> {
        let mut changes = self.changes.subscribe();
        loop {
            {
                let mut numbered = self.numbered.lock().unwrap();
                let first = numbered.texts.front().map_or(numbered.pushed, |(n, _)| *n);
                if first > numbered.due {
                    let missed = first - numbered.due;
                    numbered.due = first;
                    return Some(Delivery::Missed(missed));
                }
                if let Some((number, text)) = numbered.texts.pop_front() {
                    numbered.due = number + 1;
                    return Some(Delivery::Text(text));
                }
                if numbered.ended {
                    return None;
                }
            }
            changes.changed().await.ok()?;
        }
    }

    pub fn close(&self) {
        self.numbered.lock().unwrap().ended = true;
        self.changes.send_replace(());
    }
}

// ---------------------------------------------------------------- the hub

enum Order {
    Enter(Seat),
    Say(u64, Text),
    Members(oneshot::Sender<Vec<String>>),
    /// The member is out of the room, its connection not over yet.
    Leave(u64),
    /// The connection is over.
    Over,
    Shutdown(oneshot::Sender<()>),
}

struct Seat {
    number: u64,
    name: String,
    outbox: Arc<Outbox>,
    /// The reason, once the hub has put this member out, and since when.
    out: watch::Sender<Option<(Leave, Instant)>>,
}

/// The hub waits for orders and for nothing else.
async fn hub(mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut seats: Vec<Seat> = Vec::new();
    let mut connections = 0;
    let mut shutdown: Option<Instant> = None;
    let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Enter(seat) => {
                connections += 1;
                if shutdown.is_some() {
                    seat.outbox.close();
                    let out = Some((Leave::Shutdown, Instant::now()));
                    seat.out.send_replace(out);
                } else {
                    seats.push(seat);
                }
            }
            Order::Say(number, text) => {
                if seats.iter().any(|seat| seat.number == number) {
                    seats.retain(|seat| {
                        let stays = seat.outbox.push(text.clone()).is_ok();
                        if !stays {
                            let out = Some((Leave::TooSlow, Instant::now()));
                            seat.out.send_replace(out);
                        }
                        stays
                    });
                }
            }
            Order::Members(answer) => {
                let names = seats.iter().map(|seat| seat.name.clone()).collect();
                let _ = answer.send(names);
            }
            Order::Leave(number) => seats.retain(|seat| seat.number != number),
            Order::Over => connections -= 1,
            Order::Shutdown(done) => {
                let began = *shutdown.get_or_insert_with(Instant::now);
                for seat in seats.drain(..) {
                    seat.outbox.close();
                    seat.out.send_replace(Some((Leave::Shutdown, began)));
                }
                waiting.push(done);
            }
        }
        if connections == 0 {
            for done in waiting.drain(..) {
                let _ = done.send(());
            }
        }
    }
}

#[derive(Clone)]
pub struct Room {
    settings: Settings,
    orders: mpsc::UnboundedSender<Order>,
    given: Arc<AtomicU64>,
}

/// Tells the hub, also when `join` is dropped.
struct Present {
    seat: u64,
    orders: mpsc::UnboundedSender<Order>,
    member: bool,
}

impl Present {
    fn leave(&mut self) {
        if std::mem::take(&mut self.member) {
            let _ = self.orders.send(Order::Leave(self.seat));
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.leave();
        let _ = self.orders.send(Order::Over);
    }
}

enum Event {
    Text(Text),
    Pong,
    /// The peer has closed, or the connection is lost.
    Leave(Leave),
    /// Nothing more will be read.
    End,
}

enum Job {
    Ping,
    /// Send what waits, then close.
    Drain(Leave),
    /// Close.
    Close(Leave),
}

impl Room {
    pub fn new(settings: Settings) -> Self {
        let (orders, told) = mpsc::unbounded_channel();
        // Ends with the last room and the last connection, which hold senders.
        tokio::spawn(hub(told));
        Self {
            settings,
            orders,
            given: Arc::default(),
        }
    }

    pub async fn members(&self) -> Vec<String> {
        let (answer, names) = oneshot::channel();
        let _ = self.orders.send(Order::Members(answer));
        names.await.unwrap_or_default()
    }

    pub async fn join(&self, name: &str, policy: Policy, socket: Socket) -> Leave {
        let settings = self.settings;
        let outbox = Arc::new(Outbox::new(settings.outbox, policy));
        let (told, mut out) = watch::channel(None);
        let seat = self.given.fetch_add(1, SeqCst);
        let _ = self.orders.send(Order::Enter(Seat {
            number: seat,
            name: name.to_owned(),
            outbox: Arc::clone(&outbox),
            out: told,
        }));
        let mut present = Present {
            seat,
            orders: self.orders.clone(),
            member: true,
        };

        // Aborted when the set is dropped.
        let mut tasks = JoinSet::new();
        let (sink, stream) = socket.split();
        let (events, mut happened) = mpsc::channel(1);
        let (jobs, todo) = mpsc::unbounded_channel();
        tasks.spawn(read(stream, events.clone()));
        tasks.spawn(write(sink, Arc::clone(&outbox), todo, events));

        let now = Instant::now();
        let mut ping_at = now + settings.ping_every;
        let mut pong_by = None;
        let mut idle_at = now + settings.idle_after;
        let mut left_at = None;
        let leave = loop {
            if let Some((leave, at)) = *out.borrow_and_update() {
                left_at = Some(at);
                break leave;
            }
            select! {
                event = happened.recv() => match event {
                    Some(Event::Text(text)) => {
                        idle_at = Instant::now() + settings.idle_after;
                        let text = Text::from(format!("{name}: {text}"));
                        let _ = self.orders.send(Order::Say(seat, text));
                    }
                    Some(Event::Pong) => pong_by = None,
                    Some(Event::Leave(leave)) => break leave,
                    Some(Event::End) | None => break Leave::Lost,
                },
                _ = out.changed() => {}
                () = sleep_until(ping_at) => {
                    pong_by = Some(ping_at + settings.pong_within);
                    ping_at += settings.ping_every;
                    let _ = jobs.send(Job::Ping);
                }
                () = async {
                    match pong_by {
                        Some(at) => sleep_until(at).await,
                        None => pending().await,
                    }
                } => break Leave::NoPong,
                () = sleep_until(idle_at) => break Leave::Idle,
            }
        };
        present.leave();
        match leave {
            Leave::Lost => return leave,
            Leave::Closed(_) => {}
            Leave::Shutdown => {
                let _ = jobs.send(Job::Drain(leave));
            }
            Leave::TooSlow | Leave::NoPong | Leave::Idle => {
                let _ = jobs.send(Job::Close(leave));
            }
        }
        let deadline = sleep_until(left_at.unwrap_or_else(Instant::now) + settings.close_within);
        tokio::pin!(deadline);
        loop {
            select! {
                event = happened.recv() => {
                    if matches!(event, Some(Event::End | Event::Leave(Leave::Lost)) | None) {
                        return leave;
                    }
                }
                () = &mut deadline => return leave,
            }
        }
    }

    pub async fn shutdown(&self) {
        let (done, over) = oneshot::channel();
        let _ = self.orders.send(Order::Shutdown(done));
        let _ = over.await;
    }
}

async fn read(mut stream: SplitStream<Socket>, events: mpsc::Sender<Event>) {
    while let Some(Ok(message)) = stream.next().await {
        let event = match message {
            Message::Text(text) => Event::Text(text),
            Message::Pong(_) => Event::Pong,
            Message::Close(frame) => {
                Event::Leave(Leave::Closed(frame.map(|frame| frame.code.into())))
            }
            _ => continue,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
    let _ = events.send(Event::End).await;
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    outbox: Arc<Outbox>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    events: mpsc::Sender<Event>,
) {
    let mut draining = None;
    loop {
        let message = select! {
            biased;
            job = jobs.recv() => match job {
                Some(Job::Ping) => Message::Ping(Bytes::new()),
                Some(Job::Drain(leave)) => {
                    draining = Some(leave);
                    continue;
                }
                Some(Job::Close(leave)) => {
                    let _ = sink.send(Message::Close(leave.close_frame())).await;
                    return;
                }
                None => return,
            },
            delivery = outbox.next() => match (delivery, draining) {
                (Some(delivery), _) => Message::Text(delivery.into_text()),
                (None, Some(leave)) => {
                    let _ = sink.send(Message::Close(leave.close_frame())).await;
                    return;
                }
                (None, None) => match jobs.recv().await {
                    Some(Job::Drain(leave) | Job::Close(leave)) => {
                        let _ = sink.send(Message::Close(leave.close_frame())).await;
                        return;
                    }
                    _ => continue,
                },
            },
        };
        if sink.send(message).await.is_err() {
            let _ = events.send(Event::Leave(Leave::Lost)).await;
            return;
        }
    }
}
