//! Every view at every width, plain, painted and in ASCII, as it was looked at.

use kata_report::{Span, SpanEnd};

use super::{
    book,
    chart::Chart,
    compiler, demo, done, error, failure, fixtures,
    footer::{self, Phase, Timing},
    hints, json, list, markdown, progress,
    style::Style,
    timeline, verdict,
};
use crate::model::{
    book::name_own_links,
    marker::Marker,
    verdict::{CheckStatus, CheckVerdict, Failure, Status},
};

/// A page with every kind of block.
const PAGE: &str = "\
# Event loop flow

Python has an event loop, tokio has a *runtime*. **The idea is the same**: one
thread that asks whoever was woken (see [deadlock](#deadlock)).

<a id=\"turn\"></a>

```text
   ┌───────┐  wake   ┌───────┐
   │ queue │<────────┤ timer │
   └───────┘         └───────┘
```

<details><summary>The same as a diagram</summary>

```mermaid
flowchart LR
    timer -->|wake| queue
```

</details>

## What it means

- A poll is never interrupted; see [day 7](../exercises/day07_x/README.md) and
  `tokio::select!`.
- A task waits.
  1. It stores the waker.
  2. It returns `Pending`.

> When every task waits, the clock jumps to the next timer.

| you do this                   | virtual time → real time                |
|-------------------------------|-----------------------------------------|
| `tokio::time::sleep(…).await` | jumps, when **nobody** is runnable      |
| compute                       | stands still, however long it may take you to get to the end of it |

```rust
let value = tokio::time::timeout(Duration::from_millis(200), server.fetch(7)).await?;
```

---

Read on: [tokio](https://tokio.rs).
";

/// Draws a view in every style, one below the other.
fn drawn(view: impl Fn(&Style) -> String) -> String {
    fixtures::styles()
        .iter()
        .map(|(name, style)| format!("───── {name}\n{}", visible(&view(style))))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Escapes as tags, so that a painted page can be read.
fn visible(page: &str) -> String {
    let tags = [
        ("\x1b[1m", "‹b›"),
        ("\x1b[2m", "‹d›"),
        ("\x1b[36m", "‹a›"),
        ("\x1b[0m", "‹›"),
        ("\x1b", "␛"),
    ];
    tags.iter().fold(page.to_owned(), |page, (escape, tag)| {
        page.replace(escape, tag)
    })
}

macro_rules! snapshot {
    ($name:ident, $view:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), drawn($view));
        }
    };
}

snapshot!(a_check_fails, |style| verdict::page(
    &fixtures::exercise(),
    &fixtures::failed(),
    Some(&fixtures::entry(Marker::InProgress)),
    style,
));
snapshot!(a_check_fails_in_one_of_four_tasks, |style| verdict::page(
    &fixtures::exercise_of_tasks(),
    &fixtures::failed_in_tasks(),
    Some(&fixtures::entry(Marker::NeedHelp)),
    style,
));
snapshot!(a_day_once_completed_fails_again, |style| verdict::page(
    &fixtures::exercise(),
    &fixtures::failed(),
    Some(&fixtures::entry(Marker::Completed)),
    style,
));
snapshot!(a_long_list_and_many_tasks, |style| verdict::page(
    &fixtures::exercise_of_tasks(),
    &fixtures::long_list(),
    None,
    style,
));
snapshot!(a_deadlock, |style| verdict::page(
    &fixtures::exercise(),
    &fixtures::deadlock(),
    None,
    style,
));
snapshot!(it_does_not_compile, |style| verdict::page(
    &fixtures::exercise(),
    &fixtures::does_not_compile(),
    None,
    style,
));
snapshot!(the_contract_changed, |style| verdict::page(
    &fixtures::exercise(),
    &fixtures::contract_changed(),
    None,
    style,
));
snapshot!(a_day_opens, |style| verdict::page(
    &fixtures::exercise(),
    &fixtures::verdict(Status::NotStarted, Vec::new()),
    None,
    style,
));
snapshot!(the_grader_is_at_fault, |style| verdict::page(
    &fixtures::exercise(),
    &fixtures::grader_error(),
    None,
    style,
));
snapshot!(a_day_is_done, |style| {
    let course = fixtures::course();
    let page = verdict::page(
        &fixtures::exercise(),
        &fixtures::passed(),
        Some(&fixtures::entry(Marker::Completed)),
        style,
    );
    format!(
        "{page}\n{}{}",
        done::next(course.get(7), style),
        done::next(None, style)
    )
});
snapshot!(every_status_of_a_check, |style| {
    use CheckStatus as S;
    let statuses = [
        S::NeverEnds,
        S::Blocked,
        S::BusyLoop,
        S::TimedOut,
        S::ExitedEarly,
        S::Crashed,
        S::OutputFlood,
    ];
    statuses
        .map(|status| {
            let mut check = fixtures::check("the fetches overlap", 1, status, 2);
            check.failure = Some(Failure {
                got: if status == S::Crashed {
                    "SIGSEGV".to_owned()
                } else {
                    String::new()
                },
                at_ms: 20,
                ..Failure::default()
            });
            let verdict = fixtures::verdict(Status::Failed, vec![check]);
            failure::block(&fixtures::exercise(), &verdict, &verdict.checks[0], style)
        })
        .join("\n")
});
snapshot!(warnings_of_code_that_compiles, |style| compiler::warnings(
    &vec![fixtures::failed_in_tasks().diagnostics[0].clone(); 5],
    style,
));
snapshot!(a_chart_of_every_end, |style| Chart {
    spans: &fixtures::every_end(),
    rows: 10,
    point: Some((300, "deadlock")),
}
.draw(style));
snapshot!(charts_from_a_millisecond_to_years, |style| {
    const YEAR: u64 = 365 * 86_400_000;
    [
        1,
        7,
        90,
        1_500,
        12_000,
        200_000,
        5_400_000,
        200_000_000,
        YEAR,
        20 * YEAR,
    ]
    .map(|last| {
        let spans = [
            fixtures::span("whole", "", 0, last, SpanEnd::Done),
            fixtures::span("last half", "", last / 2, last, SpanEnd::Failed),
        ];
        let chart = Chart {
            spans: &spans,
            rows: 10,
            point: None,
        };
        chart.draw(style)
    })
    .join("\n")
});
snapshot!(a_chart_of_four_hundred_spans, |style| {
    let spans: Vec<Span> = (0..400)
        .map(|n| {
            let end = match n % 37 {
                30 => SpanEnd::Cancelled,
                _ => SpanEnd::Done,
            };
            let start_ms = n / 8 * 100;
            fixtures::span(&format!("fetch {n}"), "", start_ms, start_ms + 100, end)
        })
        .collect();
    let chart = Chart {
        spans: &spans,
        rows: 10,
        point: None,
    };
    let everything_at_once = [fixtures::span("flush", "", 0, 0, SpanEnd::Done)];
    let point = Chart {
        spans: &everything_at_once,
        ..chart
    };
    format!("{}\n{}", chart.draw(style), point.draw(style))
});
snapshot!(a_time_line, |style| {
    let verdict = fixtures::failed_in_tasks();
    timeline::page(&fixtures::exercise(), &verdict.checks[3], style)
});
snapshot!(a_time_line_without_spans, |style| {
    let check = fixtures::check("an empty list is fine", 1, CheckStatus::Passed, 1);
    timeline::page(&fixtures::exercise(), &check, style)
});
snapshot!(the_progress_of_ten_days, |style| progress::table(
    &fixtures::course(),
    &fixtures::progress(),
    style,
));
snapshot!(the_list_of_days, |style| list::page(
    &fixtures::course(),
    &fixtures::progress(),
    style,
));
snapshot!(a_page_of_the_book, |style| markdown::render(
    &name_own_links(PAGE, "pitfalls"),
    0,
    style
));
snapshot!(the_books_contents, |style| book::contents(
    &[
        book::Entry {
            name: "pitfalls".to_owned(),
            about: "A failed check names the pitfall that it looks like.".to_owned(),
        },
        book::Entry {
            name: "structured-concurrency".to_owned(),
            about: "`goto` was replaced by blocks, because a block has one way in and one \
                    way out."
                .to_owned(),
        },
    ],
    &[fixtures::exercise()],
    style,
));
snapshot!(a_hint, |style| hints::page(
    &fixtures::exercise(),
    &fixtures::hints(),
    2,
    style
));
snapshot!(the_last_hint, |style| hints::page(
    &fixtures::exercise(),
    &fixtures::hints(),
    3,
    style
));
snapshot!(an_error, |style| error::block(
    "progress.json cannot be read: expected `,` at line 12, column 3",
    [
        "It was kept as progress.json.broken-2026-11-20T14-02-07.".to_owned(),
        "The last good state (9 of 20 days, 14:01) was restored from .kata/progress.backup.json."
            .to_owned(),
    ],
    style,
));
snapshot!(the_foot_of_a_page, |style| {
    let timing = Timing {
        saved: Some("14:02:07".to_owned()),
        compiled_ms: 110,
        tested_ms: 60,
        ..Timing::of(&fixtures::failed())
    };
    let phases = [
        Phase::Detected,
        Phase::Compiling,
        Phase::Testing { done: 3, total: 14 },
    ]
    .map(|phase| footer::phases(phase, style));
    format!(
        "{}{}{}",
        footer::keys(&fixtures::KEYS, style),
        footer::status(&timing, style),
        phases.concat()
    )
});

snapshot!(the_list_of_demos, |style| demo::list(
    &[fixtures::demo(), fixtures::demo()],
    style
));
snapshot!(a_demos_settings, |style| demo::settings(
    &fixtures::demo(),
    style
));
snapshot!(a_demo, |style| fixtures::shown(
    &fixtures::demonstrated(),
    |shown| { demo::page(shown, style) }
));
snapshot!(a_demo_that_waits_for_ever, |style| fixtures::shown(
    &CheckVerdict {
        status: CheckStatus::Deadlock,
        failure: fixtures::deadlock()
            .checks
            .into_iter()
            .find_map(|check| check.failure),
        ..fixtures::demonstrated()
    },
    |shown| demo::page(shown, style)
));

#[test]
fn a_demos_picture() {
    let picture = fixtures::shown(&fixtures::demonstrated(), demo::picture);
    insta::assert_snapshot!("a_demos_picture", picture);
}

#[test]
fn json_of_a_demo() {
    let line = fixtures::shown(&fixtures::demonstrated(), json::demo);
    assert_eq!(line.lines().count(), 1);
    insta::assert_snapshot!("json_of_a_demo", pretty(&line));
}

#[test]
fn json_of_checks() {
    let failed = fixtures::deadlock();
    let broken = fixtures::contract_changed();
    let entry = fixtures::entry(Marker::NeedHelp);
    let line = json::checks([(&failed, Some(&entry)), (&broken, None)]);
    assert_eq!(line.lines().count(), 1);
    insta::assert_snapshot!("json_of_checks", pretty(&line));
}

#[test]
fn json_of_progress() {
    let line = json::progress(&fixtures::course()[8..11], &fixtures::progress());
    assert_eq!(line.lines().count(), 1);
    insta::assert_snapshot!("json_of_progress", pretty(&line));
}

fn pretty(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
    serde_json::to_string_pretty(&value).expect("a value is JSON")
}
