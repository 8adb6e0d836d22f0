//! Which spans share a row of a chart, and which rows are shown.

use kata_report::{Span, SpanEnd};

use super::{duration::words, label};

/// Spans that stand in one row, in the order of their start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The lane.
    pub lane: &'a str,
    /// At least one; they don't overlap.
    pub spans: Vec<&'a Span>,
}

/// A line of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// A row that is drawn.
    Shown(Row<'a>),
    /// Rows that are not: `6 more at 0 ms`.
    Folded(String),
}

/// So many rows that look alike are shown.
const ALIKE: usize = 4;

/// One row per lane, or one per span where a lane's spans overlap.
///
/// They stand in the order of their first start: what the check records by its
/// own words, then tasks and timers. The check's own tasks say nothing about the
/// learner's code: they are left out where there is something else.
pub fn rows(spans: &[Span]) -> Vec<Row<'_>> {
    let theirs = |span: &&Span| !label::is_the_checks(span);
    let others = spans.iter().any(|span| theirs(&span));
    let spans = spans.iter().filter(|span| !others || theirs(span));
    let mut lanes: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    let mut by_lane: Vec<Row<'_>> = Vec::new();
    for span in spans {
        let row = *lanes.entry(&span.lane).or_insert_with(|| {
            by_lane.push(Row {
                lane: &span.lane,
                spans: Vec::new(),
            });
            by_lane.len() - 1
        });
        by_lane[row].spans.push(span);
    }
    let mut rows: Vec<Row<'_>> = by_lane.into_iter().flat_map(apart).collect();
    rows.sort_by_key(|row| (label::is_background(row.lane), row.start()));
    rows
}

fn apart(mut row: Row<'_>) -> Vec<Row<'_>> {
    row.spans.sort_by_key(|span| (span.start_ms, end(span)));
    let overlap = row
        .spans
        .windows(2)
        .any(|pair| pair[1].start_ms < end(pair[0]));
    if !overlap {
        return vec![row];
    }
    let alone = |span| Row {
        lane: row.lane,
        spans: vec![span],
    };
    row.spans.into_iter().map(alone).collect()
}

impl Row<'_> {
    /// Whether the bars and their ends are the same.
    fn looks_like(&self, other: &Self) -> bool {
        let shape = |row: &Self| -> Vec<(u64, Option<u64>, SpanEnd)> {
            let spans = row.spans.iter();
            spans
                .map(|span| (span.start_ms, span.end_ms, span.end))
                .collect()
        };
        self.spans.len() == other.spans.len() && shape(self) == shape(other)
    }

    fn start(&self) -> u64 {
        self.spans.first().map_or(0, |span| span.start_ms)
    }

    /// How much the row has to say: most if it is the first or something in it did
    /// not run to its end, least if it is a task that did.
    fn interest(&self, before: Option<&Self>) -> u8 {
        let background = label::is_background(self.lane);
        let ended = self.spans.iter().all(|span| span.end == SpanEnd::Done);
        match before {
            None => 4,
            Some(_) if !ended && !background => 4,
            Some(_) if !ended => 3,
            Some(_) if background => 0,
            Some(before) if before.start() == self.start() => 1,
            Some(_) => 2,
        }
    }
}

fn end(span: &Span) -> u64 {
    span.end_ms.unwrap_or(u64::MAX)
}

/// At most `limit` lines: the interesting rows, the first ones, and what was left out in words.
///
/// Of many rows that look alike only the first few are shown, however many would fit.
pub fn fold(rows: Vec<Row<'_>>, limit: usize) -> Vec<Line<'_>> {
    let limit = limit.max(2);
    let alike: Vec<bool> = rows
        .chunk_by(Row::looks_like)
        .flat_map(|run| (0..run.len()).map(|index| run.len() <= ALIKE + 1 || index < ALIKE))
        .collect();
    if alike.iter().filter(|shown| **shown).count() + gaps(&alike) <= limit {
        return lines(rows, &alike);
    }
    let mut by_interest: Vec<usize> = (0..rows.len()).filter(|index| alike[*index]).collect();
    by_interest.sort_by_key(|&index| {
        let before = index.checked_sub(1).map(|before| &rows[before]);
        (std::cmp::Reverse(rows[index].interest(before)), index)
    });
    let mut shown = vec![false; rows.len()];
    let mut count = limit.min(by_interest.len());
    loop {
        shown.fill(false);
        for &index in &by_interest[..count] {
            shown[index] = true;
        }
        if count == 0 || count + gaps(&shown) <= limit {
            break;
        }
        count -= 1;
    }
    lines(rows, &shown)
}

fn gaps(shown: &[bool]) -> usize {
    shown.chunk_by(|a, b| a == b).filter(|run| !run[0]).count()
}

fn lines<'a>(rows: Vec<Row<'a>>, shown: &[bool]) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut folded: Vec<Row<'a>> = Vec::new();
    for (row, shown) in rows.into_iter().zip(shown) {
        if !shown {
            folded.push(row);
            continue;
        }
        flush(&mut lines, &mut folded);
        lines.push(Line::Shown(row));
    }
    flush(&mut lines, &mut folded);
    lines
}

fn flush<'a>(lines: &mut Vec<Line<'a>>, folded: &mut Vec<Row<'a>>) {
    if folded.len() == 1 {
        // The words would take the line that the row itself takes.
        lines.extend(folded.drain(..).map(Line::Shown));
    } else if !folded.is_empty() {
        lines.push(Line::Folded(left_out(folded)));
        folded.clear();
    }
}

fn left_out(rows: &[Row<'_>]) -> String {
    let count = rows.len();
    let first = rows.iter().map(Row::start).min().unwrap_or(0);
    let last = rows.iter().map(Row::start).max().unwrap_or(0);
    let when = if first == last {
        format!("at {}", words(first))
    } else {
        format!("from {} to {}", words(first), words(last))
    };
    let mut left_out = format!("{count} more {when}");
    for (end, word) in [
        (SpanEnd::Failed, "failed"),
        (SpanEnd::Cancelled, "cancelled"),
        (SpanEnd::Running, "running"),
    ] {
        let ended = |row: &&Row<'_>| row.spans.iter().any(|span| span.end == end);
        let rows = rows.iter().filter(ended).count();
        if rows > 0 {
            left_out = format!("{left_out}, {rows} {word}");
        }
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(lane: &str, start_ms: u64, end_ms: u64) -> Span {
        Span {
            lane: lane.to_owned(),
            label: String::new(),
            start_ms,
            end_ms: Some(end_ms),
            end: SpanEnd::Done,
        }
    }

    #[test]
    fn a_lane_is_one_row_unless_its_spans_overlap() {
        let spans = [
            span("worker", 0, 10),
            span("queue", 5, 20),
            span("worker", 10, 20),
            span("queue", 0, 20),
        ];
        let rows = rows(&spans);
        let lanes: Vec<(&str, usize)> =
            rows.iter().map(|row| (row.lane, row.spans.len())).collect();
        assert_eq!(lanes, [("worker", 2), ("queue", 1), ("queue", 1)]);
    }

    #[test]
    fn what_was_cancelled_is_kept_and_the_rest_is_counted() {
        let mut spans: Vec<Span> = (0..10).map(|n| span(&format!("job {n}"), 0, 100)).collect();
        spans[8].end = SpanEnd::Cancelled;
        let lines = fold(rows(&spans), 6);
        let shown: Vec<String> = lines
            .iter()
            .map(|line| match line {
                Line::Shown(row) => row.lane.to_owned(),
                Line::Folded(words) => words.clone(),
            })
            .collect();
        let expected = [
            "job 0",
            "job 1",
            "job 2",
            "5 more at 0 ms",
            "job 8",
            "job 9",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn tasks_that_ended_give_way_to_what_the_check_records() {
        let mut spans: Vec<Span> = (0..6).map(|n| span(&format!("task {n}"), n, 9)).collect();
        spans.extend((0..4).map(|n| span(&format!("fetch {n}"), 0, 9 + n)));
        let lines = fold(rows(&spans), 5);
        let shown = lines.iter().filter_map(|line| match line {
            Line::Shown(row) => Some(row.lane),
            Line::Folded(_) => None,
        });
        let shown: Vec<&str> = shown.collect();
        assert_eq!(shown, ["fetch 0", "fetch 1", "fetch 2", "fetch 3"]);
    }

    #[test]
    fn however_many_rows_there_are_the_limit_holds() {
        for count in [0, 1, 2, 3, 7, 40, 400] {
            let spans: Vec<Span> = (0..count)
                .map(|n| {
                    let mut span = span(&format!("job {n}"), n / 3, n + 5);
                    if n % 5 == 0 {
                        span.end = SpanEnd::Failed;
                    }
                    span
                })
                .collect();
            for limit in 2..20 {
                assert!(fold(rows(&spans), limit).len() <= limit);
            }
        }
    }
}
