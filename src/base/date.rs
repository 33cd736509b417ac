//! Moments as text, always in UTC.
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// `2006-01-02T15:04:05.000000Z`, the form of logs, from the time since 1970.
#[must_use]
pub fn stamp(since_1970: Duration) -> String {
    show(since_1970, "%Y-%m-%dT%H:%M:%S%.6fZ")
}

/// `2006-01-02 15:04:05.000`, the form for people, from the time since 1970.
#[must_use]
pub fn plain(since_1970: Duration) -> String {
    show(since_1970, "%Y-%m-%d %H:%M:%S%.3f")
}

/// `2006-01-02 15:04:05 UTC`, the form for people where a second is enough.
#[must_use]
pub fn second(since_1970: Duration) -> String {
    show(since_1970, "%Y-%m-%d %H:%M:%S UTC")
}

/// A moment after the year 9999 is shown as that year's end.
fn show(since_1970: Duration, form: &str) -> String {
    let time = SignedDuration::try_from(since_1970).and_then(Timestamp::from_duration);
    time.unwrap_or(Timestamp::MAX).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_in_utc_with_leap_days_and_without_rounding() {
        for (seconds, nanos, want) in [
            (0, 0, "1970-01-01 00:00:00.000"),
            (951_782_400, 5_999_999, "2000-02-29 00:00:00.005"),
            (4_107_542_399, 999_999_999, "2100-02-28 23:59:59.999"),
            (4_107_542_400, 0, "2100-03-01 00:00:00.000"),
        ] {
            let time = Duration::new(seconds, nanos);
            assert_eq!(plain(time), want);
            assert_eq!(second(time), format!("{} UTC", &want[..19]));
            assert_eq!(stamp(time).replace('T', " ").get(..23), Some(want));
        }
        assert!(plain(Duration::MAX).starts_with("9999-12-30"), "{}", plain(Duration::MAX));
    }
}
