//! What the command line asks for.

mod check;
mod context;
mod exit;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::{
    context::Context,
    exit::{CallError, Exit},
};

/// Twenty days of async Rust, graded at every save.
#[derive(Debug, Parser)]
#[command(name = "kata", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Grade exercises once
    Check(check::Arguments),
    /// For authors: prove that exercises are sound
    Verify(verify::Arguments),
}

/// Reads the command line, does what it asks, and turns the result into an exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            let exit = if error.is::<CallError>() {
                Exit::Call
            } else {
                Exit::Grader
            };
            exit.into()
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let context = Context::detect()?;
    match arguments.command {
        Some(Command::Check(arguments)) => check::run(&context, &arguments),
        Some(Command::Verify(arguments)) => verify::run(&context, &arguments),
        None => Ok(Exit::Call),
    }
}
