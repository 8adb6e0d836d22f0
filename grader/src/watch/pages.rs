//! What stands on the screen: a page, and below it the keys and the status.

use crate::{
    desk::Desk,
    grade::{Graded, phase::Phase},
    model::{exercise::Exercise, verdict::Status},
    view::{
        self,
        footer::{self, Key},
        style::Style,
    },
};

use super::machine::Question;

/// Keys that help on an unsolved day.
const UNSOLVED: [Key; 11] = [
    key('n', "next"),
    key('h', "hint"),
    key('p', "pitfall"),
    key('t', "time line"),
    key('r', "run"),
    key('l', "list"),
    key('c', "check all"),
    key('o', "solution"),
    key('x', "reset"),
    key('s', "stuck"),
    key('q', "quit"),
];

/// Keys that help on a solved one.
const SOLVED: [Key; 6] = [
    key('n', "next"),
    key('t', "time line"),
    key('o', "solution"),
    key('r', "run"),
    key('l', "list"),
    key('q', "quit"),
];

const fn key(key: char, word: &'static str) -> Key {
    Key { key, word }
}

/// The page of a verdict.
pub fn verdict(desk: &Desk, exercise: &Exercise, graded: &Graded, style: &Style) -> String {
    let entry = desk.progress().entry(&exercise.slug);
    let mut page = view::verdict::page(exercise, &graded.verdict, entry, style);
    if graded.verdict.status == Status::Passed {
        let next = desk.next_after(&exercise.slug);
        page.push('\n');
        page.push_str(&view::done::next(next, style));
    }
    page
}

/// The page of a day that has no verdict yet.
pub fn opening(exercise: &Exercise, style: &Style) -> String {
    view::verdict::opening(exercise, style)
}

/// The keys, for the day as it is.
pub fn keys(solved: bool, style: &Style) -> String {
    if solved {
        footer::keys(&SOLVED, style)
    } else {
        footer::keys(&UNSOLVED, style)
    }
}

/// The status line of a verdict; `saved` is the local time of the save.
pub fn status(graded: &Graded, saved: Option<String>, style: &Style) -> String {
    footer::status(&graded.timing(saved), style)
}

/// The status line while a run goes on.
pub fn phase(phase: &Phase, style: &Style) -> String {
    match phase {
        Phase::Preparing { krate, done, total } => footer::preparing(krate, *done, *total, style),
        Phase::Compiling | Phase::Linking => footer::phases(footer::Phase::Compiling, style),
        Phase::Testing { done, total } => footer::phases(
            footer::Phase::Testing {
                done: *done,
                total: *total,
            },
            style,
        ),
    }
}

/// A question, answered by `y`.
pub fn question(question: Question, exercise: &Exercise, style: &Style) -> String {
    let words = match question {
        Question::Reset => format!(
            "Put your {} away and start from the stub?  y yes · any other key no",
            exercise.short()
        ),
        Question::GiveUp => format!(
            "Give {} up (❌) and see the solution?  y yes · any other key no",
            exercise.short()
        ),
        Question::Skip => {
            format!(
                "{} is not solved yet.  n moves on all the same · others stay",
                exercise.short()
            )
        }
    };
    format!("{}\n", style.bold(&style.text(&words)))
}

/// What is said when notifications cannot be had.
pub fn polling(why: &str) -> String {
    format!("Files are looked at a few times a second: {why}\n  r grades now.")
}
