//! Effects: files, processes, the clock, the terminal, the watcher. Nothing else touches them.

pub mod clock;
pub mod course;
pub mod editor;
pub mod files;
pub mod lock;
pub mod process;
pub mod progress_file;
pub mod sources;
pub mod terminal;
pub mod toolchain;
pub mod watcher;
