//! Text as Go's standard library prints it.

use model::TimestampMs;
use model::calendar::civil;

/// A duration in milliseconds as Go's `time.Duration` prints it: `2h0m0s`, `1.5s`, `20ms`.
pub(super) fn duration(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{sign}{ms}ms");
    }
    let (h, m, s, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let fraction =
        if rest == 0 { String::new() } else { format!(".{rest:03}").trim_end_matches('0').to_owned() };
    match (h, m) {
        (0, 0) => format!("{sign}{s}{fraction}s"),
        (0, m) => format!("{sign}{m}m{s}{fraction}s"),
        (h, m) => format!("{sign}{h}h{m}m{s}{fraction}s"),
    }
}

/// A duration in nanoseconds as Go's `time.Duration` prints it: `1.234µs`, `12.5ms`, `1m0.25s`.
pub(super) fn duration_ns(ns: u64) -> String {
    let fraction = |whole: u64, rest: u64, digits: usize, unit: &str| {
        let text = format!("{whole}.{rest:0digits$}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match ns {
        0 => "0s".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => fraction(ns / 1_000, ns % 1_000, 3, "µs"),
        1_000_000..1_000_000_000 => fraction(ns / 1_000_000, ns % 1_000_000, 6, "ms"),
        _ => {
            let (h, m) = (ns / 3_600_000_000_000, ns / 60_000_000_000 % 60);
            let seconds = fraction(ns / 1_000_000_000 % 60, ns % 1_000_000_000, 9, "s");
            match (h, m) {
                (0, 0) => seconds,
                (0, m) => format!("{m}m{seconds}"),
                (h, m) => format!("{h}h{m}m{seconds}"),
            }
        }
    }
}

/// A number of things: `1 sample`, `2 samples`.
pub(super) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Bytes in powers of 1024, as many units as are needed: `52KiB687B`.
pub(super) fn base2_bytes(mut n: u64) -> String {
    if n == 0 {
        return "0B".to_owned();
    }
    let mut parts = Vec::new();
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if !n.is_multiple_of(1024) {
            parts.push(format!("{}{unit}", n % 1024));
        }
        n /= 1024;
    }
    parts.reverse();
    parts.concat()
}

/// A time as Go prints one in UTC: `2026-01-01 00:00:00 +0000 UTC`; milliseconds are left out.
pub(super) fn utc_seconds(ms: TimestampMs) -> String {
    // Go divides towards zero.
    let seconds = ms / 1000;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days.into());
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} +0000 UTC",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Appends a string as Go's `encoding/json` does: `<`, `>` and `&` are escaped too.
pub(super) fn json_string(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in s.chars() {
        match c {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '\u{8}' => out.extend(b"\\b"),
            '\u{c}' => out.extend(b"\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend(format!("\\u{:04x}", c as u32).as_bytes());
            }
            c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Rows in columns as Go's `tabwriter` aligns them with a least width of 13 and two spaces between;
/// the last column is not filled up.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    const WIDTH_MIN: usize = 13;
    const PADDING: usize = 2;
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |c: usize| {
        let longest = rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.chars().count()).max();
        (longest.unwrap_or_default() + PADDING).max(WIDTH_MIN)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if i + 1 < row.len() {
                out.extend(std::iter::repeat_n(' ', widths[i] - cell.chars().count()));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints() {
        for (ms, want) in [
            (0, "0s"),
            (20, "20ms"),
            (1500, "1.5s"),
            (7_200_000, "2h0m0s"),
            (7_185_001, "1h59m45.001s"),
            (61_000, "1m1s"),
            (-90_000, "-1m30s"),
        ] {
            assert_eq!(duration(ms), want);
        }
        for (ns, want) in [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (1_234_567_891, "1.234567891s"),
            (60_250_000_000, "1m0.25s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(duration_ns(ns), want);
        }
        for (n, want) in [(0, "0B"), (53_935, "52KiB687B"), (1 << 20, "1MiB"), ((1 << 30) + 1, "1GiB1B")] {
            assert_eq!(base2_bytes(n), want);
        }
        for (ms, want) in [
            (1_767_225_600_000, "2026-01-01 00:00:00 +0000 UTC"),
            (0, "1970-01-01 00:00:00 +0000 UTC"),
            (-1000, "1969-12-31 23:59:59 +0000 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 +0000 UTC"),
        ] {
            assert_eq!(utc_seconds(ms), want);
        }
        let mut out = Vec::new();
        json_string("a\"<\u{1}é", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"\\u003c\\u0001é\"");
    }
}
