//! What the terminal can do, if there is one.

use std::{
    env,
    io::{self, IsTerminal},
};

/// Columns and rows where nobody knows better.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// What can be typed, and what can be shown how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a separate fact about the terminal"
)]
pub struct Capabilities {
    /// Somebody can press keys; else lines may come from a file or a pipe.
    pub stdin_tty: bool,
    /// Somebody looks at a screen; else the output goes to a file or a pipe.
    pub stdout_tty: bool,
    /// Columns; at least 1.
    pub width: u16,
    /// Rows; at least 1.
    pub height: u16,
    /// ANSI colours are welcome.
    pub colour: bool,
    /// Characters beyond ASCII are shown as meant.
    pub unicode: bool,
    /// OSC 8 hyperlinks can be clicked.
    pub links: bool,
    /// The cursor can be moved.
    pub cursor: bool,
}

/// What [`Capabilities`] are concluded from.
struct Facts<'a> {
    var: &'a dyn Fn(&str) -> Option<String>,
    stdin_tty: bool,
    stdout_tty: bool,
    /// Columns and rows of the terminal on stdout.
    size: Option<(u16, u16)>,
}

impl Capabilities {
    /// Asks the system and the environment.
    pub fn detect() -> Self {
        Self::conclude(&Facts {
            var: &|name| env::var(name).ok(),
            stdin_tty: io::stdin().is_terminal(),
            stdout_tty: io::stdout().is_terminal(),
            size: size(),
        })
    }

    fn conclude(facts: &Facts<'_>) -> Self {
        let number = |name| (facts.var)(name)?.parse().ok();
        let (width, height) = facts.size.unwrap_or((0, 0));
        let known = |size: u16, name, default| match size {
            0 => number(name).filter(|size| *size > 0).unwrap_or(default),
            size => size,
        };
        Self {
            stdin_tty: facts.stdin_tty,
            stdout_tty: facts.stdout_tty,
            width: known(width, "COLUMNS", DEFAULT_SIZE.0),
            height: known(height, "LINES", DEFAULT_SIZE.1),
            colour: facts.colour(),
            unicode: facts.unicode(),
            links: facts.links(),
            cursor: facts.stdout_tty && !facts.is_term(&["dumb"]),
        }
    }
}

impl Facts<'_> {
    /// Set, and not to the empty string or `0`.
    fn is_on(&self, name: &str) -> bool {
        (self.var)(name).is_some_and(|value| !value.is_empty() && value != "0")
    }

    fn is_term(&self, names: &[&str]) -> bool {
        (self.var)("TERM").is_some_and(|term| names.contains(&term.as_str()))
    }

    /// <https://no-color.org> and <https://bixense.com/clicolors>, in that order.
    fn colour(&self) -> bool {
        if (self.var)("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return false;
        }
        if self.is_on("CLICOLOR_FORCE") || self.is_on("FORCE_COLOR") {
            return true;
        }
        let declined = (self.var)("CLICOLOR").is_some_and(|value| value == "0");
        self.stdout_tty && !declined && !self.is_term(&["dumb"])
    }

    /// The Linux console has UTF-8 but no glyphs for the markers.
    fn unicode(&self) -> bool {
        if self.is_on("KATA_ASCII") || self.is_term(&["dumb", "linux"]) {
            return false;
        }
        if cfg!(windows) {
            return self.is_on("WT_SESSION") || self.is_on("TERM_PROGRAM");
        }
        // The first one that is set decides, as in `setlocale`.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
        let mut locale = locale
            .filter_map(self.var)
            .filter(|value| !value.is_empty());
        let locale = locale.next().unwrap_or_default().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    }

    /// No terminal answers this question, so those that are known to have them are named.
    /// Inside a multiplexer it depends on two programs: no.
    fn links(&self) -> bool {
        if !self.stdout_tty || self.is_term(&["dumb", "linux"]) {
            return false;
        }
        if self.is_on("TMUX") || self.is_on("STY") {
            return false;
        }
        let number = |name| (self.var)(name).and_then(|value| value.parse::<u32>().ok());
        let program = (self.var)("TERM_PROGRAM").unwrap_or_default();
        let programs = [
            "iTerm.app",
            "WezTerm",
            "vscode",
            "ghostty",
            "Hyper",
            "rio",
            "zed",
        ];
        programs.contains(&program.as_str())
            || number("VTE_VERSION").is_some_and(|version| version >= 5000)
            || number("KONSOLE_VERSION").is_some_and(|version| version >= 201_200)
            || self.is_on("KITTY_WINDOW_ID")
            || self.is_on("WT_SESSION")
            || self.is_term(&[
                "xterm-kitty",
                "alacritty",
                "foot",
                "xterm-ghostty",
                "contour",
            ])
    }
}

/// Columns and rows of the terminal on stdout.
#[cfg(unix)]
fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some((size.ws_col, size.ws_row))
}

#[cfg(not(unix))]
fn size() -> Option<(u16, u16)> {
    io::stdout()
        .is_terminal()
        .then(crossterm::terminal::size)
        .and_then(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SANE: &[(&str, &str)] = &[("TERM", "xterm-256color"), ("LANG", "de_DE.UTF-8")];

    fn conclude(tty: bool, size: Option<(u16, u16)>, vars: &[(&str, &str)]) -> Capabilities {
        let var = |name: &str| {
            let mut vars = vars.iter().chain(SANE);
            let found = vars.find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Capabilities::conclude(&Facts {
            var: &var,
            stdin_tty: tty,
            stdout_tty: tty,
            size,
        })
    }

    fn on_terminal(vars: &[(&str, &str)]) -> Capabilities {
        conclude(true, Some((100, 30)), vars)
    }

    #[test]
    fn a_terminal_with_a_sane_environment_has_colours_characters_and_a_cursor() {
        let expected = Capabilities {
            stdin_tty: true,
            stdout_tty: true,
            width: 100,
            height: 30,
            colour: true,
            unicode: true,
            links: false,
            cursor: true,
        };
        assert_eq!(on_terminal(&[]), expected);
    }

    #[test]
    fn a_pipe_has_no_colours_no_cursor_and_the_width_of_columns() {
        let pipe = conclude(false, None, &[("COLUMNS", "120")]);
        assert!(!pipe.colour && !pipe.cursor && !pipe.links);
        assert_eq!((pipe.width, pipe.height), (120, 24));
        assert_eq!(conclude(false, None, &[("COLUMNS", "wide")]).width, 80);
        assert_eq!(conclude(false, None, &[("COLUMNS", "0")]).width, 80);
    }

    #[test]
    fn a_terminal_without_a_size_has_the_usual_one() {
        let serial_line = conclude(true, Some((0, 0)), &[]);
        assert_eq!((serial_line.width, serial_line.height), (80, 24));
    }

    #[test]
    fn no_color_wins_over_force_and_force_over_the_pipe() {
        assert!(!on_terminal(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]).colour);
        assert!(on_terminal(&[("NO_COLOR", "")]).colour);
        assert!(conclude(false, None, &[("CLICOLOR_FORCE", "1")]).colour);
        assert!(!conclude(false, None, &[("CLICOLOR_FORCE", "0")]).colour);
        assert!(!on_terminal(&[("CLICOLOR", "0")]).colour);
        assert!(!on_terminal(&[("TERM", "dumb")]).colour);
    }

    #[test]
    fn unicode_needs_a_locale_with_utf_8_and_a_terminal_with_glyphs() {
        assert!(on_terminal(&[("LANG", "C.utf8")]).unicode);
        assert!(!on_terminal(&[("LANG", "C")]).unicode);
        assert!(!on_terminal(&[("LC_ALL", "POSIX")]).unicode);
        assert!(on_terminal(&[("LC_ALL", "")]).unicode);
        assert!(!on_terminal(&[("LC_CTYPE", "en_US.ISO-8859-1")]).unicode);
        assert!(!on_terminal(&[("TERM", "linux")]).unicode);
        assert!(!on_terminal(&[("KATA_ASCII", "1")]).unicode);
        assert!(on_terminal(&[("KATA_ASCII", "0")]).unicode);
    }

    #[test]
    fn links_are_offered_where_they_are_known_to_work() {
        assert!(on_terminal(&[("TERM_PROGRAM", "vscode")]).links);
        assert!(on_terminal(&[("VTE_VERSION", "7006")]).links);
        assert!(!on_terminal(&[("VTE_VERSION", "4000")]).links);
        assert!(!on_terminal(&[("VTE_VERSION", "7006"), ("TMUX", "/tmp/tmux")]).links);
        assert!(!conclude(false, None, &[("TERM_PROGRAM", "vscode")]).links);
    }
}
