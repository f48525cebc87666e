//! Reading histogram chunks into columns.

use std::sync::Arc;

use model::histogram::{BucketValue, EXPONENTIAL_SCHEMA_MAX, NativeHistogram};
use model::{Columns, FloatHistogram, Histogram, TimestampMs, is_stale_nan};

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

/// An integer histogram and its times.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerSample {
    /// When.
    pub t: TimestampMs,
    /// Since when it counts, 0 for unknown.
    pub st: TimestampMs,
    /// What; of a stale one nothing but the sum.
    pub h: Histogram,
}

/// Like [`decode`], but integer histograms as such, for whoever writes them again.
///
/// # Errors
/// As [`decode`].
pub fn decode_integer(
    data: &[u8],
    starts: bool,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    samples: &mut Vec<IntegerSample>,
) -> Result<(), ChunkError> {
    let len = samples.len();
    let result = fill_integer(data, starts, min_ms, max_ms, samples);
    if result.is_err() {
        samples.truncate(len);
    }
    result
}

fn fill_integer(
    data: &[u8],
    starts: bool,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    samples: &mut Vec<IntegerSample>,
) -> Result<(), ChunkError> {
    each::<Integer, _, _>(data, starts, min_ms, max_ms, integer_histogram, |t, st, h| {
        samples.push(IntegerSample { t, st, h });
    })
}

fn integer_histogram(state: &State<Integer>) -> Histogram {
    let sum = state.sum.get();
    if is_stale_nan(sum) {
        return Histogram { sum, ..Histogram::default() };
    }
    let layout = &state.layout;
    Histogram {
        schema: layout.schema,
        zero_threshold: layout.zero_threshold,
        zero_count: state.zero_count.get(),
        count: state.count.get(),
        sum,
        positive_spans: layout.positive_spans.clone(),
        negative_spans: layout.negative_spans.clone(),
        positive_buckets: state.positive.iter().map(|field| field.get()).collect(),
        negative_buckets: state.negative.iter().map(|field| field.get()).collect(),
        custom_values: layout.custom_values.clone(),
        ..Histogram::default()
    }
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
    each::<K, _, _>(data, starts, min_ms, max_ms, histogram, |t, st, h| {
        columns.push_histogram(t, st, Arc::new(h));
    })
}

/// Hands the samples with `min_ms ≤ t ≤ max_ms` to `push`, as `histogram` makes them of the state.
fn each<K: Kind, C, B: BucketValue<Count = C>>(
    data: &[u8],
    starts: bool,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    histogram: impl Fn(&State<K>) -> NativeHistogram<C, B>,
    mut push: impl FnMut(TimestampMs, TimestampMs, NativeHistogram<C, B>),
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
        push(state.t, state.start.map_or(0, |s| s.st), h);
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
