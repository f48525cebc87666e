//! The snappy block format, bounded before and after decompression.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use crate::error::WireError;

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
        fn garbage_is_refused_or_taken_but_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = Vec::new();
            let _ = decompress(&body, 1 << 16, &mut buffer);
        }
    }
}
