//! Given, not to be changed: the wire, what an outbox gives, why a member left.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The bytes below a websocket. On a real server this would be a `TcpStream`.
pub type Wire = tokio::io::DuplexStream;

/// A websocket whose handshake is done: a stream and a sink of messages.
pub type Socket = WebSocketStream<Wire>;

/// The text of a message. Cloning it copies no text: all clones share it.
pub type Text = Utf8Bytes;

/// Why a wire did not become a websocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The handshake was not complete in time.
    TooLate,
    /// What came was no websocket handshake, or the wire ended before.
    NotWebSocket,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLate => "the handshake took too long",
            Self::NotWebSocket => "this is no websocket handshake",
        })
    }
}

impl Error for Refused {}

/// What becomes of a message that finds an outbox full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The oldest message in the outbox is dropped, and makes room for it.
    DropOldest,
    /// The message itself is dropped.
    DropNewest,
    /// It is one too many: the outbox has ended, with all that is in it.
    Disconnect,
}

/// What comes out of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Text(Text),
    /// In this place so many messages are missing: they were dropped.
    Missed(u64),
}

impl Delivery {
    /// What a member of a room reads: the message, or a note such as
    /// `* 3 messages missed`.
    pub fn into_text(self) -> Text {
        match self {
            Self::Text(text) => text,
            Self::Missed(1) => Text::from("* 1 message missed"),
            Self::Missed(n) => Text::from(format!("* {n} messages missed")),
        }
    }
}

/// The outbox takes no messages: it was closed, or has overflowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the outbox has ended")
    }
}

impl Error for Ended {}

/// The limits of a room, the same for all its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many messages may wait for a member.
    pub outbox: NonZeroUsize,
    /// So long after joining, and then again and again, a member is pinged.
    pub ping_every: Duration,
    /// So long after a ping was due its pong must be there; shorter than
    /// `ping_every`.
    pub pong_within: Duration,
    /// So long a member may say nothing.
    pub idle_after: Duration,
    /// So long a member that has left may take to close its connection.
    pub close_within: Duration,
}

/// Why a member is no longer in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It sent a close frame; this is the code in it, if there was one.
    Closed(Option<u16>),
    /// The connection ended, or failed, without a close frame.
    Lost,
    /// Its outbox overflowed under [`Policy::Disconnect`].
    TooSlow,
    /// It did not answer a ping in time.
    NoPong,
    /// It said nothing for too long.
    Idle,
    /// The room was shut down.
    Shutdown,
}

impl Leave {
    /// The close frame that tells the member; `None` if it was the member, or
    /// the connection, that ended it.
    pub fn close_frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Closed(_) | Self::Lost => return None,
            Self::TooSlow => (CloseCode::Policy, "too slow"),
            Self::NoPong => (CloseCode::Policy, "no pong"),
            Self::Idle => (CloseCode::Normal, "idle"),
            Self::Shutdown => (CloseCode::Away, "shutdown"),
        };
        let reason = Text::from_static(reason);
        Some(CloseFrame { code, reason })
    }
}
