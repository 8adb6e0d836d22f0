//! The screen with what stands on it, so that it can be drawn again.

use std::io;

use super::pages;
use crate::{view::style::Style, world::terminal::Screen};

/// The page, the remarks and keys below it, and the status line.
#[derive(Debug)]
pub struct Canvas {
    /// How pages look.
    pub style: Style,
    screen: Screen,
    /// Remarks for the foot of the next page.
    remarks: Vec<String>,
    page: String,
    status: String,
}

impl Canvas {
    /// Nothing yet.
    pub const fn new(screen: Screen, style: Style) -> Self {
        Self {
            style,
            screen,
            remarks: Vec::new(),
            page: String::new(),
            status: String::new(),
        }
    }

    /// Keeps a remark for the foot of the next page.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// Shows a page, the remarks, the keys, and no status.
    pub fn show(&mut self, page: &str, solved: bool) -> io::Result<()> {
        page.trim_end().clone_into(&mut self.page);
        self.page.push_str("\n\n");
        for remark in self.remarks.drain(..) {
            self.page.push_str(remark.trim_end());
            self.page.push_str("\n\n");
        }
        self.page.push_str(&pages::keys(solved, &self.style));
        self.status.clear();
        self.screen.page(&self.page)
    }

    /// Shows a status that stays.
    pub fn status(&mut self, status: &str) -> io::Result<()> {
        status.clone_into(&mut self.status);
        self.screen.status(status.trim_end())
    }

    /// Shows a status that the next moment replaces.
    pub fn progress(&mut self, status: &str) -> io::Result<()> {
        status.clone_into(&mut self.status);
        self.screen.progress(status.trim_end())
    }

    /// The terminal has another size; what stands on it has to be drawn anew.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.style.width = width.into();
        self.screen.resize(width, height);
    }

    /// Draws what stands there again.
    pub fn redraw(&mut self) -> io::Result<()> {
        self.screen.page(&self.page)?;
        self.screen.progress(self.status.trim_end())
    }

    /// Leaves the terminal to whoever writes next.
    pub fn finish(&mut self) -> io::Result<()> {
        self.screen.finish()
    }
}
