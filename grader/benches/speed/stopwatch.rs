//! Pairs of measurements and their medians.

use std::time::{Duration, Instant};

/// Pairs per row.
pub const PAIRS: usize = 15;

/// How long `work` takes.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Measures both sides in turn and prints the row.
pub fn row(
    name: &str,
    at_most: f64,
    mut kata: impl FnMut(usize) -> Duration,
    mut other: impl FnMut(usize) -> Duration,
) {
    // One round of each to warm caches up, not counted.
    kata(0);
    other(0);
    let pairs: Vec<(Duration, Duration)> = (1..=PAIRS)
        .map(|round| (kata(round), other(round)))
        .collect();
    let ratios = pairs
        .iter()
        .map(|(a, b)| a.as_secs_f64() / b.as_secs_f64())
        .collect();
    let ratio = median(ratios);
    let ours = median(pairs.iter().map(|(a, _)| a.as_secs_f64()).collect());
    let theirs = median(pairs.iter().map(|(_, b)| b.as_secs_f64()).collect());
    let sign = if ratio <= at_most { "" } else { "  over" };
    println!(
        "{name:<58} {ratio:>8.2} {at_most:>8.2}   {:>6.0} ms {:>6.0} ms{sign}",
        ours * 1e3,
        theirs * 1e3
    );
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
