//! The records of a snapshot: their bytes, and what they say. No files, no head.

use chunk::{Encoding, histogram};
use model::{Columns, FloatHistogram, Labels, TimestampMs, histogram::CounterResetHint};

use crate::histogram::OwnedHistogram;
use crate::tombstones::Tombstones;
use crate::wal::bytes::{Bytes, put_f64, put_slice, put_u64, put_uvarint};
use crate::wal::record::{
    RefExemplar, decode_exemplars, decode_float_histogram, decode_histogram, decode_labels, put_exemplars,
    put_histogram, put_labels,
};

/// The first byte of a record.
const SERIES: u8 = 1;
const TOMBSTONES: u8 = 2;
const EXEMPLARS: u8 = 3;

/// Times and values of the samples before the last one, which nobody needs any more.
const OLD_SAMPLES_BYTES: usize = 3 * 16;

/// A record, decoded.
#[derive(Debug, PartialEq)]
pub(crate) enum SnapshotRecord {
    Series(SeriesRecord),
    Tombstones(Tombstones),
    Exemplars(Vec<RefExemplar>),
}

/// A series and its open chunk, if it has one.
#[derive(Debug, PartialEq)]
pub(crate) struct SeriesRecord {
    pub(crate) series: u64,
    pub(crate) labels: Labels,
    pub(crate) chunk: Option<ChunkRecord>,
}

/// An open chunk.
#[derive(Debug, PartialEq)]
pub(crate) struct ChunkRecord {
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    pub(crate) encoding: Encoding,
    pub(crate) data: Vec<u8>,
    pub(crate) last: LastValue,
}

/// The last sample of a chunk.
#[derive(Debug, PartialEq)]
pub(crate) enum LastValue {
    Float(f64),
    /// `None` on reading where its schema is not known.
    Histogram(Option<OwnedHistogram>),
}

impl ChunkRecord {
    /// An open chunk as it stands.
    ///
    /// # Errors
    /// Where its last histogram cannot be decoded.
    pub(super) fn new(
        (min_ms, max_ms): (TimestampMs, TimestampMs),
        encoding: Encoding,
        data: &[u8],
        last_value: Option<f64>,
    ) -> Result<Self, chunk::ChunkError> {
        let last = match last_value {
            Some(v) => LastValue::Float(v),
            None => LastValue::Histogram(last_histogram(encoding, data, max_ms)?),
        };
        Ok(Self { min_ms, max_ms, encoding, data: data.to_vec(), last })
    }
}

/// The histogram at the end of a chunk.
fn last_histogram(
    encoding: Encoding,
    data: &[u8],
    end_ms: TimestampMs,
) -> Result<Option<OwnedHistogram>, chunk::ChunkError> {
    let gauge = histogram::counter_reset(encoding, data)? == histogram::CounterReset::Gauge;
    let hint = if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
    let starts = encoding == Encoding::HistogramSt;
    if matches!(encoding, Encoding::Histogram | Encoding::HistogramSt) {
        let mut samples = Vec::new();
        histogram::decode_integer(data, starts, end_ms, end_ms, &mut samples)?;
        return Ok(samples.pop().map(|s| {
            let h = model::Histogram { counter_reset_hint: hint, ..s.h };
            OwnedHistogram::Integer(h.into())
        }));
    }
    let mut columns = Columns::default();
    chunk::decode(encoding, data, end_ms, end_ms, &mut columns)?;
    Ok(columns.h.pop().map(|(_, h)| {
        let h = FloatHistogram { counter_reset_hint: hint, ..(*h).clone() };
        OwnedHistogram::Float(h.into())
    }))
}

/// Writes the record of a series to the empty `buf`.
pub(super) fn put_series(buf: &mut Vec<u8>, series: u64, labels: &Labels, chunk: Option<&ChunkRecord>) {
    buf.push(SERIES);
    put_u64(buf, series);
    put_labels(buf, labels);
    // Once the length of a block.
    put_u64(buf, 0);
    let Some(c) = chunk else { return put_uvarint(buf, 0) };
    put_uvarint(buf, 1);
    put_u64(buf, c.min_ms as u64);
    put_u64(buf, c.max_ms as u64);
    buf.push(c.encoding as u8);
    put_slice(buf, &c.data);
    match &c.last {
        LastValue::Float(v) => {
            buf.resize(buf.len() + OLD_SAMPLES_BYTES + 8, 0);
            put_f64(buf, *v);
        }
        LastValue::Histogram(h) => h.iter().for_each(|h| put_histogram(buf, h)),
    }
}

/// Writes the record of all deletions to the empty `buf`.
pub(super) fn put_tombstones(buf: &mut Vec<u8>, tombstones: &Tombstones) {
    buf.push(TOMBSTONES);
    put_slice(buf, &tombstones.versioned_entries());
}

/// Writes a record of exemplars to the empty `buf`: that of the log under another number.
pub(super) fn put_exemplar_record(buf: &mut Vec<u8>, exemplars: &[RefExemplar]) {
    put_exemplars(buf, exemplars);
    buf[0] = EXEMPLARS;
}

/// Decodes a record. What it allocates is at most a small multiple of the record's length.
///
/// # Errors
/// What is wrong with its bytes.
pub(crate) fn decode(record: &[u8]) -> Result<SnapshotRecord, String> {
    let Some((kind, body)) = record.split_first() else { return Err("empty record".to_owned()) };
    let mut b = Bytes(body);
    let decoded = match *kind {
        SERIES => SnapshotRecord::Series(series(&mut b)?),
        TOMBSTONES => {
            let entries = b.slice()?;
            SnapshotRecord::Tombstones(Tombstones::parse_versioned(entries).map_err(|e| e.to_string())?)
        }
        EXEMPLARS => return Ok(SnapshotRecord::Exemplars(decode_exemplars(b)?)),
        other => return Err(format!("unknown kind {other} of snapshot record")),
    };
    if b.is_empty() { Ok(decoded) } else { Err("unexpected bytes left in entry".to_owned()) }
}

fn series(b: &mut Bytes<'_>) -> Result<SeriesRecord, String> {
    let series = b.u64()?;
    let labels = decode_labels(b)?;
    b.u64()?;
    let chunk = if b.uvarint()? == 0 { None } else { Some(chunk_record(b)?) };
    Ok(SeriesRecord { series, labels, chunk })
}

fn chunk_record(b: &mut Bytes<'_>) -> Result<ChunkRecord, String> {
    let (min_ms, max_ms) = (b.u64()? as i64, b.u64()? as i64);
    let encoding = Encoding::try_from(b.u8()?).map_err(|e| e.to_string())?;
    let data = b.slice()?.to_vec();
    let last = match encoding {
        Encoding::Xor | Encoding::Xor2 => {
            b.take(OLD_SAMPLES_BYTES + 8)?;
            LastValue::Float(b.f64()?)
        }
        Encoding::Histogram | Encoding::HistogramSt => LastValue::Histogram(decode_histogram(b)?),
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            LastValue::Histogram(decode_float_histogram(b)?)
        }
    };
    if min_ms > max_ms {
        return Err(format!("chunk ends at {max_ms}, before it begins at {min_ms}"));
    }
    Ok(ChunkRecord { min_ms, max_ms, encoding, data, last })
}
