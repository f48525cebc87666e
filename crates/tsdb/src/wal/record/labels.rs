//! A label set within a record: `uv` number of labels, then name and value of each.

use model::Labels;

use super::super::bytes::{Bytes, Reason, put_uvarint};

/// Bytes of the shortest label: two lengths.
const LABEL_BYTES_MIN: usize = 2;

/// Reads a label set.
///
/// # Errors
/// Where bytes are missing or not UTF-8.
pub(crate) fn decode_labels(b: &mut Bytes<'_>) -> Result<Labels, Reason> {
    let n = b.count(LABEL_BYTES_MIN)?;
    let start = b.0;
    for _ in 0..2 * n {
        b.slice()?;
    }
    let mut encoded = Bytes(&start[..start.len() - b.0.len()]);
    // A set in good order has the very bytes of its form in memory.
    if let Some(labels) = Labels::from_encoded(encoded.0) {
        return Ok(labels);
    }
    let mut pairs = Vec::with_capacity(n);
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
