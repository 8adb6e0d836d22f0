//! `progress.json` in memory, and the one pure step that a verdict takes in it.
