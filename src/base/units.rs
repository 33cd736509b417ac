//! Sizes and times as users and servers write them.
use std::fmt;
use std::time::Duration;

/// A number of things: `1 step`, `4 steps`.
#[must_use]
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A size in bytes. Its text form is that of OceanBase parameters: `64G`, `512M`; a bare number is
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const UNITS: [(&str, u64); 5] =
    [("P", 1 << 50), ("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

impl Bytes {
    /// Reads `64G`, `64GB`, `64 gb`, `512M`, `1024K`, `10B`, `10`; `None` if it is none of them or
    /// does not fit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let body = upper.strip_suffix('B').unwrap_or(&upper);
        let (digits, factor) = UNITS
            .iter()
            .find_map(|(u, f)| body.strip_suffix(u).map(|d| (d, *f)))
            .unwrap_or((body, 1));
        let digits = digits.trim();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in UNITS {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// Reads a duration: `30s`, `10m`, `2h`, `500ms`, `1h30m`; `None` if it is none.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text.trim(), Duration::ZERO);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += match &rest[..unit] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        rest = &rest[unit..];
    }
    Some(total)
}

/// Prints a duration for people: `41s`, `3m12s`, `0.4s`.
#[must_use]
pub fn show_duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..10 => format!("{:.1}s", d.as_secs_f64()),
        10..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        _ => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, want) in [
            ("64G", Some(64 << 30)),
            ("65536M", Some(64 << 30)),
            ("64GB", Some(64 << 30)),
            (" 2 g", Some(2 << 30)),
            ("10", Some(10)),
            ("", None),
            ("G", None),
            ("1.5G", None),
            ("-1G", None),
            ("99999999999P", None),
        ] {
            assert_eq!(Bytes::parse(text).map(|b| b.0), want, "{text}");
        }
        assert_eq!(Bytes(64 << 30).to_string(), "64G");
        assert_eq!(Bytes(1536 << 20).to_string(), "1536M");
        assert_eq!(Bytes(10).to_string(), "10");
    }

    #[test]
    fn durations_read_and_print() {
        for (text, want) in [
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("", None),
            ("30", None),
            ("1d", None),
            ("s", None),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), want, "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(192)), "3m12s");
    }
}
