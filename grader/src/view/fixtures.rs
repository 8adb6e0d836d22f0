//! The course, the verdicts and the progress that the tests of the views share.

pub use super::verdict_fixtures::*;

use kata_report::SpanEnd;

use super::{demo::Shown, footer::Key, style::Style};
use crate::model::{
    demo::{self, Demo, Prediction, Setting},
    exercise::{About, Exercise},
    hints::TaskHints,
    marker::Marker,
    progress::{Entry, Progress},
    verdict::{CheckStatus, CheckVerdict},
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
                planted: false,
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

/// A demo with three settings.
pub fn demo() -> Demo {
    let setting = |name: &str, value, about: &str| Setting {
        name: name.to_owned(),
        value,
        range: (1, 1000),
        about: about.to_owned(),
    };
    Demo {
        name: "rate_limited_client".to_owned(),
        about: demo::About {
            about: "A client spaces its calls; a server refuses what is too much".to_owned(),
            read: "pitfalls#unbounded-concurrency".to_owned(),
            crates: vec![],
            settings: vec![
                setting("calls", 12, "calls to be made"),
                setting(
                    "rate",
                    10,
                    "calls a second that the client's limiter lets through",
                ),
                setting("latency", 80, "ms that a call takes"),
            ],
            predict: vec![Prediction {
                question: "The client goes twice as fast as the server allows: is it done sooner?"
                    .to_owned(),
                set: vec!["rate=20".to_owned()],
            }],
        },
    }
}

/// What running it gave: waits, calls that came through, one that failed, one cancelled, and
/// what the harness records by itself.
pub fn demonstrated() -> CheckVerdict {
    let call =
        |number: u64, start, end, how| span(&format!("call {number}"), "call", start, end, how);
    let wait = |number: u64, end| {
        let lane = format!("call {number}");
        span(&lane, "waits for its turn", 0, end, SpanEnd::Done)
    };
    CheckVerdict {
        name: "demo".to_owned(),
        task: 1,
        status: CheckStatus::Passed,
        points: 0,
        max_points: 0,
        runs: 1,
        virtual_ms: 480,
        output: "1 refused\n".to_owned(),
        spans: vec![
            wait(0, 0),
            call(0, 0, 80, SpanEnd::Done),
            wait(1, 100),
            call(1, 100, 180, SpanEnd::Failed),
            span("call 1", "waits for the server", 180, 400, SpanEnd::Done),
            call(1, 400, 480, SpanEnd::Done),
            wait(2, 200),
            call(2, 200, 280, SpanEnd::Done),
            wait(3, 300),
            call(3, 300, 350, SpanEnd::Cancelled),
            span("server <1>", "a & b", 50, 50, SpanEnd::Done),
            span("task 1", "spawned at x.rs:3", 0, 480, SpanEnd::Done),
            span("timer", "sleep", 0, 80, SpanEnd::Done),
        ],
        seed: None,
        failure: None,
    }
}

/// A view of [`demo`], one setting of it changed, when it gave this.
pub fn shown(ran: &CheckVerdict, view: impl Fn(&Shown<'_>) -> String) -> String {
    let demo = demo();
    let values = demo.values(&["latency=90".to_owned()]).expect("a setting");
    view(&Shown {
        demo: &demo,
        values: &values,
        seed: 1,
        ran,
    })
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

/// The keys of a watched page.
pub const KEYS: [Key; 8] = [
    key('n', "next"),
    key('h', "hint"),
    key('p', "pitfall"),
    key('t', "time line"),
    key('r', "run"),
    key('l', "list"),
    key('s', "stuck"),
    key('q', "quit"),
];

const fn key(key: char, word: &'static str) -> Key {
    Key { key, word }
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
