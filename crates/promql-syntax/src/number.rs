//! The values of number and duration literals, and conversions between them, as Go computes them.

use model::duration::parse_duration_ms;
use model::float::{go_quoted, parse_go_float};

/// The value of a number token: an integer in Go's syntax (`0x1f`, `017` is octal, `1_000`) if
/// it fits 64 bits, otherwise a float.
///
/// # Errors
/// What is neither, in Go's words.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(n) = parse_go_int(text) {
        return Ok(n as f64);
    }
    if let Some(v) = parse_go_float(text.as_bytes()) {
        return Ok(v);
    }
    let decimal: String = text.chars().filter(|c| *c != '_').collect();
    let well_formed = are_underscores_placed_well(text) && decimal.parse::<f64>().is_ok();
    let reason = if well_formed { "value out of range" } else { "invalid syntax" };
    Err(format!("strconv.ParseFloat: parsing {}: {reason}", go_quoted(text.as_bytes())))
}

/// Go's `strconv.ParseInt(text, 0, 64)` for text without a sign.
fn parse_go_int(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (digits, radix) = match bytes {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => (rest, 8),
        _ => (bytes, 10),
    };
    if digits.is_empty() || !are_underscores_placed_well(text) {
        return None;
    }
    let mut n = 0i64;
    for b in digits.iter().filter(|b| **b != b'_') {
        let digit = char::from(*b).to_digit(radix)?;
        n = n.checked_mul(i64::from(radix))?.checked_add(i64::from(digit))?;
    }
    Some(n)
}

/// Whether every underscore stands between digits, a base prefix counting as one.
fn are_underscores_placed_well(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let is_digit = |b: &u8| b.is_ascii_digit() || (hex && b.is_ascii_hexdigit());
    bytes.iter().enumerate().all(|(i, b)| {
        *b != b'_'
            || (i > 0
                && (is_digit(&bytes[i - 1]) || (hex && i == 2))
                && bytes.get(i + 1).is_some_and(is_digit))
    })
}

/// The seconds of a duration token.
///
/// # Errors
/// What is no duration, in Prometheus' words.
pub(crate) fn parse_duration_seconds(text: &str) -> Result<f64, String> {
    let ms = parse_duration_ms(text).map_err(|e| e.to_string())?;
    Ok((ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9)
}

/// Whether so many seconds exceed 63 bits of nanoseconds.
pub(crate) fn is_out_of_duration_range(seconds: f64) -> bool {
    let limit = (1u64 << 63) as f64 / 1e9;
    seconds > limit || seconds < -limit
}

/// Seconds in nanoseconds, rounded.
pub(crate) fn seconds_to_ns(seconds: f64) -> i64 {
    to_go_int64((seconds * 1e9).round())
}

/// A float without its fraction; what does not fit becomes the least integer, as on amd64.
pub(crate) fn to_go_int64(v: f64) -> i64 {
    let limit = (1u64 << 63) as f64;
    if v >= -limit && v < limit { v as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_go_does() {
        for (text, value) in [
            ("1", 1.0),
            ("017", 15.0),
            ("08", 8.0),
            ("0x1f", 31.0),
            ("0x_1f", 31.0),
            ("1_000", 1000.0),
            ("1_000.5", 1000.5),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("inf", f64::INFINITY),
            ("Inf", f64::INFINITY),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        assert!(parse_number("NaN").unwrap().is_nan());
        assert_eq!(
            parse_number("1e999"),
            Err("strconv.ParseFloat: parsing \"1e999\": value out of range".to_owned())
        );
        assert_eq!(parse_number("1e"), Err("strconv.ParseFloat: parsing \"1e\": invalid syntax".to_owned()));
        assert_eq!(parse_number("0x"), Err("strconv.ParseFloat: parsing \"0x\": invalid syntax".to_owned()));
    }

    #[test]
    fn converts_durations() {
        assert_eq!(parse_duration_seconds("1h30m"), Ok(5400.0));
        assert_eq!(parse_duration_seconds("1s500ms"), Ok(1.5));
        assert_eq!(seconds_to_ns(0.1), 100_000_000);
        assert_eq!(to_go_int64(1e30), i64::MIN);
        assert!(is_out_of_duration_range(1e10));
        assert!(!is_out_of_duration_range(9e9));
    }
}
