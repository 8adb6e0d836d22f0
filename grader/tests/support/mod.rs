//! What tests of several programs share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod pty;
pub mod workspace;
