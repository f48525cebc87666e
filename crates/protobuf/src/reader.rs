//! The protobuf wire format, read. Knows no messages.
//!
//! Lenient where Prometheus' own decoder is: a varint may be longer than need be, and what exceeds
//! 64 bits in its tenth byte is lost. Groups, which proto3 does not have, are refused.

use crate::error::{Error, Fault};

/// A field's number and wire type: `number << 3 | wire type`, at most 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// The tag as it is encoded; messages are matched on it.
    #[must_use]
    pub fn raw(self) -> u32 {
        self.0
    }

    /// The field's number.
    #[must_use]
    pub fn field(self) -> u32 {
        self.0 >> 3
    }
}

/// A window onto the bytes of one message. Copying it is cheap; reading from it moves its start.
/// No method panics, whatever the bytes are.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset in the body of the window's end, so that errors can tell a place.
    end: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which begin at `offset` in the body.
    #[must_use]
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, end: offset + bytes.len() }
    }

    /// Whether everything has been read.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The offset in the body of the next byte.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// An error at the next byte.
    #[cold]
    #[must_use]
    pub fn fault(&self, fault: Fault) -> Error {
        Error { fault, offset: self.offset() }
    }

    /// The next field's tag; `None` at the end of the message.
    ///
    /// # Errors
    /// A number out of range, a group, a wire type that does not exist, a message cut short.
    #[inline]
    pub fn tag(&mut self) -> Result<Option<Tag>, Error> {
        let Some(&first) = self.rest.first() else {
            return Ok(None);
        };
        let start = *self;
        let raw = if first < 0x80 {
            self.rest = &self.rest[1..];
            u64::from(first)
        } else {
            self.varint()?
        };
        let Ok(raw) = u32::try_from(raw) else {
            return Err(start.fault(Fault::FieldNumber));
        };
        if raw < 8 {
            return Err(start.fault(Fault::FieldNumber));
        }
        match raw & 7 {
            0 | 1 | 2 | 5 => Ok(Some(Tag(raw))),
            3 | 4 => Err(start.fault(Fault::Group)),
            _ => Err(start.fault(Fault::WireType)),
        }
    }

    /// A variable-length integer.
    ///
    /// # Errors
    /// More than ten bytes, a message cut short.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Error> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                return Ok(u64::from(*first));
            }
            _ => {}
        }
        if let Some(window) = self.rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*window);
            let stops = !word & 0x8080_8080_8080_8080;
            if stops != 0 {
                let length = stops.trailing_zeros() as usize / 8 + 1;
                self.rest = &self.rest[length..];
                return Ok(gather(word & (stops ^ (stops - 1))));
            }
        }
        self.varint_slow()
    }

    #[cold]
    fn varint_slow(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(self.fault(if self.rest.len() < 10 { Fault::Truncated } else { Fault::Overflow }))
    }

    /// A varint as `int32`, `uint32`, `enum` or `bool`: the low 32 bits.
    ///
    /// # Errors
    /// As [`Self::varint`].
    #[inline]
    pub fn uint32(&mut self) -> Result<u32, Error> {
        Ok(self.varint()? as u32)
    }

    /// A varint as `int64`.
    ///
    /// # Errors
    /// As [`Self::varint`].
    #[inline]
    pub fn int64(&mut self) -> Result<i64, Error> {
        Ok(self.varint()? as i64)
    }

    /// A varint as `sint32`: zigzag.
    ///
    /// # Errors
    /// As [`Self::varint`].
    #[inline]
    pub fn sint32(&mut self) -> Result<i32, Error> {
        let raw = self.uint32()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A varint as `sint64`: zigzag.
    ///
    /// # Errors
    /// As [`Self::varint`].
    #[inline]
    pub fn sint64(&mut self) -> Result<i64, Error> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// A message cut short.
    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, Error> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<8>() else {
            return Err(self.fault(Fault::Truncated));
        };
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Eight bytes as `double`.
    ///
    /// # Errors
    /// A message cut short.
    #[inline]
    pub fn double(&mut self) -> Result<f64, Error> {
        self.fixed64().map(f64::from_bits)
    }

    /// A length and that many bytes.
    ///
    /// # Errors
    /// A length beyond the message, a message cut short.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let start = *self;
        let length = self.varint()?;
        match usize::try_from(length).ok().and_then(|n| self.rest.split_at_checked(n)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(start.fault(Fault::Truncated)),
        }
    }

    /// A length and a message of that many bytes.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    #[inline]
    pub fn message(&mut self) -> Result<Self, Error> {
        let bytes = self.bytes()?;
        Ok(Self { rest: bytes, end: self.offset() })
    }

    /// A length and a UTF-8 string of that many bytes.
    ///
    /// # Errors
    /// As [`Self::bytes`]; bytes that are no UTF-8.
    pub fn string(&mut self) -> Result<&'a str, Error> {
        let start = *self;
        std::str::from_utf8(self.bytes()?).map_err(|_| start.fault(Fault::Utf8))
    }

    /// Passes over a field that the message does not have. Bit `n` of `known` says that it has a
    /// field `n`, which then must be of another wire type.
    ///
    /// # Errors
    /// A known field, a message cut short.
    pub fn skip(&mut self, tag: Tag, known: u64) -> Result<(), Error> {
        if 1u64.checked_shl(tag.field()).is_some_and(|bit| known & bit != 0) {
            return Err(self.fault(Fault::WrongWireType));
        }
        match tag.raw() & 7 {
            0 => self.varint().map(drop),
            1 => self.fixed64().map(drop),
            2 => self.bytes().map(drop),
            _ => match self.rest.split_first_chunk::<4>() {
                Some((_, rest)) => {
                    self.rest = rest;
                    Ok(())
                }
                None => Err(self.fault(Fault::Truncated)),
            },
        }
    }

    /// Leaves `length` bytes out that the caller has seen in [`Self::rest`].
    #[inline]
    pub fn advance(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }
}

/// The varint that takes all of `message` from `start` on, if it is one of at most eight bytes
/// behind at least eight others: read backwards from the end, without a loop.
#[inline]
pub fn last_varint(message: &[u8], start: usize) -> Option<u64> {
    let length = message.len().checked_sub(start)?;
    if !(1..=8).contains(&length) || start < 8 {
        return None;
    }
    let word = u64::from_le_bytes(*message.last_chunk::<8>()?) >> (8 * (8 - length));
    let stops = !word & 0x8080_8080_8080_8080;
    // Above the varint the word is zero, so that there is a stop unless all eight bytes go on.
    let is_whole = stops != 0 && stops.trailing_zeros() as usize / 8 + 1 == length;
    is_whole.then(|| gather(word))
}

/// Puts the low seven bits of each of eight bytes together, lowest byte first.
#[inline]
fn gather(word: u64) -> u64 {
    let w = word & 0x7f7f_7f7f_7f7f_7f7f;
    let w = (w & 0x007f_007f_007f_007f) | ((w & 0x7f00_7f00_7f00_7f00) >> 1);
    let w = (w & 0x0000_3fff_0000_3fff) | ((w & 0x3fff_0000_3fff_0000) >> 2);
    (w & 0x0fff_ffff) | ((w & 0x0fff_ffff_0000_0000) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer;
    use proptest::prelude::*;

    fn fault(result: Result<impl std::fmt::Debug, Error>) -> (Fault, usize) {
        match result {
            Err(Error { fault, offset }) => (fault, offset),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn refuses_with_place() {
        let varint = |b: &[u8]| fault(Reader::new(b, 0).varint());
        assert_eq!(varint(&[]), (Fault::Truncated, 0));
        assert_eq!(varint(&[0x80]), (Fault::Truncated, 0));
        assert_eq!(varint(&[0xff; 9]), (Fault::Truncated, 0));
        assert_eq!(varint(&[0xff; 10]), (Fault::Overflow, 0));
        assert_eq!(varint(&[0xff; 40]), (Fault::Overflow, 0));
        let tag = |b: &[u8]| fault(Reader::new(b, 7).tag());
        assert_eq!(tag(&[0x02]), (Fault::FieldNumber, 7));
        assert_eq!(tag(&[0xff, 0xff, 0xff, 0xff, 0x10]), (Fault::FieldNumber, 7));
        assert_eq!(tag(&[0x0b]), (Fault::Group, 7));
        assert_eq!(tag(&[0x0c]), (Fault::Group, 7));
        assert_eq!(tag(&[0x0e]), (Fault::WireType, 7));
        let mut r = Reader::new(&[0x0a, 3, b'a', b'b'], 0);
        assert_eq!(r.tag().unwrap().unwrap().field(), 1);
        assert_eq!(fault(r.bytes()), (Fault::Truncated, 1));
        assert_eq!(fault(Reader::new(&[1, 0xff], 0).string()), (Fault::Utf8, 0));
        let tag = Tag(8);
        assert_eq!(fault(Reader::new(&[], 0).skip(tag, 2)), (Fault::WrongWireType, 0));
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(fault(Reader::new(&huge, 0).bytes()), (Fault::Truncated, 0));
    }

    #[test]
    fn surplus_bits_of_a_tenth_byte_are_lost() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(Reader::new(&bytes, 0).varint(), Ok(u64::MAX));
        assert_eq!(Reader::new(&[0x81, 0x80, 0x00], 0).varint(), Ok(1));
    }

    #[test]
    fn nested_offsets_are_those_of_the_body() {
        // field 1 { field 2 { a truncated field 3 } }
        let body = [0x0a, 4, 0x12, 2, 0x1a, 9];
        let mut outer = Reader::new(&body, 0);
        outer.tag().unwrap();
        let mut middle = outer.message().unwrap();
        middle.tag().unwrap();
        let mut inner = middle.message().unwrap();
        inner.tag().unwrap();
        assert_eq!(fault(inner.bytes()), (Fault::Truncated, 5));
    }

    proptest! {
        #[test]
        fn varints_survive(value: u64, shift in 0u32..64, tail in proptest::collection::vec(any::<u8>(), 0..12)) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            writer::put_varint(&mut bytes, value);
            let length = bytes.len();
            prop_assert_eq!(length, writer::varint_len(value));
            bytes.extend(&tail);
            let mut r = Reader::new(&bytes, 0);
            prop_assert_eq!(r.varint(), Ok(value));
            prop_assert_eq!(r.offset(), length);
        }

        #[test]
        fn last_varints_are_those_read_forwards(tail in proptest::collection::vec(any::<u8>(), 0..12), value: u64, shift in 0u32..64) {
            let mut whole = vec![0xff; 10];
            writer::put_varint(&mut whole, value >> shift);
            let expected = (whole.len() <= 18).then_some(value >> shift);
            prop_assert_eq!(last_varint(&whole, 10), expected);
            let mut bytes = vec![0xff; 10];
            bytes.extend(tail);
            let mut r = Reader::new(&bytes[10..], 10);
            let read = r.varint().ok().filter(|_| r.is_empty() && bytes.len() <= 18);
            prop_assert_eq!(last_varint(&bytes, 10), read);
        }

        #[test]
        fn zigzags_survive(a: i32, b: i64) {
            let mut bytes = Vec::new();
            writer::put_varint(&mut bytes, u64::from(writer::zigzag32(a)));
            writer::put_varint(&mut bytes, writer::zigzag64(b));
            let mut r = Reader::new(&bytes, 0);
            prop_assert_eq!(r.sint32(), Ok(a));
            prop_assert_eq!(r.sint64(), Ok(b));
        }
    }
}
