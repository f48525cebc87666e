//! Start timestamps in test scripts: `_ -30s -1m+10sx3`, each relative to the sample's own time.

use model::duration::parse_duration_ms;

/// One item: a start timestamp, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOffset {
    /// `_`, `_xN`: none at so many times.
    Omitted {
        /// How many times.
        times: u64,
    },
    /// `d`, `dxN`, `d+dxN`, `d-dxN`: `times + 1` of them.
    Offset {
        /// The first: added to the sample's time it gives the start timestamp. Milliseconds.
        first_ms: i64,
        /// What is added each time.
        step_ms: i64,
        /// How many follow the first.
        times: u64,
    },
}

/// Parses the items of an `@st` line, without its series.
///
/// # Errors
/// The item that is none.
pub fn parse_start_offsets(items: &str) -> Result<Vec<StartOffset>, String> {
    items
        .split_ascii_whitespace()
        .map(|item| parse_item(item).ok_or_else(|| format!("invalid start timestamp item {item:?}")))
        .collect()
}

fn parse_item(item: &str) -> Option<StartOffset> {
    let (offsets, times) = match item.split_once('x') {
        Some((offsets, times)) => (offsets, Some(times.parse::<u64>().ok()?)),
        None => (item, None),
    };
    if offsets == "_" {
        return Some(StartOffset::Omitted { times: times.unwrap_or(1) });
    }
    // A sign behind the first character starts the step.
    match offsets.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')) {
        Some((at, _)) => {
            let (first, step) = offsets.split_at(at);
            Some(StartOffset::Offset {
                first_ms: signed_ms(first)?,
                step_ms: signed_ms(step)?,
                times: times?,
            })
        }
        None => {
            Some(StartOffset::Offset { first_ms: signed_ms(offsets)?, step_ms: 0, times: times.unwrap_or(0) })
        }
    }
}

fn signed_ms(text: &str) -> Option<i64> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let ms = parse_duration_ms(text).ok()?;
    Some(if negative { -ms } else { ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_items() {
        let offset = |first_ms, step_ms, times| StartOffset::Offset { first_ms, step_ms, times };
        assert_eq!(
            parse_start_offsets("_ _x2  -30s -59999msx2 -1m+10sx3 0s-1sx1"),
            Ok(vec![
                StartOffset::Omitted { times: 1 },
                StartOffset::Omitted { times: 2 },
                offset(-30_000, 0, 0),
                offset(-59_999, 0, 2),
                offset(-60_000, 10_000, 3),
                offset(0, -1000, 1),
            ])
        );
        for bad in ["5", "-", "1s+2s", "_x", "1sx", "é", "1sx2x3", "+é"] {
            assert!(parse_start_offsets(bad).is_err(), "{bad}");
        }
    }
}
