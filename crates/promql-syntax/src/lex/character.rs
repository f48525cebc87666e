//! How messages show characters.

use model::float::go_quoted;
use model::unicode::is_print;

/// `c` between single quotes, as Go's `%q` prints it; the end of the input as U+FFFD.
pub(crate) fn quoted(c: Option<char>) -> String {
    match c.unwrap_or(char::REPLACEMENT_CHARACTER) {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let s = go_quoted(c.encode_utf8(&mut [0; 4]).as_bytes());
            format!("'{}'", &s[1..s.len() - 1])
        }
    }
}

/// `c` as Go's `%#U` prints it: `U+0071 'q'`, the character only where it is printable.
pub(super) fn unicode_notation(c: char) -> String {
    let code = u32::from(c);
    if is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_characters_as_go_does() {
        assert_eq!(quoted(Some('\n')), r"'\n'");
        assert_eq!(quoted(Some('\'')), r"'\''");
        assert_eq!(quoted(Some('"')), "'\"'");
        assert_eq!(quoted(Some('\u{a0}')), r"'\u00a0'");
        assert_eq!(quoted(None), "'\u{fffd}'");
        assert_eq!(unicode_notation('q'), "U+0071 'q'");
        assert_eq!(unicode_notation('\u{7}'), "U+0007");
    }
}
