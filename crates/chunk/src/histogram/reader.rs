//! Reading a chunk sample by sample.

use super::header::{CounterReset, HEADER_LEN, counter_reset};
use super::kind::Kind;
use super::state::State;
use crate::bits::BitReader;
use crate::start_time::StartTimes;
use crate::{ChunkError, num_samples};

/// A chunk and how far it has been read.
pub(super) struct Reader<'a, K: Kind> {
    pub(super) bits: BitReader<'a>,
    pub(super) state: State<K>,
    pub(super) reset: CounterReset,
    pub(super) num_samples: usize,
    /// Samples read.
    pub(super) index: usize,
    data_bits: usize,
}

impl<'a, K: Kind> Reader<'a, K> {
    pub(super) fn new(data: &'a [u8], starts: bool) -> Result<Self, ChunkError> {
        let encoding = K::ENCODINGS[usize::from(starts)];
        let num_samples = usize::from(num_samples(encoding, data)?);
        let reset = counter_reset(encoding, data)?;
        let start = match (starts, data.get(HEADER_LEN - 1)) {
            (true, Some(header)) => Some(StartTimes::from_header(*header)),
            (true, None) => return Err(ChunkError::Truncated),
            (false, _) => None,
        };
        let bits = BitReader::new(data, HEADER_LEN);
        Ok(Self { bits, state: State::new(start), reset, num_samples, index: 0, data_bits: data.len() * 8 })
    }

    /// Reads a sample into the state; whether there was one.
    pub(super) fn next(&mut self) -> Result<bool, ChunkError> {
        if self.index == self.num_samples {
            return Ok(false);
        }
        self.state.read(&mut self.bits, self.index, self.data_bits)?;
        self.index += 1;
        Ok(true)
    }
}
