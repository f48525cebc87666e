//! Finished bytes for a client.

use std::convert::Infallible;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Answers shorter than this are not worth compressing.
const COMPRESSED_BYTES_MIN: usize = 1400;

/// Bytes that are compressed at a time.
const COMPRESSED_AT_ONCE: usize = 256 << 10;

/// Bytes for a client, perhaps compressed.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The bytes in order, in pieces of any length but 0.
    pub pieces: Vec<Vec<u8>>,
    /// `""` or `"gzip"`.
    pub encoding: &'static str,
}

impl Body {
    /// The bytes, compressed where the client's Accept-Encoding allows and it pays.
    #[must_use]
    pub fn new(bytes: Vec<u8>, accept_encoding: &str) -> Self {
        match Self::new_while(vec![bytes], accept_encoding, &|| Ok::<_, Infallible>(())) {
            Ok(body) => body,
            Err(never) => match never {},
        }
    }

    /// As [`Self::new`], unless `go_on` says otherwise: it is asked every few milliseconds.
    ///
    /// # Errors
    /// Those of `go_on`.
    pub(crate) fn new_while<E>(
        pieces: Vec<Vec<u8>>,
        accept_encoding: &str,
        go_on: &dyn Fn() -> Result<(), E>,
    ) -> Result<Self, E> {
        let plain = Self { pieces, encoding: "" };
        if plain.len() < COMPRESSED_BYTES_MIN || !accepts_gzip(accept_encoding) {
            return Ok(plain);
        }
        let mut gz = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        for part in plain.pieces.iter().flat_map(|piece| piece.chunks(COMPRESSED_AT_ONCE)) {
            go_on()?;
            if gz.write_all(part).is_err() {
                return Ok(plain);
            }
        }
        Ok(match gz.finish() {
            Ok(packed) => Self { pieces: vec![packed], encoding: "gzip" },
            Err(_) => plain,
        })
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Vec::is_empty)
    }
}

/// RFC 9110 §12.5.3, for gzip alone.
fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|part| {
        let (coding, params) = part.split_once(';').unwrap_or((part, ""));
        let refused = params.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0));
        matches!(coding.trim(), "gzip" | "*") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_only_where_accepted() {
        for (header, expected) in [
            ("", ""),
            ("gzip", "gzip"),
            ("gzip, deflate, br", "gzip"),
            ("br;q=1.0, gzip;q=0.8", "gzip"),
            ("gzip;q=0", ""),
            ("identity", ""),
        ] {
            assert_eq!(Body::new(vec![b'x'; 5000], header).encoding, expected, "{header}");
        }
        assert_eq!(Body::new(vec![b'x'; 10], "gzip").encoding, "");
    }
}
