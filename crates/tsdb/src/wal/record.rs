//! What a log record says, and its bytes; see FORMAT.md. Records are whole here: how they are cut
//! into fragments and compressed is [`super::fragment`]'s business.

use model::{Labels, TimestampMs};

use super::bytes::{Bytes, Reason, put_u64, put_uvarint, put_varint};

/// The first byte of a record.
pub(crate) mod kind {
    pub(crate) const SERIES: u8 = 1;
    pub(crate) const SAMPLES: u8 = 2;
    pub(crate) const TOMBSTONES: u8 = 3;
    pub(crate) const EXEMPLARS: u8 = 4;
    pub(crate) const MMAP_MARKERS: u8 = 5;
    pub(crate) const METADATA: u8 = 6;
    pub(crate) const HISTOGRAMS: u8 = 7;
    pub(crate) const FLOAT_HISTOGRAMS: u8 = 8;
    pub(crate) const CUSTOM_HISTOGRAMS: u8 = 9;
    pub(crate) const CUSTOM_FLOAT_HISTOGRAMS: u8 = 10;
    pub(crate) const SAMPLES_V2: u8 = 11;
    pub(crate) const HISTOGRAMS_V2: u8 = 12;
    pub(crate) const FLOAT_HISTOGRAMS_V2: u8 = 13;
    pub(crate) const MIN_VALID_TIME: u8 = 14;
}

/// A sample of a known series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RefSample {
    pub(crate) series: u64,
    pub(crate) t: TimestampMs,
    pub(crate) v: f64,
}

/// A deletion: samples of a series with `min_ms ≤ t ≤ max_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stone {
    pub(crate) series: u64,
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
}

/// What a series' metric is, as far as the checkpoint must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata<'a> {
    pub(crate) series: u64,
    /// The entry's own bytes, reference and all.
    pub(crate) bytes: &'a [u8],
}

/// A record, decoded as far as floats need it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record<'a> {
    Series(Vec<(u64, Labels)>),
    Samples(Vec<RefSample>),
    Tombstones(Vec<Stone>),
    Metadata(Vec<Metadata<'a>>),
    MinValidTime(TimestampMs),
    /// Native histograms: not read yet.
    Histograms,
    /// Exemplars: not read yet.
    Exemplars,
    /// Nothing that belongs into this log, or of a kind to come.
    Other,
}

/// Decodes a record.
///
/// # Errors
/// What is wrong with its bytes. A kind that is not known is no error.
pub(crate) fn decode(record: &[u8]) -> Result<Record<'_>, Reason> {
    let mut b = Bytes(record);
    if b.is_empty() {
        return Ok(Record::Other);
    }
    Ok(match b.u8()? {
        kind::SERIES => Record::Series(series(b)?),
        kind::SAMPLES => Record::Samples(samples(b)?),
        kind::SAMPLES_V2 => Record::Samples(samples_v2(b)?),
        kind::TOMBSTONES => Record::Tombstones(tombstones(b)?),
        kind::METADATA => Record::Metadata(metadata(b)?),
        kind::MIN_VALID_TIME => Record::MinValidTime(b.u64()? as i64),
        kind::HISTOGRAMS
        | kind::FLOAT_HISTOGRAMS
        | kind::CUSTOM_HISTOGRAMS
        | kind::CUSTOM_FLOAT_HISTOGRAMS
        | kind::HISTOGRAMS_V2
        | kind::FLOAT_HISTOGRAMS_V2 => Record::Histograms,
        kind::EXEMPLARS => Record::Exemplars,
        // Markers belong into the out-of-order log.
        kind::MMAP_MARKERS => Record::Other,
        _ => Record::Other,
    })
}

fn series(mut b: Bytes<'_>) -> Result<Vec<(u64, Labels)>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        out.push((b.u64()?, labels(&mut b)?));
    }
    Ok(out)
}

fn labels(b: &mut Bytes<'_>) -> Result<Labels, Reason> {
    let n = b.uvarint()?;
    // Each label has at least two length bytes.
    if n > b.0.len() as u64 / 2 {
        return Err(super::bytes::SHORT);
    }
    let mut pairs = Vec::with_capacity(n as usize);
    for _ in 0..n {
        let (name, value) = (b.slice()?, b.slice()?);
        let text = |s| std::str::from_utf8(s).map_err(|_| "label is no UTF-8");
        pairs.push((text(name)?, text(value)?));
    }
    let sorted = pairs.windows(2).all(|w| w[0].0 < w[1].0) && pairs.iter().all(|(_, v)| !v.is_empty());
    Ok(if sorted { Labels::from_sorted(pairs.into_iter()) } else { Labels::from_pairs(pairs) })
}

fn samples(mut b: Bytes<'_>) -> Result<Vec<RefSample>, Reason> {
    if b.is_empty() {
        return Ok(Vec::new());
    }
    let (base_series, base_t) = (b.u64()?, b.u64()? as i64);
    let mut out = Vec::with_capacity(b.0.len() / 10);
    while !b.is_empty() {
        let series = base_series.wrapping_add_signed(b.varint()?);
        let t = base_t.wrapping_add(b.varint()?);
        out.push(RefSample { series, t, v: f64::from_bits(b.u64()?) });
    }
    Ok(out)
}

/// References relative to the sample before, times to the first; start timestamps are read past.
fn samples_v2(mut b: Bytes<'_>) -> Result<Vec<RefSample>, Reason> {
    const NO_START: u8 = 0;
    const SAME_START: u8 = 1;
    let mut out: Vec<RefSample> = Vec::with_capacity(b.0.len() / 10);
    let mut first_t = 0;
    while !b.is_empty() {
        let (series, t) = if let Some(last) = out.last() {
            let series = last.series.wrapping_add_signed(b.varint()?);
            let t = b.varint()?.wrapping_add(first_t);
            if !matches!(b.u8()?, NO_START | SAME_START) {
                b.varint()?;
            }
            (series, t)
        } else {
            let series = b.varint()? as u64;
            first_t = b.varint()?;
            b.varint()?;
            (series, first_t)
        };
        out.push(RefSample { series, t, v: f64::from_bits(b.u64()?) });
    }
    Ok(out)
}

fn tombstones(mut b: Bytes<'_>) -> Result<Vec<Stone>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        out.push(Stone { series: b.u64()?, min_ms: b.varint()?, max_ms: b.varint()? });
    }
    Ok(out)
}

fn metadata(mut b: Bytes<'_>) -> Result<Vec<Metadata<'_>>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        let start = b.0;
        let series = b.uvarint()?;
        b.u8()?;
        for _ in 0..b.uvarint()? {
            b.slice()?;
            b.slice()?;
        }
        out.push(Metadata { series, bytes: &start[..start.len() - b.0.len()] });
    }
    Ok(out)
}

/// Appends a series to a record, which an empty `buf` begins.
pub(crate) fn put_series(buf: &mut Vec<u8>, series: u64, labels: &Labels) {
    if buf.is_empty() {
        buf.push(kind::SERIES);
    }
    put_u64(buf, series);
    put_uvarint(buf, labels.len() as u64);
    for text in labels.iter().flat_map(|(n, v)| [n, v]) {
        put_uvarint(buf, text.len() as u64);
        buf.extend_from_slice(text.as_bytes());
    }
}

/// Writes a record of samples to the empty `buf`.
pub(crate) fn put_samples(buf: &mut Vec<u8>, samples: &[RefSample]) {
    buf.push(kind::SAMPLES);
    let Some(first) = samples.first() else { return };
    buf.reserve(16 + samples.len() * 12);
    put_u64(buf, first.series);
    put_u64(buf, first.t as u64);
    for s in samples {
        put_varint(buf, s.series.wrapping_sub(first.series) as i64);
        put_varint(buf, s.t.wrapping_sub(first.t));
        put_u64(buf, s.v.to_bits());
    }
}

/// Writes a record of deletions to the empty `buf`.
pub(crate) fn put_tombstones(buf: &mut Vec<u8>, stones: &[Stone]) {
    buf.push(kind::TOMBSTONES);
    for s in stones {
        put_u64(buf, s.series);
        put_varint(buf, s.min_ms);
        put_varint(buf, s.max_ms);
    }
}

/// Writes the record that says from when on samples are in the head, to the empty `buf`.
pub(crate) fn put_min_valid_time(buf: &mut Vec<u8>, t: TimestampMs) {
    buf.push(kind::MIN_VALID_TIME);
    put_u64(buf, t as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut buf = Vec::new();
        put_series(&mut buf, 7, &Labels::from_pairs([("a", "b"), ("job", "x")]));
        assert_eq!(buf, b"\x01\0\0\0\0\0\0\0\x07\x02\x01a\x01b\x03job\x01x");
        buf.clear();
        let s = |series, t, v| RefSample { series, t, v };
        let samples = [s(7, 1000, 1.0), s(9, 999, 2.0), s(3, 1000 + 200, f64::INFINITY)];
        put_samples(&mut buf, &samples);
        let mut want = b"\x02\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x03\xe8".to_vec();
        want.extend(
            b"\x00\x00\x3f\xf0\0\0\0\0\0\0\x04\x01\x40\0\0\0\0\0\0\0\x07\x90\x03\x7f\xf0\0\0\0\0\0\0",
        );
        assert_eq!(buf, want);
        assert_eq!(decode(&buf), Ok(Record::Samples(samples.to_vec())));
        buf.clear();
        let stone = Stone { series: 1, min_ms: -1, max_ms: 64 };
        put_tombstones(&mut buf, &[stone]);
        assert_eq!(buf, b"\x03\0\0\0\0\0\0\0\x01\x01\x80\x01");
        assert_eq!(decode(&buf), Ok(Record::Tombstones(vec![stone])));
        buf.clear();
        put_min_valid_time(&mut buf, 2);
        assert_eq!(buf, b"\x0e\0\0\0\0\0\0\0\x02");
        assert_eq!(decode(&buf), Ok(Record::MinValidTime(2)));
    }

    #[test]
    fn refuses_what_is_cut_short() {
        let mut buf = Vec::new();
        put_series(&mut buf, 7, &Labels::from_pairs([("a", "b"), ("job", "x")]));
        for n in 2..buf.len() {
            assert!(decode(&buf[..n]).is_err(), "{n}");
        }
        assert!(decode(b"\x01\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xff\x7f").is_err());
        assert_eq!(decode(b""), Ok(Record::Other));
        assert_eq!(decode(b"\xc8anything"), Ok(Record::Other));
    }
}
