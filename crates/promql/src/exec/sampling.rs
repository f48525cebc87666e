//! Which series `limit_ratio` keeps: by their hash, so that `r` and `r − 1` are complements.

use model::Labels;
use xxhash_rust::xxh64::xxh64;

/// Where the label set stands between 0 and 1: Prometheus' hash (XXH64 over length-prefixed
/// names and values) of it.
fn offset(l: &Labels, buf: &mut Vec<u8>) -> f64 {
    buf.clear();
    for (n, v) in l {
        for s in [n, v] {
            match u8::try_from(s.len()) {
                Ok(n) if n < 255 => buf.push(n),
                _ => {
                    buf.push(255);
                    buf.extend_from_slice(&(s.len() as u32).to_le_bytes()[..3]);
                }
            }
            buf.extend_from_slice(s.as_bytes());
        }
    }
    xxh64(buf, 0) as f64 / u64::MAX as f64
}

/// Whether the series is among the first `ratio` of all, or for a negative ratio among the last.
pub(super) fn keeps(ratio: f64, l: &Labels, buf: &mut Vec<u8>) -> bool {
    let at = offset(l, buf);
    if ratio >= 0.0 { at < ratio } else { at >= 1.0 + ratio }
}
