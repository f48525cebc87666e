//! The snappy block format, bounded before and after decompression.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use crate::error::WireError;
use protobuf::writer::{put_varint, varint_len};

/// What Prometheus' receiver takes, compressed as well as decompressed.
pub const BODY_BYTES_MAX: usize = 32 << 20;

/// No element of a block gives more than 64 bytes, and those that give that many take three.
const RATIO_MAX: usize = 22;

/// Decompresses a block into `buffer`, which grows as needed and is reused, and gives the part of
/// it that was filled. Nothing is allocated for a length that the block cannot hold.
///
/// # Errors
/// A body or a decompressed body of more than `bytes_max`; bytes that are no snappy block.
pub fn decompress<'b>(body: &[u8], bytes_max: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], WireError> {
    if body.len() > bytes_max {
        return Err(WireError::BodyTooLarge { limit_bytes: bytes_max });
    }
    let length = decompress_len(body).map_err(|_| WireError::Snappy)?;
    if length > bytes_max {
        return Err(WireError::DecodedTooLarge { limit_bytes: bytes_max });
    }
    if length > body.len().saturating_mul(RATIO_MAX) {
        return Err(WireError::Snappy);
    }
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let filled = Decoder::new().decompress(body, buffer).map_err(|_| WireError::Snappy)?;
    Ok(&buffer[..filled])
}

/// How many bytes a block says that it holds.
///
/// # Errors
/// Bytes that do not begin as a block.
pub fn decompressed_len(body: &[u8]) -> Result<usize, WireError> {
    decompress_len(body).map_err(|_| WireError::Snappy)
}

/// Compresses blocks, reusing its tables.
pub struct Compressor {
    encoder: Encoder,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { encoder: Encoder::new() }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// Appends `body` as a block to `out`.
    ///
    /// # Errors
    /// A body of 4 GiB or more, for which the format has no length.
    pub fn compress(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        const TOO_LARGE: WireError = WireError::BodyTooLarge { limit_bytes: u32::MAX as usize };
        let start = out.len();
        let most = max_compress_len(body.len());
        if most == 0 {
            return Err(TOO_LARGE);
        }
        out.resize(start + most, 0);
        match self.encoder.compress(body, &mut out[start..]) {
            Ok(length) => {
                out.truncate(start + length);
                Ok(())
            }
            Err(_) => {
                out.truncate(start);
                Err(TOO_LARGE)
            }
        }
    }
}

/// Bytes that are compressed at a time: nothing refers across this boundary, in no encoder of the format.
const FRAGMENT_BYTES: usize = 64 << 10;

/// Bytes of a piece of a finished block, roughly.
const PIECE_BYTES: usize = 1 << 20;

/// Compresses a block while it is written, so that no more than a fragment of it is in memory as it was.
pub struct BlockWriter {
    encoder: Encoder,
    plain: Vec<u8>,
    scratch: Vec<u8>,
    pieces: Vec<Vec<u8>>,
    plain_bytes: usize,
    packed_bytes: usize,
}

impl Default for BlockWriter {
    fn default() -> Self {
        Self {
            encoder: Encoder::new(),
            plain: Vec::new(),
            scratch: Vec::new(),
            pieces: vec![Vec::new()],
            plain_bytes: 0,
            packed_bytes: 0,
        }
    }
}

impl std::fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockWriter").field("plain_bytes", &self.plain_bytes).finish_non_exhaustive()
    }
}

/// A place in a block where something is to be put later.
#[derive(Debug)]
pub struct Mark {
    piece: usize,
}

impl BlockWriter {
    /// Adds bytes at the end.
    pub fn write(&mut self, mut bytes: &[u8]) {
        self.plain_bytes += bytes.len();
        while self.plain.len() + bytes.len() >= FRAGMENT_BYTES {
            let (now, later) = bytes.split_at(FRAGMENT_BYTES - self.plain.len());
            self.plain.extend_from_slice(now);
            self.compress();
            bytes = later;
        }
        self.plain.extend_from_slice(bytes);
    }

    /// Bytes written, before compression.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain_bytes
    }

    /// Whether none was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain_bytes == 0
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.packed_bytes + self.plain.len()
    }

    /// Notes this place: bytes that only what follows decides can be put there.
    pub fn mark(&mut self) -> Mark {
        self.compress();
        self.pieces.push(Vec::new());
        Mark { piece: self.pieces.len() - 1 }
    }

    /// Puts at most 60 bytes at a place noted before.
    pub fn put_at(&mut self, mark: Mark, bytes: &[u8]) {
        assert!((1..=60).contains(&bytes.len()), "a short literal has from 1 to 60 bytes");
        let piece = &mut self.pieces[mark.piece];
        let tag = (bytes.len() as u8 - 1) << 2;
        piece.splice(0..0, std::iter::once(tag).chain(bytes.iter().copied()));
        self.plain_bytes += bytes.len();
        self.packed_bytes += bytes.len() + 1;
    }

    fn compress(&mut self) {
        if self.plain.is_empty() {
            return;
        }
        let most = max_compress_len(self.plain.len());
        if self.scratch.len() < most {
            self.scratch.resize(most, 0);
        }
        let length = self
            .encoder
            .compress(&self.plain, &mut self.scratch)
            .expect("a fragment is short, and there is room for the longest");
        // The whole block has one header, these are its elements alone.
        let elements = &self.scratch[varint_len(self.plain.len() as u64)..length];
        if self.pieces.last().is_none_or(|piece| piece.len() >= PIECE_BYTES) {
            self.pieces.push(Vec::new());
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.extend_from_slice(elements);
        }
        self.packed_bytes += elements.len();
        self.plain.clear();
    }

    /// The block in pieces.
    ///
    /// # Errors
    /// 4 GiB or more, for which the format has no length.
    pub fn finish(mut self) -> Result<Vec<Vec<u8>>, WireError> {
        self.compress();
        if self.plain_bytes > u32::MAX as usize {
            return Err(WireError::BodyTooLarge { limit_bytes: u32::MAX as usize });
        }
        let mut header = Vec::new();
        put_varint(&mut header, self.plain_bytes as u64);
        self.pieces[0].splice(0..0, header);
        self.pieces.retain(|piece| !piece.is_empty());
        Ok(self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_hold_before_and_after() {
        let mut block = Vec::new();
        Compressor::default().compress(&[7; 1000], &mut block).unwrap();
        let mut buffer = Vec::new();
        let mut run = |body: &[u8], max| decompress(body, max, &mut buffer).map(<[u8]>::len);
        assert_eq!(run(&block, 1000), Ok(1000));
        assert_eq!(run(&block, 999), Err(WireError::DecodedTooLarge { limit_bytes: 999 }));
        assert_eq!(run(&[0; 1001], 1000), Err(WireError::BodyTooLarge { limit_bytes: 1000 }));
        assert_eq!(run(&[], 1000), Err(WireError::Snappy));
        assert_eq!(run(&block[..block.len() - 1], 1000), Err(WireError::Snappy));
        // Sixteen megabytes announced by five bytes.
        assert_eq!(run(&[0x80, 0x80, 0x80, 0x08, 0], BODY_BYTES_MAX), Err(WireError::Snappy));
        assert!(buffer.len() <= 1000);
    }

    #[test]
    fn the_densest_block_passes_the_ratio() {
        let body = vec![0; BODY_BYTES_MAX];
        let (mut block, mut buffer) = (Vec::new(), Vec::new());
        Compressor::default().compress(&body, &mut block).unwrap();
        assert_eq!(decompress(&block, BODY_BYTES_MAX, &mut buffer).unwrap(), body);
    }

    proptest! {
        #[test]
        fn blocks_survive(body in proptest::collection::vec(0u8..4, 0..5000)) {
            let (mut block, mut buffer) = (vec![1, 2], vec![9; 10]);
            Compressor::default().compress(&body, &mut block).unwrap();
            prop_assert_eq!(decompress(&block[2..], 5000, &mut buffer).unwrap(), &body[..]);
        }

        #[test]
        fn a_block_written_bit_by_bit_is_one_block(
            parts in proptest::collection::vec((0usize..90_000, 0u8..3, any::<bool>()), 0..12),
        ) {
            let (mut writer, mut want) = (BlockWriter::default(), Vec::new());
            for (length, seed, marked) in parts {
                let part: Vec<u8> = (0..length).map(|i| (i % 251) as u8 ^ (i >> seed) as u8).collect();
                let mark = marked.then(|| writer.mark());
                writer.write(&part);
                if let Some(mark) = mark {
                    writer.put_at(mark, &[seed, 7]);
                    want.extend([seed, 7]);
                }
                want.extend(part);
            }
            prop_assert_eq!(writer.len(), want.len());
            let held = writer.held_bytes();
            let block = writer.finish().unwrap().concat();
            prop_assert!(block.len() <= held + held / 4 + 20);
            let mut buffer = Vec::new();
            prop_assert_eq!(decompressed_len(&block).unwrap(), want.len());
            prop_assert_eq!(decompress(&block, 1 << 21, &mut buffer).unwrap(), &want[..]);
        }

        #[test]
        fn garbage_is_refused_or_taken_but_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = Vec::new();
            let _ = decompress(&body, 1 << 16, &mut buffer);
        }
    }
}
