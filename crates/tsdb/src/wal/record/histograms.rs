//! Native histograms. Without start timestamps, those with custom buckets have records of their
//! own, which older readers skip.

use std::sync::Arc;

use model::histogram::{
    CounterResetHint, EXPONENTIAL_SCHEMA_MAX, NativeHistogram, Span, is_custom_buckets_schema,
    is_known_schema,
};
use model::{FloatHistogram, Histogram, TimestampMs};

use super::super::bytes::{Bytes, Reason, put_f64, put_u64, put_uvarint, put_varint};
use super::{kind, start};
use crate::histogram::OwnedHistogram;

/// A histogram of a known series.
#[derive(Clone, Debug, PartialEq)]
pub struct RefHistogram {
    /// The series' reference.
    pub series: u64,
    /// Time, milliseconds.
    pub t: TimestampMs,
    /// Start timestamp, 0 if unknown.
    pub st: TimestampMs,
    /// The histogram.
    pub h: OwnedHistogram,
}

/// Reads one histogram; `None` where its schema is not known: from a program to come.
type Read = fn(&mut Bytes<'_>) -> Result<Option<OwnedHistogram>, Reason>;

pub(super) fn decode(mut b: Bytes<'_>, read: Read) -> Result<Vec<RefHistogram>, Reason> {
    let mut out = Vec::new();
    if b.is_empty() {
        return Ok(out);
    }
    let (base_series, base_t) = (b.u64()?, b.u64()? as i64);
    while !b.is_empty() {
        let series = base_series.wrapping_add_signed(b.varint()?);
        let t = base_t.wrapping_add(b.varint()?);
        out.extend(read(&mut b)?.map(|h| RefHistogram { series, t, st: 0, h }));
    }
    Ok(out)
}

/// References relative to the histogram before, times to the first.
pub(super) fn decode_v2(mut b: Bytes<'_>, read: Read) -> Result<Vec<RefHistogram>, Reason> {
    let mut out = Vec::new();
    if b.is_empty() {
        return Ok(out);
    }
    let (mut series, first_t, first_start) = (b.varint()? as u64, b.varint()?, b.varint()?);
    let (mut t, mut st) = (first_t, first_start);
    loop {
        out.extend(read(&mut b)?.map(|h| RefHistogram { series, t, st, h }));
        if b.is_empty() {
            return Ok(out);
        }
        series = series.wrapping_add_signed(b.varint()?);
        t = first_t.wrapping_add(b.varint()?);
        st = start::decode(&mut b, first_start, st)?;
    }
}

/// A histogram with integer counts; `None` where its schema is not known.
pub(crate) fn integer(b: &mut Bytes<'_>) -> Result<Option<OwnedHistogram>, Reason> {
    let h: Histogram = body(b, Bytes::uvarint, Bytes::varint, 1)?;
    let h = supported(h, |h| h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX).is_ok())?;
    Ok(h.map(|h| OwnedHistogram::Integer(Arc::new(h))))
}

/// A histogram with float counts; `None` where its schema is not known.
pub(crate) fn float(b: &mut Bytes<'_>) -> Result<Option<OwnedHistogram>, Reason> {
    let h: FloatHistogram = body(b, Bytes::f64, Bytes::f64, 8)?;
    let h = supported(h, |h| h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX).is_ok())?;
    Ok(h.map(|h| OwnedHistogram::Float(Arc::new(h))))
}

/// The histogram in a schema that everything else can work with, if there is one.
fn supported<C, B>(
    mut h: NativeHistogram<C, B>,
    reduce: impl FnOnce(&mut NativeHistogram<C, B>) -> bool,
) -> Result<Option<NativeHistogram<C, B>>, Reason> {
    if !is_known_schema(h.schema) {
        return Ok(None);
    }
    if h.schema > EXPONENTIAL_SCHEMA_MAX && !reduce(&mut h) {
        return Err("cannot reduce the resolution of a histogram");
    }
    Ok(Some(h))
}

/// Reads a histogram whose counts `count` reads and whose buckets `bucket`, of at least
/// `bucket_bytes` each.
fn body<'a, C, B>(
    b: &mut Bytes<'a>,
    count: fn(&mut Bytes<'a>) -> Result<C, Reason>,
    bucket: fn(&mut Bytes<'a>) -> Result<B, Reason>,
    bucket_bytes: usize,
) -> Result<NativeHistogram<C, B>, Reason> {
    let counter_reset_hint = match b.u8()? {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    };
    let schema = b.varint()? as i32;
    Ok(NativeHistogram {
        counter_reset_hint,
        schema,
        zero_threshold: b.f64()?,
        zero_count: count(b)?,
        count: count(b)?,
        sum: b.f64()?,
        positive_spans: list(b, 2, span)?,
        negative_spans: list(b, 2, span)?,
        positive_buckets: list(b, bucket_bytes, bucket)?,
        negative_buckets: list(b, bucket_bytes, bucket)?,
        custom_values: if is_custom_buckets_schema(schema) { list(b, 8, Bytes::f64)? } else { Vec::new() },
    })
}

fn span(b: &mut Bytes<'_>) -> Result<Span, Reason> {
    Ok(Span { offset: b.varint()? as i32, length: b.uvarint()? as u32 })
}

fn list<'a, T>(
    b: &mut Bytes<'a>,
    bytes_each: usize,
    read: fn(&mut Bytes<'a>) -> Result<T, Reason>,
) -> Result<Vec<T>, Reason> {
    let n = b.count(bytes_each)?;
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        out.push(read(b)?);
    }
    Ok(out)
}

/// The records that histograms of all kinds take, in the order in which they are logged.
pub(crate) fn histogram_kinds(start_timestamps: bool) -> &'static [u8] {
    if start_timestamps {
        &[kind::HISTOGRAMS_V2, kind::FLOAT_HISTOGRAMS_V2]
    } else {
        &[kind::HISTOGRAMS, kind::CUSTOM_HISTOGRAMS, kind::FLOAT_HISTOGRAMS, kind::CUSTOM_FLOAT_HISTOGRAMS]
    }
}

/// Writes the record of one of [`histogram_kinds`] to the empty `buf`, with those histograms that
/// belong into it; nothing where there are none.
pub(crate) fn put_histograms(buf: &mut Vec<u8>, kind: u8, histograms: &[RefHistogram]) {
    match kind {
        kind::HISTOGRAMS => put(buf, kind, histograms, Some(false), as_integer, put_integer),
        kind::CUSTOM_HISTOGRAMS => put(buf, kind, histograms, Some(true), as_integer, put_integer),
        kind::HISTOGRAMS_V2 => put(buf, kind, histograms, None, as_integer, put_integer),
        kind::FLOAT_HISTOGRAMS => put(buf, kind, histograms, Some(false), as_float, put_float),
        kind::CUSTOM_FLOAT_HISTOGRAMS => put(buf, kind, histograms, Some(true), as_float, put_float),
        kind::FLOAT_HISTOGRAMS_V2 => put(buf, kind, histograms, None, as_float, put_float),
        _ => {}
    }
}

fn as_integer(h: &OwnedHistogram) -> Option<&Histogram> {
    if let OwnedHistogram::Integer(h) = h { Some(h) } else { None }
}

fn as_float(h: &OwnedHistogram) -> Option<&FloatHistogram> {
    if let OwnedHistogram::Float(h) = h { Some(h) } else { None }
}

/// `custom`: whether only those with custom buckets are meant, or only the others; `None` for a
/// record of the second kind, which takes both.
fn put<C, B>(
    buf: &mut Vec<u8>,
    kind: u8,
    histograms: &[RefHistogram],
    custom: Option<bool>,
    of_kind: fn(&OwnedHistogram) -> Option<&NativeHistogram<C, B>>,
    write: fn(&mut Vec<u8>, &NativeHistogram<C, B>),
) {
    let of_kind = histograms.iter().filter_map(|r| Some((r, of_kind(&r.h)?)));
    let mut wanted = of_kind.clone().filter(|(_, h)| custom.is_none_or(|c| h.uses_custom_buckets() == c));
    let Some((first_wanted, h)) = wanted.next() else { return };
    buf.push(kind);
    if custom.is_none() {
        put_varint(buf, first_wanted.series as i64);
        put_varint(buf, first_wanted.t);
        put_varint(buf, first_wanted.st);
        write(buf, h);
        let mut before = first_wanted;
        for (r, h) in wanted {
            put_varint(buf, r.series.wrapping_sub(before.series) as i64);
            put_varint(buf, r.t.wrapping_sub(first_wanted.t));
            start::put(buf, r.st, first_wanted.st, before.st);
            write(buf, h);
            before = r;
        }
        return;
    }
    // What stands in the record is relative to the first histogram of these counts, whether it has
    // custom buckets or not.
    let mut of_kind = of_kind;
    let first =
        if custom == Some(true) { first_wanted } else { of_kind.next().map_or(first_wanted, |(r, _)| r) };
    put_u64(buf, first.series);
    put_u64(buf, first.t as u64);
    for (r, h) in std::iter::once((first_wanted, h)).chain(wanted) {
        put_varint(buf, r.series.wrapping_sub(first.series) as i64);
        put_varint(buf, r.t.wrapping_sub(first.t));
        write(buf, h);
    }
}

/// Writes one histogram, without series and times.
pub(crate) fn put_histogram(buf: &mut Vec<u8>, h: &OwnedHistogram) {
    match h {
        OwnedHistogram::Integer(h) => put_integer(buf, h),
        OwnedHistogram::Float(h) => put_float(buf, h),
    }
}

fn put_integer(buf: &mut Vec<u8>, h: &Histogram) {
    put_body(buf, h, put_uvarint, put_varint);
}

fn put_float(buf: &mut Vec<u8>, h: &FloatHistogram) {
    put_body(buf, h, put_f64, put_f64);
}

fn put_body<C: Copy, B: Copy>(
    buf: &mut Vec<u8>,
    h: &NativeHistogram<C, B>,
    count: fn(&mut Vec<u8>, C),
    bucket: fn(&mut Vec<u8>, B),
) {
    buf.push(match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    });
    put_varint(buf, i64::from(h.schema));
    put_f64(buf, h.zero_threshold);
    count(buf, h.zero_count);
    count(buf, h.count);
    put_f64(buf, h.sum);
    for spans in [&h.positive_spans, &h.negative_spans] {
        put_uvarint(buf, spans.len() as u64);
        for s in spans {
            put_varint(buf, i64::from(s.offset));
            put_uvarint(buf, u64::from(s.length));
        }
    }
    for buckets in [&h.positive_buckets, &h.negative_buckets] {
        put_uvarint(buf, buckets.len() as u64);
        buckets.iter().for_each(|b| bucket(buf, *b));
    }
    if h.uses_custom_buckets() {
        put_uvarint(buf, h.custom_values.len() as u64);
        h.custom_values.iter().for_each(|v| put_f64(buf, *v));
    }
}
