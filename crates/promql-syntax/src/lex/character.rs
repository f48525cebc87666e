//! Characters: which are letters, and how messages show them.

use std::sync::OnceLock;

use model::float::{go_quoted, is_print};
use regex_syntax::hir::{Class, HirKind};

/// Whether `c` is a letter beyond ASCII (Go's `unicode.IsLetter`: categories Lu, Ll, Lt, Lm, Lo).
pub(super) fn is_unicode_letter(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    static RANGES: OnceLock<Vec<(char, char)>> = OnceLock::new();
    let ranges = RANGES.get_or_init(|| {
        let hir = regex_syntax::parse(r"\pL").expect("a constant class, covered by a test");
        match hir.kind() {
            HirKind::Class(Class::Unicode(c)) => c.iter().map(|r| (r.start(), r.end())).collect(),
            _ => Vec::new(),
        }
    });
    let after = ranges.partition_point(|(start, _)| *start <= c);
    after > 0 && c <= ranges[after - 1].1
}

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
    fn tells_letters() {
        for c in ['ä', 'ſ', '中', 'ʰ', '\u{212a}'] {
            assert!(is_unicode_letter(c), "{c}");
        }
        for c in ['a', '.', '١', '\u{301}', 'Ⅷ', '€'] {
            assert!(!is_unicode_letter(c), "{c}");
        }
    }

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
