//! Prometheus' varbit integers: a unary prefix says which of nine widths follows.

use crate::bit_writer::BitWriter;
use crate::bits::BitReader;

/// Bits behind a prefix of so many ones.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Writes an integer. `w` bits say −(2^(w−1)−1) … 2^(w−1): not the range of two's complement.
#[inline]
pub(crate) fn put_int(out: &mut BitWriter, value: i64) {
    if value == 0 {
        return out.put(0, 1);
    }
    // Shifted by one the range is that of two's complement.
    let shifted = value.wrapping_sub(1);
    let magnitude = 64 - (shifted ^ (shifted >> 63)).leading_zeros();
    put(out, value as u64, magnitude + 1);
}

/// Writes an unsigned integer.
#[inline]
pub(crate) fn put_uint(out: &mut BitWriter, value: u64) {
    if value == 0 {
        return out.put(0, 1);
    }
    put(out, value, 64 - value.leading_zeros());
}

/// Writes `value` in the first width of at least `need` bits.
#[inline(always)]
fn put(out: &mut BitWriter, value: u64, need: u32) {
    let ones = WIDTHS[1..8].iter().take_while(|w| **w < need).count() + 1;
    let width = WIDTHS[ones];
    if ones == 8 {
        out.put(0xff, 8);
        return out.put(value, 64);
    }
    let prefix = ((1u64 << ones) - 1) << 1;
    out.put(prefix << width | value & ((1 << width) - 1), ones as u32 + 1 + width);
}

/// Reads an integer; past the end, whatever comes of zeros.
#[inline]
pub(crate) fn read_int(from: &mut BitReader<'_>) -> i64 {
    match read(from) {
        (raw, 0 | 64) => raw as i64,
        (raw, width) => ((raw.wrapping_sub(1) << (64 - width)) as i64 >> (64 - width)) + 1,
    }
}

/// Reads an unsigned integer; past the end, whatever comes of zeros.
#[inline]
pub(crate) fn read_uint(from: &mut BitReader<'_>) -> u64 {
    read(from).0
}

/// The bits behind the prefix, and how many.
#[inline(always)]
fn read(from: &mut BitReader<'_>) -> (u64, u32) {
    let word = from.peek57();
    if word >> 63 == 0 {
        from.skip(1);
        return (0, 0);
    }
    let ones = word.leading_ones();
    if ones < 7 {
        let width = WIDTHS[ones as usize];
        from.skip(ones + 1 + width);
        return (word << (ones + 1) >> (64 - width), width);
    }
    from.skip(8);
    let word = from.peek64();
    let width = if ones == 7 { 56 } else { 64 };
    from.skip(width);
    (word >> (64 - width), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_the_width_they_need() {
        let int = |v: i64| {
            let mut out = BitWriter::new(Vec::new(), 0);
            put_int(&mut out, v);
            out.end();
            let bytes = out.into_bytes();
            let mut reader = BitReader::new(&bytes, 0);
            assert_eq!(read_int(&mut reader), v);
            reader.position()
        };
        let edges = [(4, 5), (32, 9), (256, 13), (2048, 17), (131_072, 24), (16_777_216, 32), (1 << 55, 64)];
        assert_eq!(int(0), 1);
        let mut wider = [9, 13, 17, 24, 32, 64, 72].into_iter();
        for (max, bits) in edges {
            let next = wider.next().unwrap();
            assert_eq!([int(max), int(1 - max), int(max + 1), int(-max)], [bits, bits, next, next], "{max}");
        }
        assert_eq!([int(1), int(-1), int(i64::MAX), int(i64::MIN)], [5, 5, 72, 72]);
    }

    #[test]
    fn unsigned_integers_take_the_width_they_need() {
        for (v, bits) in
            [(0, 1), (7, 5), (8, 9), (63, 9), (511, 13), (4095, 17), (262_143, 24), (33_554_431, 32)]
                .into_iter()
                .chain([(33_554_432, 64), ((1 << 56) - 1, 64), (1 << 56, 72), (u64::MAX, 72)])
        {
            let mut out = BitWriter::new(Vec::new(), 0);
            put_uint(&mut out, v);
            out.end();
            let bytes = out.into_bytes();
            let mut reader = BitReader::new(&bytes, 0);
            assert_eq!((read_uint(&mut reader), reader.position()), (v, bits));
        }
    }
}
