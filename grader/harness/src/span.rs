//! Spans: what took virtual time, drawn as a chart by the grader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kata_report::{Span, SpanEnd};

use crate::world::World;

/// More spans than this are counted, not kept.
const MAX_SPANS: usize = 400;

/// So many times that virtual time went on are drawn.
const MAX_JUMPS: usize = 100;

/// Names a span that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId(usize);

/// The spans of one run, in the order of their start.
#[derive(Default)]
pub(crate) struct Spans(Mutex<List>);

#[derive(Default)]
struct List {
    kept: Vec<Span>,
    left_out: usize,
    jumps: Vec<Span>,
    /// How many of both began in rounds that are over.
    over: (usize, usize),
    /// When a simulated call last ended.
    call_ended_ms: Option<u64>,
}

impl Spans {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, lane: String, label: String, start_ms: u64) -> Option<SpanId> {
        let mut list = self.list();
        if list.kept.len() - list.over.0 >= MAX_SPANS {
            list.left_out += 1;
            return None;
        }
        list.kept.push(Span {
            lane,
            label,
            start_ms,
            end_ms: None,
            end: SpanEnd::Running,
        });
        Some(SpanId(list.kept.len() - 1))
    }

    /// A call of a simulated service ended, or whatever else a check drew.
    pub fn end(&self, span_id: SpanId, end: SpanEnd, end_ms: u64) {
        self.list().call_ended_ms = Some(end_ms);
        self.close(span_id, end, end_ms);
    }

    /// A span ended that does not explain why virtual time went on.
    pub fn close(&self, span_id: SpanId, end: SpanEnd, end_ms: u64) {
        if let Some(span) = self.list().kept.get_mut(span_id.0)
            && span.end_ms.is_none()
        {
            span.end_ms = Some(end_ms);
            span.end = end;
        }
    }

    /// Virtual time went on. If no call ended then, somebody slept: it is drawn as such.
    pub fn jump(&self, start_ms: u64, end_ms: u64) {
        let mut list = self.list();
        let drawn = list.jumps.len() - list.over.1;
        if list.call_ended_ms != Some(end_ms) && drawn < MAX_JUMPS {
            let (lane, label) = ("timer".to_owned(), "sleep".to_owned());
            list.jumps.push(Span {
                lane,
                label,
                start_ms,
                end_ms: Some(end_ms),
                end: SpanEnd::Done,
            });
        }
    }

    /// What is over by now belongs to a round that says nothing about the next one.
    pub fn next_round(&self) {
        let mut list = self.list();
        list.over = (list.kept.len(), list.jumps.len());
        list.left_out = 0;
    }

    /// All of this round, and what still runs of those before, in the order of their start; the last one's label says how many were left
    /// out, unless they are being drawn without end and their number is chance.
    pub fn report(&self, count: bool) -> Vec<Span> {
        let list = self.list();
        let (before, kept) = list.kept.split_at(list.over.0);
        let left = before.iter().filter(|span| span.end_ms.is_none());
        let all = left.chain(kept).chain(&list.jumps[list.over.1..]);
        let mut spans: Vec<Span> = all.cloned().collect();
        spans.sort_by_key(|span| span.start_ms);
        if let Some(last) = spans.last_mut()
            && list.left_out > 0
        {
            let left_out = if count {
                format!("{} more", list.left_out)
            } else {
                "more".to_owned()
            };
            last.label = format!("{} (and {left_out})", last.label);
        }
        spans
    }
}

/// A span that is under way. Dropped, it is recorded as cancelled.
#[must_use = "dropped at once it is a cancelled span of no length"]
pub struct SpanGuard {
    world: Arc<World>,
    span_id: Option<SpanId>,
}

impl SpanGuard {
    pub(crate) fn new(world: Arc<World>, lane: String, label: String) -> Self {
        let span_id = world.spans.begin(lane, label, world.now_ms());
        Self { world, span_id }
    }

    /// It ran to its end.
    pub fn done(self) {
        self.end(SpanEnd::Done);
    }

    /// It ended with an error.
    pub fn failed(self) {
        self.end(SpanEnd::Failed);
    }

    pub(crate) fn end(mut self, end: SpanEnd) {
        self.close(end);
    }

    fn close(&mut self, end: SpanEnd) {
        if let Some(span_id) = self.span_id.take() {
            self.world.spans.end(span_id, end, self.world.now_ms());
        }
    }
}

impl Drop for SpanGuard {
    fn drop(&mut self) {
        self.close(SpanEnd::Cancelled);
    }
}

impl std::fmt::Debug for SpanGuard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SpanGuard").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use kata_report::SpanEnd;

    use super::Spans;

    #[test]
    fn a_round_begins_with_what_is_left_of_those_before() {
        let spans = Spans::default();
        let begin = |label: &str, at| {
            spans
                .begin("lane".to_owned(), label.to_owned(), at)
                .unwrap()
        };
        let ended = begin("ended", 0);
        begin("left", 5);
        spans.jump(0, 10);
        spans.end(ended, SpanEnd::Done, 10);
        spans.next_round();
        begin("new", 10);
        spans.jump(10, 30);
        let labels: Vec<_> = spans
            .report(true)
            .into_iter()
            .map(|span| span.label)
            .collect();
        assert_eq!(labels, ["left", "new", "sleep"]);
    }
}
