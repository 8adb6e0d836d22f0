//! The one place that asks what time it is.

use std::time::{Duration, Instant, SystemTime};

use jiff::{Timestamp, Zoned, tz::TimeZone};

pub use crate::model::progress::time::{minutes_between, short_date, short_time, time_of_day};

/// Real time since it was started, for telling the learner how long something took.
#[derive(Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// What has passed since.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Now, in local time: `2026-11-20T14:02:07+01:00`.
pub fn now() -> String {
    rfc_3339(&Zoned::now())
}

/// A file's time, in local time; `None` if it is out of any calendar.
pub fn local(time: SystemTime) -> Option<String> {
    let timestamp = Timestamp::try_from(time).ok()?;
    Some(rfc_3339(&timestamp.to_zoned(TimeZone::system())))
}

/// A time as part of a file name: `2026-11-20T14-02-07`, without the offset
/// and without the colons that Windows and `scp` mistake.
pub fn for_file_name(time: &str) -> String {
    let seconds = time.get(..19).unwrap_or(time);
    seconds.replace(':', "-")
}

fn rfc_3339(zoned: &Zoned) -> String {
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};

    use super::{for_file_name, now, rfc_3339, short_date};

    #[test]
    fn a_time_is_local_with_its_offset() {
        let timestamp: Timestamp = "2026-11-03T13:02:07Z".parse().unwrap();
        let berlin = timestamp.to_zoned(TimeZone::fixed(jiff::tz::offset(1)));
        assert_eq!(rfc_3339(&berlin), "2026-11-03T14:02:07+01:00");
    }

    #[test]
    fn now_can_be_read_back() {
        let now = now();
        assert!(now.parse::<Timestamp>().is_ok(), "{now}");
        assert!(short_date(&now).is_some(), "{now}");
    }

    #[test]
    fn a_file_name_has_no_colon() {
        assert_eq!(
            for_file_name("2026-11-20T14:02:07+01:00"),
            "2026-11-20T14-02-07"
        );
    }
}
