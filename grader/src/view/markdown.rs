//! The Markdown that hints and pitfalls use, as calm text: paragraphs, lists, code.

use super::{
    style::Style,
    text::{self, width},
};

/// Columns that the rest of a long line of code stands further in.
const CONTINUED: usize = 4;

/// `text` in lines of `style`'s prose width, each with `indent` columns before it.
///
/// Headings, paragraphs, lists, fenced code, `inline code`, **strong** text and
/// links are understood; everything else stays as it is written. A line of code
/// too long for the page goes on below, further in.
pub fn render(markdown: &str, indent: usize, style: &Style) -> String {
    let mut blocks: Vec<String> = Vec::new();
    for block in blocks_of(markdown) {
        blocks.push(match block {
            Block::Code(lines) => code(&lines, indent, style),
            Block::Heading(words) => {
                let lines = style.wrap(&style.text(&words), style.prose(), indent);
                text::lines(lines.iter().map(|line| style.bold(line)))
            }
            Block::Paragraph(words) => flowing(&words, indent, style),
            Block::Items(items) => items
                .iter()
                .map(|(mark, words)| item(mark, words, indent, style))
                .collect(),
        });
    }
    blocks.join("\n")
}

enum Block {
    Heading(String),
    Paragraph(String),
    /// The mark (`-`, `1.`) and the words of each item.
    Items(Vec<(String, String)>),
    Code(Vec<String>),
}

fn blocks_of(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // Whether the next line may continue the last block.
    let mut open = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let words = line.trim();
        if words.starts_with("```") {
            let margin = line.len() - line.trim_start().len();
            let code = lines
                .by_ref()
                .take_while(|line| !line.trim().starts_with("```"))
                .map(|line| dedent(line, margin).to_owned())
                .collect();
            blocks.push(Block::Code(code));
            open = false;
        } else if words.is_empty() {
            open = false;
        } else if let Some(title) = heading(words) {
            blocks.push(Block::Heading(title.to_owned()));
            open = false;
        } else if let Some((mark, words)) = list_item(words) {
            let item = (mark.to_owned(), words.to_owned());
            match blocks.last_mut() {
                Some(Block::Items(items)) => items.push(item),
                _ => blocks.push(Block::Items(vec![item])),
            }
            open = true;
        } else {
            continue_or_begin(&mut blocks, words, open);
            open = true;
        }
    }
    blocks
}

fn continue_or_begin(blocks: &mut Vec<Block>, words: &str, open: bool) {
    let last = match blocks.last_mut() {
        Some(Block::Paragraph(text)) if open => Some(text),
        Some(Block::Items(items)) if open => items.last_mut().map(|(_, text)| text),
        _ => None,
    };
    match last {
        Some(text) => {
            text.push(' ');
            text.push_str(words);
        }
        None => blocks.push(Block::Paragraph(words.to_owned())),
    }
}

fn dedent(line: &str, margin: usize) -> &str {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    &line[spaces.min(margin)..]
}

fn heading(words: &str) -> Option<&str> {
    let title = words.trim_start_matches('#');
    (title.len() < words.len()).then(|| title.strip_prefix(' '))?
}

fn list_item(words: &str) -> Option<(&str, &str)> {
    if let Some(rest) = words.strip_prefix("- ").or(words.strip_prefix("* ")) {
        return Some(("-", rest.trim_start()));
    }
    let (number, rest) = words.split_once(". ")?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then(|| (&words[..=number.len()], rest.trim_start()))
}

fn code(lines: &[String], indent: usize, style: &Style) -> String {
    let bar = style.dim(style.sign("│", "|"));
    let room = style.page() - indent - 2;
    let margin = " ".repeat(indent);
    let painted = lines.iter().flat_map(|line| {
        let line = style.learner(line);
        let parts = if width(&line) <= room {
            vec![line]
        } else {
            style.wrap(&line, room - CONTINUED, 0)
        };
        let further = std::iter::once(0).chain(std::iter::repeat(CONTINUED));
        parts
            .into_iter()
            .zip(further)
            .map(|(part, further)| {
                let line = format!("{margin}{bar} {}{part}", " ".repeat(further));
                line.trim_end().to_owned()
            })
            .collect::<Vec<_>>()
    });
    text::lines(painted)
}

fn item(mark: &str, words: &str, indent: usize, style: &Style) -> String {
    let hang = indent + mark.len() + 1;
    let lines = flowing(words, hang, style);
    let mark = format!("{}{mark}", " ".repeat(indent));
    format!("{mark}{}", lines.get(mark.len()..).unwrap_or_default())
}

/// Words wrapped after they were painted one by one, so that no line ends inside a colour.
fn flowing(words: &str, indent: usize, style: &Style) -> String {
    let painted = inline(&style.text(words), style);
    text::lines(style.wrap(&painted, style.prose(), indent))
}

fn inline(words: &str, style: &Style) -> String {
    let mut painted = String::new();
    for (number, part) in words.split('`').enumerate() {
        // Without colour the backticks stay: they are all that tells code from prose.
        match (number % 2 == 1, style.colour) {
            (true, true) => painted.push_str(&by_word(part, |word| style.accent(word))),
            (true, false) => painted.extend(["`", part, "`"]),
            (false, _) => painted.push_str(&strong(&links(part), style)),
        }
    }
    painted
}

fn strong(prose: &str, style: &Style) -> String {
    let parts: Vec<&str> = prose.split("**").collect();
    if parts.len().is_multiple_of(2) {
        // A lone pair of stars is no markup.
        return prose.to_owned();
    }
    parts
        .iter()
        .enumerate()
        .map(|(number, part)| {
            if number % 2 == 1 {
                by_word(part, |word| style.bold(word))
            } else {
                (*part).to_owned()
            }
        })
        .collect()
}

/// `[text](url)` becomes `text (url)`.
fn links(prose: &str) -> String {
    let mut plain = String::new();
    let mut rest = prose;
    while let Some((before, text, url, after)) = link(rest) {
        plain.push_str(before);
        plain.push_str(text);
        for part in [" (", url, ")"] {
            plain.push_str(part);
        }
        rest = after;
    }
    plain + rest
}

fn link(prose: &str) -> Option<(&str, &str, &str, &str)> {
    let (head, tail) = prose.split_once("](")?;
    let (before, text) = head.rsplit_once('[')?;
    let (url, after) = tail.split_once(')')?;
    Some((before, text, url, after))
}

fn by_word(text: &str, paint: impl Fn(&str) -> String) -> String {
    let words: Vec<String> = text.split(' ').map(paint).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_flow_and_code_stands() {
        let text = "Ask for the\npermit `before` you spawn.\n\n```rust\nlet a =  1;\n```\n- one\n  more\n- two";
        let expected = "  Ask for the permit `before` you spawn.\n\n  │ let a =  1;\n\n  - one more\n  - two\n";
        assert_eq!(render(text, 2, &Style::plain(80)), expected);
    }

    #[test]
    fn links_and_strong_words_lose_their_signs() {
        let text = "See [the book](docs/x.md): it is **not** a [choice].";
        let expected = "See the book (docs/x.md): it is not a [choice].\n";
        assert_eq!(render(text, 0, &Style::plain(80)), expected);
    }

    #[test]
    fn a_lone_pair_of_stars_is_no_markup() {
        let text = "2 ** 3, not **two**";
        let style = Style::plain(80);
        assert_eq!(render(text, 0, &style), "2 ** 3, not **two**\n");
    }

    #[test]
    fn long_code_goes_on_further_in() {
        let text = "```\nlet permit = semaphore.acquire_owned().await?;\n```";
        let expected = "│ let permit =\n│     semaphore.acquire_owned().await?;\n";
        assert_eq!(render(text, 0, &Style::plain(40)), expected);
    }

    #[test]
    fn code_with_backticks_in_colour_is_painted_word_by_word() {
        let style = Style {
            colour: true,
            ..Style::plain(80)
        };
        let painted = render("use `select! biased`", 0, &style);
        assert_eq!(
            painted,
            "use \x1b[36mselect!\x1b[0m \x1b[36mbiased\x1b[0m\n"
        );
    }

    #[test]
    fn a_fence_that_is_never_closed_keeps_its_lines() {
        assert_eq!(render("```\nlet a;", 0, &Style::plain(80)), "│ let a;\n");
    }
}
