//! One hint as a page.

use super::{
    markdown,
    style::{INDENT, Style},
    text::push_line,
};
use crate::model::{exercise::Exercise, hints::TaskHints};

/// Hint `number` (from 1) of a task; a number past the last one shows the last.
pub fn page(exercise: &Exercise, task: &TaskHints, number: usize, style: &Style) -> String {
    let total = task.hints.len();
    let number = number.clamp(1, total.max(1));
    let head = format!(
        "hint {number} of {total}, task {}: {}",
        task.number, task.title
    );
    let mut page = String::new();
    for line in style.wrap(&style.text(&head), style.page(), 0) {
        push_line(&mut page, &style.bold(&line));
    }
    page.push('\n');
    match task.hints.get(number - 1) {
        Some(hint) => page.push_str(&markdown::render(hint, INDENT, style)),
        None => page.push_str("   There is no hint for this task.\n"),
    }
    page.push('\n');
    let margin = " ".repeat(INDENT);
    let after = if number < total {
        let command = style.accent(&format!("kata hint {}", exercise.day));
        format!("{margin}{} {command}\n", style.dim("the next one:"))
    } else {
        let last = "That was the last hint for this task.";
        format!("{margin}{}\n", style.dim(last))
    };
    page + &after
}
