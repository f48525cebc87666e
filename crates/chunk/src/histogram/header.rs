//! The three bytes in front of a histogram chunk.

use model::histogram::CounterResetHint;

use crate::{ChunkError, Encoding};

/// Bytes before the layout.
pub(super) const HEADER_LEN: usize = 3;

/// What a chunk's header says of a counter reset between it and the chunk before (Prometheus
/// `CounterResetHeader`): two bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CounterReset {
    /// Nobody knows.
    #[default]
    Unknown = 0,
    /// There was none.
    NotReset = 0b0100_0000,
    /// There was one.
    Reset = 0b1000_0000,
    /// The chunk holds gauges, which have none.
    Gauge = 0b1100_0000,
}

impl CounterReset {
    /// The bits that the header holds it in.
    const MASK: u8 = 0b1100_0000;

    fn from_bits(byte: u8) -> Self {
        match byte & Self::MASK {
            0 => Self::Unknown,
            0b0100_0000 => Self::NotReset,
            0b1000_0000 => Self::Reset,
            _ => Self::Gauge,
        }
    }

    /// The hint of the histogram `index` of a chunk. Of the first nothing is known even so: the
    /// chunk before may not be the one that it was written behind.
    #[must_use]
    pub fn hint(self, index: usize) -> CounterResetHint {
        match self {
            Self::Gauge => CounterResetHint::Gauge,
            _ if index > 0 => CounterResetHint::NotReset,
            _ => CounterResetHint::Unknown,
        }
    }
}

/// What the header of a histogram chunk says of counter resets.
///
/// # Errors
/// [`ChunkError::Truncated`] where the header is not there.
pub fn counter_reset(encoding: Encoding, data: &[u8]) -> Result<CounterReset, ChunkError> {
    let starts = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    data.get(at(starts)).map(|byte| CounterReset::from_bits(*byte)).ok_or(ChunkError::Truncated)
}

/// Where the two bits stand: with start timestamps above the number of samples, else alone.
pub(super) fn at(starts: bool) -> usize {
    if starts { 0 } else { HEADER_LEN - 1 }
}

/// Writes the header; `start` is the header of the start timestamps, if there are any.
pub(super) fn write(header: &mut [u8], num_samples: u16, reset: CounterReset, start: Option<u8>) {
    let [high, low] = num_samples.to_be_bytes();
    let bytes = match start {
        Some(start) => [high | reset as u8, low, start],
        None => [high, low, reset as u8],
    };
    header[..HEADER_LEN].copy_from_slice(&bytes);
}
