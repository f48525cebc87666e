//! What a log record says, and its bytes; see FORMAT.md one folder up. One file per noun. Records
//! are whole here: how they are cut into fragments and compressed is [`super::fragment`]'s business.

mod exemplars;
mod histograms;
mod labels;
mod markers;
mod metadata;
mod samples;
mod series;
mod start;
mod tombstones;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod round_trip;

use model::{Labels, TimestampMs};

use super::bytes::{Bytes, Reason, put_u64};

pub use exemplars::RefExemplar;
pub(crate) use exemplars::{decode as decode_exemplars, put_exemplars};
pub use histograms::RefHistogram;
pub(crate) use histograms::{
    float as decode_float_histogram, histogram_kinds, integer as decode_histogram, put_histogram,
    put_histograms,
};
pub(crate) use labels::{decode_labels, put_labels};
pub(crate) use markers::{Marker, put_markers};
pub(crate) use metadata::{RefMetadata, put_metadata};
pub use samples::RefSample;
pub(crate) use samples::{Samples, decode_samples, put_samples, put_samples_v2};
pub(crate) use series::{for_each_series, put_series};
pub(crate) use tombstones::{Stone, put_tombstones};

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

/// One more than the last kind.
pub(crate) const KINDS: usize = kind::MIN_VALID_TIME as usize + 1;

/// What Prometheus calls a kind of record.
pub(crate) fn kind_name(kind: u8) -> &'static str {
    match kind {
        kind::SERIES => "series",
        kind::SAMPLES => "samples",
        kind::TOMBSTONES => "tombstones",
        kind::EXEMPLARS => "exemplars",
        kind::MMAP_MARKERS => "mmapmarkers",
        kind::METADATA => "metadata",
        kind::HISTOGRAMS => "histogram_samples",
        kind::FLOAT_HISTOGRAMS => "float_histogram_samples",
        kind::CUSTOM_HISTOGRAMS => "custom_buckets_histogram_samples",
        kind::CUSTOM_FLOAT_HISTOGRAMS => "custom_buckets_float_histogram_samples",
        kind::SAMPLES_V2 => "samples_v2",
        kind::HISTOGRAMS_V2 => "histogram_samples_v2",
        kind::FLOAT_HISTOGRAMS_V2 => "float_histogram_samples_v2",
        kind::MIN_VALID_TIME => "min_valid_time",
        _ => "unknown",
    }
}

/// A record, decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Series(Vec<(u64, Labels)>),
    Samples(Samples),
    Tombstones(Vec<Stone>),
    Metadata(Vec<RefMetadata>),
    MinValidTime(TimestampMs),
    Histograms(Vec<RefHistogram>),
    Exemplars(Vec<RefExemplar>),
    /// Only in the log of out-of-order samples.
    Markers(Vec<Marker>),
    /// Of a kind to come.
    Other,
}

/// Decodes a record. What it allocates is at most a small multiple of the record's length.
///
/// # Errors
/// What is wrong with its bytes. A kind that is not known is no error.
pub(crate) fn decode(record: &[u8]) -> Result<Record, Reason> {
    let Some((&kind, body)) = record.split_first() else { return Ok(Record::Other) };
    let b = Bytes(body);
    Ok(match kind {
        kind::SERIES => Record::Series(series::decode(b)?),
        kind::SAMPLES | kind::SAMPLES_V2 => {
            let mut samples = Samples::default();
            decode_samples(record, &mut samples)?;
            Record::Samples(samples)
        }
        kind::TOMBSTONES => Record::Tombstones(tombstones::decode(b)?),
        kind::METADATA => Record::Metadata(metadata::decode(b)?),
        kind::MIN_VALID_TIME => Record::MinValidTime(min_valid_time(b)?),
        kind::HISTOGRAMS | kind::CUSTOM_HISTOGRAMS => {
            Record::Histograms(histograms::decode(b, histograms::integer)?)
        }
        kind::FLOAT_HISTOGRAMS | kind::CUSTOM_FLOAT_HISTOGRAMS => {
            Record::Histograms(histograms::decode(b, histograms::float)?)
        }
        kind::HISTOGRAMS_V2 => Record::Histograms(histograms::decode_v2(b, histograms::integer)?),
        kind::FLOAT_HISTOGRAMS_V2 => Record::Histograms(histograms::decode_v2(b, histograms::float)?),
        kind::EXEMPLARS => Record::Exemplars(exemplars::decode(b)?),
        kind::MMAP_MARKERS => Record::Markers(markers::decode(b)?),
        _ => Record::Other,
    })
}

fn min_valid_time(mut b: Bytes<'_>) -> Result<TimestampMs, Reason> {
    let t = b.u64()? as i64;
    if b.is_empty() { Ok(t) } else { Err("unexpected bytes left in entry") }
}

/// Writes the record that says from when on samples are in the head, to the empty `buf`.
pub(crate) fn put_min_valid_time(buf: &mut Vec<u8>, t: TimestampMs) {
    buf.push(kind::MIN_VALID_TIME);
    put_u64(buf, t as u64);
}
