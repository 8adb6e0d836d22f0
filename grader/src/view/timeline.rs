//! `kata timeline`: one check's spans as a page, and what happened at which instant.

use kata_report::{Span, SpanEnd};

use super::{
    chart::Chart,
    duration::{count, words},
    label, sentence,
    style::{INDENT, Style},
    text::{pad_left, pad_right, push_line, width},
};
use crate::model::{
    exercise::Exercise,
    marker::Marker,
    verdict::{CheckStatus, CheckVerdict},
};

/// Rows of the chart, folded ones included.
const ROWS: usize = 60;
/// Events listed; the others are counted.
const EVENTS: usize = 200;

/// The chart and the events of one check.
pub fn page(exercise: &Exercise, check: &CheckVerdict, style: &Style) -> String {
    let marker = style.marker(match check.status {
        CheckStatus::Passed => Marker::Completed,
        CheckStatus::NotRun => Marker::NotStarted,
        _ => Marker::NeedHelp,
    });
    let name = style.text(&check.name).into_owned();
    let name = style.fit(&name, style.page() - width(marker) - 1);
    let mut about = vec![exercise.short(), sentence::word(check.status).to_owned()];
    about.extend(check.seed.map(|seed| format!("seed {seed}")));
    about.push(count(check.spans.len() as u64, "span"));
    let about = style.fit(&about.join(style.dot()), style.page() - INDENT);
    let margin = " ".repeat(INDENT);
    let mut page = format!("{marker} {}\n", style.bold(&name));
    push_line(&mut page, &format!("{margin}{}\n", style.dim(&about)));
    if check.spans.is_empty() {
        let nothing = "Nothing took virtual time here.";
        push_line(&mut page, &format!("{margin}{nothing}"));
        return page;
    }
    let point = check
        .failure
        .as_ref()
        .filter(|failure| failure.at_ms > 0)
        .map(|failure| (failure.at_ms, sentence::word(check.status)));
    let chart = Chart {
        spans: &check.spans,
        rows: ROWS,
        point,
    };
    page.push_str(&chart.draw(style));
    page.push('\n');
    page + &events(&check.spans, style)
}

/// One line per start and end, in the order of time; the instant stands at its first line.
fn events(spans: &[Span], style: &Style) -> String {
    let lanes = spans.iter().map(|span| width(&style.learner(&span.lane)));
    let lane = lanes.max().unwrap_or(0).min(style.page() / 4);
    let mut events: Vec<(u64, String)> = spans
        .iter()
        .flat_map(|span| events_of(span, lane, style))
        .collect();
    events.sort_by_key(|(ms, _)| *ms);
    let more = events.len().saturating_sub(EVENTS);
    events.truncate(EVENTS);
    let column = events
        .iter()
        .map(|(ms, _)| words(*ms).len())
        .max()
        .unwrap_or(0);
    let mut list = String::new();
    let margin = " ".repeat(INDENT);
    let mut last = None;
    for (ms, event) in &events {
        let at = if last == Some(ms) {
            String::new()
        } else {
            words(*ms)
        };
        last = Some(ms);
        let room = style.page() - INDENT - column - 3;
        let at = style.dim(&pad_left(&at, column));
        let event = style.fit(event, room);
        push_line(&mut list, &format!("{margin}{at}   {event}"));
    }
    if more > 0 {
        let more = format!(
            "{} {} more",
            style.sign("…", "..."),
            count(more as u64, "event")
        );
        push_line(&mut list, &format!("{margin}{}", style.dim(&more)));
    }
    list
}

/// Its start and its end; one event if it took no time.
fn events_of(span: &Span, lane: usize, style: &Style) -> Vec<(u64, String)> {
    let name = pad_right(&style.fit(&style.learner(&span.lane), lane), lane);
    let event = |ms: u64, what: &str| (ms, format!("{name}  {what}"));
    let start = label::start(span, style);
    let verb = verb(span.end);
    match span.end_ms {
        Some(end_ms) if end_ms == span.start_ms => {
            vec![event(end_ms, &format!("{start} and {verb}"))]
        }
        Some(end_ms) => vec![
            event(span.start_ms, &start),
            event(end_ms, &label::end(span, verb, style)),
        ],
        None => vec![event(
            span.start_ms,
            &format!("{start}, still running at the end"),
        )],
    }
}

const fn verb(end: SpanEnd) -> &'static str {
    match end {
        SpanEnd::Done => "ends",
        SpanEnd::Failed => "fails",
        SpanEnd::Cancelled => "is cancelled",
        SpanEnd::Running => "is still running",
    }
}
