//! Streams of gzip, inflated under a limit; what is wrong with them is told in the words of Go's packages `gzip` and `flate`.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::pieces::Pieces;

/// Puts what `pieces` inflate to into `out`, which is empty: `limit` bytes at most, and no error because of those that
/// would follow.
///
/// # Errors
/// What is wrong with the stream.
pub(crate) fn inflate(pieces: &[&[u8]], limit: u64, out: &mut Vec<u8>) -> Result<(), String> {
    #[cfg(not(target_family = "wasm"))]
    if crate::gunzip::gunzip(pieces, limit, out) {
        return Ok(());
    }
    let read = MultiGzDecoder::new(Pieces::new(pieces)).take(limit).read_to_end(out);
    read.map(drop).map_err(|e| gzip_error(&e, pieces.iter().all(|p| p.is_empty())))
}

/// The words for an error of a decoder; `is_empty` where there was no byte to decode.
fn gzip_error(e: &std::io::Error, is_empty: bool) -> String {
    let told = e.to_string();
    if is_empty {
        "EOF".to_owned()
    } else if e.kind() == std::io::ErrorKind::UnexpectedEof || told.contains("incomplete") {
        "unexpected EOF".to_owned()
    } else if told.contains("header") {
        "gzip: invalid header".to_owned()
    } else if told.contains("checksum") {
        "gzip: invalid checksum".to_owned()
    } else {
        "flate: corrupt input".to_owned()
    }
}

/// A stream of `text`, for tests.
#[cfg(test)]
pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;

    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    e.write_all(text).unwrap();
    e.finish().unwrap()
}
