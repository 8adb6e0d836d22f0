//! Spans: what took virtual time, drawn as a chart by the grader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kata_report::{Span, SpanEnd};

use crate::world::World;

/// More spans than this are counted, not kept.
const MAX_SPANS: usize = 400;

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
}

impl Spans {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, lane: String, label: String, start_ms: u64) -> Option<SpanId> {
        let mut list = self.list();
        if list.kept.len() == MAX_SPANS {
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

    pub fn end(&self, span_id: SpanId, end: SpanEnd, end_ms: u64) {
        if let Some(span) = self.list().kept.get_mut(span_id.0)
            && span.end_ms.is_none()
        {
            span.end_ms = Some(end_ms);
            span.end = end;
        }
    }

    /// All of them; the last one's label says how many were left out.
    pub fn report(&self) -> Vec<Span> {
        let list = self.list();
        let mut spans = list.kept.clone();
        if let Some(last) = spans.last_mut()
            && list.left_out > 0
        {
            last.label = format!("{} (and {} more)", last.label, list.left_out);
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
