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
