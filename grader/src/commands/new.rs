//! `kata new`: the three trees of a new exercise, filled with a small one that works.

use anyhow::Result;
use clap::Args;

use super::{
    context::Context,
    exit::{Exit, call_error},
};
use crate::{
    model::exercise::Exercise,
    world::{course::is_clone, disk},
};

/// Every file of an exercise: where it goes, and what is in it at first.
const FILES: [(&str, &str); 13] = [
    (
        "exercises/{{slug}}/Cargo.toml",
        include_str!("../../template/exercise/Cargo.toml"),
    ),
    (
        "exercises/{{slug}}/README.md",
        include_str!("../../template/exercise/README.md"),
    ),
    (
        "exercises/{{slug}}/src/lib.rs",
        include_str!("../../template/exercise/lib.rs"),
    ),
    (
        "grader/hidden/{{slug}}/original/lib.rs",
        include_str!("../../template/exercise/lib.rs"),
    ),
    (
        "solutions/{{slug}}/Cargo.toml",
        include_str!("../../template/solution/Cargo.toml"),
    ),
    (
        "solutions/{{slug}}/src/lib.rs",
        include_str!("../../template/solution/lib.rs"),
    ),
    (
        "grader/hidden/{{slug}}/Cargo.toml",
        include_str!("../../template/hidden/Cargo.toml"),
    ),
    (
        "grader/hidden/{{slug}}/kata.toml",
        include_str!("../../template/hidden/kata.toml"),
    ),
    (
        "grader/hidden/{{slug}}/contract.rs",
        include_str!("../../template/hidden/contract.rs"),
    ),
    (
        "grader/hidden/{{slug}}/tests.rs",
        include_str!("../../template/hidden/tests.rs"),
    ),
    (
        "grader/hidden/{{slug}}/hints.md",
        include_str!("../../template/hidden/hints.md"),
    ),
    (
        "grader/hidden/{{slug}}/right/polled_by_hand.rs",
        include_str!("../../template/hidden/right/polled_by_hand.rs"),
    ),
    (
        "grader/hidden/{{slug}}/wrong/in_sequence.rs",
        include_str!("../../template/hidden/wrong/in_sequence.rs"),
    ),
];

/// Arguments of `kata new`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Its name in all three trees: `dayNN_topic`
    slug: String,
    /// Its title
    #[arg(long)]
    title: String,
    /// Its week
    #[arg(long)]
    week: u32,
    /// The minutes it takes
    #[arg(long)]
    minutes: u32,
}

/// Runs the command. Nothing that exists is touched.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let course = context.course()?;
    if !is_clone(&course.workspace) {
        return Err(call_error(
            "new exercises are made in a clone of the course\nNothing was written.",
        ));
    }
    let slug = &arguments.slug;
    let Some(day) = Exercise::day_of(slug) else {
        return Err(call_error(format!(
            "`{slug}` is no name for an exercise: it must be dayNN_topic, in lower case\nNothing was written."
        )));
    };
    if arguments.title.trim().is_empty() || arguments.title.contains(['"', '\\', '\n']) {
        return Err(call_error(
            "a title is one line without quotes and backslashes\nNothing was written.",
        ));
    }
    if let Some(other) = course.exercises.iter().find(|exercise| exercise.day == day) {
        return Err(call_error(format!(
            "day {day} is {}\nNothing was written.",
            other.slug
        )));
    }
    let trees = ["exercises", "solutions", "grader/hidden"];
    if let Some(tree) = trees
        .iter()
        .find(|tree| course.workspace.join(tree).join(slug).exists())
    {
        return Err(call_error(format!(
            "{tree}/{slug} exists\nNothing was written."
        )));
    }
    let fill = |text: &str| {
        text.replace("{{slug}}", slug)
            .replace("{{day}}", &day.to_string())
            .replace("{{title}}", &arguments.title)
            .replace("{{week}}", &arguments.week.to_string())
            .replace("{{minutes}}", &arguments.minutes.to_string())
    };
    for (path, text) in FILES {
        disk::write(&course.workspace.join(fill(path)), fill(text).as_bytes())?;
    }
    context.say(&format!(
        "made {slug}: exercises/{slug}, solutions/{slug}, grader/hidden/{slug}\n  \
         It is sound as it is: kata verify {day}\n  \
         How to go on: CONTRIBUTING.md\n"
    ));
    Ok(Exit::Passed)
}
