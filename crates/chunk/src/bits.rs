//! Reading bits, most significant first, and the variable-length integers between them.

use crate::ChunkError;

/// A position in a stream of bits. Reading past the end yields zeros; [`BitReader::overrun`]
/// tells, so that the hot loop asks once per sample and not once per field.
#[derive(Clone, Copy)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at byte `byte` of `data`.
    pub(crate) fn new(data: &'a [u8], byte: usize) -> Self {
        Self { data, at: byte * 8 }
    }

    /// Bits consumed since the start of the data.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Whether more bits were consumed than there are.
    #[inline(always)]
    pub(crate) fn overrun(&self) -> bool {
        self.at > self.data.len() * 8
    }

    #[inline(always)]
    pub(crate) fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    /// The next bits from the top of the word; at least 57 of them are good.
    #[inline(always)]
    pub(crate) fn peek57(&self) -> u64 {
        let byte = self.at >> 3;
        let word = match self.data.get(byte..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => tail(self.data, byte),
        };
        word << (self.at & 7)
    }

    /// The next 64 bits.
    #[inline(always)]
    pub(crate) fn peek64(&self) -> u64 {
        let (byte, shift) = (self.at >> 3, self.at & 7);
        match self.data.get(byte..).and_then(|rest| rest.first_chunk::<9>()) {
            Some(&[a, b, c, d, e, f, g, h, last]) => {
                let word = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                word << shift | u64::from(last) >> (8 - shift)
            }
            None => tail(self.data, byte) << shift | (tail(self.data, byte + 8) >> 1) >> (63 - shift),
        }
    }

    /// An unsigned LEB128 integer of eight-bit groups that need not be aligned.
    pub(crate) fn uvarint(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.peek57() >> 56;
            self.skip(8);
            if self.overrun() {
                return Err(ChunkError::Truncated);
            }
            if shift == 63 && byte > 1 {
                break;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ChunkError::BadVarint)
    }

    /// A zigzag LEB128 integer.
    pub(crate) fn varint(&mut self) -> Result<i64, ChunkError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }
}

/// Up to eight bytes from `byte`, then zeros. Takes no reader, so that the hot loop's stays in
/// registers.
#[cold]
fn tail(data: &[u8], byte: usize) -> u64 {
    let rest = data.get(byte..).unwrap_or_default();
    let n = rest.len().min(8);
    let mut word = [0; 8];
    word[..n].copy_from_slice(&rest[..n]);
    u64::from_be_bytes(word)
}

/// Appends an unsigned LEB128 integer to whole bytes.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag LEB128 integer to whole bytes.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, (value << 1) as u64 ^ (value >> 63) as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_agree_with_single_bits() {
        let data: Vec<u8> = (0..23u8).map(|i| i.wrapping_mul(97) ^ 0x5a).collect();
        let bit = |i: usize| data.get(i / 8).map_or(0, |b| b >> (7 - i % 8) & 1);
        for at in 0..data.len() * 8 + 20 {
            let mut r = BitReader::new(&data, 0);
            r.skip(at as u32);
            let want = (0..64).fold(0u64, |w, i| w << 1 | u64::from(bit(at + i)));
            assert_eq!(r.peek64(), want, "at {at}");
            assert_eq!(r.peek57() >> 7, want >> 7, "at {at}");
            assert_eq!(r.overrun(), at > data.len() * 8);
        }
    }

    #[test]
    fn varints_round_trip_and_end() {
        for v in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN, 1_767_225_600_000] {
            let mut out = Vec::new();
            put_varint(&mut out, v);
            assert_eq!(BitReader::new(&out, 0).varint(), Ok(v));
            out.pop();
            assert_eq!(BitReader::new(&out, 0).varint(), Err(ChunkError::Truncated));
        }
        assert_eq!(BitReader::new(&[0xff; 12], 0).uvarint(), Err(ChunkError::BadVarint));
    }
}
