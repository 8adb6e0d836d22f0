//! How fast kata is, as ratios against cargo and rustc, measured in one run.
//!
//! `cargo bench -p kata` prints a row per target. Machines differ and are
//! shared, so no absolute time is judged: the two sides of a row alternate,
//! A B A B …, and the row gives the median of the ratios pair by pair.
//!
//! `cargo bench -p kata -- fresh` adds the first verdict in a fresh clone,
//! which compiles everything several times over. `-- PART` runs the rows whose
//! name contains PART.

#![expect(
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "a benchmark starts programs as a shell would, and its own speed does not count"
)]

mod course;
mod idle;
mod rows;
mod stopwatch;

use course::Course;

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted =
        |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(part.as_str()));
    println!(
        "{:<58} {:>8} {:>8}   {:>9} {:>9}",
        "", "ratio", "at most", "kata", "other"
    );
    for course in [Course::day_one(), Course::synthetic()] {
        rows::all(&course, &wanted);
    }
    idle::all(&Course::day_one(), &wanted);
    if chosen.iter().any(|part| part == "fresh") {
        rows::fresh();
    }
}
