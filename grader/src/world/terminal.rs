//! What the terminal can do.

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
        use std::io::IsTerminal;
        let stdout_tty = std::io::stdout().is_terminal();
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        Self {
            stdin_tty: std::io::stdin().is_terminal(),
            stdout_tty,
            width,
            height,
            colour: stdout_tty,
            unicode: true,
            links: false,
        }
    }
}
