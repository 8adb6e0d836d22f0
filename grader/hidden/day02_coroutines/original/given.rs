//! What day 2 gives you: the error of a cell whose sender is gone.

use std::error::Error;
use std::fmt;

/// The sender of a cell was dropped without sending a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderDropped;

impl fmt::Display for SenderDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender was dropped without sending a value")
    }
}

impl Error for SenderDropped {}
