//! Days and spans of real time from the RFC 3339 strings of `progress.json`.

use jiff::{Timestamp, civil::Date};

/// `3 Nov`: the local date as it was written, or nothing if it cannot be read.
pub fn day_and_month(rfc3339: &str) -> Option<String> {
    // The date stands first; the offset is the learner's own and needs no conversion.
    let date: Date = rfc3339.get(..10)?.parse().ok()?;
    Some(date.strftime("%-d %b").to_string())
}

/// Whole minutes from one instant to a later one, at least 1.
pub fn minutes_between(first: &str, last: &str) -> Option<u64> {
    let first: Timestamp = first.parse().ok()?;
    let last: Timestamp = last.parse().ok()?;
    let seconds = last.as_second() - first.as_second();
    u64::try_from(seconds / 60)
        .ok()
        .map(|minutes| minutes.max(1))
}

/// `38 minutes`, `5 hours`, `3 days`.
pub fn spent(minutes: u64) -> String {
    use super::duration::count;
    match minutes {
        0..120 => count(minutes, "minute"),
        120..2880 => count(minutes / 60, "hour"),
        _ => count(minutes / 1440, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_learners_own_even_near_midnight() {
        let late = "2026-11-03T23:59:00-08:00";
        assert_eq!(day_and_month(late).as_deref(), Some("3 Nov"));
        let utc = "2026-01-21T00:00:00Z";
        assert_eq!(day_and_month(utc).as_deref(), Some("21 Jan"));
    }

    #[test]
    fn what_is_no_date_is_left_out() {
        assert_eq!(day_and_month("yesterday"), None);
        assert_eq!(day_and_month("2026-13-40T00:00:00Z"), None);
        assert_eq!(day_and_month("ääääääääää"), None);
        assert_eq!(minutes_between("yesterday", "today"), None);
    }

    #[test]
    fn time_spent_survives_a_change_of_offset() {
        let minutes = minutes_between("2026-11-03T10:00:00+01:00", "2026-11-03T09:38:30Z");
        assert_eq!(minutes, Some(38));
        assert_eq!(spent(38), "38 minutes");
        assert_eq!(spent(300), "5 hours");
        assert_eq!(spent(4400), "3 days");
    }

    #[test]
    fn a_clock_set_back_gives_no_time() {
        let back = minutes_between("2026-11-03T10:00:00Z", "2026-11-03T09:00:00Z");
        assert_eq!(back, None);
    }
}
