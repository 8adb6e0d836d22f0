//! `progress.json` on disk, under everything that can happen to a file.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests start processes in order to kill and to starve them"
)]

mod broken;
mod child;
mod crashes;
mod disk;
mod everyday;
mod terminals;
mod workspace;
