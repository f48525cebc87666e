//! Pages and fragments: how records become the bytes of a segment and how they are found again;
//! see FORMAT.md. No files, no locks.

use std::borrow::Cow;

use super::compress;

/// Bytes of a page. No fragment crosses one.
pub(crate) const PAGE_BYTES: usize = 32 * 1024;

/// A fragment's type, length and checksum.
pub(crate) const HEADER_BYTES: usize = 7;

const KIND_MASK: u8 = 7;
const PAGE_END: u8 = 0;
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Turns records into the bytes of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragmenter {
    segment_bytes: u64,
    /// Bytes in the segment.
    len: u64,
}

impl Fragmenter {
    /// At the start of an empty segment.
    pub(crate) fn new(segment_bytes: u64) -> Self {
        Self { segment_bytes, len: 0 }
    }

    /// Bytes in the segment so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    fn in_page(&self) -> usize {
        (self.len % PAGE_BYTES as u64) as usize
    }

    /// Whether a record of `n` bytes belongs into the next segment.
    pub(crate) fn overflows(&self, n: usize) -> bool {
        let page = PAGE_BYTES as u64;
        let room = PAGE_BYTES - HEADER_BYTES;
        let pages_left = (self.segment_bytes / page).saturating_sub(self.len / page + 1);
        let left = room.saturating_sub(self.in_page()) as u64 + room as u64 * pages_left;
        n as u64 > left && self.len > 0
    }

    /// Appends the fragments of a record, compressed as `bits` say, to `out`.
    pub(crate) fn put(&mut self, bits: u8, mut record: &[u8], out: &mut Vec<u8>) {
        let mut first = true;
        loop {
            let room = PAGE_BYTES - self.in_page() - HEADER_BYTES;
            let (part, rest) = record.split_at(record.len().min(room));
            let kind = match (first, rest.is_empty()) {
                (true, true) => FULL,
                (true, false) => FIRST,
                (false, true) => LAST,
                (false, false) => MIDDLE,
            };
            out.push(kind | bits);
            out.extend_from_slice(&(part.len() as u16).to_be_bytes());
            out.extend_from_slice(&crc32c::crc32c(part).to_be_bytes());
            out.extend_from_slice(part);
            self.len += (HEADER_BYTES + part.len()) as u64;
            if PAGE_BYTES - self.in_page() < HEADER_BYTES {
                self.pad(out);
            }
            record = rest;
            first = false;
            if record.is_empty() {
                return;
            }
        }
    }

    /// Fills up the page, if one is begun.
    pub(crate) fn pad(&mut self, out: &mut Vec<u8>) {
        let begun = self.in_page();
        if begun > 0 {
            out.resize(out.len() + PAGE_BYTES - begun, 0);
            self.len += (PAGE_BYTES - begun) as u64;
        }
    }
}

/// Where and why reading ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Where the record begins that cannot be read; all before are whole.
    pub(crate) offset: usize,
    pub(crate) reason: String,
}

/// The data ends before its last record does.
const INCOMPLETE: &str = "last record is torn";

impl Torn {
    /// Whether more data might complete the record.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.reason == INCOMPLETE
    }
}

/// Finds the records in the bytes of a segment, or of several that follow each other.
pub(crate) struct Records<'a> {
    data: &'a [u8],
    at: usize,
}

/// A record as it stands in the log.
pub(crate) struct Found<'a> {
    /// Where its first fragment begins.
    pub(crate) offset: usize,
    /// How it is compressed.
    pub(crate) bits: u8,
    /// Its bytes, still compressed.
    pub(crate) data: Cow<'a, [u8]>,
}

/// A record whose checksums have not been looked at.
pub(crate) struct Unchecked<'a> {
    /// Where its first fragment begins.
    pub(crate) offset: usize,
    /// How it is compressed.
    pub(crate) bits: u8,
    first: Fragment<'a>,
    more: Vec<Fragment<'a>>,
}

#[derive(Clone, Copy)]
struct Fragment<'a> {
    data: &'a [u8],
    crc: u32,
}

impl Fragment<'_> {
    fn check(&self) -> Result<(), String> {
        let (actual, crc) = (crc32c::crc32c(self.data), self.crc);
        if actual == crc {
            return Ok(());
        }
        Err(format!("unexpected checksum {actual:x}, expected {crc:x}"))
    }
}

impl<'a> Unchecked<'a> {
    /// Its bytes in the log, headers of fragments apart.
    pub(crate) fn len(&self) -> usize {
        self.more.iter().map(|f| f.data.len()).sum::<usize>() + self.first.data.len()
    }

    /// The bytes of the record, still compressed; a copy where it has several fragments.
    ///
    /// # Errors
    /// Which checksum is not that of its fragment.
    pub(crate) fn data(&self) -> Result<Cow<'a, [u8]>, String> {
        self.first.check()?;
        if self.more.is_empty() {
            return Ok(self.first.data.into());
        }
        let mut joined = Vec::with_capacity(self.len());
        joined.extend_from_slice(self.first.data);
        for fragment in &self.more {
            fragment.check()?;
            joined.extend_from_slice(fragment.data);
        }
        Ok(joined.into())
    }
}

impl<'a> Records<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Those from `offset` on, where a record or a page must begin.
    pub(crate) fn behind(data: &'a [u8], offset: usize) -> Self {
        Self { data, at: offset }
    }

    /// Behind the record that was found last.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The next record, `None` behind the last.
    ///
    /// # Errors
    /// What is no record, and where it begins.
    pub(crate) fn next(&mut self) -> Result<Option<Found<'a>>, Torn> {
        let Some(record) = self.next_unchecked()? else { return Ok(None) };
        let (offset, bits) = (record.offset, record.bits);
        match record.data() {
            Ok(data) => Ok(Some(Found { offset, bits, data })),
            Err(reason) => Err(Torn { offset, reason }),
        }
    }

    /// As [`Self::next`], and leaves the checksums to [`Unchecked::data`]: what is found behind a
    /// record with a wrong one need not be a record.
    ///
    /// # Errors
    /// What is no record, and where it begins.
    pub(crate) fn next_unchecked(&mut self) -> Result<Option<Unchecked<'a>>, Torn> {
        let mut record: Option<Unchecked<'a>> = None;
        let mut start = self.at;
        loop {
            match self.fragment_of(&mut record, &mut start) {
                Ok(false) => {}
                Ok(true) => return Ok(record),
                Err(reason) => {
                    // A wrong checksum in what came before is where it went wrong.
                    let earlier = record.and_then(|r| r.data().err());
                    return Err(Torn { offset: start, reason: earlier.unwrap_or(reason) });
                }
            }
        }
    }

    /// Reads unchecked records until there are about `bytes_max` of them; otherwise says how the data ends: at its end,
    /// or where it is torn.
    pub(crate) fn next_batch(
        &mut self,
        bytes_max: usize,
        batch: &mut Vec<Unchecked<'a>>,
    ) -> Option<Option<Torn>> {
        let mut bytes = 0;
        while bytes < bytes_max {
            match self.next_unchecked() {
                Ok(Some(found)) => {
                    bytes += found.len() + 64;
                    batch.push(found);
                }
                Ok(None) => return Some(None),
                Err(torn) => return Some(Some(torn)),
            }
        }
        None
    }

    /// Reads a fragment into `record`, which begins at `start`. Whether that is the last one, or the
    /// data ends before a record.
    fn fragment_of(&mut self, record: &mut Option<Unchecked<'a>>, start: &mut usize) -> Result<bool, String> {
        let Some(&head) = self.data.get(self.at) else {
            return if record.is_some() { Err(INCOMPLETE.to_owned()) } else { Ok(true) };
        };
        let kind = head & KIND_MASK;
        if kind == PAGE_END {
            self.skip_page_end()?;
            if record.is_none() {
                *start = self.at;
            }
            return Ok(false);
        }
        let fragment = self.fragment()?;
        let bits = head & (compress::SNAPPY | compress::ZSTD);
        match (kind, record) {
            (FULL | FIRST, record @ None) => {
                *record = Some(Unchecked { offset: *start, bits, first: fragment, more: Vec::new() });
            }
            (MIDDLE | LAST, Some(record)) => {
                record.bits = bits;
                record.more.push(fragment);
            }
            (FULL | FIRST | MIDDLE | LAST, _) => {
                fragment.check()?;
                return Err(format!("unexpected {} record", kind_name(kind)));
            }
            _ => {
                fragment.check()?;
                return Err(format!("unexpected record type {kind}"));
            }
        }
        Ok(matches!(kind, FULL | LAST))
    }

    /// Reads the fragment at the position, and moves behind it.
    fn fragment(&mut self) -> Result<Fragment<'a>, String> {
        let torn = || INCOMPLETE.to_owned();
        let header = self.data.get(self.at..self.at + HEADER_BYTES).ok_or_else(torn)?;
        let n = usize::from(u16::from_be_bytes([header[1], header[2]]));
        let crc = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
        if n > PAGE_BYTES - HEADER_BYTES {
            return Err(format!("invalid record size {n}"));
        }
        let from = self.at + HEADER_BYTES;
        let data = self.data.get(from..from + n).ok_or_else(torn)?;
        self.at = from + n;
        Ok(Fragment { data, crc })
    }

    /// Moves to the next page, or to the end; what lies between must be zeros.
    fn skip_page_end(&mut self) -> Result<(), &'static str> {
        let end = (self.at / PAGE_BYTES + 1) * PAGE_BYTES;
        let zeros = &self.data[self.at + 1..end.min(self.data.len())];
        if zeros.iter().any(|b| *b != 0) {
            return Err("unexpected non-zero byte in padded page");
        }
        self.at = end.min(self.data.len());
        Ok(())
    }
}

fn kind_name(kind: u8) -> &'static str {
    match kind {
        FULL => "full",
        FIRST => "first",
        MIDDLE => "middle",
        _ => "last",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> (Vec<Vec<u8>>, Option<Torn>) {
        let mut records = Records::new(data);
        let mut out = Vec::new();
        loop {
            match records.next() {
                Ok(Some(r)) => out.push(r.data.into_owned()),
                Ok(None) => return (out, None),
                Err(e) => return (out, Some(e)),
            }
        }
    }

    #[test]
    fn records_of_all_sizes_round_trip() {
        let sizes =
            [0, 1, 9, PAGE_BYTES - 2 * 7 - 10, PAGE_BYTES, 3 * PAGE_BYTES, 5, PAGE_BYTES - 7, 70_000, 2];
        let mut f = Fragmenter::new(1 << 20);
        let mut out = Vec::new();
        let records: Vec<Vec<u8>> = sizes.iter().map(|n| (0..*n).map(|i| i as u8 ^ 0x5a).collect()).collect();
        for r in &records {
            f.put(0, r, &mut out);
        }
        assert_eq!(out.len() as u64, f.len());
        assert_eq!(read(&out), (records.clone(), None));
        f.pad(&mut out);
        assert_eq!(out.len() % PAGE_BYTES, 0);
        assert_eq!(read(&out), (records.clone(), None));
        // Cut anywhere: what is whole comes back, and where the rest began is named.
        for n in (0..out.len()).step_by(997) {
            let (got, torn) = read(&out[..n]);
            assert_eq!(got[..], records[..got.len()]);
            assert!(torn.is_some() || got.len() == records.len() || read(&out[..n]).0 == got);
            if let Some(torn) = torn {
                assert_eq!(read(&out[..torn.offset]), (got, None));
            }
        }
    }

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        let mut f = Fragmenter::new(PAGE_BYTES as u64);
        f.put(compress::SNAPPY, b"123456789", &mut out);
        // crc32c("123456789") is e3069283.
        assert_eq!(out, b"\x09\x00\x09\xe3\x06\x92\x83123456789");
        assert!(!f.overflows(PAGE_BYTES - 16 - 7));
        assert!(f.overflows(PAGE_BYTES - 16 - 6));
    }
}
