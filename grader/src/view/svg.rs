//! Spans as a picture in SVG: the terminal's chart for a browser.

use std::fmt::Write as _;

use kata_report::{Span, SpanEnd};

use super::{
    axis::Axis,
    bars,
    chart::Chart,
    duration::words,
    rows::{Line, Row, fold, rows},
    style::Style,
    text::width,
};
use crate::model::tally::waits;

/// By this a file is known to be one of ours, which may be written over.
pub const MARK: &str = "<!-- made by kata demo -->";

/// Rows, folded ones included.
const ROWS: usize = 60;
/// Pixels that a letter takes.
const LETTER: usize = 7;
const MARGIN: usize = 16;
const ROW: usize = 22;
const BAR: usize = 14;
/// Pixels from the first tick to the end.
const PLOT: usize = 480;
/// Letters of a note beside a row.
const NOTE: usize = 34;
/// Letters of a lane's name.
const NAME: usize = 24;

const LOOK: &str = "\
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2328}\
.page{fill:#fff}.head{font-weight:bold}.dim{fill:#59636e}.grid{stroke:#d1d9e0}\
.works{fill:#0b7285}.touching{fill:#3b9aac}.waits{fill:#b6d7de}.failed{fill:#c92a2a}\
.cancelled{fill:#c07a00}.sign{fill:#fff;font-weight:bold}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.dim{fill:#9198a1}\
.grid{stroke:#3d444d}.works{fill:#3bc9db}.touching{fill:#1f8fa0}.waits{fill:#1c4650}\
.failed{fill:#ff6b6b}.cancelled{fill:#f0b429}.sign{fill:#0d1117}}";

/// The picture of these spans; a title in one line, and what else to say below it.
///
/// It needs nothing from outside, and is readable on a light and on a dark page.
pub fn draw(title: &str, about: &str, spans: &[Span]) -> String {
    let lines = fold(rows(spans), ROWS);
    let shown = lines.iter().filter_map(|line| match line {
        Line::Shown(row) => Some(row),
        Line::Folded(_) => None,
    });
    let names = shown
        .clone()
        .map(|row| width(row.lane))
        .max()
        .unwrap_or(0)
        .min(NAME);
    let note = shown.map(|row| width(&note(row))).max().unwrap_or(0);
    let picture = Picture {
        left: MARGIN + (names + 1) * LETTER,
        end_ms: Chart {
            spans,
            rows: ROWS,
            point: None,
        }
        .end_ms()
        .max(1),
        top: MARGIN + 3 * ROW,
    };
    let letters = (width(title) + 2).max(width(about)).max(names + 1);
    let across = (picture.left + PLOT + (note + 2) * LETTER).max(2 * MARGIN + letters * LETTER);
    let bottom = picture.top + lines.len() * ROW;
    let down = bottom + ROW + MARGIN;
    let mut svg = format!(
        "{MARK}\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {across} {down}\" \
         width=\"{across}\" height=\"{down}\" role=\"img\">\n<title>{}</title>\n\
         <style>{LOOK}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n",
        escaped(&format!("{title}: {about}"))
    );
    text(&mut svg, MARGIN, MARGIN + 10, "head", title);
    text(&mut svg, MARGIN, MARGIN + 10 + ROW, "dim", about);
    picture.ticks(&mut svg, spans, bottom);
    for (number, line) in lines.iter().enumerate() {
        let y = picture.top + number * ROW;
        match line {
            Line::Shown(row) => picture.row(&mut svg, row, y),
            Line::Folded(words) => {
                text(&mut svg, picture.left, y + 12, "dim", &format!("({words})"));
            }
        }
    }
    picture.legend(&mut svg, spans, bottom + 8);
    svg.push_str("</svg>\n");
    svg
}

struct Picture {
    /// Where 0 ms stands.
    left: usize,
    /// Where the first row begins.
    top: usize,
    end_ms: u64,
}

impl Picture {
    fn x(&self, ms: u64) -> usize {
        let along = u128::from(ms.min(self.end_ms)) * PLOT as u128 / u128::from(self.end_ms);
        self.left + usize::try_from(along).unwrap_or(PLOT)
    }

    /// The round instants, and a line down from each.
    fn ticks(&self, svg: &mut String, spans: &[Span], bottom: usize) {
        let instants = spans
            .iter()
            .flat_map(|span| [Some(span.start_ms), span.end_ms]);
        let axis = Axis::new(instants.flatten(), self.end_ms, PLOT / LETTER);
        for (ms, label) in axis.instants() {
            if ms > self.end_ms {
                break;
            }
            let (x, top) = (self.x(ms), self.top - 6);
            text(svg, x, self.top - 10, "dim", &label);
            push(
                svg,
                format_args!("<path class=\"grid\" d=\"M{x}.5 {top}V{bottom}\"/>"),
            );
        }
    }

    fn row(&self, svg: &mut String, row: &Row<'_>, y: usize) {
        let style = Style::plain(100);
        let name = style.fit(&style.learner(row.lane), NAME);
        let x = self.left - (width(&name) + 1) * LETTER;
        text(svg, x, y + 12, "", &name);
        let (mut end, mut before) = (self.left, None);
        for span in &row.spans {
            let touching = before == Some((span.start_ms, "works"));
            let class = match class(span) {
                "works" if touching => "touching",
                class => class,
            };
            before = span.end_ms.map(|end_ms| (end_ms, class));
            end = self.bar(svg, span, class, y);
        }
        text(svg, end + LETTER, y + 12, "dim", &note(row));
    }

    /// What the colours mean, as far as they are used.
    fn legend(&self, svg: &mut String, spans: &[Span], y: usize) {
        let mut x = self.left;
        for (name, meaning) in [
            ("waits", "waits"),
            ("works", "works"),
            ("failed", "fails"),
            ("cancelled", "is cancelled"),
        ] {
            if spans.iter().any(|span| class(span) == name) {
                push(
                    svg,
                    format_args!(
                        "<rect class=\"{name}\" x=\"{x}\" y=\"{y}\" width=\"{BAR}\" \
                         height=\"{BAR}\" rx=\"2\"/>"
                    ),
                );
                text(svg, x + BAR + LETTER, y + 11, "dim", meaning);
                x += BAR + (width(meaning) + 4) * LETTER;
            }
        }
    }

    /// Draws a span and says where it ends.
    fn bar(&self, svg: &mut String, span: &Span, class: &str, y: usize) -> usize {
        let from = self.x(span.start_ms);
        let to = self.x(span.end_ms.unwrap_or(self.end_ms));
        let long = (to - from).max(3);
        let said = words_of(span);
        push(
            svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{from}\" y=\"{y}\" width=\"{long}\" height=\"{BAR}\" \
                 rx=\"2\"><title>{}</title></rect>",
                escaped(&said)
            ),
        );
        // Not by colour alone.
        let sign = match span.end {
            SpanEnd::Failed => "!",
            SpanEnd::Cancelled => "×",
            SpanEnd::Running => "→",
            SpanEnd::Done => "",
        };
        if !sign.is_empty() && long >= 2 * LETTER {
            text(svg, from + long - LETTER - 3, y + 11, "sign", sign);
        }
        from + long
    }
}

/// `fetch 3: fetch, 100 ms to 200 ms`
fn words_of(span: &Span) -> String {
    let end = span.end_ms.map_or("the end".to_owned(), words);
    let how = match span.end {
        SpanEnd::Done => "",
        SpanEnd::Failed => ", failed",
        SpanEnd::Cancelled => ", cancelled",
        SpanEnd::Running => ", still running",
    };
    format!(
        "{}: {}, {} to {end}{how}",
        span.lane,
        span.label,
        words(span.start_ms)
    )
}

fn class(span: &Span) -> &'static str {
    match span.end {
        SpanEnd::Failed => "failed",
        SpanEnd::Cancelled => "cancelled",
        _ if waits(span) => "waits",
        SpanEnd::Done | SpanEnd::Running => "works",
    }
}

fn note(row: &Row<'_>) -> String {
    bars::note(row, NOTE, &Style::plain(100)).0
}

fn text(svg: &mut String, x: usize, y: usize, class: &str, text: &str) {
    if !text.is_empty() {
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        push(
            svg,
            format_args!("<text{class} x=\"{x}\" y=\"{y}\">{}</text>", escaped(text)),
        );
    }
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a String takes everything");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
