//! Given, not to be changed: the error of a push into a closed buffer.

use std::error::Error;
use std::fmt;

/// The buffer is closed. Here is the item that it did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed<T>(
    /// The item that was to go in.
    pub T,
);

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the buffer is closed")
    }
}

impl<T: fmt::Debug> Error for Closed<T> {}
