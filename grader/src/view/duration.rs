//! Virtual and real time in words.

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// A year of 365 days.
const YEAR: u64 = 365 * DAY;

/// Virtual time: `20 ms`, `3 s`, `1.25 s`, `1 h 12 min`, `2 years 10 days`.
///
/// Exact below a minute; beyond it the two largest units, rounded down.
pub fn words(ms: u64) -> String {
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => seconds(ms),
        MINUTE..HOUR => pair(ms / MINUTE, "min", ms % MINUTE / SECOND, "s"),
        HOUR..DAY => pair(ms / HOUR, "h", ms % HOUR / MINUTE, "min"),
        DAY..YEAR => pair(ms / DAY, plural(ms / DAY, "day"), ms % DAY / HOUR, "h"),
        _ => {
            let days = ms % YEAR / DAY;
            pair(
                ms / YEAR,
                plural(ms / YEAR, "year"),
                days,
                plural(days, "day"),
            )
        }
    }
}

/// Real time: `0.11 s`, `12 s`, `3 min 5 s`.
pub fn real(ms: u64) -> String {
    match ms {
        0..10_000 => {
            let hundredths = ms.div_ceil(10);
            format!("{}.{:02} s", hundredths / 100, hundredths % 100)
        }
        _ => words(ms / SECOND * SECOND),
    }
}

/// `1 hint`, `2 hints`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Minutes of somebody's time: `38 minutes`, `5 hours`, `3 days`.
pub fn spent(minutes: u64) -> String {
    match minutes {
        0..120 => count(minutes, "minute"),
        120..2880 => count(minutes / 60, "hour"),
        _ => count(minutes / 1440, "day"),
    }
}

fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / SECOND, ms % SECOND);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

fn plural(number: u64, unit: &str) -> &str {
    match (unit, number) {
        ("day", 1) => "day",
        ("day", _) => "days",
        ("year", 1) => "year",
        _ => "years",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_reads_as_people_say_it() {
        let said = [
            (0, "0 ms"),
            (20, "20 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_250, "1.25 s"),
            (10_001, "10.001 s"),
            (60_000, "1 min"),
            (65_000, "1 min 5 s"),
            (4_320_000, "1 h 12 min"),
            (86_400_000, "1 day"),
            (2 * DAY + 3 * HOUR, "2 days 3 h"),
            (YEAR + DAY, "1 year 1 day"),
            (2 * YEAR + 10 * DAY, "2 years 10 days"),
        ];
        for (ms, words_of_it) in said {
            assert_eq!(words(ms), words_of_it);
        }
        assert!(words(u64::MAX).ends_with("days"));
    }

    #[test]
    fn real_time_is_never_zero_when_something_ran() {
        assert_eq!(real(0), "0.00 s");
        assert_eq!(real(1), "0.01 s");
        assert_eq!(real(110), "0.11 s");
        assert_eq!(real(12_345), "12 s");
        assert_eq!(real(185_999), "3 min 5 s");
    }

    #[test]
    fn time_spent_is_said_roughly() {
        assert_eq!(spent(38), "38 minutes");
        assert_eq!(spent(300), "5 hours");
        assert_eq!(spent(4_400), "3 days");
    }

    #[test]
    fn one_hint_is_not_one_hints() {
        assert_eq!(count(1, "hint"), "1 hint");
        assert_eq!(count(0, "hint"), "0 hints");
    }
}
