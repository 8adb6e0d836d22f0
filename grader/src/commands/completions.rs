//! `kata completions`: for the shell.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Arguments as Whole, exit::Exit};

/// Arguments of `kata completions`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Exit {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Whole::command(), "kata", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Exit::Passed
}
