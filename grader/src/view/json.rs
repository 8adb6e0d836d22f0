//! What `--json` prints: one object on one line, its keys always in the same order.

use serde_json::{Map, Value, json};

use super::{
    demo::{Shown, told},
    progress,
    text::strip_escapes,
    verdict::marker,
};
use crate::model::{
    demo::Demo,
    exercise::Exercise,
    progress::{Entry, Progress},
    tally::tallies,
    verdict::{CheckVerdict, Diagnostic, Failure, Verdict},
};

/// The version of both objects.
const VERSION: u32 = 1;

/// `kata check --json`: every verdict with the progress after it.
pub fn checks<'a>(results: impl IntoIterator<Item = (&'a Verdict, Option<&'a Entry>)>) -> String {
    let results: Vec<Value> = results
        .into_iter()
        .map(|(verdict, entry)| result(verdict, entry))
        .collect();
    line(&json!({ "version": VERSION, "results": results }))
}

fn result(verdict: &Verdict, entry: Option<&Entry>) -> Value {
    json!({
        "exercise": verdict.exercise,
        "status": verdict.status,
        "marker": marker(verdict, entry).symbol(),
        "points": verdict.points,
        "max_points": verdict.max_points,
        "checks": verdict.checks.iter().map(check).collect::<Vec<_>>(),
        "diagnostics": verdict.diagnostics.iter().map(diagnostic).collect::<Vec<_>>(),
    })
}

/// Fields of a failure are `null` where there is none.
fn check(check: &CheckVerdict) -> Value {
    let failure = check.failure.as_ref();
    let text = |field: fn(&Failure) -> &str| failure.map(field);
    json!({
        "name": check.name,
        "task": check.task,
        "status": check.status.id(),
        "points": check.points,
        "max_points": check.max_points,
        "seed": check.seed,
        "runs": check.runs,
        "virtual_ms": check.virtual_ms,
        "at_ms": failure.map(|failure| failure.at_ms),
        "expected": text(|failure| &failure.expected),
        "got": text(|failure| &failure.got),
        "why": text(|failure| &failure.why),
        "pitfall": failure.and_then(|failure| failure.pitfall.as_ref()),
        "location": failure
            .and_then(|failure| failure.location.as_ref())
            .map(ToString::to_string),
        "sites": failure.map_or_else(Vec::new, sites),
        "panics": failure.map_or(&[][..], |failure| &failure.panics),
        "output": check.output,
    })
}

fn sites(failure: &Failure) -> Vec<Value> {
    failure
        .sites
        .iter()
        .map(|site| {
            json!({
                "who": site.who,
                "function": site.function,
                "location": site.location.as_ref().map(ToString::to_string),
                "doing": site.doing,
            })
        })
        .collect()
}

fn diagnostic(diagnostic: &Diagnostic) -> Value {
    json!({
        "level": if diagnostic.error { "error" } else { "warning" },
        "message": diagnostic.message,
        "location": diagnostic.location.as_ref().map(ToString::to_string),
        "rendered": strip_escapes(&diagnostic.rendered),
    })
}

/// `kata progress --json`: every day of the course, touched or not.
pub fn progress(exercises: &[Exercise], progress: &Progress) -> String {
    let slugs = progress::slugs(exercises);
    let totals = progress.totals(slugs.iter().copied());
    let untouched = Entry::default();
    let days: Vec<Value> = exercises
        .iter()
        .map(|exercise| {
            let entry = progress.entry(&exercise.slug);
            day(exercise, entry.unwrap_or(&untouched))
        })
        .collect();
    line(&json!({
        "version": VERSION,
        "completed": totals.completed,
        "total": totals.exercises,
        "next": progress.resume(&slugs),
        "exercises": days,
    }))
}

fn day(exercise: &Exercise, entry: &Entry) -> Value {
    json!({
        "exercise": exercise.slug,
        "day": exercise.day,
        "week": exercise.about.week,
        "title": exercise.about.title,
        "minutes": exercise.about.minutes,
        "marker": entry.marker.symbol(),
        "state": entry.marker.word(),
        "status": entry.status,
        "points": entry.points,
        "max_points": entry.max_points,
        "checks_run": entry.checks_run,
        "saves": entry.saves,
        "hints": entry.hints,
        "first": entry.first,
        "last": entry.last,
        "completed": entry.completed,
    })
}

/// `kata demo --json`: every demo and its settings.
pub fn demos(demos: &[Demo]) -> String {
    let demos: Vec<Value> = demos
        .iter()
        .map(|demo| {
            let settings = demo.about.settings.iter().map(|setting| {
                json!({
                    "name": setting.name,
                    "value": setting.value,
                    "least": setting.range.0,
                    "most": setting.range.1,
                    "about": setting.about,
                })
            });
            json!({
                "name": demo.name,
                "about": demo.about.about,
                "settings": settings.collect::<Vec<_>>(),
            })
        })
        .collect();
    line(&json!({ "version": VERSION, "demos": demos }))
}

/// `kata demo NAME --json`: one run, its spans, and what they come to.
pub fn demo(shown: &Shown<'_>) -> String {
    let spans = told(&shown.ran.spans);
    let activities = tallies(&spans).into_iter().map(|tally| {
        json!({
            "label": tally.label,
            "count": tally.count,
            "peak": tally.peak,
            "peak_ms": tally.peak_ms,
            "failed": tally.failed,
            "cancelled": tally.cancelled,
        })
    });
    let settings = shown.values.iter();
    let settings: Map<String, Value> = settings
        .map(|(name, value)| (name.clone(), (*value).into()))
        .collect();
    line(&json!({
        "version": VERSION,
        "demo": shown.demo.name,
        "settings": settings,
        "seed": shown.seed,
        "status": shown.ran.status.id(),
        "virtual_ms": shown.ran.virtual_ms,
        "activities": activities.collect::<Vec<_>>(),
        "spans": spans,
        "printed": shown.ran.output,
    }))
}

fn line(object: &Value) -> String {
    format!("{object}\n")
}
