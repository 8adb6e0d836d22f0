//! Single keys instead of lines, and the way back from that, whatever happens.

use std::{
    io, panic,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Who asked for single keys, while somebody does.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);
static HOOK: Once = Once::new();
/// Whether the terminal is raw right now; it is not while the program is suspended.
static RAW: AtomicBool = AtomicBool::new(false);

/// While it lives, keys come one by one, unseen, and Ctrl-C is a key. The terminal is as it
/// was before when it is dropped, when its thread panics, or after [`restore`].
///
/// Output is processed as ever: `\n` still begins a line at its left end, so that a panic's
/// message or a child's output reads as usual.
#[derive(Debug)]
pub(super) struct RawMode(());

impl RawMode {
    /// Needs a terminal on stdin.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(restore_on_panic);
        let mut owner = owner();
        enable()?;
        *owner = Some(thread::current().id());
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was. Does nothing if it is not raw. For ways out of the
/// program on which nothing is dropped.
pub fn restore() {
    let mut owner = owner();
    *owner = None;
    disable();
}

/// Gives the terminal back for as long as the program is suspended.
pub(super) fn pause() {
    let _owner = owner();
    disable();
}

/// The program was continued; whatever the shell did to the terminal, it is raw again if it
/// was before [`pause`].
pub(super) fn resume() {
    let owner = owner();
    if owner.is_some() {
        // Without this, crossterm believes that nothing has to be done.
        disable();
        // The terminal may be gone by now; then there are no more keys either.
        let _ = enable();
    }
}

fn enable() -> io::Result<()> {
    enable_raw_mode()?;
    RAW.store(true, Ordering::SeqCst);
    keep_output_processing();
    Ok(())
}

fn disable() {
    if RAW.swap(false, Ordering::SeqCst) {
        // Fails if the terminal is gone, and then there is nothing to restore.
        let _ = disable_raw_mode();
    }
}

#[cfg(unix)]
fn keep_output_processing() {
    use rustix::termios::{OptionalActions, OutputModes, tcgetattr, tcsetattr};

    let stdin = io::stdin();
    if let Ok(mut termios) = tcgetattr(&stdin) {
        termios.output_modes.insert(OutputModes::OPOST);
        // Lines would begin where the last one ended: ugly, no more.
        let _ = tcsetattr(&stdin, OptionalActions::Now, &termios);
    }
}

#[cfg(not(unix))]
fn keep_output_processing() {}

/// A panic of another thread may be caught and told on the page; only the owner's ends it all.
fn restore_on_panic() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // Not `owner()`: the panic may have come while the lock was held.
        let is_owner = OWNER
            .try_lock()
            .is_ok_and(|owner| *owner == Some(thread::current().id()));
        if is_owner {
            restore();
        }
        before(info);
    }));
}

fn owner() -> MutexGuard<'static, Option<ThreadId>> {
    OWNER.lock().unwrap_or_else(PoisonError::into_inner)
}
