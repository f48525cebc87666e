//! Reading histogram chunks into columns.

use std::sync::Arc;

use model::histogram::{BucketValue, EXPONENTIAL_SCHEMA_MAX};
use model::{Columns, FloatHistogram, TimestampMs, is_stale_nan};

use super::field::Field;
use super::kind::{Float, Integer, Kind};
use super::reader::Reader;
use super::state::{DECODED_BYTES_MAX, State};
use crate::ChunkError;

/// Appends the samples of a chunk of integer histograms, with start timestamps if `starts`, with
/// `min_ms ≤ t ≤ max_ms` to `columns`.
///
/// # Errors
/// Where the bytes are no such chunk; `columns` is then as it was. Samples after `max_ms` are not
/// looked at.
pub fn decode(
    data: &[u8],
    starts: bool,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    columns: &mut Columns,
) -> Result<(), ChunkError> {
    decode_kind::<Integer>(data, starts, min_ms, max_ms, columns)
}

/// The same for float histograms.
///
/// # Errors
/// As [`decode`].
pub fn decode_float(
    data: &[u8],
    starts: bool,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    columns: &mut Columns,
) -> Result<(), ChunkError> {
    decode_kind::<Float>(data, starts, min_ms, max_ms, columns)
}

fn decode_kind<K: Kind>(
    data: &[u8],
    starts: bool,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    columns: &mut Columns,
) -> Result<(), ChunkError> {
    let (len, histograms, had_starts) = (columns.t.len(), columns.h.len(), !columns.st.is_empty());
    let result = fill::<K>(data, starts, min_ms, max_ms, columns);
    if result.is_err() {
        columns.t.truncate(len);
        columns.v.truncate(len);
        columns.st.truncate(if had_starts { len } else { 0 });
        columns.h.truncate(histograms);
    }
    result
}

fn fill<K: Kind>(
    data: &[u8],
    starts: bool,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    columns: &mut Columns,
) -> Result<(), ChunkError> {
    let mut reader = Reader::<K>::new(data, starts)?;
    let mut bytes = 0usize;
    while reader.next()? {
        let state = &reader.state;
        if state.t > max_ms {
            break;
        }
        if state.t < min_ms {
            continue;
        }
        let mut h = histogram(state);
        if !is_stale_nan(h.sum) {
            h.counter_reset_hint = reader.reset.hint(reader.index - 1);
        }
        bytes += h.size();
        if bytes > DECODED_BYTES_MAX {
            return Err(ChunkError::TooLarge);
        }
        if h.schema > EXPONENTIAL_SCHEMA_MAX {
            h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)?;
        }
        let st = state.start.map_or(0, |s| s.st);
        columns.push_histogram(state.t, st, Arc::new(h));
    }
    Ok(())
}

/// The last sample; of a stale one nothing but the sum.
fn histogram<K: Kind>(state: &State<K>) -> FloatHistogram {
    let sum = state.sum.get();
    if is_stale_nan(sum) {
        return FloatHistogram { sum, ..FloatHistogram::default() };
    }
    let layout = &state.layout;
    FloatHistogram {
        schema: layout.schema,
        zero_threshold: layout.zero_threshold,
        zero_count: K::count(state.zero_count.get()),
        count: K::count(state.count.get()),
        sum,
        positive_spans: layout.positive_spans.clone(),
        negative_spans: layout.negative_spans.clone(),
        positive_buckets: counts::<K>(&state.positive),
        negative_buckets: counts::<K>(&state.negative),
        custom_values: layout.custom_values.clone(),
        ..FloatHistogram::default()
    }
}

fn counts<K: Kind>(fields: &[K::BucketField]) -> Vec<f64> {
    let mut count = K::Bucket::default();
    let resolve = |field: &K::BucketField| {
        count = field.get().after(count);
        K::bucket(count)
    };
    fields.iter().map(resolve).collect()
}
