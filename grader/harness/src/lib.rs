//! What a hidden test links: a virtual-time runtime, detectors and simulators.

mod blocked;
mod busy;
mod channel;
mod controlled;
mod deadlock;
mod expect;
mod idle;
mod interpose;
mod lab;
mod limits;
mod names;
mod outcome;
mod panics;
mod place;
pub mod probe;
mod pulse;
mod runtime;
mod service;
mod sites;
mod span;
mod standalone;
mod suite;
mod sweep;
mod symbols;
mod task;
mod threads;
mod watchdog;
mod world;

pub use controlled::{Controlled, Handle};
pub use expect::Expectation;
pub use kata_report::{Location, SpanEnd};
pub use lab::{Heavy, Lab, ms};
pub use panics::Panic;
pub use place::Place;
pub use probe::Probe;
pub use service::{Call, CallInfo, Fault, Service, ServiceBuilder};
pub use span::SpanGuard;
pub use suite::Suite;
pub use sweep::Cancel;

pub use {fastrand, futures, tokio, tokio_test};
