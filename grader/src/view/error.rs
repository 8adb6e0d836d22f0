//! `error: …`: what happened, to what, what was kept, what to do.

use super::{style::Style, text::clean};

/// The message in the first line, every detail and next step indented below it.
///
/// Of a message with several lines, all but the first are details too.
pub fn block(message: &str, details: impl IntoIterator<Item = String>, style: &Style) -> String {
    let message = style.learner(message);
    let mut lines = message.lines();
    let first = format!("error: {}", lines.next().unwrap_or_default());
    let mut block = String::new();
    for (number, line) in style.wrap(&first, style.page() - 2, 0).iter().enumerate() {
        let painted = match line.strip_prefix("error:") {
            Some(rest) if number == 0 => format!("{}{rest}", style.bold("error:")),
            _ => format!("  {line}"),
        };
        block.push_str(&painted);
        block.push('\n');
    }
    for detail in lines.map(str::to_owned).chain(details) {
        for line in style.wrap(&style.text(&clean(&detail)), style.page(), 2) {
            block.push_str(&line);
            block.push('\n');
        }
    }
    block
}
