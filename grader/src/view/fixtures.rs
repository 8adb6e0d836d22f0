//! The course, the verdicts and the progress that the tests of the views share.

use kata_report::{Location, Site, Span, SpanEnd};

use super::style::Style;
use crate::model::{
    exercise::{About, Exercise},
    hints::TaskHints,
    marker::Marker,
    progress::{Entry, Progress},
    verdict::{CheckStatus, CheckVerdict, Diagnostic, Failure, Status, Verdict},
};

const TITLES: [(&str, &str, u32); 20] = [
    ("basic_async", "Basic Async", 120),
    ("coroutines", "Coroutines", 120),
    ("context_managers", "Context Managers", 120),
    ("iterators", "Iterators", 60),
    ("review_foundation", "Review Foundation", 120),
    ("task_management", "Task Management", 180),
    ("concurrent_execution", "Concurrent Execution", 120),
    ("queues_and_locks", "Queues & Locks", 120),
    ("error_handling", "Error Handling", 120),
    ("review_intermediate", "Review Intermediate", 120),
    ("web_frameworks", "Web Frameworks", 120),
    ("database_operations", "Database Operations", 180),
    ("testing", "Testing", 120),
    ("performance", "Performance", 120),
    ("review_advanced", "Review Advanced", 120),
    ("microservices", "Microservices", 180),
    ("ml_pipelines", "ML Pipelines", 120),
    ("realtime_systems", "Realtime Systems", 180),
    ("final_review", "Final Review", 120),
    ("assessment", "Assessment", 60),
];

/// All twenty days.
pub fn course() -> Vec<Exercise> {
    (1_u32..)
        .zip(TITLES)
        .map(|(day, (topic, title, minutes))| Exercise {
            slug: format!("day{day:02}_{topic}"),
            day,
            about: About {
                title: title.to_owned(),
                week: (day - 1) / 5 + 1,
                minutes,
                goal: "Run work concurrently without losing an error, an order or a task."
                    .to_owned(),
                tasks: vec!["gather in order".to_owned()],
                learned: ["join!", "select!", "JoinSet", "buffer_unordered", "hedging"]
                    .map(str::to_owned)
                    .into(),
                ask: "why does dropping a future cancel it?".to_owned(),
                draft: false,
                deadline_ms: 10_000,
            },
        })
        .collect()
}

/// Day 7, with one task.
pub fn exercise() -> Exercise {
    course().swap_remove(6)
}

/// Day 7, with four tasks.
pub fn exercise_of_tasks() -> Exercise {
    let mut exercise = exercise();
    exercise.about.tasks = [
        "gather in order",
        "first success",
        "as completed",
        "hedging",
    ]
    .map(str::to_owned)
    .into();
    exercise
}

pub fn location(line: u32, column: u32) -> Location {
    Location {
        file: "exercises/day07_concurrent_execution/src/lib.rs".to_owned(),
        line,
        column,
    }
}

pub fn span(lane: &str, label: &str, start_ms: u64, end_ms: u64, end: SpanEnd) -> Span {
    Span {
        lane: lane.to_owned(),
        label: label.to_owned(),
        start_ms,
        end_ms: (end != SpanEnd::Running).then_some(end_ms),
        end,
    }
}

/// Ten jobs at once.
pub fn ten_jobs() -> Vec<Span> {
    (0..10)
        .map(|job| span(&format!("job {job}"), "", 0, 1_000, SpanEnd::Done))
        .collect()
}

/// Every way to end, several spans in a lane, one of no length.
pub fn every_end() -> Vec<Span> {
    vec![
        span("fetch 0", "page 1", 0, 100, SpanEnd::Done),
        span("fetch 1", "page 2", 0, 250, SpanEnd::Failed),
        span("fetch 2", "page 3", 100, 220, SpanEnd::Cancelled),
        span("worker", "warm up", 0, 50, SpanEnd::Done),
        span("worker", "batch 1", 50, 150, SpanEnd::Done),
        span("worker", "batch 2", 200, 300, SpanEnd::Cancelled),
        span("flush", "flush", 150, 150, SpanEnd::Done),
        span("heartbeat", "beat", 20, 0, SpanEnd::Running),
    ]
}

pub fn check(name: &str, task: u32, status: CheckStatus, max_points: u32) -> CheckVerdict {
    let passed = status == CheckStatus::Passed;
    let ran = status != CheckStatus::NotRun;
    CheckVerdict {
        name: name.to_owned(),
        task,
        status,
        points: if passed { max_points } else { 0 },
        max_points,
        runs: if ran { 16 } else { 0 },
        virtual_ms: if ran { 308_571 } else { 0 },
        seed: (ran && !passed).then_some(3),
        failure: None,
        spans: Vec::new(),
        output: String::new(),
    }
}

pub fn verdict(status: Status, checks: Vec<CheckVerdict>) -> Verdict {
    Verdict {
        exercise: exercise().slug,
        status,
        points: checks.iter().map(|check| check.points).sum(),
        max_points: checks.iter().map(|check| check.max_points).sum(),
        checks,
        diagnostics: Vec::new(),
    }
}

/// The page of SCREENS: the limit holds nobody back.
pub fn failed() -> Verdict {
    use CheckStatus::{Failed, NotRun, Passed};
    let mut limit = check("at most `limit` jobs are in flight", 1, Failed, 3);
    limit.spans = ten_jobs();
    limit.failure = Some(Failure {
        expected: "at most 3 in flight".to_owned(),
        got: "10, all started at 0 ms".to_owned(),
        why: "Every job is spawned before any permit is asked for, so the limit holds nobody back."
            .to_owned(),
        pitfall: Some("unbounded-concurrency".to_owned()),
        location: Some(location(41, 13)),
        ..Failure::default()
    });
    let checks = vec![
        check("gather_ordered keeps the input order", 1, Passed, 2),
        check("an empty list is fine", 1, Passed, 1),
        check("first_ok returns the first success", 2, Passed, 2),
        limit,
        check("losers are dropped at once", 2, NotRun, 2),
        check("hedged waits `delay` first", 4, NotRun, 1),
        check(
            "as_completed yields in the order of completion",
            3,
            NotRun,
            2,
        ),
        check("nothing is left running", 4, NotRun, 1),
    ];
    verdict(Status::Failed, checks)
}

/// Several tasks, several failures, warnings, output and a panic nobody saw.
pub fn failed_in_tasks() -> Verdict {
    use CheckStatus::{Failed, NotRun, Passed, TimedOut};
    let mut order = check(
        "losers are dropped at the instant of the first success",
        2,
        Failed,
        2,
    );
    order.spans = every_end();
    order.output = (1..=11)
        .map(|n| format!("\x1b[31mtry {n}\x1b[0m\n"))
        .collect();
    order.failure = Some(Failure {
        expected: "[\"a\", \"b\"]".to_owned(),
        got: (1..=20)
            .map(|n| format!("Reply {{ id: {n} }},\n"))
            .collect(),
        why: "The losers run on after the winner's answer was returned.".to_owned(),
        pitfall: Some("cancellation-ignored".to_owned()),
        location: Some(location(88, 9)),
        panics: vec!["index out of bounds at src/lib.rs:90:4".to_owned()],
        ..Failure::default()
    });
    let mut verdict = verdict(
        Status::Failed,
        vec![
            check("gather_ordered keeps the input order", 1, Passed, 2),
            check("an empty list is fine", 1, Passed, 1),
            check("first_ok returns the first success", 2, Passed, 2),
            order,
            check(
                "first_ok with no jobs at all gives the empty error, not a panic now",
                2,
                TimedOut,
                1,
            ),
            check("items come in the order of their completion", 3, NotRun, 2),
        ],
    );
    verdict.diagnostics = vec![Diagnostic {
        error: false,
        message: "unused implementer of `Future` that must be used".to_owned(),
        location: Some(location(52, 9)),
        rendered: String::new(),
    }];
    verdict
}

/// Two transfers in opposite directions.
pub fn deadlock() -> Verdict {
    let site = |who: &str, function: &str, line, column, doing: &str| Site {
        who: who.to_owned(),
        function: function.to_owned(),
        location: Some(location(line, column)),
        doing: doing.to_owned(),
    };
    let mut both = check(
        "two transfers in opposite directions both finish",
        1,
        CheckStatus::Deadlock,
        3,
    );
    both.seed = Some(1);
    both.spans = vec![
        span("task 1", "transfer A to B", 0, 0, SpanEnd::Running),
        span("task 2", "transfer B to A", 0, 0, SpanEnd::Running),
    ];
    both.failure = Some(Failure {
        expected: "every task comes to its end".to_owned(),
        got: "every task waits".to_owned(),
        why: "Each task holds the lock that the other one wants.".to_owned(),
        pitfall: Some("deadlock".to_owned()),
        location: Some(location(57, 30)),
        sites: vec![
            site(
                "task 1",
                "transfer",
                57,
                30,
                "waits for Mutex::lock   (account B)",
            ),
            site(
                "task 2",
                "transfer",
                57,
                30,
                "waits for Mutex::lock   (account A)",
            ),
            site("main", "join", 71, 9, "waits for tasks 1 and 2"),
        ],
        at_ms: 20,
        ..Failure::default()
    });
    verdict(Status::Failed, vec![both])
}

/// Two errors and a warning, as rustc renders them.
pub fn does_not_compile() -> Verdict {
    let rendered = |level: &str, code: &str, message: &str, line: u32| {
        format!(
            "\x1b[1m\x1b[91m{level}{code}\x1b[0m\x1b[1m: {message}\x1b[0m\n  \x1b[1m\x1b[94m--> \x1b[0m{}\n   \x1b[1m\x1b[94m|\x1b[0m\n\x1b[1m\x1b[94m{line}\x1b[0m \x1b[1m\x1b[94m|\x1b[0m     let order = orders[0];\n   \x1b[1m\x1b[94m|\x1b[0m                 \x1b[1m\x1b[91m^^^^^^^^^\x1b[0m\n\n",
            location(line, 17)
        )
    };
    let diagnostic = |level: &str, code: &str, message: &str, line| Diagnostic {
        error: level == "error",
        message: message.to_owned(),
        location: Some(location(line, 17)),
        rendered: rendered(level, code, message, line),
    };
    let mut verdict = verdict(Status::DoesNotCompile, Vec::new());
    verdict.diagnostics = vec![
        diagnostic(
            "error",
            "[E0507]",
            "cannot move out of index of `Vec<Order>`",
            12,
        ),
        diagnostic("warning", "", "unused variable: `order`", 12),
        diagnostic("error", "[E0308]", "mismatched types", 30),
    ];
    verdict
}

pub fn contract_changed() -> Verdict {
    let mut verdict = verdict(Status::ContractChanged, Vec::new());
    verdict.diagnostics = vec![Diagnostic {
        error: true,
        message: "this function takes 1 argument but 2 arguments were supplied".to_owned(),
        location: None,
        rendered: String::new(),
    }];
    verdict
}

pub fn grader_error() -> Verdict {
    let mut verdict = verdict(Status::GraderError, Vec::new());
    verdict.diagnostics = vec![Diagnostic {
        error: true,
        message: "the hidden test names no checks".to_owned(),
        location: None,
        rendered: String::new(),
    }];
    verdict
}

pub fn passed() -> Verdict {
    let names = ["input order", "an empty list", "first success", "the limit"];
    let checks = names
        .map(|name| check(name, 1, CheckStatus::Passed, 3))
        .into_iter()
        .chain([check("nothing is left running", 1, CheckStatus::Passed, 2)])
        .collect();
    verdict(Status::Passed, checks)
}

pub fn entry(marker: Marker) -> Entry {
    Entry {
        marker,
        points: 14,
        max_points: 14,
        checks_run: 9,
        saves: 6,
        hints: 1,
        first: Some("2026-11-03T13:24:00+01:00".to_owned()),
        last: Some("2026-11-03T14:02:07+01:00".to_owned()),
        completed: (marker == Marker::Completed).then(|| "2026-11-03T14:02:07+01:00".to_owned()),
        ..Entry::default()
    }
}

/// Eight days done, one that needs help, one under way.
pub fn progress() -> Progress {
    let mut progress = Progress::default();
    for (index, exercise) in course().into_iter().take(10).enumerate() {
        let marker = match index {
            8 => Marker::NeedHelp,
            9 => Marker::InProgress,
            _ => Marker::Completed,
        };
        let mut entry = entry(marker);
        if marker != Marker::Completed {
            (entry.points, entry.max_points, entry.checks_run) = (4, 16, 31);
        }
        progress.exercises.insert(exercise.slug, entry);
    }
    progress
}

pub fn hints() -> TaskHints {
    TaskHints {
        number: 1,
        title: "gather in order".to_owned(),
        hints: vec![
            "How many jobs are in flight before the first `await`?".to_owned(),
            "Ask for the permit **before** you spawn, and let the job own it:\n\n```rust\nlet permit = semaphore.clone().acquire_owned().await?;\n```\n\nThree things then hold:\n- the permit ends with the job\n- a cancelled job gives it back\n- nobody waits for a permit inside of a job that already has one of its own".to_owned(),
            "See [tokio's Semaphore](https://docs.rs/tokio).".to_owned(),
        ],
    }
}

/// Every style that a view is drawn in, by name.
pub fn styles() -> Vec<(String, Style)> {
    let mut styles: Vec<(String, Style)> = [60, 80, 120]
        .map(|width| (format!("{width} columns"), Style::plain(width)))
        .into();
    let ascii = Style {
        ascii: true,
        ..Style::plain(80)
    };
    styles.push(("80 columns, ASCII".to_owned(), ascii));
    styles.push(("40 columns".to_owned(), Style::plain(40)));
    for width in [60, 80, 120] {
        let painted = Style {
            colour: true,
            ..Style::plain(width)
        };
        styles.push((format!("{width} columns, colour"), painted));
    }
    styles
}

/// The same numbers at every run.
pub struct Rng(pub u64);

impl Rng {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = usize::try_from(self.below(choices.len() as u64)).expect("a short list");
        choices[index]
    }
}
