//! Checks that run inside this process: everything that needs no process to end.

mod futures;
mod lab;
mod panics;
mod services;
mod support;
