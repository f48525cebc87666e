//! Exemplars.

use model::{Labels, TimestampMs};

use super::super::bytes::{Bytes, Reason, put_f64, put_u64, put_varint};
use super::{decode_labels, kind, put_labels};

/// An exemplar of a known series.
#[derive(Clone, Debug, PartialEq)]
pub struct RefExemplar {
    /// The series' reference.
    pub series: u64,
    /// Time, milliseconds.
    pub t: TimestampMs,
    /// The value.
    pub v: f64,
    /// Its own labels.
    pub labels: Labels,
}

/// Reads exemplars behind the kind of their record.
pub(crate) fn decode(mut b: Bytes<'_>) -> Result<Vec<RefExemplar>, Reason> {
    let mut out = Vec::new();
    if b.is_empty() {
        return Ok(out);
    }
    let (base_series, base_t) = (b.u64()?, b.u64()? as i64);
    while !b.is_empty() {
        let series = base_series.wrapping_add_signed(b.varint()?);
        let t = base_t.wrapping_add(b.varint()?);
        out.push(RefExemplar { series, t, v: b.f64()?, labels: decode_labels(&mut b)? });
    }
    Ok(out)
}

/// Writes a record of exemplars to the empty `buf`.
pub(crate) fn put_exemplars(buf: &mut Vec<u8>, exemplars: &[RefExemplar]) {
    buf.push(kind::EXEMPLARS);
    let Some(first) = exemplars.first() else { return };
    put_u64(buf, first.series);
    put_u64(buf, first.t as u64);
    for e in exemplars {
        put_varint(buf, e.series.wrapping_sub(first.series) as i64);
        put_varint(buf, e.t.wrapping_sub(first.t));
        put_f64(buf, e.v);
        put_labels(buf, &e.labels);
    }
}
