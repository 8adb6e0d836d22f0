//! What the command line asks for.

mod bar;
mod check;
mod completions;
mod context;
mod demo;
mod doctor;
mod exit;
mod hint;
mod mark;
mod new;
mod overview;
mod read;
mod reset;
mod solution;
mod timeline;
mod verify;
mod watch;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::{
    context::Context,
    exit::{CallError, Exit},
};

/// Twenty days of async Rust, graded at every save.
///
/// Without a command, goes on where you stopped.
#[derive(Debug, Parser)]
#[command(name = "kata", version, about, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 all passed; 1 something is not passed yet; \
2 the call, the course or the progress file is at fault; 3 the grader failed.\n\
An exercise is named by its day (7, 07, day07) or by any unique part of its name."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Grade at every save
    Watch(watch::Arguments),
    /// Grade exercises once
    Check(check::Arguments),
    /// Where you stand: the four weeks as a table
    Progress(overview::Arguments),
    /// Every exercise on a line
    List,
    /// One more hint at each call
    Hint(hint::Arguments),
    /// The reference book, and the days' texts
    Read(read::Arguments),
    /// Runnable examples in virtual time, drawn; change their delays and counts
    Demo(demo::Arguments),
    /// What one check saw in virtual time, drawn
    Timeline(timeline::Arguments),
    /// Ask for help with an exercise (❌), or take that back
    Mark(mark::Arguments),
    /// Start an exercise anew; your version is put away first
    Reset(reset::Arguments),
    /// The reference solution, after ✅ or when you give up
    Solution(solution::Arguments),
    /// Look at this machine: toolchain, watcher, terminal, diagnoses
    Doctor,
    /// Make a workspace in a new folder
    Init(workspace::Arguments),
    /// Bring new texts into a workspace; your files stay as they are
    Update,
    /// Completions for your shell
    Completions(completions::Arguments),
    /// For authors: make a new exercise
    New(new::Arguments),
    /// For authors: prove that exercises are sound
    Verify(verify::Arguments),
}

/// Reads the command line, does what it asks, and turns the result into an exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Call
            } else {
                Exit::Passed
            };
            let _ = error.print();
            return exit.into();
        }
    };
    match Context::detect() {
        Ok(context) => match run(&context, arguments) {
            Ok(exit) => exit.into(),
            Err(error) => {
                context.complain(&format!("{error:#}"));
                let exit = if error.is::<CallError>() {
                    Exit::Call
                } else {
                    Exit::Grader
                };
                exit.into()
            }
        },
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Grader.into()
        }
    }
}

fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Some(Command::Watch(arguments)) => watch::run(context, &arguments),
        Some(Command::Check(arguments)) => check::run(context, &arguments),
        Some(Command::Progress(arguments)) => overview::progress(context, &arguments),
        Some(Command::List) => overview::list(context),
        Some(Command::Hint(arguments)) => hint::run(context, &arguments),
        Some(Command::Read(arguments)) => read::run(context, &arguments),
        Some(Command::Demo(arguments)) => demo::run(context, &arguments),
        Some(Command::Timeline(arguments)) => timeline::run(context, &arguments),
        Some(Command::Mark(arguments)) => mark::run(context, &arguments),
        Some(Command::Reset(arguments)) => reset::run(context, &arguments),
        Some(Command::Solution(arguments)) => solution::run(context, &arguments),
        Some(Command::Doctor) => doctor::run(context),
        Some(Command::Init(arguments)) => workspace::init(context, &arguments),
        Some(Command::Update) => workspace::update(context),
        Some(Command::Completions(arguments)) => Ok(completions::run(&arguments)),
        Some(Command::New(arguments)) => new::run(context, &arguments),
        Some(Command::Verify(arguments)) => verify::run(context, &arguments),
        None => watch::run(context, &watch::Arguments::default()),
    }
}
