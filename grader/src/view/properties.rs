//! What holds for every page of any verdict: its width, its signs, its proportions.

use kata_report::{Site, Span, SpanEnd};

use super::{
    chart::Chart,
    demo, done, error,
    fixtures::{self, Rng},
    footer::{self, Phase, Timing},
    hints, list, progress,
    style::Style,
    text::{strip_escapes, width},
    timeline, verdict,
};
use crate::model::{
    exercise::Exercise,
    marker::Marker,
    verdict::{CheckStatus, Failure, Status, Verdict},
};

const STATUSES: [CheckStatus; 11] = [
    CheckStatus::Passed,
    CheckStatus::Failed,
    CheckStatus::Deadlock,
    CheckStatus::NeverEnds,
    CheckStatus::Blocked,
    CheckStatus::BusyLoop,
    CheckStatus::TimedOut,
    CheckStatus::ExitedEarly,
    CheckStatus::Crashed,
    CheckStatus::OutputFlood,
    CheckStatus::NotRun,
];
const ENDS: [SpanEnd; 4] = [
    SpanEnd::Done,
    SpanEnd::Failed,
    SpanEnd::Cancelled,
    SpanEnd::Running,
];
/// From a millisecond to years.
const SCALES: [u64; 6] = [1, 50, 4_000, 90_000, 86_400_000, 64_424_509_440];

fn words(rng: &mut Rng, most: u64) -> String {
    let parts = [
        "a",
        "of",
        "the fetch",
        "`limit`",
        "…",
        "≤ 3",
        "Mutex<Option<Vec<Arc<str>>>>",
        "✅",
    ];
    let count = rng.below(most) + 1;
    let words: Vec<&str> = (0..count).map(|_| rng.pick(&parts)).collect();
    words.join(" ")
}

fn spans(rng: &mut Rng) -> Vec<Span> {
    let scale = rng.pick(&SCALES);
    let count = rng.pick(&[0, 1, 2, 7, 30, 400]);
    let lanes = rng.below(40) + 1;
    (0..count)
        .map(|_| {
            let start_ms = rng.below(scale);
            let end_ms = start_ms + rng.pick(&[0, 1, scale / 3, scale]);
            let lane = format!(
                "{} {}",
                rng.pick(&["job", "a very long lane"]),
                rng.below(lanes)
            );
            let end = rng.pick(&ENDS);
            fixtures::span(&lane, &words(rng, 3), start_ms, end_ms, end)
        })
        .collect()
}

fn failure(rng: &mut Rng) -> Failure {
    let location = || fixtures::location(1041, 113);
    Failure {
        expected: words(rng, 30),
        got: format!("{}\n{}", words(rng, 9), words(rng, 40)),
        why: words(rng, 40),
        pitfall: Some("unbounded-concurrency".to_owned()),
        location: Some(location()),
        sites: (0..rng.below(16))
            .map(|n| Site {
                who: format!("task {n}"),
                function: rng
                    .pick(&["transfer", "a_function_with_a_rather_long_name"])
                    .to_owned(),
                location: rng.pick(&[true, false]).then(location),
                doing: words(rng, 9),
            })
            .collect(),
        at_ms: rng.below(100_000),
        panics: (0..rng.below(3)).map(|_| words(rng, 20)).collect(),
    }
}

fn verdict_of(rng: &mut Rng) -> Verdict {
    let checks = (0..rng.below(16))
        .map(|_| {
            let status = rng.pick(&STATUSES);
            let task = u32::try_from(rng.below(5)).expect("it is small");
            let mut check = fixtures::check(&words(rng, 12), task, status, 2);
            check.failure = rng.pick(&[true, false]).then(|| failure(rng));
            check.spans = spans(rng);
            check.output = words(rng, 60);
            check
        })
        .collect();
    fixtures::verdict(Status::Failed, checks)
}

/// Every page that a verdict appears on.
fn pages(exercise: &Exercise, verdict: &Verdict, style: &Style) -> String {
    let course = fixtures::course();
    let entry = fixtures::entry(Marker::NeedHelp);
    let mut pages = verdict::page(exercise, verdict, Some(&entry), style);
    for status in [
        Status::Passed,
        Status::NotStarted,
        Status::ContractChanged,
        Status::GraderError,
    ] {
        let verdict = Verdict {
            status,
            ..verdict.clone()
        };
        pages += &verdict::page(exercise, &verdict, None, style);
    }
    for check in &verdict.checks {
        pages += &timeline::page(exercise, check, style);
        pages += &fixtures::shown(check, |shown| demo::page(shown, style));
        pages += &error::block(&check.name, [check.output.clone()], style);
    }
    pages += &progress::table(&course, &fixtures::progress(), style);
    pages += &demo::list(&[fixtures::demo()], style);
    pages += &demo::settings(&fixtures::demo(), style);
    pages += &list::page(&course, &fixtures::progress(), style);
    pages += &hints::page(exercise, &fixtures::hints(), 2, style);
    pages += &footer::keys(&fixtures::KEYS, style);
    pages += &footer::status(&Timing::of(verdict), style);
    pages += &footer::phases(Phase::Testing { done: 3, total: 14 }, style);
    pages += &footer::preparing("tokio-a-crate-with-a-long-name", 31, 44, style);
    let mut long = exercise.clone();
    long.about.title = "A title that is too long for every line of forty columns".to_owned();
    pages += &verdict::line(&long, verdict, None, style);
    pages += &verdict::opening(&long, style);
    pages += &done::next(Some(&long), style);
    pages + &done::next(course.last(), style)
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut rng = Rng(7);
    let exercise = fixtures::exercise_of_tasks();
    for columns in (40..=130).step_by(5) {
        let verdict = verdict_of(&mut rng);
        for ascii in [false, true] {
            let style = Style {
                ascii,
                colour: true,
                links: true,
                root: "/home/me/kata".to_owned(),
                ..Style::plain(columns)
            };
            for line in pages(&exercise, &verdict, &style).lines() {
                assert!(
                    width(line) <= columns,
                    "{columns} columns: {}\n{line}",
                    width(line)
                );
            }
        }
    }
}

#[test]
fn ascii_pages_are_ascii() {
    let mut rng = Rng(11);
    let exercise = fixtures::exercise_of_tasks();
    for columns in (40..=130).step_by(5) {
        let style = Style {
            ascii: true,
            ..Style::plain(columns)
        };
        let pages = pages(&exercise, &verdict_of(&mut rng), &style);
        let foreign: String = pages.chars().filter(|sign| !sign.is_ascii()).collect();
        assert_eq!(foreign, "", "at {columns} columns");
    }
}

#[test]
fn colour_and_links_change_nothing_but_colour_and_links() {
    let mut rng = Rng(13);
    let exercise = fixtures::exercise_of_tasks();
    for columns in (40..=130).step_by(5) {
        let verdict = verdict_of(&mut rng);
        let plain = Style::plain(columns);
        let painted = Style {
            colour: true,
            links: true,
            root: "/home/me/kata".to_owned(),
            ..plain.clone()
        };
        let stripped = strip_escapes(&verdict::page(&exercise, &verdict, None, &painted));
        assert_eq!(stripped, verdict::page(&exercise, &verdict, None, &plain));
    }
}

#[test]
fn a_page_has_no_trailing_spaces_and_ends_its_last_line() {
    let mut rng = Rng(17);
    let exercise = fixtures::exercise_of_tasks();
    for columns in [40, 60, 80, 120] {
        let pages = pages(&exercise, &verdict_of(&mut rng), &Style::plain(columns));
        assert!(pages.ends_with('\n'));
        for line in pages.lines() {
            assert_eq!(line, line.trim_end(), "at {columns} columns");
        }
    }
}

#[test]
fn bars_are_as_long_as_their_spans() {
    let mut rng = Rng(19);
    for _ in 0..400 {
        let scale = rng.pick(&SCALES);
        let last = scale + rng.below(scale);
        let spans = vec![
            fixtures::span("whole", "", 0, last, SpanEnd::Done),
            fixtures::span(
                "part",
                "",
                last / 4,
                last / 4 + rng.below(last / 2 + 1) + 1,
                SpanEnd::Done,
            ),
        ];
        let columns = 40 + usize::try_from(rng.below(80)).expect("it is small");
        let chart = Chart {
            spans: &spans,
            rows: 10,
            point: None,
        };
        let chart = chart.draw(&Style::plain(columns));
        let bars: Vec<u64> = chart
            .lines()
            .map(|line| line.matches('█').count() as u64)
            .filter(|cells| *cells > 0)
            .collect();
        let [whole, part] = bars[..] else {
            panic!("two bars:\n{chart}")
        };
        let span_ms = spans[1].end_ms.expect("it ended") - spans[1].start_ms;
        // Either edge may be half a cell off, and so may the whole's own.
        let halves = (2 * i128::from(part) * i128::from(last)
            - 2 * i128::from(span_ms) * i128::from(whole))
            / i128::from(last);
        assert!((-3..=3).contains(&halves), "{halves} halves off:\n{chart}");
    }
}
