//! Day 18: Real-time Systems.
//!
//! A chat room over websockets. A member that reads slowly, or not at all, or
//! is long gone, costs the room a bounded outbox, and nobody else a millisecond.

mod given;

use std::num::NonZeroUsize;
use std::time::Duration;

pub use given::*;

// ---------------------------------------------------------------- Task 1

/// Does the server's part of the websocket handshake.
///
/// # Errors
///
/// [`Refused::TooLate`] exactly `within` after the first poll, if the handshake
/// is not complete by then. [`Refused::NotWebSocket`] at the instant at which
/// it is clear that there will be none. In both cases the wire is dropped.
pub async fn accept(wire: Wire, within: Duration) -> Result<Socket, Refused> {
    let _ = (wire, within);
    todo!("task 1: accept the handshake, but wait no longer than `within`")
}

/// Sends every text and binary message back, in order, until the connection has
/// ended.
///
/// When the peer sends a close frame: returns [`Leave::Closed`], with the code
/// that is in it, after the answering close frame was sent. When the connection
/// ends or fails without one: [`Leave::Lost`]. Never panics.
pub async fn echo(socket: Socket) -> Leave {
    let _ = socket;
    todo!("task 1: send every message back, until the stream of messages ends")
}

// ---------------------------------------------------------------- Task 2

/// A bounded queue of messages for one member. Many put messages in, from
/// wherever they are; one takes them out.
pub struct Outbox {
    // your fields
}

impl Outbox {
    /// An empty outbox for at most `capacity` messages. `policy` says what
    /// becomes of one that finds it full.
    pub fn new(capacity: NonZeroUsize, policy: Policy) -> Self {
        let _ = (capacity, policy);
        todo!("task 2: nothing in it yet")
    }

    /// Puts a message in. Never waits: into a full outbox it does what the
    /// policy says.
    ///
    /// Where messages were dropped, by whichever policy, there is a note of how
    /// many: see [`Outbox::next`].
    ///
    /// # Errors
    ///
    /// [`Ended`] after [`Outbox::close`]; and under [`Policy::Disconnect`] for
    /// the message that finds the outbox full, and every one after it. That
    /// message ends the outbox: what was in it is dropped, too.
    pub fn push(&self, text: Text) -> Result<(), Ended> {
        let _ = text;
        todo!("task 2: take it, or do what the policy says")
    }

    /// Takes out what is next, in the order in which it was put in; waits if
    /// there is nothing.
    ///
    /// In the place of messages that were dropped it gives, once,
    /// [`Delivery::Missed`] with their number. It gives `None` when the outbox
    /// has ended and nothing is left in it. Dropping the future loses nothing.
    pub async fn next(&self) -> Option<Delivery> {
        todo!("task 2: what is in front, or wait until there is something")
    }

    /// Takes no more messages. What is in the outbox still comes out. Who waits
    /// in [`Outbox::next`] is woken.
    pub fn close(&self) {
        todo!("task 2: refuse further messages, and wake who waits")
    }
}

// ---------------------------------------------------------------- Task 3

/// A chat room. Clones are the same room.
#[derive(Clone)]
pub struct Room {
    // your fields
}

impl Room {
    /// A room without members. Called within the tokio runtime.
    pub fn new(settings: Settings) -> Self {
        let _ = settings;
        todo!("task 3: nobody is in it yet")
    }

    /// The names of the members, in the order in which they joined. Takes no
    /// time.
    pub async fn members(&self) -> Vec<String> {
        todo!("task 3: who is in the room now")
    }

    /// Serves the connection of one member, from its joining until the
    /// connection has ended, and says why it left. Names need not be unique.
    ///
    /// It is a member from the first poll on. A text that it sends goes to
    /// every member, itself included, as `name: text`. It leaves the room at
    /// the instant at which the first of the reasons in [`Leave`] occurs; that
    /// is the reason that is returned, whatever happens later. Only then the
    /// connection is closed, which may take `close_within`.
    ///
    /// When the future is dropped the member has left, and the socket is
    /// dropped, at that instant.
    pub async fn join(&self, name: &str, policy: Policy, socket: Socket) -> Leave {
        let _ = (name, policy, socket);
        todo!("task 3: relay what it says, send what is in its outbox; task 4: pings, idleness")
    }
}

// ---------------------------------------------------------------- Task 5

impl Room {
    /// Ends the room. From its first poll on nobody is a member, and nobody is
    /// let in.
    ///
    /// What waits in each outbox is still sent, then the close frame of
    /// [`Leave::Shutdown`]. Returns when every connection of those who were
    /// members has ended, at the latest `close_within` after its first poll.
    /// Dropping the future takes nothing back.
    pub async fn shutdown(&self) {
        todo!("task 5: let nobody in, close every outbox, wait for every connection")
    }
}
