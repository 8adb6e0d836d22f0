//! right: one future for each connection, socket and timers polled by hand

mod given;
pub use given::*;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use futures::{Sink, SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

pub async fn accept(wire: Wire, within: Duration) -> Result<Socket, Refused> {
    timeout(within, tokio_tungstenite::accept_async(wire))
        .await
        .map_err(|_| Refused::TooLate)?
        .map_err(|_| Refused::NotWebSocket)
}

pub async fn echo(mut socket: Socket) -> Leave {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(frame))) => {
                // Flushing sends the answer.
                let _ = SinkExt::<Message>::close(&mut socket).await;
                return Leave::Closed(frame.map(|frame| frame.code.into()));
            }
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                if socket.feed(message).await.is_err() || socket.flush().await.is_err() {
                    return Leave::Lost;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Leave::Lost,
        }
    }
}

// ---------------------------------------------------------------- the outbox

#[derive(Default)]
struct Shelf {
    /// Each with the number of messages that are missing before it.
    texts: VecDeque<(u64, Text)>,
    missing_at_the_end: u64,
    ended: bool,
}

pub struct Outbox {
    capacity: usize,
    policy: Policy,
    shelf: Mutex<Shelf>,
    waker: AtomicWaker,
}

impl Outbox {
    pub fn new(capacity: NonZeroUsize, policy: Policy) -> Self {
        Self {
            capacity: capacity.get(),
            policy,
            shelf: Mutex::default(),
            waker: AtomicWaker::new(),
        }
    }

    pub fn push(&self, text: Text) -> Result<(), Ended> {
        let mut guard = self.shelf.lock().unwrap();
        let shelf = &mut *guard;
        if shelf.ended {
            return Err(Ended);
        }
        let full = shelf.texts.len() >= self.capacity;
        match self.policy {
            Policy::Disconnect if full => {
                *shelf = Shelf {
                    ended: true,
                    ..Shelf::default()
                };
            }
            Policy::DropNewest if full => shelf.missing_at_the_end += 1,
            _ => {
                let missing = std::mem::take(&mut shelf.missing_at_the_end);
                shelf.texts.push_back((missing, text));
                if full && let Some((before, _)) = shelf.texts.pop_front() {
                    let next = shelf.texts.front_mut();
                    *next.map_or(&mut shelf.missing_at_the_end, |(n, _)| n) += before + 1;
                }
            }
        }
        let ended = shelf.ended;
        drop(guard);
        self.waker.wake();
        if ended { Err(Ended) } else { Ok(()) }
    }

    fn take(&self) -> Poll<Option<Delivery>> {
        let mut guard = self.shelf.lock().unwrap();
        let shelf = &mut *guard;
        let missing = shelf
            .texts
            .front_mut()
            .map_or(&mut shelf.missing_at_the_end, |(missing, _)| missing);
        if *missing > 0 {
            return Poll::Ready(Some(Delivery::Missed(std::mem::take(missing))));
        }
        match shelf.texts.pop_front() {
            Some((_, text)) => Poll::Ready(Some(Delivery::Text(text))),
            None if shelf.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        self.waker.register(cx.waker());
        self.take()
    }

    pub async fn next(&self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub fn close(&self) {
        self.shelf.lock().unwrap().ended = true;
        self.waker.wake();
    }
}

// ---------------------------------------------------------------- the room

/// Why a member was put out, and since when.
type Out = Option<(Leave, Instant)>;

struct Seat {
    number: u64,
    name: String,
    outbox: Arc<Outbox>,
    out: watch::Sender<Out>,
}

#[derive(Default)]
struct Inside {
    seats: Vec<Seat>,
    given: u64,
    shutdown: Option<Instant>,
}

#[derive(Clone)]
pub struct Room {
    settings: Settings,
    inside: Arc<Mutex<Inside>>,
    connections: watch::Sender<usize>,
}

/// Counts a connection until it is dropped.
struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

/// A member until it is dropped.
struct Seated {
    number: u64,
    inside: Arc<Mutex<Inside>>,
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap();
        inside.seats.retain(|seat| seat.number != self.number);
    }
}

/// The socket, and whether the last message is still being sent.
struct Line {
    socket: Socket,
    sending: bool,
}

impl Line {
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.sending {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.sending = false;
        }
        Pin::new(&mut self.socket).poll_ready(cx)
    }

    fn start(&mut self, message: Message) -> Result<(), Error> {
        self.sending = true;
        Pin::new(&mut self.socket).start_send(message)
    }
}

struct Clock {
    pings: Pin<Box<Sleep>>,
    pong: Pin<Box<Sleep>>,
    waits_for_pong: bool,
    idle: Pin<Box<Sleep>>,
    ping_due: bool,
}

impl Room {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            inside: Arc::default(),
            connections: watch::Sender::new(0),
        }
    }

    pub async fn members(&self) -> Vec<String> {
        let inside = self.inside.lock().unwrap();
        inside.seats.iter().map(|seat| seat.name.clone()).collect()
    }

    fn say(&self, number: u64, text: &Text) {
        let mut inside = self.inside.lock().unwrap();
        if inside.seats.iter().all(|seat| seat.number != number) {
            return;
        }
        inside.seats.retain(|seat| {
            let stays = seat.outbox.push(text.clone()).is_ok();
            if !stays {
                seat.out
                    .send_replace(Some((Leave::TooSlow, Instant::now())));
            }
            stays
        });
    }

    pub async fn join(&self, name: &str, policy: Policy, socket: Socket) -> Leave {
        self.connections.send_modify(|n| *n += 1);
        let _counted = Counted(self.connections.clone());
        let outbox = Arc::new(Outbox::new(self.settings.outbox, policy));
        let (out, mut told) = watch::channel(None);
        let mut line = Line {
            socket,
            sending: false,
        };
        let number = {
            let mut inside = self.inside.lock().unwrap();
            inside.given += 1;
            let number = inside.given;
            if inside.shutdown.is_some() {
                outbox.close();
                out.send_replace(Some((Leave::Shutdown, Instant::now())));
            } else {
                inside.seats.push(Seat {
                    number,
                    name: name.to_owned(),
                    outbox: Arc::clone(&outbox),
                    out,
                });
            }
            number
        };
        let seated = Seated {
            number,
            inside: Arc::clone(&self.inside),
        };
        let now = Instant::now();
        let settings = self.settings;
        let mut clock = Clock {
            pings: Box::pin(sleep_until(now + settings.ping_every)),
            pong: Box::pin(sleep_until(now)),
            waits_for_pong: false,
            idle: Box::pin(sleep_until(now + settings.idle_after)),
            ping_due: false,
        };
        let leave = {
            let mut put_out = pin!(async {
                match told.wait_for(Option::is_some).await {
                    Ok(out) => *out,
                    Err(_) => None,
                }
            });
            poll_fn(|cx| {
                if let Poll::Ready(Some((leave, at))) = put_out.as_mut().poll(cx) {
                    return Poll::Ready((leave, at));
                }
                let leave =
                    ready!(self.poll_present(number, name, &outbox, &mut line, &mut clock, cx));
                Poll::Ready((leave, Instant::now()))
            })
            .await
        };
        drop(seated);
        let (leave, at) = leave;
        if leave != Leave::Lost {
            let _ = tokio::time::timeout_at(
                at + settings.close_within,
                poll_fn(|cx| poll_goodbye(leave, &outbox, &mut line, cx)),
            )
            .await;
        }
        leave
    }

    /// Everything that a member's connection does while it is in the room.
    fn poll_present(
        &self,
        number: u64,
        name: &str,
        outbox: &Outbox,
        line: &mut Line,
        clock: &mut Clock,
        cx: &mut Context<'_>,
    ) -> Poll<Leave> {
        let settings = self.settings;
        loop {
            match line.socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(Message::Text(text)))) => {
                    let idle_at = Instant::now() + settings.idle_after;
                    clock.idle.as_mut().reset(idle_at);
                    self.say(number, &Text::from(format!("{name}: {text}")));
                }
                Poll::Ready(Some(Ok(Message::Pong(_)))) => clock.waits_for_pong = false,
                Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                    return Poll::Ready(Leave::Closed(frame.map(|frame| frame.code.into())));
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Leave::Lost),
                Poll::Pending => break,
            }
        }
        if clock.pings.as_mut().poll(cx).is_ready() {
            let due = clock.pings.deadline();
            clock.pings.as_mut().reset(due + settings.ping_every);
            clock.pong.as_mut().reset(due + settings.pong_within);
            clock.waits_for_pong = true;
            clock.ping_due = true;
            // The timers that were reset have to be polled again.
            cx.waker().wake_by_ref();
        }
        if clock.waits_for_pong && clock.pong.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Leave::NoPong);
        }
        if clock.idle.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Leave::Idle);
        }
        loop {
            match line.poll_sent(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Leave::Lost),
                Poll::Pending => return Poll::Pending,
            }
            let message = if std::mem::take(&mut clock.ping_due) {
                Message::Ping(Bytes::new())
            } else {
                match outbox.poll_next(cx) {
                    Poll::Ready(Some(delivery)) => Message::Text(delivery.into_text()),
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                }
            };
            if line.start(message).is_err() {
                return Poll::Ready(Leave::Lost);
            }
        }
    }

    pub async fn shutdown(&self) {
        {
            let mut inside = self.inside.lock().unwrap();
            let began = *inside.shutdown.get_or_insert_with(Instant::now);
            for seat in inside.seats.drain(..) {
                seat.outbox.close();
                seat.out.send_replace(Some((Leave::Shutdown, began)));
            }
        }
        let mut connections = self.connections.subscribe();
        let _ = connections.wait_for(|n| *n == 0).await;
    }
}

/// Ready when the connection has ended.
fn poll_goodbye(leave: Leave, outbox: &Outbox, line: &mut Line, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        match line.socket.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => break,
        }
    }
    if matches!(leave, Leave::Closed(_)) {
        return Poll::Pending;
    }
    loop {
        match line.poll_sent(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) | Poll::Pending => return Poll::Pending,
        }
        let delivery = match leave {
            Leave::Shutdown => ready!(outbox.poll_next(cx)),
            _ => None,
        };
        let message = match delivery {
            Some(delivery) => Message::Text(delivery.into_text()),
            None => Message::Close(leave.close_frame()),
        };
        // After the close frame this is an error, and the end of writing.
        if line.start(message).is_err() {
            return Poll::Pending;
        }
    }
}
