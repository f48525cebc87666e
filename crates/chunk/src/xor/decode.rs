//! Reading XOR chunks.

use model::{Columns, TimestampMs};

use super::{HEADER_LEN, run};
use crate::bits::BitReader;
use crate::{ChunkError, Encoding, num_samples};

/// The state between two samples.
pub(super) struct Cursor<'a> {
    pub(super) reader: BitReader<'a>,
    pub(super) t: TimestampMs,
    pub(super) t_delta: u64,
    pub(super) v_bits: u64,
    /// Significant bits of a value difference and the zeros behind them.
    significant: u32,
    trailing: u32,
    /// Leading and trailing zeros last written, for going on with the chunk.
    pub(super) window: Option<(u32, u32)>,
}

impl<'a> Cursor<'a> {
    /// Reads the first sample.
    pub(super) fn start(data: &'a [u8]) -> Result<Self, ChunkError> {
        let mut reader = BitReader::new(data, HEADER_LEN);
        let t = reader.varint()?;
        let v_bits = reader.peek64();
        reader.skip(64);
        if reader.overrun() {
            return Err(ChunkError::Truncated);
        }
        // A difference may reuse the window before any was written: it then has all 64 bits.
        Ok(Self { reader, t, t_delta: 0, v_bits, significant: 64, trailing: 0, window: None })
    }

    /// Significant bits of a value difference and the zeros behind them.
    pub(super) fn significant(&self) -> (u32, u32) {
        (self.significant, self.trailing)
    }

    /// Reads the second sample.
    pub(super) fn second(&mut self) -> Result<(), ChunkError> {
        // A copy, so that the hot loop's reader never has its address taken.
        let mut reader = self.reader;
        self.t_delta = reader.uvarint()?;
        self.reader = reader;
        self.advance(reader.peek57(), 0)
    }

    /// Reads any later sample.
    #[inline(always)]
    pub(super) fn step(&mut self) -> Result<(), ChunkError> {
        let word = self.reader.peek57();
        if word >> 63 == 0 {
            return self.advance(word << 1, 1);
        }
        let ones = word.leading_ones();
        if ones > 3 {
            self.reader.skip(4);
            self.t_delta = self.t_delta.wrapping_add(self.reader.peek64());
            self.reader.skip(64);
            return self.advance(self.reader.peek57(), 0);
        }
        // 10, 110, 1110 stand before 14, 17, 20 bits.
        let (control, bits) = (ones + 1, 11 + 3 * ones);
        let raw = (word << control) >> (64 - bits);
        // The range ends at +2^(bits−1) and not one below: shift by one, extend the sign, shift back.
        let dod = ((raw.wrapping_sub(1) << (64 - bits)) as i64 >> (64 - bits)) + 1;
        self.t_delta = self.t_delta.wrapping_add(dod as u64);
        self.advance(word << (control + bits), control + bits)
    }

    /// Moves the time on by the delta and reads a value. `word` holds the value's control bits at
    /// its top, at least 13 of them; `used` bits in front of them are still to be consumed.
    #[inline(always)]
    fn advance(&mut self, word: u64, used: u32) -> Result<(), ChunkError> {
        let t = self.t.wrapping_add(self.t_delta as i64);
        if word >> 63 == 0 {
            self.reader.skip(used + 1);
        } else {
            self.difference(word, used)?;
        }
        if self.reader.overrun() {
            return Err(ChunkError::Truncated);
        }
        if t <= self.t {
            return Err(ChunkError::OutOfOrder);
        }
        self.t = t;
        Ok(())
    }

    #[inline(always)]
    fn difference(&mut self, word: u64, used: u32) -> Result<(), ChunkError> {
        let mut control = 2;
        if word >> 62 & 1 == 1 {
            let leading = (word >> 57 & 31) as u32;
            let significant = ((word >> 51).wrapping_sub(1) & 63) as u32 + 1;
            if leading + significant > 64 {
                return Err(ChunkError::BadValue);
            }
            self.significant = significant;
            self.trailing = 64 - leading - significant;
            self.window = Some((leading, self.trailing));
            control = 13;
        }
        self.reader.skip(used + control);
        let bits = self.reader.peek64() >> (64 - self.significant);
        self.v_bits ^= bits << self.trailing;
        self.reader.skip(self.significant);
        Ok(())
    }
}

/// Appends the samples of an XOR chunk with `min_ms ≤ t ≤ max_ms` to `columns`.
///
/// # Errors
/// Where the bytes are no XOR chunk; `columns` is then as it was. Samples after `max_ms` are not
/// looked at.
pub fn decode(
    data: &[u8],
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    columns: &mut Columns,
) -> Result<(), ChunkError> {
    let n = usize::from(num_samples(Encoding::Xor, data)?);
    if n == 0 {
        return Ok(());
    }
    // A sample takes two bits at least: bounds what a lying count can make us reserve.
    if n > data.len() * 4 {
        return Err(ChunkError::Truncated);
    }
    let base = columns.t.len();
    columns.t.resize(base + n, 0);
    columns.v.resize(base + n, 0.0);
    let got = fill(data, n, min_ms, max_ms, &mut columns.t[base..], &mut columns.v[base..]);
    let len = base + got.unwrap_or(0);
    columns.t.truncate(len);
    columns.v.truncate(len);
    if !columns.st.is_empty() {
        columns.st.resize(len, 0);
    }
    got.map(drop)
}

/// Fills `ts` and `vs`, both of length `n` ≥ 1, from the front; returns how many.
fn fill(
    data: &[u8],
    n: usize,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    ts: &mut [TimestampMs],
    vs: &mut [f64],
) -> Result<usize, ChunkError> {
    let mut cursor = Cursor::start(data)?;
    let mut len = 0;
    while cursor.t <= max_ms {
        (ts[len], vs[len]) = (cursor.t, f64::from_bits(cursor.v_bits));
        len += 1;
        if len == n {
            break;
        }
        if len == 2 {
            len += run::read(&cursor, data, max_ms, &mut ts[2..], &mut vs[2..])?;
            break;
        }
        cursor.second()?;
    }
    if len == 0 || ts[0] >= min_ms {
        return Ok(len);
    }
    let early = ts[..len].partition_point(|t| *t < min_ms);
    ts.copy_within(early..len, 0);
    vs.copy_within(early..len, 0);
    Ok(len - early)
}
