//! Reading XOR2 chunks.

use model::{Columns, STALE_NAN_BITS, TimestampMs};

use super::HEADER_LEN;
use crate::bits::BitReader;
use crate::start_time::StartTimes;
use crate::{ChunkError, Encoding, num_samples};

/// Bits of a look that belong to the stream.
const GOOD_BITS: u32 = 57;

/// The state between two samples.
pub(super) struct Cursor<'a> {
    pub(super) reader: BitReader<'a>,
    pub(super) t: TimestampMs,
    pub(super) t_delta: u64,
    /// The last value that was no stale marker, and the last value.
    pub(super) v_bits: u64,
    pub(super) value_bits: u64,
    pub(super) start: StartTimes,
    /// Significant bits of a value difference and the zeros behind them.
    significant: u32,
    trailing: u32,
    /// Leading and trailing zeros last written, for going on with the chunk.
    pub(super) window: Option<(u32, u32)>,
}

impl<'a> Cursor<'a> {
    /// Reads the first sample.
    pub(super) fn start(data: &'a [u8]) -> Result<Self, ChunkError> {
        let header = *data.get(HEADER_LEN - 1).ok_or(ChunkError::Truncated)?;
        let mut reader = BitReader::new(data, HEADER_LEN);
        let t = reader.varint()?;
        let value_bits = reader.peek64();
        reader.skip(64);
        let mut start = StartTimes::from_header(header);
        start.read(&mut reader, 0, t, 0)?;
        if reader.overrun() {
            return Err(ChunkError::Truncated);
        }
        let v_bits = if value_bits == STALE_NAN_BITS { 0 } else { value_bits };
        // A difference may reuse the window before any was written: it then has all 64 bits.
        Ok(Self {
            reader,
            t,
            t_delta: 0,
            v_bits,
            value_bits,
            start,
            significant: 64,
            trailing: 0,
            window: None,
        })
    }

    /// Reads sample `index` ≥ 1, and its start timestamp where `ST`.
    #[inline(always)]
    pub(super) fn step<const ST: bool>(&mut self, index: usize) -> Result<(), ChunkError> {
        let previous_t = self.t;
        if index == 1 {
            self.second()?;
        } else {
            self.joint()?;
        }
        self.t = previous_t.wrapping_add(self.t_delta as i64);
        if ST {
            // A copy, so that the hot loop's reader never has its address taken.
            let (mut reader, mut start) = (self.reader, self.start);
            start.read(&mut reader, index, self.t, previous_t)?;
            (self.reader, self.start) = (reader, start);
        }
        if self.reader.overrun() {
            return Err(ChunkError::Truncated);
        }
        if self.t <= previous_t {
            return Err(ChunkError::OutOfOrder);
        }
        Ok(())
    }

    /// Reads a sample that is a single zero bit.
    #[inline(always)]
    fn repeat(&mut self) -> Result<(), ChunkError> {
        self.reader.skip(1);
        if self.reader.overrun() {
            return Err(ChunkError::Truncated);
        }
        let previous_t = self.t;
        self.t = previous_t.wrapping_add(self.t_delta as i64);
        if self.t <= previous_t { Err(ChunkError::OutOfOrder) } else { Ok(()) }
    }

    fn second(&mut self) -> Result<(), ChunkError> {
        let mut reader = self.reader;
        self.t_delta = reader.uvarint()?;
        self.reader = reader;
        self.value(reader.peek57(), 0)
    }

    /// Time step and value behind their common prefix.
    #[inline(always)]
    fn joint(&mut self) -> Result<(), ChunkError> {
        let word = self.reader.peek57();
        match word.leading_ones() {
            0 => {
                self.reader.skip(1);
                self.value_bits = self.v_bits;
                Ok(())
            }
            1 if word >> 61 & 1 == 0 => self.difference(3),
            1 => self.renewed(word << 3, 3),
            2 => self.stepped(word, 3, 13),
            3 => self.stepped(word, 4, 20),
            4 => {
                self.reader.skip(5);
                self.t_delta = self.t_delta.wrapping_add(self.reader.peek64());
                self.reader.skip(64);
                self.value(self.reader.peek57(), 0)
            }
            _ => {
                self.reader.skip(5);
                self.value_bits = STALE_NAN_BITS;
                Ok(())
            }
        }
    }

    /// A change of the time step of `bits` bits behind a prefix of `control`, then a value.
    #[inline(always)]
    fn stepped(&mut self, word: u64, control: u32, bits: u32) -> Result<(), ChunkError> {
        let dod = (word << control) as i64 >> (64 - bits);
        self.t_delta = self.t_delta.wrapping_add(dod as u64);
        self.value(word << (control + bits), control + bits)
    }

    /// A value with a prefix of its own. `word` holds the prefix at its top, and at least 14 good
    /// bits; `used` bits in front of them are still to be consumed.
    #[inline(always)]
    fn value(&mut self, word: u64, used: u32) -> Result<(), ChunkError> {
        match word.leading_ones() {
            0 => {
                self.reader.skip(used + 1);
                self.value_bits = self.v_bits;
                Ok(())
            }
            1 => self.difference(used + 2),
            2 => self.renewed(word << 3, used + 3),
            _ => {
                self.reader.skip(used + 3);
                self.value_bits = STALE_NAN_BITS;
                Ok(())
            }
        }
    }

    /// A new window of 11 bits at the top of `word`, `used` bits behind the reader, and what is in
    /// it.
    #[inline(always)]
    fn renewed(&mut self, word: u64, used: u32) -> Result<(), ChunkError> {
        let leading = (word >> 59) as u32;
        let significant = ((word >> 53).wrapping_sub(1) & 63) as u32 + 1;
        if leading + significant > 64 {
            return Err(ChunkError::BadValue);
        }
        self.significant = significant;
        self.trailing = 64 - leading - significant;
        self.window = Some((leading, self.trailing));
        self.difference(used + 11)
    }

    /// What is in the window in force, `used` bits behind the reader.
    #[inline(always)]
    fn difference(&mut self, used: u32) -> Result<(), ChunkError> {
        self.reader.skip(used);
        let bits = self.reader.peek64() >> (64 - self.significant);
        self.reader.skip(self.significant);
        self.v_bits ^= bits << self.trailing;
        self.value_bits = self.v_bits;
        Ok(())
    }
}

/// Appends the samples of an XOR2 chunk with `min_ms ≤ t ≤ max_ms` to `columns`.
///
/// # Errors
/// Where the bytes are no XOR2 chunk; `columns` is then as it was. Samples after `max_ms` are not
/// looked at.
pub fn decode(
    data: &[u8],
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    columns: &mut Columns,
) -> Result<(), ChunkError> {
    let n = usize::from(num_samples(Encoding::Xor2, data)?);
    if n == 0 {
        return Ok(());
    }
    // A sample takes a bit at least: bounds what a lying count can make us reserve.
    if n > data.len() * 8 {
        return Err(ChunkError::Truncated);
    }
    let base = columns.t.len();
    let had_starts = !columns.st.is_empty();
    columns.t.resize(base + n, 0);
    columns.v.resize(base + n, 0.0);
    let header = data.get(HEADER_LEN - 1).copied().unwrap_or(0);
    let starts = StartTimes::from_header(header).any();
    if had_starts || starts {
        columns.st.resize(base + n, 0);
    }
    let out = Out { t: &mut columns.t[base..], v: &mut columns.v[base..], min_ms, max_ms };
    let filled = if starts {
        fill::<true>(data, n, out, &mut columns.st[base..])
    } else {
        fill::<false>(data, n, out, &mut [])
    };
    let len = filled.unwrap_or(0);
    columns.t.truncate(base + len);
    columns.v.truncate(base + len);
    columns.st.truncate(base + len);
    if !had_starts && columns.st[base.min(columns.st.len())..].iter().all(|st| *st == 0) {
        columns.st.clear();
    }
    filled.map(|_| ())
}

/// Where samples go, from the front, and which.
struct Out<'a> {
    t: &'a mut [TimestampMs],
    v: &'a mut [f64],
    min_ms: TimestampMs,
    max_ms: TimestampMs,
}

/// Fills `out` with some of `n` samples, and `st` where `ST`; returns how many.
fn fill<const ST: bool>(
    data: &[u8],
    n: usize,
    out: Out<'_>,
    st: &mut [TimestampMs],
) -> Result<usize, ChunkError> {
    let mut cursor = Cursor::start(data)?;
    let (mut len, mut index) = (0, 0);
    loop {
        if cursor.t > out.max_ms {
            break;
        }
        // Always written, kept only where it is late enough: no branch on `min_ms`.
        out.t[len] = cursor.t;
        out.v[len] = f64::from_bits(cursor.value_bits);
        if ST {
            st[len] = cursor.start.st;
        }
        len += usize::from(cursor.t >= out.min_ms);
        index += 1;
        if !ST && index >= 2 {
            // Each zero bit repeats time step and value.
            let run = (cursor.reader.peek57().leading_zeros().min(GOOD_BITS) as usize).min(n - index);
            for _ in 0..run {
                cursor.repeat()?;
                if cursor.t > out.max_ms {
                    return Ok(len);
                }
                out.t[len] = cursor.t;
                out.v[len] = f64::from_bits(cursor.v_bits);
                len += usize::from(cursor.t >= out.min_ms);
            }
            index += run;
        }
        if index == n {
            break;
        }
        cursor.step::<ST>(index)?;
    }
    Ok(len)
}
