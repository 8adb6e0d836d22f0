//! One row of a chart: its bars cell by cell, and the words beside them.

use kata_report::{Span, SpanEnd};

use super::{axis::Axis, duration::words, label, rows::Row, style::Style, text::width};
use crate::model::tally::waits;

/// What a cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    None,
    Bar(char),
    Mark(char),
}

/// The row's cells, painted, and how many columns they take.
pub fn paint(row: &Row<'_>, axis: &Axis, style: &Style) -> (String, usize) {
    let cells = cells(row, axis, style);
    let used = cells
        .iter()
        .rposition(|ink| *ink != Ink::None)
        .map_or(0, |last| last + 1);
    let painted = cells[..used]
        .chunk_by(|a, b| std::mem::discriminant(a) == std::mem::discriminant(b))
        .map(|run| {
            let text: String = run.iter().map(|ink| ink.sign()).collect();
            match run[0] {
                Ink::None => text,
                Ink::Bar(_) => style.accent(&text),
                Ink::Mark(_) => style.bold(&text),
            }
        })
        .collect();
    (painted, used)
}

fn cells(row: &Row<'_>, axis: &Axis, style: &Style) -> Vec<Ink> {
    // One more than the axis has: what happens at its very end stands there.
    let mut cells = vec![Ink::None; axis.cells() + 1];
    for span in &row.spans {
        let from = axis.edge(span.start_ms);
        let to = span.end_ms.map_or(axis.cells(), |end_ms| axis.edge(end_ms));
        let to = if span.end_ms == Some(span.start_ms) {
            from
        } else {
            to.max(from + 1)
        };
        let before = from.checked_sub(1).map_or(Ink::None, |cell| cells[cell]);
        let bar = Ink::Bar(if waits(span) {
            style.wait()
        } else {
            shade(before, style)
        });
        for cell in &mut cells[from..to] {
            // A wait that shares a cell with work is not seen: the work is what it was for.
            if *cell == Ink::None || !(waits(span) || matches!(cell, Ink::Mark(_))) {
                *cell = bar;
            }
        }
        if let Some(mark) = mark(span, style) {
            let cell = &mut cells[to.saturating_sub(1).max(from)];
            if !matches!(cell, Ink::Mark(_)) || span.end != SpanEnd::Done {
                *cell = Ink::Mark(mark);
            }
        }
    }
    cells
}

impl Ink {
    const fn sign(self) -> char {
        match self {
            Self::None => ' ',
            Self::Bar(sign) | Self::Mark(sign) => sign,
        }
    }
}

/// Two bars that touch differ in shade.
fn shade(before: Ink, style: &Style) -> char {
    let (dark, light) = if style.ascii {
        ('#', '=')
    } else {
        ('█', '▓')
    };
    if before == Ink::Bar(dark) {
        light
    } else {
        dark
    }
}

/// How the span ended, if a plain bar does not say it.
fn mark(span: &Span, style: &Style) -> Option<char> {
    let (sign, ascii) = match span.end {
        SpanEnd::Cancelled => ('╳', 'x'),
        SpanEnd::Failed => ('!', '!'),
        SpanEnd::Running => ('→', '>'),
        SpanEnd::Done if span.end_ms == Some(span.start_ms) => ('◆', '*'),
        SpanEnd::Done => return None,
    };
    Some(if style.ascii { ascii } else { sign })
}

/// What stands beside the row in at most `columns`, and whether it deserves attention:
/// `← page 3 cancelled at 20 ms`, or the label alone where that is too long.
pub fn note(row: &Row<'_>, columns: usize, style: &Style) -> (String, bool) {
    let broken = |span: &&Span| matches!(span.end, SpanEnd::Failed | SpanEnd::Cancelled);
    let alarm = row.spans.iter().any(broken);
    let arrow = if alarm { style.sign("← ", "<- ") } else { "" };
    let room = columns.saturating_sub(width(arrow));
    // A wait is seen; what was waited for is what the rest of the row is about.
    let mut spans: Vec<&Span> = row.spans.clone();
    if spans.iter().any(|span| !waits(span)) {
        spans.retain(|span| !waits(span) || broken(span));
    }
    let words = match spans.as_slice() {
        [span] => one(span, room, style),
        spans => many(spans, room, style),
    };
    if words.is_empty() {
        (words, false)
    } else {
        (style.fit(&format!("{arrow}{words}"), columns), alarm)
    }
}

fn one(span: &Span, columns: usize, style: &Style) -> String {
    let label = label::of(span, style);
    let both = format!("{label} {}", ending(span)).trim().to_owned();
    if width(&both) <= columns || label.is_empty() {
        both
    } else {
        label
    }
}

/// How a span ended, in words; nothing for one that ran to its end.
fn ending(span: &Span) -> String {
    let at = span.end_ms.map(words).unwrap_or_default();
    match span.end {
        SpanEnd::Done => String::new(),
        SpanEnd::Failed => format!("failed at {at}"),
        SpanEnd::Cancelled => format!("cancelled at {at}"),
        SpanEnd::Running => "still running".to_owned(),
    }
}

/// The labels, each with its mark; where there are none, how the last one ended.
fn many(spans: &[&Span], columns: usize, style: &Style) -> String {
    let labels: Vec<String> = spans
        .iter()
        .map(|span| (span, label::of(span, style)))
        .filter(|(_, label)| !label.is_empty())
        .map(
            |(span, label)| match mark(span, style).filter(|_| span.end != SpanEnd::Done) {
                Some(mark) => format!("{label} {mark}"),
                None => label,
            },
        )
        .collect();
    match (labels.as_slice(), spans.last()) {
        ([], Some(last)) => one(last, columns, style),
        // The same words for each are said once.
        ([first, rest @ ..], _) if rest.iter().all(|label| label == first) => first.clone(),
        _ => labels.join(style.dot()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(label: &str, start_ms: u64, end_ms: u64, end: SpanEnd) -> Span {
        Span {
            lane: "client".to_owned(),
            label: label.to_owned(),
            start_ms,
            end_ms: Some(end_ms),
            end,
        }
    }

    fn row(spans: &[Span]) -> Row<'_> {
        Row {
            lane: "client",
            spans: spans.iter().collect(),
        }
    }

    #[test]
    fn work_is_seen_in_a_cell_that_it_shares_with_a_wait() {
        let spans = [
            span("waits for a core", 0, 100, SpanEnd::Done),
            span("compute", 100, 110, SpanEnd::Done),
            span("waits for a core", 110, 200, SpanEnd::Done),
        ];
        let axis = Axis::new([1], 200, 8);
        let (bars, columns) = paint(&row(&spans), &axis, &Style::plain(80));
        assert_eq!((bars.as_str(), columns), ("░░░░█░░░", 8));
    }

    #[test]
    fn a_note_is_about_the_work_unless_the_wait_was_given_up() {
        let style = Style::plain(80);
        let note = |spans: &[Span]| note(&row(spans), 40, &style).0;
        let wait = |end| span("waits for a core", 0, 100, end);
        let work = span("compute", 100, 110, SpanEnd::Done);
        assert_eq!(note(&[wait(SpanEnd::Done), work.clone()]), "compute");
        assert_eq!(note(&[wait(SpanEnd::Done)]), "waits for a core");
        let given_up = note(&[wait(SpanEnd::Cancelled), work]);
        assert_eq!(given_up, "← waits for a core ╳ · compute");
    }
}
