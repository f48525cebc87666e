//! Compression of records.

use crate::db::WalCompression;

/// Bits of a fragment's first byte.
pub(crate) const SNAPPY: u8 = 1 << 3;
pub(crate) const ZSTD: u8 = 1 << 4;

/// No record is larger than this when it is decompressed.
const RECORD_BYTES_MAX: usize = 1 << 30;

/// Snappy makes so many bytes of one at most.
const SNAPPY_RATIO_MAX: usize = 22;

/// Compresses records, with memory that is used again.
pub(crate) struct Compressor {
    snappy: snap::raw::Encoder,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { snappy: snap::raw::Encoder::new() }
    }
}

impl Compressor {
    /// The record compressed into `out`, which becomes exactly that, and the bits to mark it
    /// with. A record that would not become smaller stays as it is.
    pub(crate) fn compress(&mut self, how: WalCompression, record: &[u8], out: &mut Vec<u8>) -> u8 {
        let (done, bit) = match how {
            WalCompression::None => (None, 0),
            WalCompression::Snappy => {
                out.resize(snap::raw::max_compress_len(record.len()), 0);
                (self.snappy.compress(record, out).ok(), SNAPPY)
            }
            #[cfg(not(target_family = "wasm"))]
            WalCompression::Zstd => {
                out.resize(zstd::zstd_safe::compress_bound(record.len()), 0);
                (zstd::bulk::compress_to_buffer(record, out, 1).ok(), ZSTD)
            }
            #[cfg(target_family = "wasm")]
            WalCompression::Zstd => (None, 0),
        };
        match done {
            Some(n) if n < record.len() => {
                out.truncate(n);
                bit
            }
            _ => {
                out.clear();
                out.extend_from_slice(record);
                0
            }
        }
    }
}

/// Undoes [`Compressor::compress`] into `out`, which becomes the record.
///
/// # Errors
/// Bytes that are not what `bits` says, or a record over [`RECORD_BYTES_MAX`].
pub(crate) fn decompress(bits: u8, data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    if bits & SNAPPY != 0 {
        let n = snap::raw::decompress_len(data).map_err(|e| e.to_string())?;
        // What three bytes say at most is 64 bytes again: more is a lie, and memory for nothing.
        if n > RECORD_BYTES_MAX || n / SNAPPY_RATIO_MAX > data.len() {
            return Err(format!("record of {n} bytes"));
        }
        out.resize(n, 0);
        snap::raw::Decoder::new().decompress(data, out).map_err(|e| e.to_string())?;
    } else if bits & ZSTD != 0 {
        unzstd(data, out)?;
    } else {
        out.extend_from_slice(data);
    }
    Ok(())
}

#[cfg(not(target_family = "wasm"))]
fn unzstd(data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    use std::io::Read;
    let decoder = zstd::stream::read::Decoder::with_buffer(data).map_err(|e| e.to_string())?;
    let n = decoder.take(RECORD_BYTES_MAX as u64 + 1).read_to_end(out).map_err(|e| e.to_string())?;
    if n > RECORD_BYTES_MAX {
        return Err(format!("record of more than {RECORD_BYTES_MAX} bytes"));
    }
    Ok(())
}

#[cfg(target_family = "wasm")]
fn unzstd(_: &[u8], _: &mut Vec<u8>) -> Result<(), String> {
    Err("zstd is not supported here".to_owned())
}
