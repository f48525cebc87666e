//! Checksums put right, so that what was changed gets past them.

use crate::head_chunks::file;
use crate::wal::fragment::{HEADER_BYTES, PAGE_BYTES};

fn put_crc(data: &mut [u8], (from, end): (usize, usize), at: usize) {
    let Some(crc) = data.get(from..end).map(crc32c::crc32c) else { return };
    if let Some(place) = data.get_mut(at..at + 4) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
}

/// Of the fragments of a log.
pub(super) fn fragments(data: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = data.get(at..at + HEADER_BYTES) {
        if header[0] & 7 == 0 {
            at = (at / PAGE_BYTES + 1) * PAGE_BYTES;
            continue;
        }
        let end = at + HEADER_BYTES + usize::from(u16::from_be_bytes([header[1], header[2]]));
        put_crc(data, (at + HEADER_BYTES, end), at + 3);
        at = end;
    }
}

/// A length as the formats have it, and the bytes it takes.
fn length(data: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (i, b) in data.iter().take(4).enumerate() {
        len |= usize::from(b & 0x7f) << (7 * i);
        if *b < 0x80 {
            return Some((len, i + 1));
        }
    }
    None
}

/// Of the chunks of a block.
pub(super) fn segment(data: &mut [u8]) {
    let mut at = 8;
    while let Some((len, n)) = data.get(at..).and_then(length) {
        let end = at + n + 1 + len;
        put_crc(data, (at + n, end), end);
        at = end + 4;
    }
}

/// Of the chunks of a head.
pub(super) fn head_chunks(data: &mut [u8]) {
    let mut at = file::FILE_HEADER_BYTES;
    while let Some(n) = data.get(at..).and_then(file::chunk_bytes) {
        put_crc(data, (at, at + n - 4), at + n - 4);
        at += n;
    }
}

/// Of tombstones.
pub(super) fn tombstones(data: &mut [u8]) {
    if let Some(end) = data.len().checked_sub(4).filter(|end| *end >= 5) {
        put_crc(data, (5, end), end);
    }
}

/// A section with its length in four bytes at `at`; returns where it ends.
fn section(data: &mut [u8], at: usize) -> Option<usize> {
    let len = data.get(at..)?.first_chunk::<4>().map(|b| u32::from_be_bytes(*b) as usize)?;
    let end = (at + 4).checked_add(len)?;
    put_crc(data, (at + 4, end), end);
    Some(end + 4)
}

/// Of an index: its table of contents and whatever that leads to.
pub(super) fn index(data: &mut [u8]) {
    let Some(toc) = data.len().checked_sub(52) else { return };
    let offset = |data: &[u8], i: usize| {
        let bytes = data.get(toc + 8 * i..)?.first_chunk::<8>()?;
        usize::try_from(u64::from_be_bytes(*bytes)).ok().filter(|at| *at <= toc)
    };
    let places: Vec<_> = (0..6).map(|i| offset(data, i).unwrap_or(toc)).collect();
    // Symbols, series, label indices, their table, postings, their table.
    section(data, places[0]);
    let mut at = places[1].next_multiple_of(16);
    while at < places[2]
        && let Some((len, n)) = data.get(at..).and_then(length)
    {
        put_crc(data, (at + n, at + n + len), at + n + len);
        at = (at + n + len + 4).next_multiple_of(16);
    }
    let mut at = places[4];
    while at < places[3].min(places[5])
        && let Some(end) = section(data, at)
    {
        at = end.next_multiple_of(4);
    }
    section(data, places[5]);
    put_crc(data, (toc, toc + 48), toc + 48);
}
