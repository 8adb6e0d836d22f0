//! Checks that run inside this process: everything that needs no process to end; and the crate itself.

mod files;
mod futures;
mod lab;
mod panics;
mod services;
mod support;
