//! The bytes of a head-chunks file; see FORMAT.md. No files, no locks.

use chunk::Encoding;
use model::TimestampMs;

pub(crate) const MAGIC: u32 = 0x0130_BC91;
const VERSION: u8 = 1;

/// Magic, version, three bytes of nothing.
pub(crate) const FILE_HEADER_BYTES: usize = 8;

/// Series, first and last time.
const CHUNK_HEADER_BYTES: usize = 24;

const CRC_BYTES: usize = 4;

/// Marks a chunk of out-of-order samples in its encoding byte.
const OUT_OF_ORDER: u8 = 0x80;

/// The longest chunk that is read: far above what anybody writes.
const DATA_BYTES_MAX: u64 = 1 << 26;

/// What a file begins with.
pub(crate) fn file_header() -> [u8; FILE_HEADER_BYTES] {
    let mut h = [0; FILE_HEADER_BYTES];
    h[..4].copy_from_slice(&MAGIC.to_be_bytes());
    h[4] = VERSION;
    h
}

/// Checks what a file begins with.
pub(crate) fn check_file_header(data: &[u8]) -> Result<(), String> {
    let header = data.get(..FILE_HEADER_BYTES).ok_or("invalid head chunk file header: invalid size")?;
    let magic = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    if magic != MAGIC {
        return Err(format!("invalid magic number {magic:x}"));
    }
    if header[4] != VERSION {
        return Err(format!("invalid chunk format version {}", header[4]));
    }
    Ok(())
}

/// A chunk on its way to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewChunk<'a> {
    pub(crate) series: u64,
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    pub(crate) encoding: Encoding,
    /// Whether its samples came out of order.
    pub(crate) out_of_order: bool,
    /// At most [`DATA_BYTES_MAX`] bytes.
    pub(crate) data: &'a [u8],
}

/// A chunk as it lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileChunk<'a> {
    pub(crate) series: u64,
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    /// The encoding byte without the out-of-order mark.
    pub(crate) encoding: u8,
    pub(crate) out_of_order: bool,
    pub(crate) data: &'a [u8],
}

/// Appends a chunk.
pub(crate) fn put_chunk(out: &mut Vec<u8>, chunk: &NewChunk<'_>) {
    let start = out.len();
    out.extend_from_slice(&chunk.series.to_be_bytes());
    out.extend_from_slice(&chunk.min_ms.to_be_bytes());
    out.extend_from_slice(&chunk.max_ms.to_be_bytes());
    out.push(chunk.encoding as u8 | if chunk.out_of_order { OUT_OF_ORDER } else { 0 });
    let data = chunk.data;
    let mut n = data.len();
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(data);
    let crc = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_be_bytes());
}

/// How many bytes the chunk takes that begins like this, as far as it says so: to read that many.
pub(crate) fn chunk_bytes(data: &[u8]) -> Option<usize> {
    let (mut len, mut shift) = (0u64, 0);
    for (i, b) in data.get(CHUNK_HEADER_BYTES + 1..)?.iter().enumerate() {
        len |= u64::from(b & 0x7f) << shift;
        if *b < 0x80 {
            let header = CHUNK_HEADER_BYTES + 1 + i + 1;
            return (len <= DATA_BYTES_MAX).then_some(header + len as usize + CRC_BYTES);
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
    None
}

/// Reads the chunk at the start of `data`, and how many bytes it takes; `None` where the file's
/// contents end: at its end, or where only zeros follow that were allocated beforehand.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn read_chunk(data: &[u8]) -> Result<Option<(FileChunk<'_>, usize)>, String> {
    let short = |what: &str| format!("head chunk file doesn't include enough bytes to read the {what}");
    let Some(header) = data.get(..CHUNK_HEADER_BYTES) else {
        if data.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        return Err(short("chunk header"));
    };
    if header.iter().all(|b| *b == 0) {
        return Ok(None);
    }
    let number = |at: usize| {
        let mut b = [0; 8];
        b.copy_from_slice(&header[at..at + 8]);
        u64::from_be_bytes(b)
    };
    let (series, min_ms, max_ms) = (number(0), number(8) as i64, number(16) as i64);
    let encoding = *data.get(CHUNK_HEADER_BYTES).ok_or_else(|| short("chunk header"))?;
    let mut at = CHUNK_HEADER_BYTES + 1;
    let (mut len, mut shift) = (0u64, 0);
    loop {
        let b = *data.get(at).ok_or_else(|| short("chunk size data field"))?;
        at += 1;
        len |= u64::from(b & 0x7f) << shift;
        if b < 0x80 {
            break;
        }
        shift += 7;
        if shift > 28 {
            return Err("reading chunk length failed".to_owned());
        }
    }
    if len > DATA_BYTES_MAX {
        return Err(format!("chunk length {len} exceeds supported size"));
    }
    let end = at + len as usize;
    let (Some(body), Some(crc)) = (data.get(at..end), data.get(end..end + CRC_BYTES)) else {
        return Err(short("chunk"));
    };
    let expected = u32::from_be_bytes([crc[0], crc[1], crc[2], crc[3]]);
    let actual = crc32c::crc32c(&data[..end]);
    if actual != expected {
        return Err(format!("checksum mismatch expected:{expected:x}, actual:{actual:x}"));
    }
    let out_of_order = encoding & OUT_OF_ORDER != 0;
    let encoding = encoding & !OUT_OF_ORDER;
    let chunk = FileChunk { series, min_ms, max_ms, encoding, out_of_order, data: body };
    Ok(Some((chunk, end + CRC_BYTES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_and_damage() {
        let mut out = Vec::new();
        let chunk = NewChunk {
            series: 5,
            min_ms: -1,
            max_ms: 2,
            encoding: Encoding::Xor,
            out_of_order: false,
            data: b"\x00\x01abc",
        };
        put_chunk(&mut out, &chunk);
        let want = b"\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\x02\x01\x05\0\x01abc";
        assert_eq!(out[..want.len()], want[..]);
        assert_eq!(out[want.len()..], crc32c::crc32c(want).to_be_bytes());
        let whole = out.len();
        out.extend([0; 100]);
        let (c, n) = read_chunk(&out).unwrap().unwrap();
        assert_eq!((c.series, c.min_ms, c.max_ms, c.data, n), (5, -1, 2, &b"\0\x01abc"[..], whole));
        assert_eq!(read_chunk(&out[whole..]), Ok(None));
        for n in 1..whole {
            assert!(read_chunk(&out[..n]).is_err() || out[..n].iter().all(|b| *b == 0), "{n}");
        }
        for i in 0..whole {
            let mut bad = out.clone();
            bad[i] ^= 0x10;
            assert!(read_chunk(&bad).is_err(), "{i}");
        }
        assert_eq!(chunk_bytes(&out), Some(whole));
        out.clear();
        let data = [7; 300];
        put_chunk(
            &mut out,
            &NewChunk { encoding: Encoding::Histogram, out_of_order: true, data: &data, ..chunk },
        );
        assert_eq!(out[24..27], [0x82, 0xac, 2]);
        assert_eq!(chunk_bytes(&out[..30]), Some(out.len()));
        let (c, n) = read_chunk(&out).unwrap().unwrap();
        assert_eq!((c.encoding, c.out_of_order, c.data, n), (2, true, &data[..], out.len()));
    }
}
