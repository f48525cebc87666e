//! Writing XOR2 chunks.

use model::{STALE_NAN_BITS, TimestampMs};

use super::HEADER_LEN;
use super::decode::Cursor;
use crate::bit_writer::BitWriter;
use crate::start_time::StartTimes;
use crate::{ChunkError, Encoding, num_samples};

/// No window of significant bits has been written yet.
const NO_WINDOW: u8 = 0xff;
/// Most leading zeros that five bits can say.
const LEADING_MAX: u32 = 31;

/// An XOR2 chunk under construction. Between appends its bytes are a valid chunk, so a reader may
/// copy them at any time.
#[derive(Clone, Debug)]
pub struct Xor2Encoder {
    out: BitWriter,
    t: TimestampMs,
    t_delta: u64,
    /// The last value that was no stale marker.
    v_bits: u64,
    last_bits: u64,
    start: StartTimes,
    leading: u8,
    trailing: u8,
}

impl Default for Xor2Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Xor2Encoder {
    /// An empty chunk.
    #[must_use]
    pub fn new() -> Self {
        Self::with_buffer(Vec::new())
    }

    /// An empty chunk in the memory of `buf`, whose contents are forgotten.
    #[must_use]
    pub fn with_buffer(buf: Vec<u8>) -> Self {
        Self {
            out: BitWriter::new(buf, HEADER_LEN),
            t: 0,
            t_delta: 0,
            v_bits: 0,
            last_bits: 0,
            start: StartTimes::default(),
            leading: NO_WINDOW,
            trailing: 0,
        }
    }

    /// Goes on with a chunk that was written before, here or by Prometheus.
    ///
    /// # Errors
    /// Where the bytes are no XOR2 chunk.
    pub fn resume(data: &[u8]) -> Result<Self, ChunkError> {
        let n = usize::from(num_samples(Encoding::Xor2, data)?);
        if n == 0 {
            return Ok(Self::new());
        }
        let mut cursor = Cursor::start(data)?;
        for index in 1..n {
            cursor.step::<true>(index)?;
        }
        let (leading, trailing) = cursor.window.map_or((NO_WINDOW, 0), |(l, t)| (l as u8, t as u8));
        Ok(Self {
            out: BitWriter::resume(data, cursor.reader.position()),
            t: cursor.t,
            t_delta: cursor.t_delta,
            v_bits: cursor.v_bits,
            last_bits: cursor.value_bits,
            start: cursor.start,
            leading,
            trailing,
        })
    }

    /// Adds a sample that started to count at `st` (0: unknown). `t` must lie after
    /// [`Self::last_t`], which is not checked.
    ///
    /// # Panics
    /// At the 65,536th sample: callers cut chunks long before.
    #[inline]
    pub fn append(&mut self, t: TimestampMs, st: TimestampMs, v: f64) {
        let n = self.num_samples();
        assert!(n < u16::MAX, "a chunk holds at most 65535 samples");
        let v_bits = v.to_bits();
        let previous_t = self.t;
        self.out.begin();
        if n == 0 {
            self.out.put_varint(t);
            self.out.put(v_bits, 64);
        } else {
            let t_delta = t.wrapping_sub(previous_t) as u64;
            if n == 1 {
                self.out.put_uvarint(t_delta);
                self.put_value(v_bits);
            } else {
                self.put_joint(t_delta.wrapping_sub(self.t_delta) as i64, v_bits);
            }
            self.t_delta = t_delta;
        }
        self.start.write(&mut self.out, n, t, previous_t, st);
        self.out.end();
        self.t = t;
        self.last_bits = v_bits;
        if v_bits != STALE_NAN_BITS {
            self.v_bits = v_bits;
        }
        let [high, low] = (n + 1).to_be_bytes();
        self.out.header_mut()[..HEADER_LEN].copy_from_slice(&[high, low, self.start.header]);
    }

    /// Time and value behind their common prefix.
    #[inline(always)]
    fn put_joint(&mut self, dod: i64, v_bits: u64) {
        let low = |bits: u32| dod as u64 & ((1 << bits) - 1);
        if dod == 0 {
            let delta = v_bits ^ self.v_bits;
            if v_bits == STALE_NAN_BITS {
                self.out.put(0b11111, 5);
            } else if delta == 0 {
                self.out.put(0, 1);
            } else {
                self.put_difference(delta, 0b100, 3, 0b101, 11);
            }
            return;
        }
        if fits(dod, 13) {
            self.out.put(0b110 << 13 | low(13), 16);
        } else if fits(dod, 20) {
            self.out.put(0b1110 << 20 | low(20), 24);
        } else {
            self.out.put(0b11110, 5);
            self.out.put(dod as u64, 64);
        }
        self.put_value(v_bits);
    }

    /// A value whose prefix is its own.
    #[inline(always)]
    fn put_value(&mut self, v_bits: u64) {
        let delta = v_bits ^ self.v_bits;
        if v_bits == STALE_NAN_BITS {
            self.out.put(0b111, 3);
        } else if delta == 0 {
            self.out.put(0, 1);
        } else {
            self.put_difference(delta, 0b10, 2, 0b110, 12);
        }
    }

    /// A difference, which is not 0, behind the prefix `reuse` of `reuse_n` bits or the prefix
    /// `renew`. A new window costs `window_cost` bits: the old one is kept while it wastes no more,
    /// and a wider new one takes the old one in if that wastes at most half as many.
    #[inline(always)]
    fn put_difference(&mut self, delta: u64, reuse: u64, reuse_n: u32, renew: u64, window_cost: u32) {
        let mut leading = delta.leading_zeros().min(LEADING_MAX);
        let mut trailing = delta.trailing_zeros();
        if self.leading != NO_WINDOW {
            let (old_leading, old_trailing) = (u32::from(self.leading), u32::from(self.trailing));
            let inside = leading >= old_leading && trailing >= old_trailing;
            if inside && leading + trailing <= old_leading + old_trailing + window_cost {
                self.out.put(reuse, reuse_n);
                return self.out.put(delta >> old_trailing, 64 - old_leading - old_trailing);
            }
            let (both_leading, both_trailing) = (leading.min(old_leading), trailing.min(old_trailing));
            if !inside && leading + trailing - both_leading - both_trailing <= window_cost / 2 {
                (leading, trailing) = (both_leading, both_trailing);
            }
        }
        self.leading = leading as u8;
        self.trailing = trailing as u8;
        let significant = 64 - leading - trailing;
        // 64 significant bits are written as 0: six bits have no 64, and 0 never occurs.
        self.out.put(renew << 11 | u64::from(leading << 6 | significant & 63), 14);
        self.out.put(delta >> trailing, significant);
    }

    /// Number of samples.
    #[must_use]
    #[inline]
    pub fn num_samples(&self) -> u16 {
        let bytes = self.out.bytes();
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    /// The chunk as it stands: a valid XOR2 chunk, the last byte filled up with zeros.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.out.bytes()
    }

    /// Bytes of the chunk as it stands.
    #[must_use]
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.out.bytes().len()
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
        f64::from_bits(self.last_bits)
    }

    /// Start of the newest sample, 0 for unknown; meaningless where there is no sample.
    #[must_use]
    #[inline]
    pub fn last_st(&self) -> TimestampMs {
        self.start.st
    }

    /// Ends the chunk and hands out its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }
}

/// Whether `bits` bits of two's complement can say `x`.
#[inline(always)]
fn fits(x: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    (-half..half).contains(&x)
}
