//! Deletions.

use model::TimestampMs;

use super::super::bytes::{Bytes, Reason, put_u64, put_varint};
use super::kind;

/// A deletion: samples of a series with `min_ms ≤ t ≤ max_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stone {
    pub(crate) series: u64,
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
}

pub(super) fn decode(mut b: Bytes<'_>) -> Result<Vec<Stone>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        out.push(Stone { series: b.u64()?, min_ms: b.varint()?, max_ms: b.varint()? });
    }
    Ok(out)
}

/// Writes a record of deletions to the empty `buf`.
pub(crate) fn put_tombstones(buf: &mut Vec<u8>, stones: &[Stone]) {
    buf.push(kind::TOMBSTONES);
    for s in stones {
        put_u64(buf, s.series);
        put_varint(buf, s.min_ms);
        put_varint(buf, s.max_ms);
    }
}
