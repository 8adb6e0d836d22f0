//! `progress.json` on disk, under everything that can happen to a file.

mod broken;
mod child;
mod crashes;
mod disk;
mod everyday;
mod terminals;
mod workspace;
