//! A program in a real pseudo-terminal: keys in, screen out.
//!
//! ```ignore
//! let mut pty = Pty::new("vim").arg("lib.rs").size(24, 80).spawn();
//! pty.wait_for("fn main");
//! pty.keys("ihello\x1b:wq\r");
//! assert_eq!(pty.wait(), 0);
//! ```
//! Nothing here sleeps for luck: every wait ends when the screen shows what is asked for, or
//! panics with the screen after [`PATIENCE`]. The program is killed when the `Pty` is dropped.
#![expect(
    dead_code,
    reason = "each test program that includes this uses a part of it"
)]

use std::{
    ffi::OsStr,
    io::{Read, Write},
    num::NonZero,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long a wait may take on the busiest machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that the emulated terminal keeps beyond the screen.
const SCROLLBACK: usize = 100_000;

/// A program to run in a pseudo-terminal.
#[must_use]
pub struct Builder {
    command: CommandBuilder,
    size: PtySize,
}

/// A program that runs in a pseudo-terminal, and what its screen shows.
pub struct Pty {
    shared: Arc<Shared>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// A wait that panics holds the lock; the reader goes on all the same.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
    /// The program, and everybody it gave its terminal to, have closed it.
    closed: bool,
}

impl Pty {
    /// `program` is searched in the `PATH`. It starts in the test's working folder, with the
    /// test's environment and `TERM=xterm-256color`.
    #[expect(clippy::new_ret_no_self, reason = "spawning ends the building")]
    pub fn new(program: impl AsRef<OsStr>) -> Builder {
        let mut command = CommandBuilder::new(program);
        command.env("TERM", "xterm-256color");
        command.cwd(std::env::current_dir().unwrap());
        Builder {
            command,
            size: size(24, 80),
        }
    }

    /// Types; `\r` is Enter, `\x1b` Escape, `\x03` Ctrl-C, `\x04` Ctrl-D.
    pub fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// What is visible now: one line per row, without blanks at the ends of rows and of the screen.
    pub fn screen(&self) -> String {
        self.lock().parser.screen().contents()
    }

    /// What scrolled off the top and what is visible, from the first line on.
    pub fn history(&self) -> String {
        history(&mut self.lock().parser)
    }

    /// The row and column of the cursor, from 0.
    pub fn cursor(&self) -> (u16, u16) {
        self.lock().parser.screen().cursor_position()
    }

    /// Every byte that the program wrote.
    pub fn raw(&self) -> Vec<u8> {
        self.lock().raw.clone()
    }

    /// Waits until the screen contains `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let what = format!("{text:?} on the screen");
        self.wait_until(&what, |screen| screen.contents().contains(text));
    }

    /// Waits until the screen no longer contains `text`.
    #[track_caller]
    pub fn wait_gone(&self, text: &str) {
        let what = format!("{text:?} to leave the screen");
        self.wait_until(&what, |screen| !screen.contents().contains(text));
    }

    /// Waits until `holds`; `what` names that in the panic.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !holds(state.parser.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let contents = state.parser.screen().contents();
            assert!(
                !state.closed,
                "the program ended before {what}; the screen:\n{contents}"
            );
            assert!(
                !left.is_zero(),
                "waited in vain for {what}; the screen:\n{contents}"
            );
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the program has ended and everything it wrote is on the screen; its exit
    /// code (a signal's death is 1 or 128 + its number).
    #[track_caller]
    pub fn wait(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            let contents = state.parser.screen().contents();
            assert!(
                !left.is_zero(),
                "the program does not end; the screen:\n{contents}"
            );
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(state);
        self.child.wait().unwrap().exit_code()
    }

    /// Whether the program has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The program's process id.
    pub fn id(&self) -> u32 {
        self.child
            .process_id()
            .expect("the program has not been waited for")
    }

    /// Sends a signal by its name: `TERM`, `INT`, `HUP`.
    #[expect(
        clippy::disallowed_methods,
        reason = "`kill` is no child to look after"
    )]
    pub fn signal(&self, signal: &str) {
        let kill = std::process::Command::new("kill")
            .args(["-s", signal, &self.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Makes the terminal larger or smaller, as dragging its corner does.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.lock()
            .parser
            .screen_mut()
            .set_size(nonzero(rows), nonzero(columns));
        self.master.resize(size(rows, columns)).unwrap();
    }

    /// Panics if the program ever took from the learner what the terminal showed before: by
    /// purging the scrollback, by the alternate screen, by a full reset.
    #[track_caller]
    pub fn assert_scrollback_was_kept(&self) {
        let raw = self.raw();
        for (bytes, name) in [
            ("\x1b[3J", "purges the scrollback"),
            ("\x1b[?1049h", "takes the alternate screen"),
            ("\x1b[?1047h", "takes the alternate screen"),
            ("\x1b[?47h", "takes the alternate screen"),
            ("\x1bc", "resets the terminal"),
        ] {
            let found = raw
                .windows(bytes.len())
                .position(|window| window == bytes.as_bytes());
            assert_eq!(found, None, "byte of {bytes:?}, which {name}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Builder {
    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Where it starts.
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.command.cwd(folder);
        self
    }

    /// The terminal's size; 24 by 80 if this is not called.
    pub fn size(mut self, rows: u16, columns: u16) -> Self {
        self.size = size(rows, columns);
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(self) -> Pty {
        let pair = native_pty_system().openpty(self.size).unwrap();
        let child = pair.slave.spawn_command(self.command).unwrap();
        // The terminal closes when the program's own descriptors of it do.
        drop(pair.slave);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                parser: vt100::Parser::new(
                    nonzero(self.size.rows),
                    nonzero(self.size.cols),
                    SCROLLBACK,
                ),
                raw: Vec::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let reader = pair.master.try_clone_reader().unwrap();
        let of_reader = Arc::clone(&shared);
        thread::spawn(move || read(reader, &of_reader));
        Pty {
            shared,
            keyboard: pair.master.take_writer().unwrap(),
            master: pair.master,
            child,
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Fails when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut reader: Box<dyn Read + Send>, shared: &Shared) {
    let mut buffer = [0; 4096];
    // Linux answers EIO instead of an end of file once the last program has closed its side.
    while let Ok(length @ 1..) = reader.read(&mut buffer) {
        let mut state = shared.lock();
        state.raw.extend_from_slice(&buffer[..length]);
        state.parser.process(&buffer[..length]);
        drop(state);
        shared.changed.notify_all();
    }
    shared.lock().closed = true;
    shared.changed.notify_all();
}

fn history(parser: &mut vt100::Parser) -> String {
    let screen = parser.screen_mut();
    let (rows, columns) = screen.size();
    screen.set_scrollback(usize::MAX);
    let mut lines = Vec::new();
    // A page at a time, from the top; the last page overlaps the one before.
    loop {
        let above = screen.scrollback();
        let page = screen
            .rows(0, columns.get())
            .map(|row| row.trim_end().to_owned());
        let new = above.min(usize::from(rows.get()));
        if above == 0 {
            lines.extend(page);
            break;
        }
        lines.extend(page.take(new));
        screen.set_scrollback(above - new);
    }
    lines.join("\n").trim_end().to_owned()
}

fn nonzero(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has rows and columns")
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}
