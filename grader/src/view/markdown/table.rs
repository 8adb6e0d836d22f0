//! A Markdown table in columns that fit the page.

use crate::view::{
    style::Style,
    text::{lines, pad_right, width},
};

/// Columns between two cells.
const GAP: usize = 2;
/// No column is narrower than this, or than its widest cell.
const LEAST: usize = 8;

/// The head in bold above a rule, and below it the rows; a cell too long for its column is wrapped.
pub fn draw(rows: &[Vec<String>], indent: usize, style: &Style) -> String {
    let columns = widths(rows, style.page() - indent);
    let margin = " ".repeat(indent);
    let mut drawn = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        for line in row_lines(row, &columns, style) {
            let line = format!("{margin}{line}");
            let line = line.trim_end();
            drawn.push(if number == 0 {
                style.bold(line)
            } else {
                line.to_owned()
            });
        }
        if number == 0 {
            let rule = |columns: &usize| style.sign("─", "-").repeat(*columns);
            let rules: Vec<String> = columns.iter().map(rule).collect();
            drawn.push(format!(
                "{margin}{}",
                style.dim(&rules.join(&" ".repeat(GAP)))
            ));
        }
    }
    lines(drawn)
}

/// As wide as the cells; where that is too much, the widest give way first.
fn widths(rows: &[Vec<String>], room: usize) -> Vec<usize> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..count)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let room = room.saturating_sub(GAP * count.saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

fn row_lines(row: &[String], columns: &[usize], style: &Style) -> Vec<String> {
    let cells: Vec<Vec<String>> = row
        .iter()
        .zip(columns)
        .map(|(cell, columns)| style.wrap(cell, *columns, 0))
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|line| {
            let parts: Vec<String> = cells
                .iter()
                .zip(columns)
                .map(|(cell, columns)| {
                    pad_right(cell.get(line).map_or("", String::as_str), *columns)
                })
                .collect();
            parts.join(&" ".repeat(GAP))
        })
        .collect()
}
