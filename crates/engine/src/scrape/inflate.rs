//! Bodies come compressed; here they are inflated, under a limit.

use std::io::Read;

use crate::gzip;
use crate::pieces::Pieces;

/// The largest body that is ever taken in, whatever the configuration says.
pub const SCRAPE_BODY_BYTES_MAX: u64 = 1 << 30;

/// Memory that a zstd stream may ask for: 2 to the power of this, 8 MiB as in Prometheus.
#[cfg(not(target_family = "wasm"))]
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The text of a scrape whose body is larger than `body_size_limit`.
pub(super) const BODY_SIZE_LIMIT: &str = "body size limit exceeded";

/// Puts the inflated body into `out`, replacing what was there.
///
/// # Errors
/// An unknown encoding, broken compression, or a body of `limit` bytes or more (0: none of the
/// configuration's own), as a sentence for `lastError`.
pub(super) fn inflate(pieces: &[&[u8]], encoding: &str, limit: u64, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    let limit = if limit == 0 { SCRAPE_BODY_BYTES_MAX } else { limit.min(SCRAPE_BODY_BYTES_MAX) };
    match encoding {
        "" | "identity" => {
            if pieces.iter().map(|p| p.len() as u64).sum::<u64>() >= limit {
                return Err(BODY_SIZE_LIMIT.to_owned());
            }
            pieces.iter().for_each(|p| out.extend_from_slice(p));
            Ok(())
        }
        "gzip" => {
            gzip::inflate(pieces, limit, out)?;
            within(limit, out)
        }
        #[cfg(not(target_family = "wasm"))]
        "zstd" => {
            let broken = |e| format!("zstd: {e}");
            let mut zstd = zstd::Decoder::with_buffer(Pieces::new(pieces)).map_err(broken)?;
            zstd.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            zstd.take(limit).read_to_end(out).map_err(broken)?;
            within(limit, out)
        }
        other => Err(format!("unsupported content encoding {other:?}")),
    }
}

/// A body that reaches the limit is over it: no more of it was read.
fn within(limit: u64, out: &[u8]) -> Result<(), String> {
    if out.len() as u64 >= limit { Err(BODY_SIZE_LIMIT.to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gzip::gzip;

    #[test]
    fn pieces_are_one_body() {
        let text = "some metric text\n".repeat(500);
        let packed = gzip(text.as_bytes());
        let mut out = Vec::new();
        for cut in [0, 1, packed.len() / 2, packed.len()] {
            let pieces: [&[u8]; 3] = [&packed[..cut], &[], &packed[cut..]];
            inflate(&pieces, "gzip", 0, &mut out).unwrap();
            assert_eq!(out, text.as_bytes());
        }
        inflate(&[b"ab", b"", b"c"], "", 4, &mut out).unwrap();
        assert_eq!(out, b"abc");
    }

    #[test]
    fn limits_count_inflated_bytes() {
        let packed = gzip(&[b'x'; 100_000]);
        let mut out = Vec::new();
        assert!(packed.len() < 1000);
        assert_eq!(inflate(&[&packed], "gzip", 100_000, &mut out).unwrap_err(), BODY_SIZE_LIMIT);
        assert!(out.len() <= 100_000);
        inflate(&[&packed], "gzip", 100_001, &mut out).unwrap();
        assert_eq!(inflate(&[b"abcd"], "", 3, &mut out).unwrap_err(), BODY_SIZE_LIMIT);
    }

    #[test]
    fn zstd_has_the_same_limits() {
        let text = vec![b'x'; 100_000];
        let packed = zstd::encode_all(&text[..], 3).unwrap();
        let mut out = Vec::new();
        inflate(&[&packed[..5], &packed[5..]], "zstd", 0, &mut out).unwrap();
        assert_eq!(out, text);
        assert_eq!(inflate(&[&packed], "zstd", 100_000, &mut out).unwrap_err(), BODY_SIZE_LIMIT);
        assert!(inflate(&[&packed[..packed.len() - 3]], "zstd", 0, &mut out).is_err());
        // A frame that wants a window of 2 GiB.
        let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert!(inflate(&[&greedy], "zstd", 0, &mut out).is_err());
    }

    #[test]
    fn broken_bodies_are_errors() {
        let packed = gzip(b"hello");
        let mut out = Vec::new();
        let mut broken = packed.clone();
        *broken.last_mut().unwrap() ^= 1;
        let cases: [(&[u8], &str); 6] = [
            (&packed[..packed.len() - 6], "unexpected EOF"),
            (&packed[..5], "unexpected EOF"),
            (b"this is plain text", "gzip: invalid header"),
            (b"", "EOF"),
            (&broken, "gzip: invalid checksum"),
            (b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff\xff\xff", "flate: corrupt input"),
        ];
        for (body, expected) in cases {
            assert_eq!(inflate(&[body], "gzip", 0, &mut out).unwrap_err(), expected);
        }
        assert!(inflate(&[b"plain"], "br", 0, &mut out).unwrap_err().contains("br"));
    }
}
