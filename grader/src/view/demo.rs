//! `kata demo`: the demos in a list, and one of them drawn.

use std::collections::HashMap;

use kata_report::{Span, SpanEnd};

use super::{
    chart::{self, Chart},
    duration::{count, words},
    failure, label, sentence, sites,
    style::{INDENT, Style},
    svg,
    text::{pad_right, push_line, width},
};
use crate::model::{
    demo::{Demo, Values},
    tally::{Tally, longest_wait, tallies, waits},
    verdict::{CheckStatus, CheckVerdict},
};

/// Rows of the chart, folded ones included.
const ROWS: usize = 24;
/// Lines of what the example printed.
const PRINTED: usize = 8;

/// One demo as it was run.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The demo.
    pub demo: &'a Demo,
    /// What its settings were.
    pub values: &'a Values,
    /// The seed of its random choices.
    pub seed: u64,
    /// What came of it.
    pub ran: &'a CheckVerdict,
}

/// Every demo: its name, what it shows, its settings.
pub fn list(demos: &[Demo], style: &Style) -> String {
    let margin = " ".repeat(INDENT);
    let mut list = format!("{}\n", style.bold("Examples, drawn in virtual time"));
    for demo in demos {
        push_line(&mut list, "");
        push_line(&mut list, &format!("{margin}{}", style.accent(&demo.name)));
        for line in style.wrap(&style.text(&demo.about.about), style.prose(), INDENT + 2) {
            push_line(&mut list, &line);
        }
        let settings = demo.about.settings.iter();
        let settings: Vec<String> = settings
            .map(|setting| format!("{}={}", setting.name, setting.value))
            .collect();
        for line in style.wrap(&settings.join("  "), style.prose(), INDENT + 2) {
            push_line(&mut list, &style.dim(&line));
        }
    }
    push_line(&mut list, "");
    let ways = [
        ("kata demo NAME", "draws one"),
        (
            "kata demo NAME --set limit=2",
            "changes a setting; repeat it",
        ),
        ("kata demo NAME --settings", "says what they mean"),
        (
            "kata demo NAME --svg FILE",
            "writes the picture to a file, too",
        ),
    ];
    list + &pairs(&ways, style)
}

/// A command and what it does beside it, or below it where the page is narrow.
fn pairs(ways: &[(&str, &str)], style: &Style) -> String {
    let margin = " ".repeat(INDENT);
    let longest = |of: fn(&(&str, &str)) -> usize| ways.iter().map(of).max().unwrap_or(0);
    let column = longest(|(way, _)| width(way));
    let fits = INDENT + column + 2 + longest(|(_, does)| width(does)) <= style.page();
    let mut lines = String::new();
    for (way, does) in ways {
        if fits {
            let gap = " ".repeat(column + 2 - width(way));
            push_line(
                &mut lines,
                &format!("{margin}{}{gap}{does}", style.accent(way)),
            );
        } else {
            push_line(&mut lines, &format!("{margin}{}", style.accent(way)));
            push_line(&mut lines, &format!("{margin}  {does}"));
        }
    }
    lines
}

/// What one demo's settings are, may be, and mean.
pub fn settings(demo: &Demo, style: &Style) -> String {
    let settings = &demo.about.settings;
    let column = settings.iter().map(|setting| setting.name.len()).max();
    let mut table = format!("{}\n", style.bold(&demo.name));
    for setting in settings {
        let name = pad_right(&setting.name, column.unwrap_or(0));
        let (least, most) = setting.range;
        let about = format!("{} ({least} to {most})", style.text(&setting.about));
        let about = style.fit(&about, style.page() - INDENT - name.len() - 10);
        let value = pad_right(&setting.value.to_string(), 6);
        push_line(
            &mut table,
            &format!(
                "{}{}  {value}  {about}",
                " ".repeat(INDENT),
                style.accent(&name)
            ),
        );
    }
    table
}

/// The chart of one run, what it comes to, and what to predict next.
pub fn page(shown: &Shown<'_>, style: &Style) -> String {
    let spans = told(&shown.ran.spans);
    let point = shown.ran.failure.as_ref().map(|failure| failure.at_ms);
    let chart = Chart {
        spans: &spans,
        rows: ROWS,
        point: point.map(|at_ms| (at_ms, sentence::word(shown.ran.status))),
    };
    let parts = [
        head(shown, style),
        chart.draw(style) + &legend(&spans, style),
        found(shown.ran, style),
        summary(shown, &spans, style),
        next(shown, style),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// The spans that tell the story: not the harness's tasks and timers, no wait of no time. They
/// stand in the order of their start; at one instant, the lane that was there first comes first.
pub fn told(spans: &[Span]) -> Vec<Span> {
    let mut lanes: HashMap<&str, usize> = HashMap::new();
    for span in spans {
        let next = lanes.len();
        lanes.entry(&span.lane).or_insert(next);
    }
    let tells = |span: &&Span| {
        let nothing = waits(span) && span.end_ms == Some(span.start_ms);
        !nothing && !label::is_background(&span.lane)
    };
    let mut told: Vec<Span> = spans.iter().filter(tells).cloned().collect();
    told.sort_by_key(|span| (span.start_ms, lanes[&*span.lane]));
    told
}

/// The same picture for a browser.
pub fn picture(shown: &Shown<'_>) -> String {
    let command = shown.demo.command(&shown.demo.sets(shown.values));
    let seed = match shown.seed {
        1 => String::new(),
        seed => format!(" --seed {seed}"),
    };
    let title = format!("{command}{seed}");
    svg::draw(&title, &shown.demo.about.about, &told(&shown.ran.spans))
}

fn head(shown: &Shown<'_>, style: &Style) -> String {
    let Shown {
        demo, values, seed, ..
    } = *shown;
    let mut head = format!("{}\n", style.bold(&demo.name));
    for line in style.wrap(&style.text(&demo.about.about), style.prose(), INDENT) {
        push_line(&mut head, &line);
    }
    let mut words: Vec<(String, bool)> = Vec::new();
    for (setting, (name, value)) in demo.about.settings.iter().zip(values) {
        words.push((format!("{name}={value}"), setting.value != *value));
    }
    words.push((format!("seed={seed}"), seed != 1));
    let paint = |(word, changed): (String, bool)| {
        if changed {
            style.bold(&word)
        } else {
            style.dim(&word)
        }
    };
    head + &beside(words.into_iter().map(paint), "  ", style)
}

/// Painted words beside each other, in as many lines as they need; none is broken.
fn beside(words: impl Iterator<Item = String>, gap: &str, style: &Style) -> String {
    let margin = " ".repeat(INDENT);
    let (mut lines, mut line) = (String::new(), String::new());
    for word in words {
        if line.is_empty() {
            line = format!("{margin}{word}");
        } else if width(&line) + width(gap) + width(&word) <= style.page() {
            line.push_str(gap);
            line.push_str(&word);
        } else {
            push_line(&mut lines, &line);
            line = format!("{margin}{word}");
        }
    }
    if !line.is_empty() {
        push_line(&mut lines, &line);
    }
    lines
}

/// What the signs in the chart mean, as far as they are in it.
fn legend(spans: &[Span], style: &Style) -> String {
    // A narrow chart says by itself how spans ended.
    let notes = style.page() >= chart::NOTES_FROM;
    let ended = |end| notes && spans.iter().any(|span| span.end == end);
    let at_once = |span: &Span| span.end_ms == Some(span.start_ms) && span.end == SpanEnd::Done;
    let signs = [
        (spans.iter().any(waits), style.sign("░ waits", ". waits")),
        (!spans.is_empty(), style.sign("█ works", "# works")),
        (
            spans.iter().any(at_once),
            style.sign("◆ takes no time", "* takes no time"),
        ),
        (ended(SpanEnd::Failed), "! fails"),
        (
            ended(SpanEnd::Cancelled),
            style.sign("╳ is cancelled", "x is cancelled"),
        ),
        (
            ended(SpanEnd::Running),
            style.sign("→ still runs", "> still runs"),
        ),
    ];
    let used = signs.into_iter().filter(|(used, _)| *used);
    beside(used.map(|(_, words)| style.dim(words)), "   ", style)
}

/// What a detector found: an example that the reader has changed may be wrong.
fn found(ran: &CheckVerdict, style: &Style) -> String {
    let Some(found) = &ran.failure else {
        return String::new();
    };
    failure::values(ran, found, style)
        + &sites::table(&found.sites, style)
        + &failure::reasons(found, style)
}

fn summary(shown: &Shown<'_>, spans: &[Span], style: &Style) -> String {
    let ran = shown.ran;
    let took = format!("{} of virtual time", words(ran.virtual_ms));
    let mut summary = if ran.status == CheckStatus::Passed {
        style.field("took", &took)
    } else {
        style.painted_field("ended", sentence::word(ran.status), |line| style.bold(line))
    };
    let several = |tally: &Tally<'_>| tally.count > 1;
    for tally in tallies(spans).into_iter().filter(several) {
        let (label, said) = (style.learner(tally.label), said(&tally));
        if width(&label) <= 10 {
            summary.push_str(&style.field(&label, &said));
        } else {
            summary.push_str(&style.field("", &format!("{label}: {said}")));
        }
    }
    if let Some((span, took)) = longest_wait(spans) {
        let lane = style.learner(&span.lane);
        let wait = style.learner(&span.label);
        let said = format!(
            "{lane} {wait}, {} from {}",
            words(took),
            words(span.start_ms)
        );
        summary.push_str(&style.field("waited", &said));
    }
    let printed = style.learner(&ran.output);
    let lines: Vec<&str> = printed.trim_end().lines().collect();
    for (number, line) in lines[lines.len().saturating_sub(PRINTED)..]
        .iter()
        .enumerate()
    {
        let label = if number == 0 { "printed" } else { "" };
        summary.push_str(&style.field(label, line));
    }
    summary
}

/// `12 times, 4 at once from 100 ms, 1 failed`
fn said(tally: &Tally<'_>) -> String {
    let mut said = vec![count(tally.count as u64, "time")];
    if tally.peak > 1 {
        said.push(format!(
            "{} at once from {}",
            tally.peak,
            words(tally.peak_ms)
        ));
    } else if tally.peak == 1 && tally.lanes > 1 {
        said.push("never two at once".to_owned());
    }
    for (number, how) in [(tally.failed, "failed"), (tally.cancelled, "cancelled")] {
        if number > 0 {
            said.push(format!("{number} {how}"));
        }
    }
    said.join(", ")
}

/// Where the code is, where to read on, and the next question.
fn next(shown: &Shown<'_>, style: &Style) -> String {
    let demo = shown.demo;
    let source = format!("docs/examples/{}.rs", demo.name);
    let pitfall = shown
        .ran
        .failure
        .as_ref()
        .and_then(|failure| failure.pitfall.as_ref());
    let read = match pitfall {
        Some(pitfall) => format!("kata read pitfalls#{pitfall}"),
        None => format!("kata read {}", demo.about.read),
    };
    let mut next = style.file_field("source", &source);
    next.push_str(&style.painted_field("read", &read, |line| style.accent(line)));
    // A mistake in the reader's copy comes first.
    if shown.ran.failure.is_some() {
        return next;
    }
    next.push('\n');
    let accent = |line: &str| style.accent(line);
    if let Some(prediction) = demo.next_prediction(shown.values) {
        let question = style.text(&prediction.question);
        next.push_str(&style.painted_field("predict", &question, |line| style.bold(line)));
        let command = demo.command(&prediction.set);
        next.push_str(&style.painted_field("then look", &command, accent));
    } else {
        let command = format!("kata demo {} --settings", demo.name);
        next.push_str(&style.painted_field("change", &command, accent));
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixtures::span;

    #[test]
    fn who_waited_for_no_time_keeps_its_place() {
        let done = SpanEnd::Done;
        let spans = [
            span("page 3", "waits for a place", 100, 100, done),
            span("page 5", "waits for a place", 100, 200, done),
            span("task 1", "spawned at x.rs:3", 100, 200, done),
            span("page 3", "fetch", 100, 200, done),
        ];
        let told = told(&spans);
        let lanes: Vec<&str> = told.iter().map(|span| span.lane.as_str()).collect();
        assert_eq!(lanes, ["page 3", "page 5"]);
    }
}
