//! Writing bits, most significant first, into bytes that a reader may copy between two samples.

/// A growing stream of bits. Between [`BitWriter::end`] and [`BitWriter::begin`] the buffer holds
/// every bit, the last byte filled up with zeros.
#[derive(Clone, Debug)]
pub(crate) struct BitWriter {
    buf: Vec<u8>,
    /// The last `pending` bits, not yet in the buffer but for the filled-up last byte.
    word: u64,
    pending: u32,
}

impl BitWriter {
    /// A stream behind `header` zero bytes, in the memory of `buf`.
    pub(crate) fn new(mut buf: Vec<u8>, header: usize) -> Self {
        buf.clear();
        buf.resize(header, 0);
        Self { buf, word: 0, pending: 0 }
    }

    /// Goes on behind the first `bits` bits of `data`, of which there must be as many.
    pub(crate) fn resume(data: &[u8], bits: usize) -> Self {
        let mut buf = data[..bits.div_ceil(8)].to_vec();
        let pending = (bits % 8) as u32;
        let mut word = 0;
        if let Some(last) = buf.last_mut().filter(|_| pending > 0) {
            *last &= 0xff << (8 - pending);
            word = u64::from(*last >> (8 - pending));
        }
        Self { buf, word, pending }
    }

    /// Makes ready for bits.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.pending > 0 {
            self.buf.pop();
        }
    }

    /// Puts all bits into the buffer.
    #[inline]
    pub(crate) fn end(&mut self) {
        let bytes = self.pending.div_ceil(8) as usize;
        if bytes > 0 {
            let word = self.word << (64 - self.pending);
            // A copy of fixed length, then a shorter length: quicker than a copy of any length.
            let len = self.buf.len() + bytes;
            self.buf.extend_from_slice(&word.to_be_bytes());
            self.buf.truncate(len);
        }
        self.pending %= 8;
        self.word &= (1 << self.pending) - 1;
    }

    /// Writes the low `n` ≤ 64 bits of `bits`; the others must be zero.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, n: u32) {
        let room = 64 - self.pending;
        if n < room {
            self.word = self.word << n | bits;
            self.pending += n;
            return;
        }
        let rest = n - room;
        // A shift by all 64 bits means that nothing is pending.
        let full = self.word.checked_shl(room).unwrap_or(0) | bits >> rest;
        self.buf.extend_from_slice(&full.to_be_bytes());
        self.word = bits & ((1 << rest) - 1);
        self.pending = rest;
    }

    /// Writes an unsigned LEB128 integer, aligned or not.
    pub(crate) fn put_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.put(value, 8);
    }

    /// Writes a zigzag LEB128 integer, aligned or not.
    pub(crate) fn put_varint(&mut self, value: i64) {
        self.put_uvarint((value << 1) as u64 ^ (value >> 63) as u64);
    }

    /// The stream as it stands.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf
    }

    /// The header, for writing over it.
    #[inline]
    pub(crate) fn header_mut(&mut self) -> &mut [u8] {
        &mut self.buf
    }

    /// Ends the stream and hands out its bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buf
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitReader;

    #[test]
    fn bits_of_every_width_come_back() {
        let mut writer = BitWriter::new(Vec::new(), 3);
        let value = |i: u64, n: u32| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1) >> (64 - n);
        let widths = || (1..=64u32).chain((1..=64).rev());
        let mut at = 24;
        for (i, n) in widths().enumerate() {
            writer.begin();
            writer.put(value(i as u64, n), n);
            writer.end();
            at += n as usize;
            assert_eq!(writer.bytes().len(), at.div_ceil(8));
            let resumed = BitWriter::resume(writer.bytes(), at);
            assert_eq!((resumed.word, resumed.pending), (writer.word, writer.pending));
        }
        let mut reader = BitReader::new(writer.bytes(), 3);
        for (i, n) in widths().enumerate() {
            assert_eq!(reader.peek64() >> (64 - n), value(i as u64, n), "width {n}");
            reader.skip(n);
        }
        assert!(!reader.overrun());
    }
}
