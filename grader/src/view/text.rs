//! Plain text before it is painted: its width, its cleaning, its ASCII form.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// Terminal columns that `text` takes; escape sequences take none, an emoji two.
pub fn width(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// `text` with spaces after it, `columns` wide; a longer one stays as it is.
pub fn pad_right(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` with spaces before it, `columns` wide; a longer one stays as it is.
pub fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Adds `line` and a line end.
pub fn push_line(page: &mut String, line: &str) {
    page.push_str(line);
    page.push('\n');
}

/// Every line with its line end.
pub fn lines<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> String {
    let mut page = String::new();
    for line in lines {
        push_line(&mut page, line.as_ref());
    }
    page
}

/// The longest head of unpainted `text` that fits, and `ellipsis` if anything was cut.
pub fn truncate(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let mut head = String::new();
    let mut taken = 0;
    for character in text.chars() {
        taken += character.width().unwrap_or(0);
        if taken > room {
            break;
        }
        head.push(character);
    }
    let head = head.trim_end();
    if room == 0 {
        ellipsis.chars().take(columns).collect()
    } else {
        format!("{head}{ellipsis}")
    }
}

/// `text` without escape sequences.
pub fn strip_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\x1b' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('[') => {
                for next in characters.by_ref() {
                    if ('\x40'..='\x7e').contains(&next) {
                        break;
                    }
                }
            }
            Some(']') => {
                let mut last = ']';
                for next in characters.by_ref() {
                    if next == '\x07' || (last == '\x1b' && next == '\\') {
                        break;
                    }
                    last = next;
                }
            }
            _ => {}
        }
    }
    plain
}

/// Text of a compiler in which only its colours are left of what moves or paints a terminal: a
/// file's name may hold anything.
pub fn only_colours(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let colour = rest.strip_prefix("\x1b[").and_then(|sequence| {
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            sequence[end..].starts_with('m').then_some(end + 3)
        });
        let length = colour.unwrap_or(letter.len_utf8());
        if colour.is_some() || !letter.is_control() || matches!(letter, '\n' | '\t') {
            kept.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    kept
}

/// What a learner's code printed, made harmless: no escape sequences and no
/// control characters but line ends; tabs become four spaces.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in strip_escapes(text).replace("\r\n", "\n").chars() {
        match character {
            '\n' => clean.push('\n'),
            '\t' => clean.push_str("    "),
            // Bidirectional overrides would turn the rest of the line around.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            _ if character.is_control() => {}
            _ => clean.push(character),
        }
    }
    clean
}

/// `text` with every sign that the views and the course use in its ASCII form.
///
/// Letters beyond ASCII stay: they are the learner's own.
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        match ascii_of(character) {
            Some(replacement) => folded.push_str(replacement),
            None => folded.push(character),
        }
    }
    Cow::Owned(folded)
}

const fn ascii_of(character: char) -> Option<&'static str> {
    Some(match character {
        '…' => "...",
        '·' | '–' | '—' | '−' | '‐' | '‑' | '─' | '━' | '╌' | '╴' | '╶' | '═' => {
            "-"
        }
        '│' | '┃' | '╎' | '║' | '╷' | '╵' | '▏' | '▕' => "|",
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '╭' | '╮' | '╰' | '╯' => {
            "+"
        }
        '█' | '■' | '▇' | '▆' => "#",
        '▓' | '▒' => "=",
        '░' | '□' => ".",
        '→' | '⟶' | '►' | '▶' => "->",
        '←' | '⟵' | '◄' => "<-",
        '↔' => "<->",
        '⇒' => "=>",
        '↑' | '▲' => "^",
        '↓' | '▼' => "v",
        '╳' | '×' | '✗' | '✘' | '✕' => "x",
        '◆' | '•' | '●' | '○' | '◦' | '★' => "*",
        '✓' | '✔' => "ok",
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "!=",
        '≈' => "~",
        '±' => "+-",
        '∞' => "infinite",
        'µ' | 'μ' => "u",
        '²' => "^2",
        '‘' | '’' => "'",
        '“' | '”' | '„' => "\"",
        '\u{a0}' | '\u{2009}' | '\u{202f}' => " ",
        '\u{200b}' | '\u{feff}' | '\u{fe0f}' => "",
        '⏳' => "[  ]",
        '🔄' => "[..]",
        '✅' => "[ok]",
        '❌' => "[!!]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_two_columns_and_an_escape_none() {
        assert_eq!(width("✅ ok"), 5);
        assert_eq!(width("\x1b[1mok\x1b[0m"), 2);
        assert_eq!(width("\x1b]8;;file:///x\x1b\\ok\x1b]8;;\x1b\\"), 2);
    }

    #[test]
    fn what_is_cut_ends_in_an_ellipsis_and_fits() {
        assert_eq!(truncate("concurrent", 10, "…"), "concurrent");
        assert_eq!(truncate("concurrent", 6, "…"), "concu…");
        assert_eq!(truncate("a ✅✅✅", 5, "…"), "a ✅…");
        assert_eq!(truncate("concurrent", 2, "..."), "..");
        assert_eq!(truncate("two words", 5, "…"), "two…");
    }

    #[test]
    fn printed_escapes_and_controls_cannot_reach_the_terminal() {
        let printed = "\x1b[2Jred\x1b]0;title\x07\tbell\x07\r\nnext\u{202e}";
        assert_eq!(clean(printed), "red    bell\nnext");
    }

    #[test]
    fn signs_fold_to_ascii_and_letters_stay() {
        assert_eq!(ascii("a → b … ≤ 3 · ✅"), "a -> b ... <= 3 - [ok]");
        assert_eq!(ascii("Zoë"), "Zoë");
    }

    #[test]
    fn a_compilers_colours_stay_and_nothing_else_that_paints() {
        let text = "\x1b[1m\x1b[38;5;9merror\x1b[0m: é\t\x1b]0;title\x07\x1b[2J\x1b[31\n\r✅";
        let kept = "\x1b[1m\x1b[38;5;9merror\x1b[0m: é\t]0;title[2J[31\n✅";
        assert_eq!(only_colours(text), kept);
    }
}
