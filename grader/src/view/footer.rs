//! What stands at the foot of a watched page: keys, times, the phase under way.

use super::{
    duration::{count, real, words},
    style::Style,
    text::{self, push_line, width},
};
use crate::model::verdict::{CheckStatus, Verdict};

/// Above so many lines of keys, their words are dropped.
const KEY_LINES: usize = 4;

/// A key and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// `n`
    pub key: char,
    /// `next`
    pub word: &'static str,
}

/// How long a verdict took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timing {
    /// The local time of the save, `14:02:07`; nothing if nothing was saved.
    pub saved: Option<String>,
    /// Real milliseconds in the compiler.
    pub compiled_ms: u64,
    /// Real milliseconds in the checks.
    pub tested_ms: u64,
    /// Checks that ran.
    pub checks: u64,
    /// Their runs, one per seed.
    pub runs: u64,
    /// Virtual milliseconds over all runs.
    pub virtual_ms: u64,
}

impl Timing {
    /// The counts of a verdict; the real times are the caller's.
    pub fn of(verdict: &Verdict) -> Self {
        let ran = || {
            verdict
                .checks
                .iter()
                .filter(|check| check.status != CheckStatus::NotRun)
        };
        Self {
            checks: ran().count() as u64,
            runs: ran().map(|check| u64::from(check.runs)).sum(),
            virtual_ms: ran().fold(0, |sum, check| sum.saturating_add(check.virtual_ms)),
            ..Self::default()
        }
    }
}

/// Where grading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A save was seen.
    Detected,
    /// The learner's crate and the checks are being compiled.
    Compiling,
    /// So many checks of so many have their verdict.
    Testing {
        /// Checks with a verdict.
        done: usize,
        /// All checks.
        total: usize,
    },
}

/// `n next · h hint · …`, in as many lines as it needs.
pub fn keys(keys: &[Key], style: &Style) -> String {
    let worded: Vec<String> = keys
        .iter()
        .map(|key| format!("{} {}", style.accent(&key.key.to_string()), key.word))
        .collect();
    let lines = flow(&worded, style.dot(), style);
    if lines.lines().count() <= KEY_LINES {
        return lines;
    }
    let bare: Vec<String> = keys
        .iter()
        .map(|key| style.accent(&key.key.to_string()))
        .collect();
    flow(&bare, style.dot(), style)
}

/// `saved 14:02:07 · compiled 0.11 s · 14 checks, 224 runs in 0.06 s · virtual 1 h 12 min`
pub fn status(timing: &Timing, style: &Style) -> String {
    let mut parts = Vec::new();
    parts.extend(timing.saved.as_ref().map(|saved| format!("saved {saved}")));
    parts.push(format!("compiled {}", real(timing.compiled_ms)));
    if timing.checks > 0 {
        parts.push(format!(
            "{}, {} in {}",
            count(timing.checks, "check"),
            count(timing.runs, "run"),
            real(timing.tested_ms)
        ));
        parts.push(format!("virtual {}", words(timing.virtual_ms)));
    }
    // The whole line is dim, so its parts need no paint.
    let bare = Style {
        colour: false,
        ..style.clone()
    };
    let mut lines = flow(&parts, style.dot(), &bare);
    if let Some(saved) = timing.saved.as_ref().filter(|_| lines.lines().count() > 1) {
        // Without its first word the line often fits in one.
        parts[0].clone_from(saved);
        lines = flow(&parts, style.dot(), &bare);
    }
    text::lines(lines.lines().map(|line| style.dim(line)))
}

/// `detected → compiling → testing 3 of 14`
pub fn phases(phase: Phase, style: &Style) -> String {
    let arrow = style.sign(" → ", " -> ");
    let now = match phase {
        Phase::Detected => 0,
        Phase::Compiling => 1,
        Phase::Testing { .. } => 2,
    };
    let last = match phase {
        Phase::Testing { done, total } => format!("testing {done} of {total}"),
        _ => "testing".to_owned(),
    };
    let names = ["detected".to_owned(), "compiling".to_owned(), last];
    let painted: Vec<String> = names
        .iter()
        .take(now + 1)
        .enumerate()
        .map(|(number, name)| {
            if number == now {
                style.bold(name)
            } else {
                style.dim(name)
            }
        })
        .collect();
    format!("{}\n", painted.join(&style.dim(arrow)))
}

/// `preparing: compiling tokio (31 of 44) ████████░░░░, once`
pub fn preparing(krate: &str, done: usize, total: usize, style: &Style) -> String {
    if total == 0 {
        return format!("{}\n", style.bold("preparing, only this once"));
    }
    // The bar stands still, whatever the crates are called.
    let before = "preparing, only this once ";
    let count = format!(" {done:>3} of {total}  ");
    let room = style
        .page()
        .saturating_sub(before.len() + count.len() + CRATE);
    if room < 8 {
        let words = format!("preparing{count}{krate}");
        return format!("{}\n", style.fit(words.trim_end(), style.page()));
    }
    let krate = style.fit(krate, CRATE);
    format!(
        "{before}{}{count}{krate}\n",
        style.bar(done, total, room.min(30))
    )
}

/// Columns for the name of the crate that is compiled.
const CRATE: usize = 22;

/// Painted parts in lines no wider than the page, `between` them.
pub(super) fn flow(parts: &[String], between: &str, style: &Style) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for part in parts {
        if line.is_empty() {
            line.push_str(part);
        } else if width(&line) + width(between) + width(part) <= style.page() {
            line.push_str(&style.dim(between));
            line.push_str(part);
        } else {
            push_line(&mut lines, &line);
            line.clone_from(part);
        }
    }
    if !line.is_empty() {
        push_line(&mut lines, &line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixtures::KEYS;

    #[test]
    fn keys_lose_their_words_only_when_lines_do_not_help() {
        let style = Style::plain(40);
        assert_eq!(keys(&KEYS, &style).lines().count(), 3);
        let many = [KEYS, KEYS].concat();
        assert!(keys(&many, &style).starts_with("n · h · p · t · r"));
    }

    #[test]
    fn a_verdict_without_checks_names_none() {
        let timing = Timing {
            compiled_ms: 80,
            ..Timing::default()
        };
        assert_eq!(status(&timing, &Style::plain(80)), "compiled 0.08 s\n");
    }
}
