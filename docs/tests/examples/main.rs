//! The examples' own code in virtual time: instants and counts, as the demos show them.

mod demos;
mod parts;
mod support;
