//! Durations as Prometheus' configuration and query language write them: `1h30m`, `90d`, `15s`.

use std::fmt;

use crate::float::go_quoted;

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const WEEK_MS: u64 = 7 * DAY_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

/// The longest duration, that of Go's 63-bit nanoseconds, in whole milliseconds.
pub const MAX_MS: i64 = i64::MAX / MILLISECOND_NS as i64;

/// Units from the largest to the smallest, the order in which they must stand.
const UNITS: [(&str, u64); 7] = [
    ("y", YEAR_MS),
    ("w", WEEK_MS),
    ("d", DAY_MS),
    ("h", HOUR_MS),
    ("m", MINUTE_MS),
    ("s", SECOND_MS),
    ("ms", 1),
];

/// Why a duration was refused, in Prometheus' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing was given.
    #[error("empty duration string")]
    Empty,
    /// Not numbers followed by units in falling order.
    #[error("not a valid duration string: {}", go_quoted(.0.as_bytes()))]
    Invalid(String),
    /// A unit that does not exist, and the whole text.
    #[error("unknown unit {} in duration {}", go_quoted(.0.as_bytes()), go_quoted(.1.as_bytes()))]
    UnknownUnit(String, String),
    /// More than 63 bits of nanoseconds.
    #[error("duration out of range")]
    OutOfRange,
}

/// Parses a duration into milliseconds (Prometheus `model.ParseDuration`): `0`, or numbers with the
/// units y, w, d, h, m, s, ms, each at most once and in that order. A year has 365 days.
///
/// # Errors
/// Anything else, with Prometheus' message.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let mut rest = text;
    let mut units_left = &UNITS[..];
    let mut total_ns = 0u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let n: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        if unit_len == 0 {
            return Err(invalid());
        }
        let (unit, tail) = rest.split_at(unit_len);
        rest = tail;
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(DurationError::UnknownUnit(unit.to_owned(), text.to_owned()));
        }
        let at = units_left.iter().position(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let unit_ns = units_left[at].1 * MILLISECOND_NS;
        units_left = &units_left[at + 1..];
        total_ns = n
            .checked_mul(unit_ns)
            .and_then(|ns| ns.checked_add(total_ns))
            .filter(|ns| *ns <= i64::MAX as u64)
            .ok_or(DurationError::OutOfRange)?;
    }
    Ok((total_ns / MILLISECOND_NS) as i64)
}

/// [`parse_duration_ms`] with an optional minus sign in front.
///
/// # Errors
/// Those of [`parse_duration_ms`], for the text behind the sign.
pub fn parse_signed_duration_ms(text: &str) -> Result<i64, DurationError> {
    match text.strip_prefix('-') {
        Some(rest) => parse_duration_ms(rest).map(|ms| -ms),
        None => parse_duration_ms(text),
    }
}

/// A number of milliseconds that prints as Prometheus' `model.Duration` does: `1h30m`, `0s`, `-5m`.
/// Years and weeks only appear where nothing is left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationMs(pub i64);

impl fmt::Display for DurationMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut left_ms = self.0.unsigned_abs();
        for (unit, unit_ms) in UNITS {
            if unit_ms >= WEEK_MS && !left_ms.is_multiple_of(unit_ms) {
                continue;
            }
            let n = left_ms / unit_ms;
            if n > 0 {
                write!(f, "{n}{unit}")?;
                left_ms -= n * unit_ms;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_as_prometheus_does() {
        for (text, ms, printed) in [
            ("0", 0, "0s"),
            ("0w", 0, "0s"),
            ("0s", 0, "0s"),
            ("324ms", 324, "324ms"),
            ("3s", 3_000, "3s"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("90m", 5_400_000, "1h30m"),
            ("4d", 345_600_000, "4d"),
            ("4d1h", 349_200_000, "4d1h"),
            ("14d", 1_209_600_000, "2w"),
            ("3w", 1_814_400_000, "3w"),
            ("3w2d1h", 1_990_800_000, "23d1h"),
            ("10y", 315_360_000_000, "10y"),
            ("1h500ms", 3_600_500, "1h500ms"),
            ("106751d", 9_223_286_400_000, "106751d"),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
            assert_eq!(DurationMs(ms).to_string(), printed);
        }
        assert_eq!(parse_signed_duration_ms("-90s"), Ok(-90_000));
        assert_eq!(DurationMs(-90_000).to_string(), "-1m30s");
    }

    #[test]
    fn refuses_as_prometheus_does() {
        for (text, message) in [
            ("", "empty duration string"),
            ("1", r#"not a valid duration string: "1""#),
            ("1y1m1d", r#"not a valid duration string: "1y1m1d""#),
            ("-1w", r#"not a valid duration string: "-1w""#),
            ("1.5d", r#"unknown unit "." in duration "1.5d""#),
            ("d", r#"not a valid duration string: "d""#),
            ("5é", r#"unknown unit "é" in duration "5é""#),
            ("294y", "duration out of range"),
            ("200y10400w", "duration out of range"),
            ("9223372037s", "duration out of range"),
            ("99999999999999999999s", r#"not a valid duration string: "99999999999999999999s""#),
        ] {
            assert_eq!(parse_duration_ms(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
