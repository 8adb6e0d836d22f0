//! wrong: a ping waits until the outbox is empty
//! fails: pings come at their time, before all that waits: failed
//! pitfall: sequential-awaits

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

pub async fn accept(wire: Wire, within: Duration) -> Result<Socket, Refused> {
    match timeout(within, accept_async(wire)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(_)) => Err(Refused::NotWebSocket),
        Err(_) => Err(Refused::TooLate),
    }
}

pub async fn echo(mut socket: Socket) -> Leave {
    let mut leave = Leave::Lost;
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

pub struct Outbox {
    capacity: usize,
    policy: Policy,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    texts: usize,
    ended: bool,
}

impl Queue {
    fn drop_oldest(&mut self) {
        let mut missed = 1;
        while let Some(delivery) = self.deliveries.pop_front() {
            match delivery {
                Delivery::Missed(n) => missed += n,
                Delivery::Text(_) => break,
            }
        }
        if let Some(Delivery::Missed(n)) = self.deliveries.front_mut() {
            *n += missed;
        } else {
            self.deliveries.push_front(Delivery::Missed(missed));
        }
        self.texts -= 1;
    }

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
    pub fn new(capacity: NonZeroUsize, policy: Policy) -> Self {
        Self {
            capacity: capacity.get(),
            policy,
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

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
        self.changed.notify_one();
        if queue.ended { Err(Ended) } else { Ok(()) }
    }

    pub async fn next(&self) -> Option<Delivery> {
        loop {
            {
                let mut queue = locked(&self.queue);
                let delivery = queue.pop();
                if delivery.is_some() || queue.ended {
                    return delivery;
                }
            }
            self.changed.notified().await;
        }
    }

    pub fn close(&self) {
        locked(&self.queue).ended = true;
        self.changed.notify_one();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
pub struct Room {
    hub: Arc<Hub>,
}

struct Hub {
    settings: Settings,
    state: Mutex<State>,
    connections: TaskTracker,
}

#[derive(Default)]
struct State {
    shutdown_at: Option<Instant>,
    seats_given: u64,
    members: Vec<Member>,
}

struct Member {
    seat: u64,
    name: String,
    outbox: Arc<Outbox>,
    out: CancellationToken,
}

impl Room {
    pub fn new(settings: Settings) -> Self {
        let hub = Hub {
            settings,
            state: Mutex::default(),
            connections: TaskTracker::new(),
        };
        Self { hub: Arc::new(hub) }
    }

    pub async fn members(&self) -> Vec<String> {
        let state = locked(&self.hub.state);
        let names = state.members.iter().map(|member| member.name.clone());
        names.collect()
    }

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
        let ping = Notify::new();
        let leave = select! {
            leave = listen(&seat, name, &mut stream, &ping) => leave,
            leave = send(&seat.outbox, &mut sink, &ping) => leave,
            leave = seat.put_out() => leave,
        };
        let outbox = Arc::clone(&seat.outbox);
        let deadline = seat.leave();
        let closing = close(leave, Some(&outbox), &mut sink, &mut stream);
        let _ = timeout_at(deadline, closing).await;
        leave
    }
}

impl Hub {
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

    fn relay(&self, seat: u64, text: &Text) {
        let mut state = locked(&self.state);
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

struct Seat<'a> {
    hub: &'a Hub,
    number: u64,
    outbox: Arc<Outbox>,
    out: CancellationToken,
}

impl Seat<'_> {
    async fn put_out(&self) -> Leave {
        self.out.cancelled().await;
        if locked(&self.hub.state).shutdown_at.is_some() {
            Leave::Shutdown
        } else {
            Leave::TooSlow
        }
    }

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

async fn send(outbox: &Outbox, sink: &mut SplitSink<Socket, Message>, ping: &Notify) -> Leave {
    loop {
        let message = select! {
            biased;
            delivery = outbox.next() => match delivery {
                Some(delivery) => Message::Text(delivery.into_text()),
                None => std::future::pending().await,
            },
            () = ping.notified() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return Leave::Lost;
        }
    }
}

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

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

impl Room {
    pub async fn shutdown(&self) {
        {
            let mut state = locked(&self.hub.state);
            state.shutdown_at.get_or_insert_with(Instant::now);
            for member in state.members.drain(..) {
                member.outbox.close();
                member.out.cancel();
            }
        }
        self.hub.connections.close();
        self.hub.connections.wait().await;
    }
}

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
