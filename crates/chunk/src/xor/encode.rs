//! Writing XOR chunks.

use model::TimestampMs;

use super::HEADER_LEN;
use super::decode::Cursor;
use crate::bits::{put_uvarint, put_varint};
use crate::prefetch::prefetch;
use crate::{ChunkError, Encoding, num_samples};

/// No window of significant bits has been written yet.
const NO_WINDOW: u8 = 0xff;

/// Most leading zeros that five bits can say.
const LEADING_MAX: u32 = 31;

/// An XOR chunk under construction. Between appends its bytes are a valid chunk, so a reader may
/// copy them at any time. 56 bytes beside the buffer, because a head holds one per series.
#[derive(Clone, Debug)]
pub struct XorEncoder {
    buf: Vec<u8>,
    t: TimestampMs,
    t_delta: u64,
    v_bits: u64,
    /// The window of significant bits in force; `leading` is [`NO_WINDOW`] before the first.
    leading: u8,
    trailing: u8,
    /// How many bits of the last byte are used, 0 where it is full, and that byte's bits so far.
    filled: u8,
    partial: u8,
}

impl Default for XorEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl XorEncoder {
    /// An empty chunk.
    #[must_use]
    pub fn new() -> Self {
        Self::with_buffer(Vec::new())
    }

    /// An empty chunk in the memory of `buf`, whose contents are forgotten.
    #[must_use]
    pub fn with_buffer(mut buf: Vec<u8>) -> Self {
        buf.clear();
        buf.extend_from_slice(&[0; HEADER_LEN]);
        Self { buf, t: 0, t_delta: 0, v_bits: 0, leading: NO_WINDOW, trailing: 0, filled: 0, partial: 0 }
    }

    /// Goes on with a chunk that was written before, here or by Prometheus.
    ///
    /// # Errors
    /// Where the bytes are no XOR chunk.
    pub fn resume(data: &[u8]) -> Result<Self, ChunkError> {
        let n = num_samples(Encoding::Xor, data)?;
        if n == 0 {
            return Ok(Self::new());
        }
        let mut cursor = Cursor::start(data)?;
        if n > 1 {
            cursor.second()?;
        }
        for _ in 2..n {
            cursor.step()?;
        }
        let end = cursor.reader.position();
        let filled = (end % 8) as u8;
        let mut buf = data[..end.div_ceil(8)].to_vec();
        let partial = match buf.last_mut() {
            Some(last) if filled > 0 => {
                *last &= 0xff << (8 - filled);
                *last
            }
            _ => 0,
        };
        let (leading, trailing) = cursor.window.map_or((NO_WINDOW, 0), |(l, t)| (l as u8, t as u8));
        let (t, t_delta, v_bits) = (cursor.t, cursor.t_delta, cursor.v_bits);
        Ok(Self { buf, t, t_delta, v_bits, leading, trailing, filled, partial })
    }

    /// Adds a sample. `t` must lie after [`XorEncoder::last_t`], which is not checked.
    ///
    /// # Panics
    /// At the 65,536th sample: callers cut chunks long before.
    #[inline]
    pub fn append(&mut self, t: TimestampMs, v: f64) {
        let n = self.num_samples();
        assert!(n < u16::MAX, "a chunk holds at most 65535 samples");
        let v_bits = v.to_bits();
        if n >= 2 {
            let t_delta = t.wrapping_sub(self.t) as u64;
            let dod = t_delta.wrapping_sub(self.t_delta) as i64;
            self.t_delta = t_delta;
            self.put_dod_and_value(dod, v_bits);
        } else if n == 1 {
            self.t_delta = t.wrapping_sub(self.t) as u64;
            put_uvarint(&mut self.buf, self.t_delta);
            self.put_value(0, 0, v_bits);
        } else {
            put_varint(&mut self.buf, t);
            self.buf.extend_from_slice(&v_bits.to_be_bytes());
        }
        self.t = t;
        self.v_bits = v_bits;
        self.buf[..HEADER_LEN].copy_from_slice(&(n + 1).to_be_bytes());
    }

    #[inline(always)]
    fn put_dod_and_value(&mut self, dod: i64, v_bits: u64) {
        let low = |bits: u32| dod as u64 & ((1 << bits) - 1);
        if dod == 0 {
            self.put_value(0, 1, v_bits);
        } else if fits(dod, 14) {
            self.put_value(0b10 << 14 | low(14), 16, v_bits);
        } else if fits(dod, 17) {
            self.put_value(0b110 << 17 | low(17), 20, v_bits);
        } else if fits(dod, 20) {
            self.put_value(0b1110 << 20 | low(20), 24, v_bits);
        } else {
            self.put(0b1111, 4, dod as u64, 64);
            self.put_value(0, 0, v_bits);
        }
    }

    /// Writes the `n` ≤ 24 bits of `prefix`, then the value.
    #[inline(always)]
    fn put_value(&mut self, prefix: u64, n: u32, v_bits: u64) {
        let delta = v_bits ^ self.v_bits;
        if delta == 0 {
            return self.put(prefix << 1, n + 1, 0, 0);
        }
        let leading = delta.leading_zeros().min(LEADING_MAX);
        let trailing = delta.trailing_zeros();
        let (old_leading, old_trailing) = (u32::from(self.leading), u32::from(self.trailing));
        if self.leading != NO_WINDOW && leading >= old_leading && trailing >= old_trailing {
            let significant = 64 - old_leading - old_trailing;
            return self.put(prefix << 2 | 0b10, n + 2, delta >> old_trailing, significant);
        }
        self.leading = leading as u8;
        self.trailing = trailing as u8;
        let significant = 64 - leading - trailing;
        // 64 significant bits are written as 0: six bits have no 64, and 0 never occurs.
        let window = u64::from(leading) << 6 | u64::from(significant & 63);
        self.put(prefix << 13 | 0b11 << 11 | window, n + 13, delta >> trailing, significant);
    }

    /// Writes the low `head_n` ≤ 37 bits of `head`, then the low `body_n` ≤ 64 bits of `body`.
    /// Higher bits must be zero.
    #[inline(always)]
    fn put(&mut self, head: u64, head_n: u32, body: u64, body_n: u32) {
        let filled = u32::from(self.filled);
        let used = filled + head_n + body_n;
        let word = u128::from(self.partial) << 120
            | u128::from(head) << (128 - filled - head_n)
            | u128::from(body) << (128 - used);
        let base = self.buf.len() - usize::from(filled != 0);
        self.buf.truncate(base);
        self.buf.extend_from_slice(&word.to_be_bytes());
        self.buf.truncate(base + used.div_ceil(8) as usize);
        self.filled = (used % 8) as u8;
        // With nothing left over this is the byte behind the last one used: zero.
        self.partial = (word >> (120 - (used & !7))) as u8;
    }

    /// Asks for the memory that the next append changes, so that it is there when that comes: worth it
    /// where many chunks take a sample each in turn.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(&self.buf[0]);
        if let Some(last) = self.buf.last() {
            prefetch(last);
        }
    }

    /// Number of samples.
    #[must_use]
    #[inline]
    pub fn num_samples(&self) -> u16 {
        u16::from_be_bytes([self.buf[0], self.buf[1]])
    }

    /// The chunk as it stands: a valid XOR chunk, the last byte filled up with zeros.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buf
    }

    /// Bytes of the chunk as it stands.
    #[must_use]
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Time of the newest sample; meaningless where there is none.
    #[must_use]
    #[inline]
    pub fn last_t(&self) -> TimestampMs {
        self.t
    }

    /// Value of the newest sample, to the bit; meaningless where there is none.
    #[must_use]
    #[inline]
    pub fn last_v(&self) -> f64 {
        f64::from_bits(self.v_bits)
    }

    /// Ends the chunk and hands out its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.buf
    }
}

/// Whether `bits` bits can say `x`. The range is −(2^(bits−1)−1) ..= 2^(bits−1): not that of two's
/// complement.
#[inline(always)]
fn fits(x: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    -(half - 1) <= x && x <= half
}
