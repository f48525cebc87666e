//! Sample lines as exporters write them: `name{label="value",…} number [timestamp]`, with no white
//! space but single blanks. Whatever is different is left to the lexers, so nothing here decides
//! about errors.

use crate::entry::Sample;

/// Letters, `_`.
const LABEL_START: u8 = 1;
/// Letters, digits, `_`.
const LABEL: u8 = 2;
/// Letters, `_`, `:`.
const METRIC_START: u8 = 4;
/// Letters, digits, `_`, `:`.
const METRIC: u8 = 8;
/// What ends a number.
const VALUE_END: u8 = 16;
/// What ends a label's value or needs care within it.
const STRING_STOP: u8 = 32;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LABEL_START | LABEL | METRIC_START | METRIC,
            b'0'..=b'9' => LABEL | METRIC,
            b':' => METRIC_START | METRIC,
            b' ' | b'\t' | b'{' => VALUE_END,
            b'\n' => VALUE_END | STRING_STOP,
            b'"' | b'\\' => STRING_STOP,
            _ => 0,
        };
        i += 1;
    }
    table
}

#[inline(always)]
fn is(b: u8, class: u8) -> bool {
    CLASSES[b as usize] & class != 0
}

/// Reads the sample whose line begins at `start`, and where the next line does. The body must be
/// UTF-8 without NULs. `OPEN_METRICS` has stricter white space, timestamps in seconds, and needs the
/// final line break.
#[inline]
pub(crate) fn sample<'a, const OPEN_METRICS: bool>(
    body: &'a [u8],
    start: usize,
    expected: &[u8],
) -> Option<(Sample<'a>, usize)> {
    let line = body.get(start..)?;
    let series_len = match expected_len(line, expected) {
        Some(len) => len,
        None => series_len(line)?,
    };
    let value_at = series_len + 1;
    if *line.get(series_len)? != b' ' {
        return None;
    }
    let value_len = line.get(value_at..)?.iter().position(|b| is(*b, VALUE_END));
    let value_end = match value_len {
        Some(len) => value_at + len,
        None if OPEN_METRICS => return None,
        None => line.len(),
    };
    let value = model::float::parse_sample_float(&line[value_at..value_end])?;
    let (timestamp_ms, end) = match line.get(value_end) {
        Some(b'\n') => (None, value_end + 1),
        None => (None, value_end),
        Some(b' ') => {
            let (time, end) = timestamp::<OPEN_METRICS>(line, value_end + 1)?;
            (Some(time), end)
        }
        Some(_) => return None,
    };
    Some((Sample { series: &line[..series_len], value, timestamp_ms }, start + end))
}

/// The length of `expected`, if the line begins with it and with no longer a series.
#[inline(always)]
fn expected_len(line: &[u8], expected: &[u8]) -> Option<usize> {
    if expected.is_empty() || !line.starts_with(expected) {
        return None;
    }
    (line.get(expected.len()) == Some(&b' ')).then_some(expected.len())
}

/// The length of the series text at the beginning of `line`.
#[inline(always)]
fn series_len(line: &[u8]) -> Option<usize> {
    if !is(*line.first()?, METRIC_START) {
        return None;
    }
    let mut i = 1 + line[1..].iter().position(|b| !is(*b, METRIC))?;
    if line[i] != b'{' {
        return Some(i);
    }
    i += 1;
    if *line.get(i)? == b'}' {
        return Some(i + 1);
    }
    loop {
        if !is(*line.get(i)?, LABEL_START) {
            return None;
        }
        i += 1;
        i += line[i..].iter().position(|b| !is(*b, LABEL))?;
        if line.get(i..i + 2)? != b"=\"" {
            return None;
        }
        i = string_end(line, i + 2)?;
        match *line.get(i)? {
            b'}' => return Some(i + 1),
            b',' => i += 1,
            _ => return None,
        }
        // A comma may stand behind the last label.
        if *line.get(i)? == b'}' {
            return Some(i + 1);
        }
    }
}

/// The place behind the closing quote of the string whose content begins at `i`.
#[inline(always)]
fn string_end(line: &[u8], mut i: usize) -> Option<usize> {
    loop {
        i += line.get(i..)?.iter().position(|b| is(*b, STRING_STOP))?;
        match line[i] {
            b'"' => return Some(i + 1),
            b'\\' if *line.get(i + 1)? != b'\n' => i += 2,
            _ => return None,
        }
    }
}

/// The timestamp at `at`, and the place behind its line.
#[inline]
fn timestamp<const OPEN_METRICS: bool>(line: &[u8], at: usize) -> Option<(i64, usize)> {
    let rest = line.get(at..)?;
    let len = match rest.iter().position(|b| !b.is_ascii_digit() && *b != b'.') {
        Some(len) if rest[len] == b'\n' => len,
        None if !OPEN_METRICS => rest.len(),
        _ => return None,
    };
    let end = (at + len + 1).min(line.len());
    if OPEN_METRICS {
        let seconds = model::float::parse_sample_float(&rest[..len])?;
        return Some((crate::open_metrics::to_milliseconds(seconds)?, end));
    }
    // Eighteen digits cannot overflow.
    if len == 0 || len > 18 {
        return None;
    }
    let mut time = 0i64;
    for b in &rest[..len] {
        if *b == b'.' {
            return None;
        }
        time = time * 10 + i64::from(b - b'0');
    }
    Some((time, end))
}
