//! Effects: files, processes, the clock, the terminal, the watcher. Nothing else touches them.

pub mod backup;
pub mod clock;
pub mod course;
pub mod disk;
pub mod editor;
pub mod embedded;
pub mod files;
pub mod load;
pub mod lock;
pub mod pager;
pub mod parallel;
pub mod process;
pub mod progress_file;
pub mod terminal;
pub mod toolchain;
pub mod watcher;
pub mod workspace;
