//! Markdown as calm text: paragraphs, lists, tables, code.

mod parse;
mod table;

pub use self::parse::words;

use self::parse::Block;
use super::{
    style::Style,
    text::{self, width},
};

/// Columns that the rest of a long line of code stands further in.
const CONTINUED: usize = 4;

/// `text` in lines of `style`'s prose width, each with `indent` columns before it.
///
/// A link becomes its text and, in brackets, what `kata read` takes or the address.
/// Without colour, `inline code` keeps its backticks and strong text loses its stars.
/// A line of code too long for the page goes on below, further in.
pub fn render(markdown: &str, indent: usize, style: &Style) -> String {
    draw(&parse::blocks(markdown, style), indent, style).join("\n")
}

fn draw(blocks: &[Block], indent: usize, style: &Style) -> Vec<String> {
    blocks
        .iter()
        .map(|block| match block {
            Block::Code(lines) => code(lines, indent, style),
            Block::Heading(rank, words) => heading(*rank, words, indent, style),
            Block::Paragraph(words) => text::lines(style.wrap(words, style.prose(), indent)),
            Block::Items(items, loose) => {
                let gap = if *loose { "\n" } else { "" };
                let items: Vec<String> = items
                    .iter()
                    .map(|(mark, blocks)| item(mark, blocks, gap, indent, style))
                    .collect();
                items.join(gap)
            }
            Block::Quote(blocks) => draw(blocks, indent + 2, style).join("\n"),
            Block::Table(rows) => table::draw(rows, indent, style),
            Block::Rule => {
                let rule = style.sign("─", "-").repeat(style.prose() - indent);
                format!("{}{}\n", " ".repeat(indent), style.dim(&rule))
            }
        })
        .collect()
}

/// Bold; without colour, a line below tells the upper ranks from running text.
fn heading(rank: usize, words: &str, indent: usize, style: &Style) -> String {
    let lines = style.wrap(&style.text(words), style.prose(), indent);
    let mut heading = text::lines(lines.iter().map(|line| style.bold(line)));
    let sign = match rank {
        1 => style.sign("═", "="),
        2 => style.sign("─", "-"),
        _ => "",
    };
    if !style.colour && !sign.is_empty() {
        let longest = lines.iter().map(|line| width(line)).max().unwrap_or(0);
        let line = sign.repeat(longest.saturating_sub(indent));
        text::push_line(&mut heading, &format!("{}{line}", " ".repeat(indent)));
    }
    heading
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

fn item(mark: &str, blocks: &[Block], gap: &str, indent: usize, style: &Style) -> String {
    let lines = draw(blocks, indent + mark.len() + 1, style).join(gap);
    let mark = format!("{}{mark}", " ".repeat(indent));
    format!("{mark}{}", lines.get(mark.len()..).unwrap_or_default())
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
        let text = "See [the book](docs/x.md#y): it is **not** a [choice].";
        let expected = "See the book (x#y): it is not a [choice].\n";
        assert_eq!(render(text, 0, &Style::plain(80)), expected);
    }

    #[test]
    fn stars_around_words_are_markup_and_others_are_not() {
        let text = "2 ** 3, *not* **two** *";
        let style = Style::plain(80);
        assert_eq!(render(text, 0, &style), "2 ** 3, not two *\n");
    }

    #[test]
    fn an_anchor_is_left_out() {
        let text = "## Deadlock\n\n<a id=\"deadlock\"></a>\n\nEvery task waits.";
        let expected = "Deadlock\n────────\n\nEvery task waits.\n";
        assert_eq!(render(text, 0, &Style::plain(80)), expected);
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

    #[test]
    fn a_table_gives_way_where_it_is_widest() {
        let text = "| a | b |\n|---|---|\n| one | two words and more words, many more |\n";
        let expected = "\
a    b
───  ───────────────────────────────────
one  two words and more words, many more
";
        assert_eq!(render(text, 0, &Style::plain(80)), expected);
        let long = text.replace("many", "many many");
        let narrow = render(&long, 0, &Style::plain(40));
        assert!(narrow.lines().all(|line| width(line) <= 40), "{narrow}");
        assert!(narrow.ends_with("\n     more\n"), "{narrow}");
    }

    #[test]
    fn lists_nest_and_anchors_for_browsers_are_left_out() {
        let text = "<a id=\"x\"></a>\n\n1. one\n   - two\n   - three\n2. four\n";
        let expected = "1. one\n   - two\n   - three\n2. four\n";
        assert_eq!(render(text, 0, &Style::plain(80)), expected);
    }
}
