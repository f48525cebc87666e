//! A label set within a record: `uv` number of labels, then name and value of each.

use model::Labels;
use model::labels::EncodedLabels;

use super::super::bytes::{Bytes, Reason, put_uvarint};

/// Bytes of the shortest label: two lengths.
const LABEL_BYTES_MIN: usize = 2;

/// Reads a label set.
///
/// # Errors
/// Where bytes are missing or not UTF-8.
pub(crate) fn decode_labels(b: &mut Bytes<'_>) -> Result<Labels, Reason> {
    let encoded = encoded(b)?;
    // A set in good order has the very bytes of its form in memory.
    Labels::from_encoded(encoded).map_or_else(|| in_disorder(encoded), Ok)
}

/// Reads a label set and hands it to `f`, without a copy where it is in good order.
///
/// # Errors
/// As [`decode_labels`].
pub(crate) fn with_labels<R>(b: &mut Bytes<'_>, f: impl FnOnce(EncodedLabels<'_>) -> R) -> Result<R, Reason> {
    let encoded = encoded(b)?;
    match EncodedLabels::new(encoded) {
        Some(labels) => Ok(f(labels)),
        None => Ok(f(in_disorder(encoded)?.encoded())),
    }
}

/// The names and values of a label set, each behind its length.
fn encoded<'a>(b: &mut Bytes<'a>) -> Result<&'a [u8], Reason> {
    let n = b.count(LABEL_BYTES_MIN)?;
    let start = b.0;
    for _ in 0..2 * n {
        b.slice()?;
    }
    Ok(&start[..start.len() - b.0.len()])
}

/// The set whose labels are in no order, or come twice, or have no value.
fn in_disorder(encoded: &[u8]) -> Result<Labels, Reason> {
    let mut encoded = Bytes(encoded);
    let mut pairs = Vec::new();
    while !encoded.is_empty() {
        let mut text = || std::str::from_utf8(encoded.slice()?).map_err(|_| "label is no UTF-8");
        pairs.push((text()?, text()?));
    }
    Ok(Labels::from_pairs(pairs))
}

/// Writes a label set.
pub(crate) fn put_labels(buf: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(buf, labels.len() as u64);
    buf.extend_from_slice(labels.as_bytes());
}
