//! Bodies come compressed; here they are inflated, under a limit.

use std::io::{BufRead, Read};

use flate2::bufread::MultiGzDecoder;

/// The largest body that is ever taken in, whatever the configuration says.
pub const SCRAPE_BODY_BYTES_MAX: u64 = 1 << 30;

/// The text of a scrape whose body is larger than `body_size_limit`.
pub(super) const BODY_SIZE_LIMIT: &str = "body size limit exceeded";

/// Puts the inflated body into `out`, replacing what was there.
///
/// # Errors
/// An unknown encoding, broken compression, or a body of more than `limit` bytes (0: none of the
/// configuration's own), as a sentence for `lastError`.
pub(super) fn inflate(pieces: &[&[u8]], encoding: &str, limit: u64, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    let limit = if limit == 0 { SCRAPE_BODY_BYTES_MAX } else { limit.min(SCRAPE_BODY_BYTES_MAX) };
    match encoding {
        "" | "identity" => {
            if pieces.iter().map(|p| p.len() as u64).sum::<u64>() > limit {
                return Err(BODY_SIZE_LIMIT.to_owned());
            }
            pieces.iter().for_each(|p| out.extend_from_slice(p));
            Ok(())
        }
        "gzip" => {
            let mut gz = MultiGzDecoder::new(Pieces { pieces, at: 0 }).take(limit + 1);
            gz.read_to_end(out).map_err(|e| format!("gzip: {e}"))?;
            if out.len() as u64 > limit { Err(BODY_SIZE_LIMIT.to_owned()) } else { Ok(()) }
        }
        other => Err(format!("unsupported content encoding {other:?}")),
    }
}

/// Reads several buffers as one.
struct Pieces<'a, 'b> {
    pieces: &'a [&'b [u8]],
    /// Bytes of the first piece that are read.
    at: usize,
}

impl Read for Pieces<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Pieces<'_, '_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while let [first, rest @ ..] = self.pieces {
            if self.at < first.len() {
                return Ok(&first[self.at..]);
            }
            (self.pieces, self.at) = (rest, 0);
        }
        Ok(&[])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut e = GzEncoder::new(Vec::new(), Compression::default());
        e.write_all(text).unwrap();
        e.finish().unwrap()
    }

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
        inflate(&[b"ab", b"", b"c"], "", 3, &mut out).unwrap();
        assert_eq!(out, b"abc");
    }

    #[test]
    fn limits_count_inflated_bytes() {
        let packed = gzip(&[b'x'; 100_000]);
        let mut out = Vec::new();
        assert!(packed.len() < 1000);
        assert_eq!(inflate(&[&packed], "gzip", 99_999, &mut out).unwrap_err(), BODY_SIZE_LIMIT);
        assert!(out.len() <= 100_000);
        inflate(&[&packed], "gzip", 100_000, &mut out).unwrap();
        assert_eq!(inflate(&[b"abcd"], "", 3, &mut out).unwrap_err(), BODY_SIZE_LIMIT);
    }

    #[test]
    fn broken_bodies_are_errors() {
        let packed = gzip(b"hello");
        let mut out = Vec::new();
        assert!(inflate(&[&packed[..packed.len() - 6]], "gzip", 0, &mut out).is_err());
        assert!(inflate(&[b"plain"], "gzip", 0, &mut out).is_err());
        assert!(inflate(&[b"plain"], "br", 0, &mut out).unwrap_err().contains("br"));
    }
}
