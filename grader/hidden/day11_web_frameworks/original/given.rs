//! Given, not to be changed: what the shop hears and says, and the bank behind it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// A show, as `GET /shows/{name}` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    /// What it is called.
    pub name: String,
    /// How many of its seats are neither sold nor held for somebody who is paying.
    pub free: u32,
}

/// What `POST /shows/{name}/tickets` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// How many seats.
    pub seats: NonZeroU32,
}

/// What a buyer gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The show's name.
    pub show: String,
    /// How many seats.
    pub seats: NonZeroU32,
    /// What the bank gave for the payment.
    pub receipt: u64,
}

/// The bank does not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declined;

/// Where buyers' money comes from.
pub trait Bank: Send + Sync {
    /// Charges for so many seats of a show and gives the number of the receipt.
    ///
    /// Begins when the future is first polled. Dropped before it is ready,
    /// nothing is charged.
    fn charge(&self, show: &str, seats: NonZeroU32) -> BoxFuture<'static, Result<u64, Declined>>;
}

/// What the whole app allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// So many requests at the same time.
    pub in_flight: NonZeroUsize,
    /// No request takes longer.
    pub patience: Duration,
}
