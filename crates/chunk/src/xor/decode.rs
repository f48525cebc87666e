//! Reading XOR chunks.

use model::{Columns, TimestampMs};

use super::HEADER_LEN;
use crate::bits::BitReader;
use crate::{ChunkError, Encoding, num_samples};

/// Bits of a look that belong to the stream.
const GOOD_BITS: u32 = 57;

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
        self.step_at(self.reader.peek57())
    }

    /// Reads any later sample, of which `word` are the next [`GOOD_BITS`].
    #[inline(always)]
    fn step_at(&mut self, word: u64) -> Result<(), ChunkError> {
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

/// Fills `ts` and `vs`, both of length `n`, from the front; returns how many.
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
    let (mut i, mut run) = (0, 0);
    while i < n {
        match i {
            0 => {}
            1 => cursor.second()?,
            // Within a run: a zero bit for the time, one for the value.
            _ if run > 0 => {
                run -= 1;
                cursor.advance(0, 1)?;
            }
            _ => {
                let word = cursor.reader.peek57();
                run = repeats(word);
                cursor.step_at(word)?;
            }
        }
        if cursor.t > max_ms {
            break;
        }
        // Always written, kept only where it is late enough: no branch on `min_ms`.
        ts[len] = cursor.t;
        vs[len] = f64::from_bits(cursor.v_bits);
        len += usize::from(cursor.t >= min_ms);
        i += 1;
    }
    Ok(len)
}

/// How many samples after the next one repeat time step and value too, as far as `word` tells.
#[inline(always)]
fn repeats(word: u64) -> u32 {
    (word.leading_zeros().min(GOOD_BITS) / 2).saturating_sub(1)
}
