//! Which encodings there are, and the way from an encoding to its decoder.

use std::fmt;

use model::{Columns, TimestampMs};

use crate::{ChunkError, histogram, xor, xor2};

/// How a chunk's bytes are encoded; the byte that stands before its data in every file
/// (Prometheus `chunkenc.Encoding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Gorilla's XOR for floats.
    Xor = 1,
    /// Integer native histograms.
    Histogram = 2,
    /// Float native histograms.
    FloatHistogram = 3,
    /// Floats with a joint control prefix and optional start timestamps.
    Xor2 = 4,
    /// Integer native histograms with start timestamps.
    HistogramSt = 5,
    /// Float native histograms with start timestamps.
    FloatHistogramSt = 6,
}

impl Encoding {
    /// The name Prometheus prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xor => "XOR",
            Self::Histogram => "histogram",
            Self::FloatHistogram => "floathistogram",
            Self::Xor2 => "XOR2",
            Self::HistogramSt => "histogramST",
            Self::FloatHistogramSt => "floathistogramST",
        }
    }

    /// Whether the samples are native histograms.
    #[must_use]
    pub fn is_histogram(self) -> bool {
        !matches!(self, Self::Xor | Self::Xor2)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<u8> for Encoding {
    type Error = ChunkError;

    fn try_from(byte: u8) -> Result<Self, ChunkError> {
        Ok(match byte {
            1 => Self::Xor,
            2 => Self::Histogram,
            3 => Self::FloatHistogram,
            4 => Self::Xor2,
            5 => Self::HistogramSt,
            6 => Self::FloatHistogramSt,
            _ => return Err(ChunkError::UnknownEncoding(byte)),
        })
    }
}

/// The bits of the first two bytes that count samples in a histogram chunk with start timestamps;
/// the two above them tell about counter resets.
const ST_HISTOGRAM_COUNT_MASK: u16 = 0x3fff;

/// The number of samples a chunk says it has: in every encoding the first two bytes.
///
/// # Errors
/// [`ChunkError::Truncated`] where there are no two bytes.
pub fn num_samples(encoding: Encoding, data: &[u8]) -> Result<u16, ChunkError> {
    let n = data.first_chunk().map(|b| u16::from_be_bytes(*b)).ok_or(ChunkError::Truncated)?;
    Ok(match encoding {
        Encoding::HistogramSt | Encoding::FloatHistogramSt => n & ST_HISTOGRAM_COUNT_MASK,
        Encoding::Xor | Encoding::Xor2 | Encoding::Histogram | Encoding::FloatHistogram => n,
    })
}

/// Appends the samples of a chunk with `min_ms ≤ t ≤ max_ms` to `columns`.
///
/// # Errors
/// Where the bytes are not such a chunk; `columns` is then as it was.
pub fn decode(
    encoding: Encoding,
    data: &[u8],
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    columns: &mut Columns,
) -> Result<(), ChunkError> {
    match encoding {
        Encoding::Xor => xor::decode(data, min_ms, max_ms, columns),
        Encoding::Xor2 => xor2::decode(data, min_ms, max_ms, columns),
        Encoding::Histogram => histogram::decode(data, false, min_ms, max_ms, columns),
        Encoding::HistogramSt => histogram::decode(data, true, min_ms, max_ms, columns),
        Encoding::FloatHistogram => histogram::decode_float(data, false, min_ms, max_ms, columns),
        Encoding::FloatHistogramSt => histogram::decode_float(data, true, min_ms, max_ms, columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_files() {
        assert_eq!(Encoding::try_from(9).unwrap_err().to_string(), "invalid chunk encoding 9");
        for byte in 1..=6 {
            assert_eq!(Encoding::try_from(byte).unwrap() as u8, byte);
        }
    }
}
