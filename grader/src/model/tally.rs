//! What spans come to: how many of a kind there were, how many at once, who waited longest.

use std::collections::BTreeSet;

use kata_report::{Span, SpanEnd};

/// How a label of a span that only waits begins; it goes on with what it waits for.
pub const WAITS: &str = "waits for ";

/// All spans of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally<'a> {
    /// What they did: `fetches`.
    pub label: &'a str,
    /// How many there were.
    pub count: usize,
    /// In how many lanes.
    pub lanes: usize,
    /// How many were under way at once, at most.
    pub peak: usize,
    /// When that was so first, in milliseconds.
    pub peak_ms: u64,
    /// How many failed.
    pub failed: usize,
    /// How many were cancelled.
    pub cancelled: usize,
}

/// Whether a span only waits.
pub fn waits(span: &Span) -> bool {
    span.label.starts_with(WAITS)
}

/// One tally per label of what does not only wait, in the order of their first start.
pub fn tallies(spans: &[Span]) -> Vec<Tally<'_>> {
    let mut labels: Vec<&str> = Vec::new();
    for span in spans.iter().filter(|span| !waits(span)) {
        if !labels.contains(&span.label.as_str()) {
            labels.push(&span.label);
        }
    }
    labels
        .into_iter()
        .map(|label| tally(spans, label))
        .collect()
}

fn tally<'a>(spans: &[Span], label: &'a str) -> Tally<'a> {
    let own: Vec<&Span> = spans.iter().filter(|span| span.label == label).collect();
    let ended = |end| own.iter().filter(|span| span.end == end).count();
    let (mut peak, mut peak_ms) = (0, 0);
    // Nothing but a start can make it more.
    for start in &own {
        let at = start.start_ms;
        let under_way =
            |span: &&&Span| span.start_ms <= at && span.end_ms.is_none_or(|end| end > at);
        let now = own.iter().filter(under_way).count();
        if now > peak || (now == peak && at < peak_ms) {
            (peak, peak_ms) = (now, at);
        }
    }
    Tally {
        label,
        count: own.len(),
        lanes: own
            .iter()
            .map(|span| &span.lane)
            .collect::<BTreeSet<_>>()
            .len(),
        peak,
        peak_ms,
        failed: ended(SpanEnd::Failed),
        cancelled: ended(SpanEnd::Cancelled),
    }
}

/// The span that waited longest, and for how long, if any waited at all; of several the first.
pub fn longest_wait(spans: &[Span]) -> Option<(&Span, u64)> {
    let took = |span: &Span| {
        span.end_ms
            .map_or(0, |end| end.saturating_sub(span.start_ms))
    };
    spans
        .iter()
        .rev()
        .filter(|span| waits(span))
        .map(|span| (span, took(span)))
        .filter(|(_, took)| *took > 0)
        .max_by_key(|(_, took)| *took)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(lane: &str, label: &str, start_ms: u64, end_ms: u64) -> Span {
        Span {
            lane: lane.to_owned(),
            label: label.to_owned(),
            start_ms,
            end_ms: Some(end_ms),
            end: SpanEnd::Done,
        }
    }

    #[test]
    fn what_ends_when_the_next_starts_is_not_at_once_with_it() {
        let spans = [
            span("a", "fetches", 0, 100),
            span("b", "fetches", 100, 200),
            span("c", "fetches", 150, 300),
            span("d", "waits for a place", 0, 300),
        ];
        let tallies = tallies(&spans);
        assert_eq!(tallies.len(), 1);
        let Tally {
            count,
            peak,
            peak_ms,
            ..
        } = tallies[0];
        assert_eq!((count, peak, peak_ms), (3, 2, 150));
    }

    #[test]
    fn the_first_of_the_longest_waits_is_named() {
        let spans = [
            span("a", "waits for a place", 0, 50),
            span("b", "waits for a place", 50, 150),
            span("c", "waits for a place", 100, 200),
            span("d", "fetches", 0, 500),
        ];
        let (span, took) = longest_wait(&spans).unwrap();
        assert_eq!((span.lane.as_str(), took), ("b", 100));
        assert_eq!(longest_wait(&spans[3..]), None);
    }
}
