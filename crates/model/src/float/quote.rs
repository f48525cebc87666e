//! Strings quoted as Go's `strconv.Quote` does it.

use std::fmt;

use crate::unicode::is_print;

const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";

/// The escape of `c` within double quotes; `None` where it stands for itself.
fn escape(c: char, buf: &mut [u8; 10]) -> Option<usize> {
    let short = match c {
        '"' | '\\' => Some(c as u8),
        '\x07' => Some(b'a'),
        '\x08' => Some(b'b'),
        '\x0c' => Some(b'f'),
        '\n' => Some(b'n'),
        '\r' => Some(b'r'),
        '\t' => Some(b't'),
        '\x0b' => Some(b'v'),
        _ => None,
    };
    buf[0] = b'\\';
    if let Some(s) = short {
        buf[1] = s;
        return Some(2);
    }
    if is_print(c) {
        return None;
    }
    let n = u32::from(c);
    let (letter, digits) = match n {
        0..0x20 | 0x7f => (b'x', 2),
        0..0x10000 => (b'u', 4),
        _ => (b'U', 8),
    };
    buf[1] = letter;
    for i in 0..digits {
        buf[2 + i] = LOWER_HEX[(n >> (4 * (digits - 1 - i)) & 0xf) as usize];
    }
    Some(2 + digits)
}

/// Writes `s` quoted as Go's `strconv.Quote` does.
///
/// # Errors
/// Those of the writer.
pub fn write_go_quoted(f: &mut dyn fmt::Write, s: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut buf = [0; 10];
    let mut plain = 0;
    for (i, c) in s.char_indices() {
        if let Some(n) = escape(c, &mut buf) {
            f.write_str(&s[plain..i])?;
            f.write_str(std::str::from_utf8(&buf[..n]).expect("escapes are ASCII"))?;
            plain = i + c.len_utf8();
        }
    }
    f.write_str(&s[plain..])?;
    f.write_char('"')
}

/// Appends `s` quoted as Go's `strconv.Quote` does; bytes that are not UTF-8 become `\x..`.
pub fn append_go_quoted(out: &mut Vec<u8>, s: &[u8]) {
    out.push(b'"');
    let mut buf = [0; 10];
    for chunk in s.utf8_chunks() {
        for c in chunk.valid().chars() {
            match escape(c, &mut buf) {
                Some(n) => out.extend_from_slice(&buf[..n]),
                None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for b in chunk.invalid() {
            out.extend_from_slice(b"\\x");
            out.push(LOWER_HEX[usize::from(b >> 4)]);
            out.push(LOWER_HEX[usize::from(b & 0xf)]);
        }
    }
    out.push(b'"');
}

/// [`append_go_quoted`] as a string, for messages.
#[must_use]
pub fn go_quoted(s: &[u8]) -> String {
    let mut out = Vec::with_capacity(s.len() + 2);
    append_go_quoted(&mut out, s);
    String::from_utf8(out).expect("quoted text is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        let cases: &[(&[u8], &str)] = &[
            (b"", r#""""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"\x07\x08\x0c\n\r\t\x0b\0\x7f", r#""\a\b\f\n\r\t\v\x00\x7f""#),
            ("é 日本".as_bytes(), r#""é 日本""#),
            (
                "\u{a0}\u{200b}\u{e000}\u{fffd}\u{10ffff}".as_bytes(),
                "\"\\u00a0\\u200b\\ue000\u{fffd}\\U0010ffff\"",
            ),
            (b"a\xff\xe4\xb8z", r#""a\xff\xe4\xb8z""#),
        ];
        for (input, want) in cases {
            assert_eq!(go_quoted(input), *want);
            if let Ok(s) = std::str::from_utf8(input) {
                let mut out = String::new();
                write_go_quoted(&mut out, s).unwrap();
                assert_eq!(out, *want);
            }
        }
    }

    #[test]
    fn knows_unicode_15_as_go_does() {
        // U+1FAE8 came with 15.0, U+1FAE9 with 16.0.
        assert!(is_print('\u{1FAE8}'));
        assert!(!is_print('\u{1FAE9}'));
    }
}
