//! Start timestamps beside samples: a header byte says whether the first sample has one and from
//! which sample on each has one. Shared by XOR2 and the histogram encodings with start timestamps.

use model::TimestampMs;

use crate::ChunkError;
use crate::bit_writer::BitWriter;
use crate::bits::BitReader;
use crate::varbit::{put_int, read_int};

/// The first sample's start is in the stream.
const FIRST_KNOWN: u8 = 0x80;
/// The bits that say with which sample the start begins to change; 0: never.
const CHANGE_ON_MASK: u8 = 0x7f;

/// The start timestamps of a chunk being written or read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StartTimes {
    /// The header byte.
    pub(crate) header: u8,
    /// The last sample's start, 0 for unknown.
    pub(crate) st: TimestampMs,
    /// From the last sample's start to the time of the sample before it.
    diff: i64,
}

impl StartTimes {
    /// What is known before the first sample of a chunk with such a header byte.
    pub(crate) fn from_header(header: u8) -> Self {
        Self { header, st: 0, diff: 0 }
    }

    /// Whether the stream holds any start timestamps.
    pub(crate) fn any(self) -> bool {
        self.header != 0
    }

    /// Whether every sample from `index` ≥ 2 on goes without, as far as it depends on the header.
    #[inline(always)]
    pub(crate) fn silent(self) -> bool {
        self.header & CHANGE_ON_MASK == 0
    }

    /// Writes the start of sample `index`, whose time is `t`, behind a sample at `previous_t`.
    #[inline]
    pub(crate) fn write(
        &mut self,
        out: &mut BitWriter,
        index: u16,
        t: TimestampMs,
        previous_t: TimestampMs,
        st: TimestampMs,
    ) {
        if index == 0 {
            if st != 0 {
                out.put_varint(t.wrapping_sub(st));
                self.header = FIRST_KNOWN;
            }
        } else if self.silent() {
            // The last sample that the header can name must begin, or no later one could.
            if st != self.st || index == u16::from(CHANGE_ON_MASK) {
                self.diff = previous_t.wrapping_sub(st);
                self.header |= index as u8 & CHANGE_ON_MASK;
                put_int(out, self.diff);
            }
        } else {
            let diff = previous_t.wrapping_sub(st);
            put_int(out, diff.wrapping_sub(self.diff));
            self.diff = diff;
        }
        self.st = st;
    }

    /// Reads the start of sample `index`, whose time is `t`, behind a sample at `previous_t`.
    #[inline]
    pub(crate) fn read(
        &mut self,
        from: &mut BitReader<'_>,
        index: usize,
        t: TimestampMs,
        previous_t: TimestampMs,
    ) -> Result<(), ChunkError> {
        let change_on = usize::from(self.header & CHANGE_ON_MASK);
        if index == 0 {
            if self.header & FIRST_KNOWN != 0 {
                self.st = t.wrapping_sub(from.varint()?);
            }
        } else if change_on > 0 && index >= change_on {
            let change = read_int(from);
            self.diff = if index == change_on { change } else { self.diff.wrapping_add(change) };
            self.st = previous_t.wrapping_sub(self.diff);
        }
        Ok(())
    }
}
