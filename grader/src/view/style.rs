//! How a page looks: its width, and whether colour, emoji and links are wanted.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Once;

use colored::{ColoredString, Colorize as _};
use kata_report::Location;

use super::text::{ascii, clean, pad_right, truncate, width};
use crate::model::marker::Marker;

/// The narrowest page that is still laid out; a narrower terminal breaks lines itself.
const MIN_WIDTH: usize = 40;
/// Wider pages tear a name from its points.
const MAX_PAGE: usize = 100;
/// Wider prose is hard to read.
const MAX_PROSE: usize = 80;
/// Where a page's blocks begin.
pub const INDENT: usize = 3;
/// What a field's label and the space after it take.
const LABEL: usize = 11;

/// How a page looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether to paint; nothing else decides it, no environment variable and no terminal.
    pub colour: bool,
    /// Whether to keep to ASCII: no emoji, no box characters.
    pub ascii: bool,
    /// Whether places in the code become OSC 8 hyperlinks.
    pub links: bool,
    /// The folder that places are relative to, for links; empty means no links.
    pub root: String,
}

impl Default for Style {
    fn default() -> Self {
        Self::plain(80)
    }
}

impl Style {
    /// Neither colour nor links, with emoji.
    pub const fn plain(width: usize) -> Self {
        Self {
            width,
            colour: false,
            ascii: false,
            links: false,
            root: String::new(),
        }
    }

    /// Columns that a page fills.
    pub fn page(&self) -> usize {
        self.width.clamp(MIN_WIDTH, MAX_PAGE)
    }

    /// Columns that running text fills.
    pub fn prose(&self) -> usize {
        self.width.clamp(MIN_WIDTH, MAX_PROSE)
    }

    /// What matters.
    pub fn bold(&self, text: &str) -> String {
        self.paint(text, ColoredString::bold)
    }

    /// What doesn't.
    pub fn dim(&self, text: &str) -> String {
        self.paint(text, ColoredString::dimmed)
    }

    /// What can be used: keys, commands, places; and the bars of a chart.
    pub fn accent(&self, text: &str) -> String {
        self.paint(text, ColoredString::cyan)
    }

    fn paint(&self, text: &str, paint: impl Fn(ColoredString) -> ColoredString) -> String {
        static OURS_ALONE: Once = Once::new();
        if !self.colour || text.trim().is_empty() {
            return text.to_owned();
        }
        // `colored` would look at the environment and at stdout; `colour` already says it all.
        OURS_ALONE.call_once(|| colored::control::set_override(true));
        paint(text.into()).to_string()
    }

    /// `text` of the course or of a view in the signs that this terminal has.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.ascii {
            ascii(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Text with a learner's words in it, made harmless, in the signs that this terminal has.
    pub fn learner(&self, text: &str) -> String {
        self.text(&clean(text)).into_owned()
    }

    /// One sign, or its ASCII form.
    pub const fn sign<'s>(&self, sign: &'s str, ascii: &'s str) -> &'s str {
        if self.ascii { ascii } else { sign }
    }

    /// What stands between the parts of a line.
    pub const fn dot(&self) -> &'static str {
        self.sign(" · ", " - ")
    }

    /// A cell of a bar that only waits.
    pub const fn wait(&self) -> char {
        if self.ascii { '.' } else { '░' }
    }

    /// The marker's emoji, or its four ASCII columns.
    pub const fn marker(&self, marker: Marker) -> &'static str {
        self.sign(marker.symbol(), marker.ascii())
    }

    /// The marker and its word.
    pub fn marker_word(&self, marker: Marker) -> String {
        format!("{} {}", self.marker(marker), marker.word())
    }

    /// Unpainted `text`, cut to `columns` if it is longer.
    pub fn fit(&self, text: &str, columns: usize) -> String {
        truncate(text, columns, self.sign("…", "..."))
    }

    /// A bar of `cells` columns, filled as far as `done` of `total`.
    pub fn bar(&self, done: usize, total: usize, cells: usize) -> String {
        let filled = (done.min(total) * cells).checked_div(total).unwrap_or(0);
        let full = self.sign("█", "#").repeat(filled);
        let rest = self.sign("░", ".").repeat(cells - filled);
        format!("{}{}", self.accent(&full), self.dim(&rest))
    }

    /// `text` wrapped to `columns`, each line with `indent` before it; line ends stay.
    pub fn wrap(&self, text: &str, columns: usize, indent: usize) -> Vec<String> {
        let margin = " ".repeat(indent);
        let options = textwrap::Options::new(columns.saturating_sub(indent).max(8))
            // The optimal fit may overrun the line by a column.
            .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        text.lines()
            .flat_map(|line| textwrap::wrap(line, &options))
            .map(|line| format!("{margin}{line}").trim_end().to_owned())
            .collect()
    }

    /// A labelled block, its text wrapped beside the dim label.
    pub fn field(&self, label: &str, text: &str) -> String {
        self.painted_field(label, text, str::to_owned)
    }

    /// A labelled block whose lines are painted after they were wrapped.
    pub fn painted_field(&self, label: &str, text: &str, paint: impl Fn(&str) -> String) -> String {
        let columns = self.field_prose();
        let mut block = String::new();
        for (number, line) in self.wrap(text, columns, 0).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.labelled(&mut block, label, &paint(line));
        }
        block
    }

    /// A labelled block of one line that is painted already.
    pub fn field_line(&self, label: &str, painted: &str) -> String {
        let mut block = String::new();
        self.labelled(&mut block, label, painted);
        block
    }

    /// A labelled file, as a link; on a line of its own where the label leaves no room.
    pub fn file_field(&self, label: &str, file: &str) -> String {
        let painted = |columns| {
            let shown = self.fit(file, columns);
            self.link(file, 1, &self.accent(&shown))
        };
        if width(file) <= self.field_width() {
            return self.field_line(label, &painted(self.field_width()));
        }
        let below = INDENT + 2;
        let path = painted(self.page() - below);
        let label = self.field_line(label, "");
        format!("{label}{}{path}\n", " ".repeat(below))
    }

    fn labelled(&self, block: &mut String, label: &str, painted: &str) {
        let label = pad_right(label, LABEL);
        let label = if label.trim().is_empty() {
            label
        } else {
            self.dim(&label)
        };
        let line = format!("{}{label}{painted}", " ".repeat(INDENT));
        writeln!(block, "{}", line.trim_end()).expect("a String takes everything");
    }

    /// Columns of running text beside a field's label.
    pub fn field_prose(&self) -> usize {
        self.prose() - INDENT - LABEL
    }

    /// Columns beside a field's label.
    pub fn field_width(&self) -> usize {
        self.page() - INDENT - LABEL
    }

    /// `left` and, at the page's right edge, `right`; both painted already.
    ///
    /// Below each other where they don't fit side by side.
    pub fn sides(&self, left: &str, right: &str) -> String {
        if right.is_empty() {
            return format!("{left}\n");
        }
        let gap = self.page().saturating_sub(width(left) + width(right));
        if gap >= 2 {
            format!("{left}{}{right}\n", " ".repeat(gap))
        } else {
            let margin = self.page().saturating_sub(width(right));
            format!("{left}\n{}{right}\n", " ".repeat(margin))
        }
    }

    /// A place in the code in at most `columns`: from the workspace, or from the crate.
    pub fn place(&self, location: &Location, columns: usize) -> String {
        let full = location.to_string();
        let shown = if width(&full) <= columns {
            full
        } else {
            self.fit(&in_crate(location), columns)
        };
        self.link(&location.file, location.line, &self.accent(&shown))
    }

    /// `painted` as a link to a line of a file of the workspace, if links are wanted.
    pub fn link(&self, file: &str, line: u32, painted: &str) -> String {
        if !self.links || self.root.is_empty() {
            return painted.to_owned();
        }
        let mut url = String::from("file://");
        for byte in format!("{}/{file}", self.root.trim_end_matches('/')).bytes() {
            match byte {
                b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
                _ => write!(url, "%{byte:02X}").expect("a String takes everything"),
            }
        }
        format!("\x1b]8;;{url}#{line}\x1b\\{painted}\x1b]8;;\x1b\\")
    }
}

/// `src/lib.rs:12:5`
pub fn in_crate(location: &Location) -> String {
    let file = location
        .file
        .strip_prefix("exercises/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(location.file.as_str(), |(_, file)| file);
    format!("{file}:{}:{}", location.line, location.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_alone_decides_about_colour() {
        let style = Style::plain(80);
        let painted = Style {
            colour: true,
            ..style.clone()
        };
        assert_eq!(style.bold("x"), "x");
        assert_eq!(painted.bold("x"), "\x1b[1mx\x1b[0m");
    }

    #[test]
    fn a_link_names_the_file_absolutely_and_takes_no_columns() {
        let style = Style {
            links: true,
            root: "/home/my code/kata".to_owned(),
            ..Style::plain(80)
        };
        let location = Location {
            file: "exercises/day01_basic_async/src/lib.rs".to_owned(),
            line: 12,
            column: 5,
        };
        let link = style.place(&location, 80);
        assert!(
            link.contains("file:///home/my%20code/kata/exercises/day01_basic_async/src/lib.rs#12")
        );
        assert_eq!(width(&link), 43);
        assert_eq!(width(&style.place(&location, 20)), "src/lib.rs:12:5".len());
    }

    #[test]
    fn a_field_hangs_below_its_text() {
        let block = Style::plain(40).field("why", "one two three four five six seven");
        assert_eq!(
            block,
            "   why        one two three four five\n              six seven\n"
        );
    }

    #[test]
    fn a_bar_is_full_only_when_all_is_done() {
        let style = Style::plain(80);
        assert_eq!(style.bar(19, 20, 10), "█████████░");
        assert_eq!(style.bar(20, 20, 10), "██████████");
        assert_eq!(style.bar(0, 0, 4), "░░░░");
    }
}
