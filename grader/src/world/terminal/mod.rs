//! The learner's terminal: what it can do, what is typed, what is painted.
//!
//! | file | what it knows |
//! |---|---|
//! | `capabilities` | whether there is a terminal; its size, colours, characters, links |
//! | `raw` | single keys instead of lines, and the way back from that, whatever happens |
//! | `input` | the threads that wait for keys, lines and signals |
//! | `key` | which key was pressed |
//! | `screen` | pages and the status line; never erases what it did not paint |
//! | `clip` | how much of a line fits |

mod capabilities;
mod clip;
mod input;
mod key;
mod raw;
mod screen;

pub use self::{
    capabilities::Capabilities,
    clip::clip,
    input::{Input, Listener, listen},
    key::Key,
    raw::restore,
    screen::{Painting, Screen},
};
