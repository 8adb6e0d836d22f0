//! Every way to save counts exactly once, whether the system announces it or not.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests start the programs that save"
)]

mod support;

#[path = "watcher/course.rs"]
mod course;
#[path = "watcher/editors.rs"]
mod editors;
#[path = "watcher/fallback.rs"]
mod fallback;
#[path = "watcher/folders.rs"]
mod folders;
#[path = "watcher/latency.rs"]
mod latency;
#[path = "watcher/patterns.rs"]
mod patterns;
