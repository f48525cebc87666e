//! Reading and writing the integers that records are made of. Reading never panics.

/// Why bytes could not be read.
pub(crate) type Reason = &'static str;

/// The end of the bytes came too soon.
pub(crate) const SHORT: Reason = "invalid size";

/// A position in bytes that somebody else wrote.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Reason> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(SHORT)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Reason> {
        self.array::<1>().map(|b| b[0])
    }

    /// Big-endian.
    pub(crate) fn u64(&mut self) -> Result<u64, Reason> {
        self.array().map(u64::from_be_bytes)
    }

    /// LEB128, at most ten bytes.
    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u64, Reason> {
        let (mut n, mut shift) = (0u64, 0);
        for (i, b) in self.0.iter().enumerate().take(10) {
            n |= u64::from(b & 0x7f) << shift;
            if *b < 0x80 {
                self.0 = &self.0[i + 1..];
                return Ok(n);
            }
            shift += 7;
        }
        Err(if self.0.len() < 10 { SHORT } else { "invalid varint" })
    }

    /// Zigzag.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i64, Reason> {
        let n = self.uvarint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// A length and so many bytes.
    pub(crate) fn slice(&mut self) -> Result<&'a [u8], Reason> {
        let n = self.uvarint()?;
        self.take(usize::try_from(n).map_err(|_| SHORT)?)
    }
}

pub(crate) fn put_u64(buf: &mut Vec<u8>, n: u64) {
    buf.extend_from_slice(&n.to_be_bytes());
}

#[inline]
pub(crate) fn put_uvarint(buf: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        buf.push((n as u8) | 0x80);
        n >>= 7;
    }
    buf.push(n as u8);
}

#[inline]
pub(crate) fn put_varint(buf: &mut Vec<u8>, n: i64) {
    put_uvarint(buf, ((n << 1) ^ (n >> 63)) as u64);
}
