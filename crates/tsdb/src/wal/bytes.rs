//! Reading and writing the integers that records are made of. Reading never panics.

/// Why bytes could not be read.
pub(crate) type Reason = &'static str;

/// The end of the bytes came too soon.
pub(crate) const SHORT: Reason = "invalid size";

/// Bytes of the longest LEB128 number.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

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

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Reason> {
        self.array::<1>().map(|b| b[0])
    }

    /// Big-endian.
    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Reason> {
        self.array().map(u64::from_be_bytes)
    }

    /// The bits of a float, big-endian.
    #[inline]
    pub(crate) fn f64(&mut self) -> Result<f64, Reason> {
        self.u64().map(f64::from_bits)
    }

    /// LEB128, at most ten bytes and 64 bits.
    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u64, Reason> {
        match self.0 {
            [a, rest @ ..] if *a < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*a))
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Result<u64, Reason> {
        let (mut n, mut shift) = (0u64, 0);
        for (i, b) in self.0.iter().enumerate().take(VARINT_BYTES_MAX) {
            if i == VARINT_BYTES_MAX - 1 && *b > 1 {
                break;
            }
            n |= u64::from(b & 0x7f) << shift;
            if *b < 0x80 {
                self.0 = &self.0[i + 1..];
                return Ok(n);
            }
            shift += 7;
        }
        Err(if self.0.len() < VARINT_BYTES_MAX { SHORT } else { "invalid varint" })
    }

    /// Zigzag.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i64, Reason> {
        self.uvarint().map(unzigzag)
    }

    /// A number of things of at least `bytes_each` ≥ 1 bytes each: no more than can follow, so
    /// that memory may be reserved for them.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Result<usize, Reason> {
        let n = usize::try_from(self.uvarint()?).map_err(|_| SHORT)?;
        if n > self.0.len() / bytes_each { Err(SHORT) } else { Ok(n) }
    }

    /// A length and so many bytes.
    pub(crate) fn slice(&mut self) -> Result<&'a [u8], Reason> {
        let n = self.uvarint()?;
        self.take(usize::try_from(n).map_err(|_| SHORT)?)
    }
}

#[inline]
pub(crate) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[inline]
pub(crate) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

pub(crate) fn put_u64(buf: &mut Vec<u8>, n: u64) {
    buf.extend_from_slice(&n.to_be_bytes());
}

pub(crate) fn put_f64(buf: &mut Vec<u8>, v: f64) {
    put_u64(buf, v.to_bits());
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
    put_uvarint(buf, zigzag(n));
}

/// A length and the bytes.
pub(crate) fn put_slice(buf: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(buf, bytes.len() as u64);
    buf.extend_from_slice(bytes);
}
