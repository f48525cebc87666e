//! Reading and writing the integers and checksummed sections that index, chunk segments and
//! tombstones are made of. Knows offsets, not files: callers add the name.

use std::fmt;
use std::path::Path;

use storage::StorageError;

/// What is wrong with bytes, and where in their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corruption {
    /// Offset in the file.
    pub(crate) offset: u64,
    /// What was found or missing.
    pub(crate) what: &'static str,
}

impl Corruption {
    pub(crate) fn new(offset: usize, what: &'static str) -> Self {
        Self { offset: offset as u64, what }
    }

    /// The error a user sees.
    pub(crate) fn in_file(self, file: &Path) -> StorageError {
        StorageError::Corrupt(format!("{}: {self}", file.display()))
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.what, self.offset)
    }
}

/// Walks a part of a file, whose bytes are all at hand; offsets are those of the file.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// The bytes `start..end` of `file`, both cut to the file.
    pub(crate) fn new(file: &'a [u8], start: usize, end: usize) -> Self {
        let end = end.min(file.len());
        Self { file, at: start.min(end), end }
    }

    /// The body of the section at `offset`: be32 length, body, be32 CRC-32C of the body.
    pub(crate) fn section(file: &'a [u8], offset: u64) -> Result<Self, Corruption> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut head = Self::new(file, start, file.len());
        if head.at != start {
            return Err(Corruption { offset, what: "section outside of the file" });
        }
        let len = head.be32()? as usize;
        let body = head.cut(len)?;
        body.check(head.be32()?)?;
        Ok(body)
    }

    /// Whether the remaining bytes have this CRC-32C.
    pub(crate) fn check(&self, crc: u32) -> Result<(), Corruption> {
        if crc32c::crc32c(self.rest()) == crc {
            return Ok(());
        }
        Err(self.fault("wrong checksum"))
    }

    pub(crate) fn fault(&self, what: &'static str) -> Corruption {
        Corruption::new(self.at, what)
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.file[self.at..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Corruption> {
        let taken = self.rest().get(..n).ok_or_else(|| self.fault("unexpected end"))?;
        self.at += n;
        Ok(taken)
    }

    /// The next `n` bytes as a cursor of their own.
    pub(crate) fn cut(&mut self, n: usize) -> Result<Self, Corruption> {
        let start = self.at;
        self.bytes(n)?;
        Ok(Self { file: self.file, at: start, end: self.at })
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corruption> {
        Ok(self.bytes(1)?[0])
    }

    pub(crate) fn be32(&mut self) -> Result<u32, Corruption> {
        let b = self.rest().first_chunk().ok_or_else(|| self.fault("unexpected end"))?;
        self.at += 4;
        Ok(u32::from_be_bytes(*b))
    }

    pub(crate) fn be64(&mut self) -> Result<u64, Corruption> {
        let b = self.rest().first_chunk().ok_or_else(|| self.fault("unexpected end"))?;
        self.at += 8;
        Ok(u64::from_be_bytes(*b))
    }

    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u64, Corruption> {
        let rest = self.rest();
        match rest.first() {
            Some(&b) if b < 0x80 => {
                self.at += 1;
                Ok(u64::from(b))
            }
            _ => self.uvarint_long(rest),
        }
    }

    fn uvarint_long(&mut self, rest: &[u8]) -> Result<u64, Corruption> {
        let mut value = 0u64;
        for (i, b) in rest.iter().take(10).enumerate() {
            if i == 9 && *b > 1 {
                break;
            }
            value |= u64::from(b & 0x7f) << (7 * i);
            if *b < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.fault(if rest.len() < 10 { "unexpected end" } else { "integer of more than 64 bits" }))
    }

    /// A uvarint that counts or numbers things in memory.
    pub(crate) fn uvarint32(&mut self) -> Result<u32, Corruption> {
        let at = self.at;
        u32::try_from(self.uvarint()?).map_err(|_| Corruption::new(at, "integer of more than 32 bits"))
    }

    pub(crate) fn varint(&mut self) -> Result<i64, Corruption> {
        let raw = self.uvarint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A string behind its uvarint length, not checked to be UTF-8.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Corruption> {
        let at = self.at;
        let n = self.uvarint()?;
        let n = usize::try_from(n).map_err(|_| Corruption::new(at, "string longer than memory"))?;
        self.bytes(n)
    }
}

/// Appends an unsigned LEB128 integer.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag LEB128 integer.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, (value << 1) as u64 ^ (value >> 63) as u64);
}

/// Appends a string behind its length.
pub(crate) fn put_string(out: &mut Vec<u8>, s: &str) {
    put_uvarint(out, s.len() as u64);
    out.extend_from_slice(s.as_bytes());
}
