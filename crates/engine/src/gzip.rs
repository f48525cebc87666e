//! What is wrong with a gzip stream, in the words of Go's packages `gzip` and `flate`.

/// The words for an error of a decoder; `is_empty` where there was no byte to decode.
pub(crate) fn gzip_error(e: &std::io::Error, is_empty: bool) -> String {
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
