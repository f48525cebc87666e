//! The protobuf wire format, written into a buffer that the caller owns. Knows no messages.
//!
//! As proto3 asks, fields with the value zero are left out. Negative zero is no zero here and is
//! written, as the specification has it; Prometheus' own encoder drops it.

/// Appends a variable-length integer.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number of bytes of a variable-length integer, 1…10.
#[inline]
#[must_use]
pub fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// `sint32` as it is encoded.
#[inline]
#[must_use]
pub fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// `sint64` as it is encoded.
#[inline]
#[must_use]
pub fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Appends a varint field unless it is 0.
#[inline]
pub fn put_uint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        put_varint(out, u64::from(field << 3));
        put_varint(out, value);
    }
}

/// Appends an `int64` field unless it is 0.
#[inline]
pub fn put_int(out: &mut Vec<u8>, field: u32, value: i64) {
    put_uint(out, field, value as u64);
}

/// Appends a `double` field unless it is +0.
#[inline]
pub fn put_double(out: &mut Vec<u8>, field: u32, value: f64) {
    if value.to_bits() != 0 {
        put_varint(out, u64::from(field << 3 | 1));
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a length-delimited field, also when it is empty: an element of a repeated field.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, u64::from(field << 3 | 2));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a string field unless it is empty.
#[inline]
pub fn put_string(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, field, text.as_bytes());
    }
}

/// Appends a packed field of doubles unless there are none.
pub fn put_doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if !values.is_empty() {
        put_varint(out, u64::from(field << 3 | 2));
        put_varint(out, values.len() as u64 * 8);
        out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }
}

/// Appends a packed field of varints unless there are none.
pub fn put_varints(out: &mut Vec<u8>, field: u32, values: impl ExactSizeIterator<Item = u64>) {
    if values.len() > 0 {
        put_message(out, field, |out| values.for_each(|v| put_varint(out, v)));
    }
}

/// Appends a message that `body` writes. Its length is known only afterwards: one byte is kept for
/// it, and a longer one moves the message.
#[inline]
pub fn put_message(out: &mut Vec<u8>, field: u32, body: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(field << 3 | 2));
    let start = out.len();
    out.push(0);
    body(out);
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
    } else {
        move_for_length(out, start, length);
    }
}

fn move_for_length(out: &mut Vec<u8>, start: usize, length: usize) {
    let wide = varint_len(length as u64);
    out.resize(out.len() + wide - 1, 0);
    out.copy_within(start + 1..start + 1 + length, start + wide);
    let mut rest = length;
    for byte in &mut out[start..start + wide - 1] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[start + wide - 1] = rest as u8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;

    #[test]
    fn zero_is_left_out_and_negative_zero_is_not() {
        let mut out = Vec::new();
        put_uint(&mut out, 1, 0);
        put_double(&mut out, 2, 0.0);
        put_string(&mut out, 3, "");
        put_doubles(&mut out, 4, &[]);
        put_varints(&mut out, 5, [].into_iter());
        assert!(out.is_empty());
        put_double(&mut out, 2, -0.0);
        assert_eq!(out.len(), 9);
    }

    #[test]
    fn messages_of_any_length() {
        for length in [0usize, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152] {
            let mut out = vec![0xaa];
            put_message(&mut out, 1, |out| out.extend((0..length).map(|i| i as u8)));
            let mut r = Reader::new(&out[1..], 1);
            assert_eq!(r.tag().unwrap().unwrap().raw(), 0x0a);
            let bytes = r.bytes().unwrap();
            assert!(r.is_empty() && bytes.len() == length);
            assert!(bytes.iter().enumerate().all(|(i, b)| *b == i as u8));
        }
    }
}
