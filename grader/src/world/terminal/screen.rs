//! Pages, and a status line beneath; never erases what it did not paint.

use std::{
    fs::File,
    io::{self, Write},
};

use super::{Capabilities, clip};

/// How pages follow each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Painting {
    /// What was on the screen moves up into the scrollback; the page starts at the top.
    #[default]
    Scroll,
    /// The page replaces what is visible; the scrollback stays as it is.
    Clear,
    /// Everything is appended and the cursor never moves: for screen readers, pipes and files.
    Plain,
}

/// What the learner looks at. Each page is one write.
#[derive(Debug)]
pub struct Screen<W: Write = File> {
    out: W,
    painting: Painting,
    width: usize,
    height: usize,
    /// How many rows the status has; the cursor is at the end of the last one.
    status_rows: usize,
    status: String,
    pages: usize,
}

impl Screen {
    /// On stdout. Where the cursor cannot be moved, painting is plain.
    pub fn on_stdout(capabilities: &Capabilities, painting: Painting) -> io::Result<Self> {
        // Not `Stdout`: it would cut a page at its last line end into two writes.
        Ok(Self::on(stdout()?, capabilities, painting))
    }
}

impl<W: Write> Screen<W> {
    /// On anything. Where the cursor cannot be moved, painting is plain.
    pub fn on(out: W, capabilities: &Capabilities, painting: Painting) -> Self {
        let plain = !capabilities.cursor;
        Self {
            out,
            painting: if plain { Painting::Plain } else { painting },
            width: capabilities.width.into(),
            height: capabilities.height.into(),
            status_rows: 0,
            status: String::new(),
            pages: 0,
        }
    }

    /// The terminal has this size now. Paint the page again after that.
    pub fn resize(&mut self, width: u16, height: u16) {
        (self.width, self.height) = (width.into(), height.into());
    }

    /// Shows a page, without a status. Of one that is taller than the terminal the end is
    /// visible, and the start is in the scrollback.
    pub fn page(&mut self, text: &str) -> io::Result<()> {
        let mut bytes = String::with_capacity(text.len() + 100);
        self.pages += 1;
        match self.painting {
            Painting::Plain => {
                if self.pages > 1 {
                    bytes.push('\n');
                }
            }
            Painting::Scroll => {
                self.leave_status(&mut bytes);
                // However much the terminal wrapped or reflowed: as many line ends as this
                // from anywhere bring the cursor's line to the top, and it is the first that
                // is not part of the last page.
                for _ in 1..self.height {
                    bytes.push_str("\r\n");
                }
                bytes.push_str("\x1b[H\x1b[J");
            }
            Painting::Clear => bytes.push_str("\x1b[H\x1b[J"),
        }
        self.push_lines(text, &mut bytes);
        bytes.push_str(self.line_end());
        self.status_rows = 0;
        self.status.clear();
        self.write(&bytes)
    }

    /// Shows `text` in the last rows, in place of the last status. Lines are clipped to the
    /// terminal's width. Plain painting appends it, if it differs from the last one.
    pub fn status(&mut self, text: &str) -> io::Result<()> {
        if self.painting == Painting::Plain && self.status != text {
            text.clone_into(&mut self.status);
            return self.write(&format!("{text}\n"));
        }
        self.progress(text)
    }

    /// As [`Self::status`] for what changes many times a second: plain painting leaves it out.
    pub fn progress(&mut self, text: &str) -> io::Result<()> {
        if self.painting == Painting::Plain {
            return Ok(());
        }
        let mut bytes = String::new();
        self.erase_status(&mut bytes);
        // The last column stays free: a character wider than believed must not wrap.
        let width = self.width.saturating_sub(1);
        let rows = text.lines().take(self.height.saturating_sub(1).max(1));
        let rows: Vec<String> = rows.map(|line| clip(line, width)).collect();
        bytes.push_str(&rows.join("\r\n"));
        self.status_rows = rows.len();
        self.write(&bytes)
    }

    /// Leaves the cursor at the start of a fresh line, for whoever writes next.
    pub fn finish(&mut self) -> io::Result<()> {
        let mut bytes = String::new();
        self.leave_status(&mut bytes);
        self.write(&bytes)
    }

    fn erase_status(&self, bytes: &mut String) {
        use std::fmt::Write as _;

        if self.status_rows > 1 {
            // Writing to a string does not fail.
            let _ = write!(bytes, "\x1b[{}A", self.status_rows - 1);
        }
        if self.status_rows > 0 {
            bytes.push_str("\r\x1b[J");
        }
    }

    fn leave_status(&mut self, bytes: &mut String) {
        if self.status_rows > 0 {
            bytes.push_str("\r\n");
        }
        self.status_rows = 0;
    }

    fn push_lines(&self, text: &str, bytes: &mut String) {
        let mut lines = text.lines();
        bytes.push_str(lines.next().unwrap_or_default());
        for line in lines {
            bytes.push_str(self.line_end());
            bytes.push_str(line);
        }
    }

    fn line_end(&self) -> &'static str {
        match self.painting {
            Painting::Plain => "\n",
            // Right whether the terminal processes its output or not.
            Painting::Scroll | Painting::Clear => "\r\n",
        }
    }

    fn write(&mut self, bytes: &str) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.out.write_all(bytes.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // The terminal may be gone; nobody would read of it.
        let _ = self.finish();
    }
}

#[cfg(unix)]
fn stdout() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn stdout() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
