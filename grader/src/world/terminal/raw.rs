//! Single keys instead of lines, and the way back from that, whatever happens.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

static STATE: Mutex<State> = Mutex::new(State::Lines);

/// The process has one terminal, and signals have to find it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// As the shell left it.
    Lines,
    /// Keys come one by one.
    Raw,
    /// It will be raw again when the program is continued.
    Paused,
}

/// While it lives, keys come one by one, unseen, and Ctrl-C is a key. When it is dropped, also
/// by a panic, or after [`restore`], the terminal is as it was before.
///
/// Output is processed as ever: `\n` still begins a line at its left end, so that a panic's
/// message or a child's output reads as usual.
#[derive(Debug)]
pub(super) struct RawMode(());

impl RawMode {
    /// Needs a terminal on stdin.
    pub fn enter() -> io::Result<Self> {
        let mut state = state();
        enable()?;
        *state = State::Raw;
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was, if it is raw. For ways out of the program on which
/// nothing is dropped.
pub fn restore() {
    let mut state = state();
    disable(*state);
    *state = State::Lines;
}

/// Gives the terminal back for as long as the program is suspended.
pub(super) fn pause() {
    let mut state = state();
    disable(*state);
    if *state == State::Raw {
        *state = State::Paused;
    }
}

/// Whether [`pause`] waits for its [`resume`].
pub(super) fn is_paused() -> bool {
    *state() == State::Paused
}

/// The program was continued: whatever the shell did to the terminal, it is raw again if it
/// was before.
pub(super) fn resume() {
    let mut state = state();
    // Unless crossterm gave the terminal back first, it believes that nothing is to be done.
    disable(*state);
    // The terminal may be gone by now; then there are no more keys either.
    if *state != State::Lines && enable().is_ok() {
        *state = State::Raw;
    }
}

fn enable() -> io::Result<()> {
    enable_raw_mode()?;
    keep_output_processing();
    Ok(())
}

fn disable(state: State) {
    if state == State::Raw {
        // Fails if the terminal is gone, and then there is nothing to give back.
        let _ = disable_raw_mode();
    }
}

#[cfg(unix)]
fn keep_output_processing() {
    use rustix::termios::{OptionalActions, OutputModes, tcgetattr, tcsetattr};

    let stdin = io::stdin();
    if let Ok(mut termios) = tcgetattr(&stdin) {
        termios.output_modes.insert(OutputModes::OPOST);
        // Without it lines would begin where the last one ended: ugly, no more.
        let _ = tcsetattr(&stdin, OptionalActions::Now, &termios);
    }
}

#[cfg(not(unix))]
fn keep_output_processing() {}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
