//! Spans drawn on an axis of virtual time.

use kata_report::{Span, SpanEnd};

use super::{
    axis::Axis,
    bars,
    rows::{Line, Row, fold, rows},
    style::{INDENT, Style},
    text::{pad_left, width},
};

/// From this page width on, notes stand beside the bars.
pub const NOTES_FROM: usize = 56;
/// The narrowest plot that notes may leave.
const MIN_PLOT: usize = 24;

/// Columns for the label of the last tick.
const LAST_LABEL: usize = 4;

/// What to draw.
#[derive(Debug, Clone, Copy)]
pub struct Chart<'a> {
    /// In any order.
    pub spans: &'a [Span],
    /// The most rows, folded ones included.
    pub rows: usize,
    /// An instant to point at below the rows, in milliseconds, and what to call it.
    pub point: Option<(u64, &'a str)>,
}

impl Chart<'_> {
    /// The chart's lines; nothing for no spans.
    pub fn draw(&self, style: &Style) -> String {
        if self.spans.is_empty() {
            return String::new();
        }
        let lines = fold(rows(self.spans), self.rows);
        let layout = Layout::new(&lines, self, style);
        let mut chart = layout.ruler(style);
        for line in &lines {
            chart.push_str(&match line {
                Line::Shown(row) => layout.row(row, style),
                Line::Folded(words) => layout.folded(words, style),
            });
        }
        if let Some((ms, name)) = self.point {
            chart.push_str(&layout.pointer(ms, name, style));
        }
        if !layout.notes {
            chart.push_str(&legend(self.spans, style));
        }
        chart
    }

    /// Where the axis ends: a running span is drawn past everything that ended.
    pub fn end_ms(&self) -> u64 {
        let instants = self.spans.iter().flat_map(instants);
        let last = instants.max().unwrap_or(0);
        let running = self.spans.iter().any(|span| span.end_ms.is_none());
        let point = self.point.map_or(0, |(ms, _)| ms);
        if point > last && (last == 0 || point / 4 <= last) {
            point
        } else if running {
            last.saturating_add((last / 8).max(1))
        } else {
            last
        }
    }
}

fn instants(span: &Span) -> impl Iterator<Item = u64> {
    [span.start_ms, span.end_ms.unwrap_or(span.start_ms)].into_iter()
}

struct Layout {
    axis: Axis,
    /// Columns of the lane's name.
    names: usize,
    /// Columns right of the names.
    room: usize,
    /// Whether there are notes.
    notes: bool,
}

impl Layout {
    fn new(lines: &[Line<'_>], chart: &Chart<'_>, style: &Style) -> Self {
        let shown = lines.iter().filter_map(|line| match line {
            Line::Shown(row) => Some(row),
            Line::Folded(_) => None,
        });
        let page = style.page();
        let longest = shown.clone().map(|row| width(row.lane)).max().unwrap_or(0);
        let names = longest.min(page / 4).max(1);
        let room = page - INDENT - names - 1;
        let notes = page >= NOTES_FROM;
        let widest = shown
            .map(|row| width(&bars::note(row, room, style).0))
            .max();
        let reserved = match widest.unwrap_or(0) {
            widest @ 1.. if notes => (widest + 2).min(room * 2 / 5),
            _ => 0,
        };
        let reserved = reserved.max(LAST_LABEL);
        let plot = (room - reserved - 1).max(MIN_PLOT.min(room - 1));
        let measures = chart.spans.iter().flat_map(instants);
        Self {
            axis: Axis::new(measures, chart.end_ms(), plot),
            names,
            room,
            notes,
        }
    }

    fn margin(&self) -> String {
        " ".repeat(INDENT + self.names + 1)
    }

    /// The labels, and the ruler below them.
    fn ruler(&self, style: &Style) -> String {
        let (mut labels, mut ruler) = (String::new(), String::new());
        let end = self.axis.cells();
        for (edge, label) in self.axis.ticks() {
            if edge + width(&label) > self.room {
                break;
            }
            labels.push_str(&" ".repeat(edge.saturating_sub(width(&labels))));
            labels.push_str(&label);
            ruler.push_str(&style.sign("─", "-").repeat(edge - width(&ruler)));
            ruler.push_str(match edge {
                0 => style.sign("├", "+"),
                _ if edge == end => style.sign("┤", "+"),
                _ => style.sign("┼", "+"),
            });
        }
        ruler.push_str(
            &style
                .sign("─", "-")
                .repeat(end.saturating_sub(width(&ruler))),
        );
        let margin = self.margin();
        format!(
            "{margin}{}\n{margin}{}\n",
            style.dim(&labels),
            style.dim(&ruler)
        )
    }

    fn row(&self, row: &Row<'_>, style: &Style) -> String {
        let name = pad_left(&style.fit(&style.learner(row.lane), self.names), self.names);
        let (bars, used) = bars::paint(row, &self.axis, style);
        let mut line = format!("{}{name} {bars}", " ".repeat(INDENT));
        let left = self.room.saturating_sub(used + 2);
        let (words, alarm) = bars::note(row, left, style);
        if self.notes && !words.is_empty() && left >= 4 {
            let words = if alarm { words } else { style.dim(&words) };
            line.push_str("  ");
            line.push_str(&words);
        }
        line.push('\n');
        line
    }

    fn folded(&self, words: &str, style: &Style) -> String {
        let dots = style.fit(style.sign("…", "..."), self.names.max(3));
        let dots = pad_left(&dots, self.names);
        let words = style.fit(&format!("({words})"), self.room.saturating_sub(2));
        let line = format!("{}{dots} {words}", " ".repeat(INDENT));
        format!("{}\n", style.dim(&line))
    }

    /// An arrow to one instant, and its name on the side that has room.
    fn pointer(&self, ms: u64, name: &str, style: &Style) -> String {
        let edge = self.axis.edge(ms);
        let arrow = style.sign("↑", "^");
        let margin = self.margin();
        if edge + 2 + width(name) <= self.room {
            return format!("{margin}{}{arrow} {name}\n", " ".repeat(edge));
        }
        let name = style.fit(name, edge.saturating_sub(1));
        let gap = " ".repeat(edge.saturating_sub(width(&name) + 1));
        format!("{margin}{gap}{name} {arrow}\n")
    }
}

/// What the marks mean, where no notes say it.
fn legend(spans: &[Span], style: &Style) -> String {
    let used = |end: SpanEnd| spans.iter().any(|span| span.end == end);
    let meanings = [
        (
            used(SpanEnd::Cancelled),
            style.sign("╳ cancelled", "x cancelled"),
        ),
        (used(SpanEnd::Failed), "! failed"),
        (used(SpanEnd::Running), style.sign("→ running", "> running")),
    ];
    let words: Vec<&str> = meanings
        .into_iter()
        .filter_map(|(used, words)| used.then_some(words))
        .collect();
    if words.is_empty() {
        return String::new();
    }
    let words = style.fit(&words.join("  "), style.page() - INDENT);
    format!("{}{}\n", " ".repeat(INDENT), style.dim(&words))
}
