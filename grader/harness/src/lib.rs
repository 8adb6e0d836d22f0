//! What a hidden test links: a virtual-time runtime, detectors and simulators.
//!
//! # What a run does
//! A hidden test is a plain program around a [`Suite`]. The grader starts it once for each
//! check and asks for one [`Request`](kata_report::Request) through a socket. The check's body
//! then runs under one seed after the other, each time on a fresh thread with a fresh
//! current-thread runtime whose clock is paused: it jumps to the next timer as soon as nothing
//! can run. The first seed under which something is found ends the check. What was found, and
//! what took virtual time, is written to the socket as one record, and the process ends.
//!
//! A run ends when its body returns, when an expectation fails, or when a detector is sure that
//! it will not end well:
//!
//! | what | how it is known |
//! |---|---|
//! | deadlock | a sentinel timer two years ahead fires, and nobody was idle for a year before |
//! | a missed wake-up | the same, and polled once more the code goes on |
//! | no end | 50,000 idle moments, or timers that go on for years |
//! | busy loop | 20,000 polls at one instant |
//! | `thread::sleep` on the runtime | std's way to the system leads here |
//! | a std lock, channel or join on the runtime | so does its way to wait; nobody is left to end it |
//! | an endless poll or blocking job | a watchdog goes by processor time and by threads' states |
//!
//! # Where the facts come from
//! What tokio does with a paused clock, parks, hooks and dumps is nowhere promised. The program
//! `tests/tokio_facts` holds every fact that this crate leans on; tokio is pinned to the release
//! that they were checked on. What std asks of the system is held by `tests/detectors`.
//!
//! # The files
//! | file | holds |
//! |---|---|
//! | `suite` | the checks of a hidden test and what they are worth |
//! | `channel` | the socket to the grader |
//! | `standalone` | plain `cargo test`, where no grader is |
//! | `limits` | what a test process may take of the machine |
//! | `sandbox` | what the learner's code may change of the machine |
//! | `runtime` | one run: thread, runtime, hooks |
//! | `root` | the root's polls, its waker, the sentinel |
//! | `world` | what a run shares between its root, tasks and hooks |
//! | `idle` | the park hook: idle moments and `settle` |
//! | `task` | the tasks of a run, numbered |
//! | `outcome` | from a run's end to its finding |
//! | `deadlock` | deadlocks, missed wake-ups, endless ticking |
//! | `busy` | busy loops |
//! | `sites` | who waits where |
//! | `blocked` | findings about code that keeps a thread |
//! | `watchdog` | the thread that tells of polls and jobs without end |
//! | `pulse` | what the watchdog feels |
//! | `threads` | the process's threads as Linux shows them |
//! | `panics` | the panic hook |
//! | `place` | from a stack to the learner's line |
//! | `symbols` | from an address to a function |
//! | `names` | functions as people call them |
//! | `interpose` | C functions answered here: the only unsafe code |
//! | `lab` | what a check's body holds |
//! | `expect` | expectations |
//! | `service` | a simulated backend |
//! | `span` | what took virtual time |
//! | `sweep` | an operation dropped at each of its pendings |
//! | `probe` | futures polled by hand |
//! | `controlled` | an inner future resolved by hand |
//!
//! # What needs what
//! Without `--cfg tokio_unstable` deadlocks lack the tasks' places, and busy loops of tasks are
//! found by the watchdog alone. Off Linux with glibc nothing is interposed: a blocked thread is
//! left to the grader's deadline, and the order of hash maps is not the seed's.

#![cfg_attr(
    not(all(task_hooks, task_dumps, interposing)),
    expect(
        dead_code,
        reason = "what a target does not offer leaves its helpers unused"
    )
)]

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
mod root;
mod runtime;
mod sandbox;
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
