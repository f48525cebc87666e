//! Which reference stands for which labels.

use model::Labels;

use super::super::bytes::{Bytes, Reason, put_u64};
use super::{decode_labels, kind, put_labels};

pub(super) fn decode(mut b: Bytes<'_>) -> Result<Vec<(u64, Labels)>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        out.push((b.u64()?, decode_labels(&mut b)?));
    }
    Ok(out)
}

/// Appends a series to a record, which an empty `buf` begins.
pub(crate) fn put_series(buf: &mut Vec<u8>, series: u64, labels: &Labels) {
    if buf.is_empty() {
        buf.push(kind::SERIES);
    }
    put_u64(buf, series);
    put_labels(buf, labels);
}
