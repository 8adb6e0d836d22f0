//! How much of a line fits into a number of columns.

use unicode_width::UnicodeWidthChar;

/// The start of `line` that fills at most `width` columns. Escape sequences take no column and
/// are all kept, so that what was switched on is also switched off.
pub fn clip(line: &str, width: usize) -> String {
    let mut clipped = String::with_capacity(line.len());
    let mut columns = 0;
    let mut is_full = false;
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        let sequence = escape_length(rest);
        if sequence > 0 {
            clipped.push_str(&rest[..sequence]);
            rest = &rest[sequence..];
            continue;
        }
        rest = &rest[character.len_utf8()..];
        columns += character.width().unwrap_or(0);
        is_full |= columns > width;
        if !is_full && !character.is_control() {
            clipped.push(character);
        }
    }
    clipped
}

/// The bytes of the escape sequence at the start of `text`; 0 if there is none.
fn escape_length(text: &str) -> usize {
    let Some(body) = text.strip_prefix('\x1b') else {
        return 0;
    };
    let end = match body.chars().next() {
        // CSI: up to its final byte.
        Some('[') => body[1..]
            .find(|c| ('@'..='~').contains(&c))
            .map(|end| end + 2),
        // OSC: up to BEL or ESC \.
        Some(']') => {
            let bell = body.find('\x07').map(|end| end + 1);
            let terminator = body.find("\x1b\\").map(|end| end + 2);
            bell.into_iter().chain(terminator).min()
        }
        Some(other) => Some(other.len_utf8()),
        None => Some(0),
    };
    1 + end.unwrap_or(body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_fits_is_kept() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("", 0), "");
    }

    #[test]
    fn columns_are_counted_and_not_bytes_or_characters() {
        assert_eq!(clip("abcd", 3), "abc");
        assert_eq!(clip("äöüß", 3), "äöü");
        assert_eq!(clip("✅✅✅", 5), "✅✅");
        // Nothing narrower slips into the gap that a wide character left.
        assert_eq!(clip("a✅b", 2), "a");
    }

    #[test]
    fn colours_and_links_take_no_column_and_are_switched_off_again() {
        assert_eq!(
            clip("\x1b[1;31mred and more\x1b[0m", 3),
            "\x1b[1;31mred\x1b[0m"
        );
        let link = "\x1b]8;;file:///x\x1b\\here\x1b]8;;\x1b\\";
        assert_eq!(clip(link, 4), link);
        assert_eq!(
            clip("\x1b]8;;x\x07here\x1b]8;;\x07", 1),
            "\x1b]8;;x\x07h\x1b]8;;\x07"
        );
    }

    #[test]
    fn what_would_move_the_cursor_is_dropped() {
        assert_eq!(clip("a\tb\rc\u{8}", 9), "abc");
    }

    #[test]
    fn an_unfinished_sequence_ends_with_the_line() {
        assert_eq!(clip("ab\x1b[12", 1), "a\x1b[12");
        assert_eq!(clip("ab\x1b", 1), "a\x1b");
    }
}
