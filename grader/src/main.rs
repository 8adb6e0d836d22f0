//! The `kata` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    kata::commands::main()
}
