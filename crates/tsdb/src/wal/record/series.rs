//! Which reference stands for which labels.

use model::Labels;
use model::labels::EncodedLabels;

use super::super::bytes::{Bytes, Reason, put_u64};
use super::labels::with_labels;
use super::{decode_labels, kind, put_labels};

pub(super) fn decode(mut b: Bytes<'_>) -> Result<Vec<(u64, Labels)>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        out.push((b.u64()?, decode_labels(&mut b)?));
    }
    Ok(out)
}

/// Hands reference and labels of each series of a record to `f`; does nothing with a record of
/// another kind. The result says whether it was one of series.
///
/// # Errors
/// What is wrong with the bytes; series before that have been handed over.
pub(crate) fn for_each_series(
    record: &[u8],
    mut f: impl FnMut(u64, EncodedLabels<'_>),
) -> Result<bool, Reason> {
    let Some((&kind::SERIES, body)) = record.split_first() else { return Ok(false) };
    let mut b = Bytes(body);
    while !b.is_empty() {
        let series = b.u64()?;
        with_labels(&mut b, |labels| f(series, labels))?;
    }
    Ok(true)
}

/// Appends a series to a record, which an empty `buf` begins.
pub(crate) fn put_series(buf: &mut Vec<u8>, series: u64, labels: &Labels) {
    if buf.is_empty() {
        buf.push(kind::SERIES);
    }
    put_u64(buf, series);
    put_labels(buf, labels);
}
