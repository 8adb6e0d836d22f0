//! The terminal: what it can do, its keys, its pages.

use std::io::{IsTerminal, Write, stdin, stdout};

use crossterm::{
    event::{Event, KeyCode, KeyEventKind, KeyModifiers, read},
    terminal::{disable_raw_mode, enable_raw_mode},
};

/// Capabilities.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// Whether keys can be read.
    pub stdin_tty: bool,
    /// Whether pages are seen by a person.
    pub stdout_tty: bool,
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// Colour.
    pub colour: bool,
    /// Emoji.
    pub unicode: bool,
    /// OSC 8.
    pub links: bool,
}

impl Capabilities {
    /// Looks.
    pub fn detect() -> Self {
        let stdout_tty = stdout().is_terminal();
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        Self {
            stdin_tty: stdin().is_terminal(),
            stdout_tty,
            width,
            height,
            colour: stdout_tty && std::env::var_os("NO_COLOR").is_none(),
            unicode: true,
            links: false,
        }
    }
}

/// Input.
#[derive(Debug)]
pub enum Input {
    /// A key.
    Key(char),
    /// A line.
    Line(String),
    /// Another size.
    Resize(u16, u16),
    /// Ctrl-C or a signal.
    Interrupt,
    /// No more lines.
    End,
}

/// Keys.
pub struct Keys(bool);

impl Keys {
    /// Starts reading.
    pub fn start(tty: bool, send: impl Fn(Input) -> bool + Send + 'static) -> Self {
        if tty {
            let _ = enable_raw_mode();
        }
        std::thread::spawn(move || {
            if tty {
                while let Ok(event) = read() {
                    let go = match event {
                        Event::Key(key) if key.kind != KeyEventKind::Release => match key.code {
                            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                                send(Input::Interrupt)
                            }
                            KeyCode::Char(c) => send(Input::Key(c)),
                            _ => send(Input::Key(' ')),
                        },
                        Event::Resize(w, h) => send(Input::Resize(w, h)),
                        _ => true,
                    };
                    if !go {
                        return;
                    }
                }
            } else {
                for line in stdin().lines().map_while(Result::ok) {
                    if !send(Input::Line(line)) {
                        return;
                    }
                }
                send(Input::End);
            }
        });
        Self(tty)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if self.0 {
            let _ = disable_raw_mode();
        }
    }
}

/// Screen.
#[derive(Debug)]
pub struct Screen {
    /// Append only.
    pub plain: bool,
    /// Lines.
    pub height: u16,
}

impl Screen {
    /// Page.
    pub fn page(&mut self, text: &str) {
        let mut out = String::new();
        if !self.plain {
            out.push_str(&"\r\n".repeat(self.height.into()));
            out.push_str("\x1b[H\x1b[J");
        }
        out.push_str(&text.replace('\n', "\r\n"));
        let _ = stdout().write_all(out.as_bytes());
        let _ = stdout().flush();
    }

    /// Status.
    pub fn status(&mut self, text: &str) {
        if !self.plain {
            let _ = write!(stdout(), "\r\x1b[K{}", text.trim_end());
            let _ = stdout().flush();
        }
    }
}
