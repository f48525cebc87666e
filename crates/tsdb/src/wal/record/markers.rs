//! Marks in the log of out-of-order samples: what a series had so far is in a head chunk.

use super::super::bytes::{Bytes, Reason, put_u64};
use super::kind;

/// All out-of-order samples of the series that the log has before this are in head chunks, the
/// last of them `chunk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) series: u64,
    /// File number << 32 | offset in the file; 0 where no chunk was written.
    pub(crate) chunk: u64,
}

pub(super) fn decode(mut b: Bytes<'_>) -> Result<Vec<Marker>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        out.push(Marker { series: b.u64()?, chunk: b.u64()? });
    }
    Ok(out)
}

/// Writes a record of marks to the empty `buf`.
pub(crate) fn put_markers(buf: &mut Vec<u8>, markers: &[Marker]) {
    buf.push(kind::MMAP_MARKERS);
    for m in markers {
        put_u64(buf, m.series);
        put_u64(buf, m.chunk);
    }
}
