//! right: a task that reads, a task that writes, and a watchdog between them

mod given;
pub use given::*;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt, TryStreamExt};
use tokio::select;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::task::AbortOnDropHandle;

pub async fn accept(wire: Wire, within: Duration) -> Result<Socket, Refused> {
    let handshake = tokio_tungstenite::accept_hdr_async(wire, |_: &_, response| Ok(response));
    match timeout_at(Instant::now() + within, handshake).await {
        Err(_) => Err(Refused::TooLate),
        Ok(result) => result.map_err(|_| Refused::NotWebSocket),
    }
}

pub async fn echo(socket: Socket) -> Leave {
    let leave = Mutex::new(Leave::Lost);
    let (sink, stream) = socket.split();
    let messages = stream.try_filter_map(|message| {
        if let Message::Close(frame) = &message {
            let code = frame.as_ref().map(|frame| frame.code.into());
            *leave.lock().unwrap() = Leave::Closed(code);
        }
        let is_data = message.is_text() || message.is_binary();
        std::future::ready(Ok(is_data.then_some(message)))
    });
    let _ = messages.forward(sink).await;
    leave.into_inner().unwrap()
}

// ---------------------------------------------------------------- the outbox

#[derive(Default)]
struct Inner {
    deliveries: VecDeque<Delivery>,
    ended: bool,
    waiting: Option<oneshot::Sender<()>>,
}

impl Inner {
    fn texts(&self) -> usize {
        let is_text = |delivery: &&Delivery| matches!(delivery, Delivery::Text(_));
        self.deliveries.iter().filter(is_text).count()
    }

    /// Puts a note in the place of the text at `index`, and makes neighbours one.
    fn lose(&mut self, index: usize) {
        self.deliveries[index] = Delivery::Missed(1);
        let mut whole: VecDeque<Delivery> = VecDeque::new();
        for delivery in self.deliveries.drain(..) {
            match (whole.back_mut(), &delivery) {
                (Some(Delivery::Missed(sum)), Delivery::Missed(n)) => *sum += n,
                _ => whole.push_back(delivery),
            }
        }
        self.deliveries = whole;
    }

    fn wake(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.send(());
        }
    }
}

pub struct Outbox {
    capacity: usize,
    policy: Policy,
    inner: Mutex<Inner>,
}

impl Outbox {
    pub fn new(capacity: NonZeroUsize, policy: Policy) -> Self {
        Self {
            capacity: capacity.get(),
            policy,
            inner: Mutex::default(),
        }
    }

    pub fn push(&self, text: Text) -> Result<(), Ended> {
        let mut inner = self.inner.lock().unwrap();
        if inner.ended {
            return Err(Ended);
        }
        inner.deliveries.push_back(Delivery::Text(text));
        if inner.texts() > self.capacity {
            match self.policy {
                Policy::DropOldest => {
                    let is_text = |delivery: &Delivery| matches!(delivery, Delivery::Text(_));
                    let oldest = inner.deliveries.iter().position(is_text);
                    inner.lose(oldest.unwrap_or(0));
                }
                Policy::DropNewest => {
                    let newest = inner.deliveries.len() - 1;
                    inner.lose(newest);
                }
                Policy::Disconnect => {
                    inner.ended = true;
                    inner.deliveries.clear();
                }
            }
        }
        inner.wake();
        if inner.ended { Err(Ended) } else { Ok(()) }
    }

    pub async fn next(&self) -> Option<Delivery> {
        loop {
            let changed = {
                let mut inner = self.inner.lock().unwrap();
                if let Some(delivery) = inner.deliveries.pop_front() {
                    return Some(delivery);
                }
                if inner.ended {
                    return None;
                }
                let (waiting, changed) = oneshot::channel();
                inner.waiting = Some(waiting);
                changed
            };
            let _ = changed.await;
        }
    }

    pub fn close(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.ended = true;
        inner.wake();
    }
}

// ---------------------------------------------------------------- the room

struct Place {
    name: String,
    outbox: Arc<Outbox>,
    out: Arc<Notify>,
}

struct Hub {
    settings: Settings,
    /// By the order of joining.
    places: RwLock<BTreeMap<u64, Place>>,
    given: Mutex<u64>,
    closed_at: watch::Sender<Option<Instant>>,
    connections: watch::Sender<usize>,
}

impl Hub {
    fn say(&self, from: u64, text: &Text) {
        let mut places = self.places.write().unwrap();
        if places.contains_key(&from) {
            places.retain(|_, place| {
                let stays = place.outbox.push(text.clone()).is_ok();
                if !stays {
                    place.out.notify_one();
                }
                stays
            });
        }
    }
}

#[derive(Clone)]
pub struct Room(Arc<Hub>);

struct Counted(Arc<Hub>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.send_modify(|n| *n -= 1);
    }
}

struct Guard(Arc<Hub>, u64);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.places.write().unwrap().remove(&self.1);
    }
}

impl Room {
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Hub {
            settings,
            places: RwLock::default(),
            given: Mutex::default(),
            closed_at: watch::Sender::new(None),
            connections: watch::Sender::new(0),
        }))
    }

    pub async fn members(&self) -> Vec<String> {
        let places = self.0.places.read().unwrap();
        places.values().map(|place| place.name.clone()).collect()
    }

    pub async fn join(&self, name: &str, policy: Policy, socket: Socket) -> Leave {
        let hub = &self.0;
        let settings = hub.settings;
        hub.connections.send_modify(|n| *n += 1);
        let _counted = Counted(Arc::clone(hub));
        let outbox = Arc::new(Outbox::new(settings.outbox, policy));
        let out = Arc::new(Notify::new());
        let is_closed = hub.closed_at.borrow().is_some();
        let number = {
            let mut given = hub.given.lock().unwrap();
            *given += 1;
            *given
        };
        let guard = Guard(Arc::clone(hub), number);
        if is_closed {
            outbox.close();
            out.notify_one();
        } else {
            let place = Place {
                name: name.to_owned(),
                outbox: Arc::clone(&outbox),
                out: Arc::clone(&out),
            };
            hub.places.write().unwrap().insert(number, place);
        }

        let (sink, stream) = socket.split();
        let now = Instant::now();
        let (said, last_text) = watch::channel(now);
        let (answered, last_pong) = watch::channel(now);
        let (last_word, left) = oneshot::channel();
        let heard = Heard {
            hub: Arc::clone(hub),
            number,
            name: name.to_owned(),
            said,
            answered,
        };
        let mut reading = AbortOnDropHandle::new(tokio::spawn(read(stream, heard, last_word)));
        let ping = Arc::new(Notify::new());
        let (goodbye, told) = watch::channel(None);
        let writing = write(sink, outbox, Arc::clone(&ping), told);
        let mut writing = AbortOnDropHandle::new(tokio::spawn(writing));

        let (leave, since) = select! {
            left = left => (left.unwrap_or(Leave::Lost), None),
            _ = &mut writing => (Leave::Lost, None),
            leave = watchdog(settings, last_text, last_pong, &ping) => (leave, None),
            () = out.notified() => match *hub.closed_at.borrow() {
                Some(_) if is_closed => (Leave::Shutdown, None),
                Some(closed_at) => (Leave::Shutdown, Some(closed_at)),
                None => (Leave::TooSlow, None),
            },
        };
        drop(guard);
        if leave != Leave::Lost {
            goodbye.send_replace(Some(leave));
            let deadline = since.unwrap_or_else(Instant::now) + settings.close_within;
            let _ = timeout_at(deadline, &mut reading).await;
        }
        // Both tasks are aborted with their handles.
        leave
    }

    pub async fn shutdown(&self) {
        let hub = &self.0;
        hub.closed_at.send_if_modified(|closed_at| {
            let first = closed_at.is_none();
            closed_at.get_or_insert_with(Instant::now);
            first
        });
        let places = std::mem::take(&mut *hub.places.write().unwrap());
        for place in places.into_values() {
            place.outbox.close();
            place.out.notify_one();
        }
        let _ = hub.connections.subscribe().wait_for(|n| *n == 0).await;
    }
}

/// What the one who reads tells.
struct Heard {
    hub: Arc<Hub>,
    number: u64,
    name: String,
    said: watch::Sender<Instant>,
    answered: watch::Sender<Instant>,
}

/// Reads until the end of the stream; says before, if the peer closes.
async fn read(mut stream: SplitStream<Socket>, heard: Heard, last_word: oneshot::Sender<Leave>) {
    let mut last_word = Some(last_word);
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Text(text) => {
                heard.said.send_replace(Instant::now());
                let text = format!("{}: {text}", heard.name);
                heard.hub.say(heard.number, &Text::from(text));
            }
            Message::Pong(_) => {
                heard.answered.send_replace(Instant::now());
            }
            Message::Close(frame) => {
                if let Some(last_word) = last_word.take() {
                    let code = frame.map(|frame| frame.code.into());
                    let _ = last_word.send(Leave::Closed(code));
                }
            }
            Message::Binary(_) | Message::Ping(_) | Message::Frame(_) => {}
        }
    }
}

/// Says when a member has to go, and sees to the pings.
async fn watchdog(
    settings: Settings,
    mut last_text: watch::Receiver<Instant>,
    mut last_pong: watch::Receiver<Instant>,
    ping: &Notify,
) -> Leave {
    let idle = async {
        loop {
            let idle_at = *last_text.borrow_and_update() + settings.idle_after;
            if timeout_at(idle_at, last_text.changed()).await.is_err() {
                return Leave::Idle;
            }
        }
    };
    let silent = async {
        let mut due = Instant::now() + settings.ping_every;
        loop {
            sleep_until(due).await;
            last_pong.borrow_and_update();
            ping.notify_one();
            let pong = timeout_at(due + settings.pong_within, last_pong.changed());
            if pong.await.is_err() {
                return Leave::NoPong;
            }
            due += settings.ping_every;
        }
    };
    select! {
        leave = idle => leave,
        leave = silent => leave,
    }
}

/// Sends until a send fails; after the goodbye it waits to be ended.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    outbox: Arc<Outbox>,
    ping: Arc<Notify>,
    mut goodbye: watch::Receiver<Option<Leave>>,
) {
    loop {
        let told = *goodbye.borrow_and_update();
        let message = match told {
            None => select! {
                biased;
                _ = goodbye.changed() => continue,
                () = ping.notified() => Message::Ping(Bytes::new()),
                Some(delivery) = outbox.next() => Message::Text(delivery.into_text()),
            },
            Some(leave) => {
                let delivery = match leave {
                    Leave::Shutdown => outbox.next().await,
                    _ => None,
                };
                match (delivery, leave.close_frame()) {
                    (Some(delivery), _) => Message::Text(delivery.into_text()),
                    (None, Some(frame)) => {
                        let _ = sink.send(Message::Close(Some(frame))).await;
                        return;
                    }
                    (None, None) => return,
                }
            }
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}
