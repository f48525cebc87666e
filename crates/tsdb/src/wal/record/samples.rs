//! Float samples: the records that most of a log consists of, and that a restart spends its time
//! on.

use model::TimestampMs;

use super::super::bytes::{Bytes, Reason, VARINT_BYTES_MAX, put_f64, put_u64, put_varint, unzigzag, zigzag};
use super::{kind, start};

/// A sample of a known series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefSample {
    /// The series' reference.
    pub series: u64,
    /// Time, milliseconds.
    pub t: TimestampMs,
    /// The value.
    pub v: f64,
}

/// The samples of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples {
    pub(crate) samples: Vec<RefSample>,
    /// Start timestamps, 0 where unknown, one for each sample; empty where none is known.
    pub(crate) starts: Vec<TimestampMs>,
}

/// Bytes of the shortest and of the longest sample.
const SAMPLE_BYTES_MIN: usize = 1 + 1 + 8;
const SAMPLE_BYTES_MAX: usize = 2 * VARINT_BYTES_MAX + 8;

impl Samples {
    fn clear(&mut self) {
        self.samples.clear();
        self.starts.clear();
    }
}

/// Reads a record of samples of either kind into `out`, whose memory is used again; does nothing
/// with a record of another kind. The result says whether it was one of samples.
///
/// # Errors
/// What is wrong with the bytes; `out` then holds the samples before that.
pub(crate) fn decode_samples(record: &[u8], out: &mut Samples) -> Result<bool, Reason> {
    out.clear();
    match record.split_first() {
        Some((&kind::SAMPLES, body)) => decode(Bytes(body), out)?,
        Some((&kind::SAMPLES_V2, body)) => decode_v2(Bytes(body), out)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// References and times relative to those at the front.
fn decode(mut b: Bytes<'_>, out: &mut Samples) -> Result<(), Reason> {
    let Samples { samples, .. } = out;
    if b.is_empty() {
        return Ok(());
    }
    let (base_series, base_t) = (b.u64()?, b.u64()? as i64);
    samples.reserve_exact(b.0.len() / SAMPLE_BYTES_MIN);
    while !b.is_empty() {
        let (series, t, bits) = match short_sample(b.0) {
            Some((series, t, bits, rest)) => {
                b.0 = rest;
                (unzigzag(series), unzigzag(t), bits)
            }
            None => (b.varint()?, b.varint()?, b.u64()?),
        };
        samples.push(RefSample {
            series: base_series.wrapping_add_signed(series),
            t: base_t.wrapping_add(t),
            v: f64::from_bits(bits),
        });
    }
    Ok(())
}

/// A sample whose numbers have at most three bytes each: both as they stand, the value's bits, and
/// what follows.
#[inline]
fn short_sample(bytes: &[u8]) -> Option<(u64, u64, u64, &[u8])> {
    let word = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    let (series, n) = short_uvarint(word)?;
    let (t, m) = short_uvarint(word >> (8 * n))?;
    let (value, rest) = bytes.get(n + m..)?.split_first_chunk::<8>()?;
    Some((series, t, u64::from_be_bytes(*value), rest))
}

/// The number at the low end of `word`, and its bytes, where those are at most three.
#[inline]
fn short_uvarint(word: u64) -> Option<(u64, usize)> {
    let (a, b, c) = (word & 0x7f, (word & 0x7f00) >> 1, (word & 0x007f_0000) >> 2);
    if word & 0x80 == 0 {
        Some((a, 1))
    } else if word & 0x8000 == 0 {
        Some((a | b, 2))
    } else if word & 0x0080_0000 == 0 {
        Some((a | b | c, 3))
    } else {
        None
    }
}

/// References relative to the sample before, times to the first.
fn decode_v2(mut b: Bytes<'_>, out: &mut Samples) -> Result<(), Reason> {
    if b.is_empty() {
        return Ok(());
    }
    out.samples.reserve_exact(b.0.len() / SAMPLE_BYTES_MIN);
    let (mut series, first_t, first_start) = (b.varint()? as u64, b.varint()?, b.varint()?);
    out.samples.push(RefSample { series, t: first_t, v: b.f64()? });
    let mut last_start = first_start;
    if first_start != 0 {
        out.starts.push(first_start);
    }
    while !b.is_empty() {
        series = series.wrapping_add_signed(b.varint()?);
        let t = first_t.wrapping_add(b.varint()?);
        last_start = start::decode(&mut b, first_start, last_start)?;
        if last_start != 0 || !out.starts.is_empty() {
            out.starts.resize(out.samples.len(), 0);
            out.starts.push(last_start);
        }
        out.samples.push(RefSample { series, t, v: b.f64()? });
    }
    Ok(())
}

/// Writes a record of samples to the empty `buf`.
pub(crate) fn put_samples(buf: &mut Vec<u8>, samples: &[RefSample]) {
    /// So many at a time get room for the longest they could be.
    const GROUP: usize = 64;
    buf.push(kind::SAMPLES);
    let Some(first) = samples.first() else { return };
    put_u64(buf, first.series);
    put_u64(buf, first.t as u64);
    for group in samples.chunks(GROUP) {
        let mut at = buf.len();
        buf.resize(at + group.len() * SAMPLE_BYTES_MAX, 0);
        for s in group {
            at += write_uvarint(&mut buf[at..], zigzag(s.series.wrapping_sub(first.series) as i64));
            at += write_uvarint(&mut buf[at..], zigzag(s.t.wrapping_sub(first.t)));
            buf[at..at + 8].copy_from_slice(&s.v.to_bits().to_be_bytes());
            at += 8;
        }
        buf.truncate(at);
    }
}

/// Writes a number to the front of `to`, which has room for the longest; returns its bytes.
#[inline]
fn write_uvarint(to: &mut [u8], mut n: u64) -> usize {
    let mut at = 0;
    while n >= 0x80 {
        to[at] = n as u8 | 0x80;
        n >>= 7;
        at += 1;
    }
    to[at] = n as u8;
    at + 1
}

/// Writes a record of samples with start timestamps to the empty `buf`. `starts` is empty or as
/// long as `samples`.
pub(crate) fn put_samples_v2(buf: &mut Vec<u8>, samples: &[RefSample], starts: &[TimestampMs]) {
    buf.push(kind::SAMPLES_V2);
    let Some((first, more)) = samples.split_first() else { return };
    buf.reserve(samples.len() * (SAMPLE_BYTES_MIN + 4));
    let start_of = |i: usize| starts.get(i).copied().unwrap_or_default();
    let first_start = start_of(0);
    put_varint(buf, first.series as i64);
    put_varint(buf, first.t);
    put_varint(buf, first_start);
    put_f64(buf, first.v);
    let mut before = first.series;
    for (i, s) in more.iter().enumerate() {
        put_varint(buf, s.series.wrapping_sub(before) as i64);
        put_varint(buf, s.t.wrapping_sub(first.t));
        start::put(buf, start_of(i + 1), first_start, start_of(i));
        put_f64(buf, s.v);
        before = s.series;
    }
}
