//! What a hidden test links: a virtual-time runtime, detectors and simulators.

mod channel;
mod controlled;
mod deadlock;
mod expect;
mod idle;
mod interpose;
mod lab;
mod limits;
mod panics;
mod place;
pub mod probe;
mod runtime;
mod service;
mod span;
mod standalone;
mod suite;
mod sweep;
mod task;
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
