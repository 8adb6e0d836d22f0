//! Points in time as `progress.json` writes them: RFC 3339 with the local offset.
//!
//! What the reader saw on the wall counts, so dates and times of day are
//! taken as they are written, whatever offset this machine has now.

use std::cmp::Ordering;

use jiff::{Timestamp, civil::DateTime};

/// `3 Nov`; `None` if `time` is not RFC 3339.
pub fn short_date(time: &str) -> Option<String> {
    Some(civil(time)?.strftime("%-d %b").to_string())
}

/// `14:01`; `None` if `time` is not RFC 3339.
pub fn time_of_day(time: &str) -> Option<String> {
    Some(civil(time)?.strftime("%H:%M").to_string())
}

/// `14:01` if `time` is of the same date as `now`, else `3 Nov, 14:01`; `None` if it is not RFC 3339.
pub fn short_time(time: &str, now: &str) -> Option<String> {
    let at = civil(time)?;
    if civil(now).is_some_and(|now| now.date() == at.date()) {
        time_of_day(time)
    } else {
        Some(at.strftime("%-d %b, %H:%M").to_string())
    }
}

/// Whole minutes from one time to another; 0 if the clock was set back
/// between them or one of them is not RFC 3339.
pub fn minutes_between(from: &str, to: &str) -> u64 {
    match (instant(from), instant(to)) {
        (Some(from), Some(to)) => {
            u64::try_from(to.duration_since(from).as_secs() / 60).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Which of two times is earlier. What is not RFC 3339 comes before what is,
/// and equal instants are ordered by their text, so that the order is total.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    (instant(one), one).cmp(&(instant(other), other))
}

/// The earlier of two times; one that is not RFC 3339 gives way to one that is.
pub(super) fn earlier(one: Option<String>, other: Option<String>) -> Option<String> {
    let key = |time: &String| (instant(time).is_none(), instant(time), time.clone());
    one.into_iter().chain(other).min_by_key(key)
}

fn civil(time: &str) -> Option<DateTime> {
    // Only a whole RFC 3339 time counts, the offset included.
    instant(time)?;
    time.trim_end_matches(['Z', 'z']).parse().ok()
}

fn instant(time: &str) -> Option<Timestamp> {
    time.parse().ok()
}
