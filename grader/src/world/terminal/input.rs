//! The threads that wait for keys, lines and signals.

use std::{io, thread};

use anyhow::{Context, Result};
use crossterm::event::{self, Event};

use super::{
    Capabilities,
    key::{Key, Press},
    raw::{self, RawMode},
};

/// What comes from the terminal, or from whatever stands in for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// A line without its end, where there are no single keys.
    Line(String),
    /// There will be no more lines.
    End,
    /// The terminal has this size now; the page is to be painted again. While a window is
    /// dragged larger many of these come: paint after the last. Also sent when only the page
    /// is lost: Ctrl-L, and after a suspension.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Ctrl-C, or a signal that asks the program to end. A second signal ends it at once.
    Quit,
}

/// While it lives, input comes; the terminal is as it was when this is dropped.
#[derive(Debug)]
pub struct Listener {
    _raw: Option<RawMode>,
}

/// Sends everything that is typed, one key at a time if a terminal is on both ends, else line
/// by line; and signals.
///
/// The threads that wait live as long as the program: a read cannot be called back.
pub fn listen(
    capabilities: &Capabilities,
    send: impl Fn(Input) + Clone + Send + 'static,
) -> Result<Listener> {
    let keys = capabilities.stdin_tty && capabilities.stdout_tty;
    wait_for_signals(send.clone()).context("cannot listen to signals")?;
    let Capabilities { width, height, .. } = Capabilities::detect();
    if (width, height) != (capabilities.width, capabilities.height) {
        // It changed before anybody listened.
        send(Input::Resize { width, height });
    }
    let raw = if keys {
        Some(RawMode::enter().context("cannot read single keys from the terminal")?)
    } else {
        None
    };
    let name = if keys { "keys" } else { "lines" };
    thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            if keys {
                read_keys(&send);
            } else {
                read_lines(&send);
            }
        })
        .context("cannot start the thread that reads the input")?;
    Ok(Listener { _raw: raw })
}

fn read_lines(send: &impl Fn(Input)) {
    for line in io::stdin().lines() {
        match line {
            Ok(line) => send(Input::Line(line)),
            // A line that is not UTF-8 is no command.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(_) => break,
        }
    }
    send(Input::End);
}

fn read_keys(send: &impl Fn(Input)) {
    // An error means that the terminal is gone.
    while let Ok(event) = event::read() {
        match event {
            Event::Key(event) => match event.into() {
                Press::Key(key) => send(Input::Key(key)),
                Press::Quit => send(Input::Quit),
                Press::Suspend => suspend(send),
                Press::Repaint => repaint(send),
                Press::Nothing => {}
            },
            // On Unix the signal tells, also where no keys are read.
            Event::Resize(width, height) if cfg!(windows) => send(Input::Resize { width, height }),
            _ => {}
        }
    }
    send(Input::End);
}

fn repaint(send: &impl Fn(Input)) {
    let Capabilities { width, height, .. } = Capabilities::detect();
    send(Input::Resize { width, height });
}

/// Stops every program of the job, as the terminal itself does when it is not raw.
#[cfg(unix)]
fn suspend(send: &impl Fn(Input)) {
    use rustix::process::{Signal, kill_current_process_group};

    raw::pause();
    if kill_current_process_group(Signal::TSTP).is_err() {
        raw::resume();
        return;
    }
    // The signal that continues the program restores the keys. But where no shell could ever
    // continue it the system does not stop it, and so no such signal comes.
    thread::sleep(std::time::Duration::from_millis(500));
    if raw::is_paused() {
        raw::resume();
        repaint(send);
    }
}

#[cfg(not(unix))]
fn suspend(_: &impl Fn(Input)) {}

#[cfg(unix)]
fn wait_for_signals(send: impl Fn(Input) + Send + 'static) -> io::Result<()> {
    use signal_hook::{
        consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGWINCH},
        iterator::Signals,
        low_level::emulate_default_handler,
    };

    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCONT, SIGWINCH])?;
    let wait = move || {
        let mut asked = false;
        for signal in &mut signals {
            match signal {
                SIGWINCH => repaint(&send),
                SIGCONT => {
                    raw::resume();
                    repaint(&send);
                }
                _ if asked => {
                    raw::restore();
                    // It fails for signals without a default only.
                    let _ = emulate_default_handler(signal);
                }
                _ => {
                    asked = true;
                    send(Input::Quit);
                }
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}

#[cfg(not(unix))]
fn wait_for_signals(_: impl Fn(Input) + Send + 'static) -> io::Result<()> {
    Ok(())
}
