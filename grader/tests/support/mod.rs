//! What tests of several programs share.

pub mod pty;
