//! What a span is called beside its bar.

use kata_report::Span;

use super::style::Style;

/// The harness's lanes for what runs anyway: every task, and the timers.
const BACKGROUND: [&str; 2] = ["task", "timer"];
/// How the harness labels a task.
const SPAWNED: &str = "spawned at ";
/// Where the checks stand; a learner never sees that file.
const CHECKS: &str = "spawned at tests.rs";

/// The label, or nothing where the lane already says it: `open` in the lane `open 3`.
pub fn of(span: &Span, style: &Style) -> String {
    if span.label == stem(&span.lane) || span.label == span.lane {
        String::new()
    } else if is_the_checks(span) {
        "spawned by the check".to_owned()
    } else {
        style.learner(&span.label)
    }
}

/// What begins: `page 3 starts`, `is spawned at lib.rs:155`.
pub fn start(span: &Span, style: &Style) -> String {
    let label = of(span, style);
    if span.label.starts_with(SPAWNED) {
        format!("is {label}")
    } else {
        format!("{label} starts").trim_start().to_owned()
    }
}

/// What ends: `page 3 fails`; a task only `ends`.
pub fn end(span: &Span, verb: &str, style: &Style) -> String {
    if span.label.starts_with(SPAWNED) {
        verb.to_owned()
    } else {
        let label = of(span, style);
        format!("{label} {verb}").trim_start().to_owned()
    }
}

/// Whether it is a task that the check spawned.
pub fn is_the_checks(span: &Span) -> bool {
    span.label.starts_with(CHECKS)
}

/// Whether the harness recorded the lane by itself, not the check by its own words.
pub fn is_background(lane: &str) -> bool {
    BACKGROUND.contains(&stem(lane))
}

/// `open 3` without its number.
fn stem(lane: &str) -> &str {
    let numbered = |(_, number): &(&str, &str)| number.bytes().all(|byte| byte.is_ascii_digit());
    lane.rsplit_once(' ')
        .filter(numbered)
        .map_or(lane, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use kata_report::SpanEnd;

    use super::*;
    use crate::view::fixtures::span;

    fn labels(lane: &str, label: &str) -> [String; 3] {
        let span = span(lane, label, 0, 10, SpanEnd::Done);
        let style = Style::plain(80);
        [
            of(&span, &style),
            start(&span, &style),
            end(&span, "ends", &style),
        ]
    }

    #[test]
    fn a_lane_is_not_said_twice() {
        assert_eq!(labels("open 3", "open"), ["", "starts", "ends"]);
        let page = ["page 3", "page 3 starts", "page 3 ends"];
        assert_eq!(labels("fetch 3", "page 3"), page);
    }

    #[test]
    fn the_file_of_the_checks_is_not_named() {
        let check = ["spawned by the check", "is spawned by the check", "ends"];
        assert_eq!(labels("task 1", "spawned at tests.rs:554"), check);
        let own = ["spawned at lib.rs:155", "is spawned at lib.rs:155", "ends"];
        assert_eq!(labels("task 1", "spawned at lib.rs:155"), own);
    }

    #[test]
    fn tasks_and_timers_are_background() {
        assert!(is_background("task 12"));
        assert!(is_background("timer"));
        assert!(!is_background("open 3"));
        assert!(!is_background("task force"));
    }
}
