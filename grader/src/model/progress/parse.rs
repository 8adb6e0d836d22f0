//! Text to progress, and what can be wrong with the text.

use serde_json::Value;
use thiserror::Error;

use super::{Progress, VERSION, conflict};

/// Why a text is not a progress file. Lines and columns are counted from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParseProblem {
    /// Nothing is in it, or nothing but blanks and zeros, as a power cut leaves it.
    #[error("it is empty")]
    Empty,
    /// It is not text.
    #[error("it is not UTF-8 text, from line {line}, column {column}")]
    NotText {
        /// Where the first bad byte is.
        line: usize,
        /// Where in that line.
        column: usize,
    },
    /// It is not JSON.
    #[error("{message} at line {line}, column {column}")]
    Syntax {
        /// Where it was noticed.
        line: usize,
        /// Where in that line.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// It is JSON of another shape.
    #[error("{message} at line {line}, column {column}")]
    Shape {
        /// Where it was noticed.
        line: usize,
        /// Where in that line.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A newer program wrote it.
    #[error("it has version {version}, and this kata knows version {VERSION}")]
    Newer {
        /// The version it names.
        version: String,
    },
    /// Git left conflict markers in it.
    #[error("it holds a git merge conflict, from line {line}")]
    Conflict {
        /// The line of the first marker.
        line: usize,
        /// The best of both sides, if both can be read.
        merged: Option<Box<Progress>>,
    },
}

impl Progress {
    /// Reads the bytes of `progress.json`; see [`Progress::parse`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, ParseProblem> {
        match str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let line_start = good.rfind('\n').map_or(0, |newline| newline + 1);
                Err(ParseProblem::NotText {
                    line: good.matches('\n').count() + 1,
                    column: good[line_start..].chars().count() + 1,
                })
            }
        }
    }

    /// Reads the text of `progress.json`.
    ///
    /// What a person may have done to it is accepted where its meaning is
    /// plain: any layout and order, missing fields, a marker as a word, a
    /// comma too many at the end, an exercise that stands there twice.
    pub fn parse(text: &str) -> Result<Self, ParseProblem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.chars().all(|c| c.is_whitespace() || c == '\0') {
            return Err(ParseProblem::Empty);
        }
        if let Some(line) = conflict::first_line(text) {
            return Err(conflicting(text, line));
        }
        let text = &without_trailing_commas(text);
        let value: Value = serde_json::from_str(text).map_err(|error| problem(text, &error))?;
        if let Some(version) = newer_version(&value) {
            return Err(ParseProblem::Newer { version });
        }
        serde_json::from_str(text).map_err(|error| problem(text, &error))
    }
}

/// The version if it is above ours. It is looked at before anything else, for
/// a newer file may well have another shape.
fn newer_version(value: &Value) -> Option<String> {
    let version = value.get("version")?;
    let newer = version.as_f64()? > f64::from(VERSION);
    newer.then(|| version.to_string())
}

fn conflicting(text: &str, line: usize) -> ParseProblem {
    let Some(sides) = conflict::sides(text) else {
        return ParseProblem::Conflict { line, merged: None };
    };
    let merged = match (Progress::parse(&sides.ours), Progress::parse(&sides.theirs)) {
        // Neither side may be dropped silently: the file is not ours to mend.
        (Err(newer @ ParseProblem::Newer { .. }), _)
        | (_, Err(newer @ ParseProblem::Newer { .. })) => return newer,
        (Ok(ours), Ok(theirs)) => Some(Box::new(ours.merge(theirs))),
        _ => None,
    };
    ParseProblem::Conflict { line, merged }
}

fn problem(text: &str, error: &serde_json::Error) -> ParseProblem {
    let line = error.line();
    // serde_json counts bytes, and an emoji has four of them.
    let column = text.lines().nth(line.saturating_sub(1)).map_or(1, |line| {
        let before = line
            .char_indices()
            .take_while(|(at, _)| *at < error.column());
        before.count().max(1)
    });
    let message = error.to_string();
    let message = match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    };
    if error.is_data() {
        ParseProblem::Shape {
            line,
            column,
            message,
        }
    } else {
        ParseProblem::Syntax {
            line,
            column,
            message,
        }
    }
}

/// Puts a blank for every comma that only blanks part from `}` or `]`, so
/// that no place moves.
fn without_trailing_commas(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let (mut in_string, mut escaped, mut comma) = (false, false, None);
    for (position, byte) in text.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    bytes[comma] = b' ';
                }
            }
            b',' => comma = Some(position),
            b'"' => (in_string, comma) = (true, None),
            _ if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
    }
    String::from_utf8(bytes).expect("a comma and a blank are ASCII")
}
