//! The `kata` command.

fn main() {}
