//! Streamed remote read: frames, each of which holds a `prometheus.ChunkedReadResponse`.
//!
//! Series follow one another; a long one is split over frames. Knows no chunk encoding.

use std::borrow::Cow;

use model::TimestampMs;

use crate::error::WireError;
use crate::labels::{EncodedLabels, LabelFields};
use protobuf::writer::{put_bytes, put_int, put_message, put_uint, put_varint};
use protobuf::{Fault, Reader};

/// What Prometheus' client takes as a frame.
pub const FRAME_BYTES_MAX: u64 = 50_000_000;

/// Appends `message` as a frame: length (varint), CRC-32C (four bytes, big-endian), bytes. An empty
/// message is no frame.
pub fn put_frame(out: &mut Vec<u8>, message: &[u8]) {
    if !message.is_empty() {
        put_varint(out, message.len() as u64);
        out.extend_from_slice(&crc32c::crc32c(message).to_be_bytes());
        out.extend_from_slice(message);
    }
}

/// A frame in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'b> {
    /// The message.
    pub message: &'b [u8],
    /// Bytes of the buffer that the frame takes.
    pub length: usize,
}

/// The frame that `buffer` begins with; `None` if more bytes are needed.
///
/// # Errors
/// A length beyond `bytes_max` or of more than ten bytes, a checksum that does not match.
pub fn next_frame(buffer: &[u8], bytes_max: u64) -> Result<Option<Frame<'_>>, WireError> {
    let mut reader = Reader::new(buffer, 0);
    let size = match reader.varint() {
        Ok(size) => size,
        Err(protobuf::Error { fault: Fault::Truncated, .. }) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    if size > bytes_max {
        return Err(WireError::FrameTooLarge { limit_bytes: bytes_max, size_bytes: size });
    }
    let Some((checksum, rest)) = reader.rest().split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some(message) = usize::try_from(size).ok().and_then(|size| rest.get(..size)) else {
        return Ok(None);
    };
    if crc32c::crc32c(message) != u32::from_be_bytes(*checksum) {
        return Err(WireError::FrameChecksum);
    }
    Ok(Some(Frame { message, length: reader.offset() + 4 + message.len() }))
}

/// A chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Time of its first sample, milliseconds.
    pub min_t: TimestampMs,
    /// Time of its last sample, milliseconds.
    pub max_t: TimestampMs,
    /// The number of its encoding, as in blocks; 0 is unknown.
    pub encoding: u32,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Chunks of one series: all, or the next part.
#[derive(Clone, Debug)]
pub struct ChunkedSeries<'a> {
    labels: Cow<'a, [u8]>,
    labels_offset: usize,
    /// In order of their first samples; they may overlap.
    pub chunks: Vec<Chunk<'a>>,
}

impl ChunkedSeries<'_> {
    /// The labels.
    #[must_use]
    pub fn labels(&self) -> EncodedLabels<'_> {
        EncodedLabels::new(&self.labels, self.labels_offset)
    }
}

/// What a frame holds.
#[derive(Clone, Debug, Default)]
pub struct ChunkedReadResponse<'a> {
    /// Series with their chunks.
    pub series: Vec<ChunkedSeries<'a>>,
    /// The index of the query they belong to.
    pub query_index: i64,
}

impl<'a> ChunkedReadResponse<'a> {
    /// Decodes the message of a frame.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn decode(message: &'a [u8]) -> Result<Self, WireError> {
        let mut out = Self::default();
        let mut reader = Reader::new(message, 0);
        while let Some(tag) = reader.tag()? {
            match tag.raw() {
                0x0a => out.series.push(decode_series(reader.message()?)?),
                0x10 => out.query_index = reader.int64()?,
                _ => reader.skip(tag, 0b110)?,
            }
        }
        Ok(out)
    }
}

fn decode_series(mut message: Reader<'_>) -> Result<ChunkedSeries<'_>, WireError> {
    let mut fields = LabelFields::new(&message);
    let mut chunks = Vec::new();
    let mut start = message.offset();
    while let Some(tag) = message.tag()? {
        match tag.raw() {
            0x0a => {
                message.bytes()?;
                fields.add(start, message.offset());
            }
            0x12 => chunks.push(decode_chunk(message.message()?)?),
            _ => message.skip(tag, 0b110)?,
        }
        start = message.offset();
    }
    let (labels, labels_offset) = fields.finish();
    Ok(ChunkedSeries { labels, labels_offset, chunks })
}

fn decode_chunk(mut message: Reader<'_>) -> Result<Chunk<'_>, WireError> {
    let mut chunk = Chunk::default();
    while let Some(tag) = message.tag()? {
        match tag.raw() {
            0x08 => chunk.min_t = message.int64()?,
            0x10 => chunk.max_t = message.int64()?,
            0x18 => chunk.encoding = message.uint32()?,
            0x22 => chunk.data = message.bytes()?,
            _ => message.skip(tag, 0b1_1110)?,
        }
    }
    Ok(chunk)
}

/// Appends the message of a frame that holds chunks of one series.
pub fn put_chunked_series<'l, 'c>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    chunks: impl IntoIterator<Item = Chunk<'c>>,
    query_index: i64,
) {
    put_message(out, 1, |out| {
        crate::labels::put_labels(out, labels);
        for chunk in chunks {
            put_message(out, 2, |out| {
                put_int(out, 1, chunk.min_t);
                put_int(out, 2, chunk.max_t);
                put_uint(out, 3, u64::from(chunk.encoding));
                if !chunk.data.is_empty() {
                    put_bytes(out, 4, chunk.data);
                }
            });
        }
    });
    put_int(out, 2, query_index);
}
