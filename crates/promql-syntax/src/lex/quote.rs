//! Strings: escapes are checked when read, and replaced by [`unquote`].

use std::borrow::Cow;

use super::character::unicode_notation;
use super::{Lexed, Lexer, TokenKind};

impl Lexer<'_> {
    /// A string whose opening `quote` was read.
    pub(super) fn string(&mut self, quote: char) -> Lexed<TokenKind> {
        let raw = quote == '`';
        loop {
            match self.bump() {
                Some('\\') if !raw => self.escape(quote)?,
                Some(char::REPLACEMENT_CHARACTER) => return self.error("invalid UTF-8 rune".to_owned()),
                None if raw => return self.error("unterminated raw string".to_owned()),
                None => return self.error("unterminated quoted string".to_owned()),
                Some('\n') if !raw => return self.error("unterminated quoted string".to_owned()),
                Some(c) if c == quote => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// An escape sequence whose backslash was read.
    fn escape(&mut self, quote: char) -> Lexed<()> {
        let Some(c) = self.bump() else {
            return self.error("escape sequence not terminated".to_owned());
        };
        let (digits, radix, max) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            _ if c == quote => return Ok(()),
            '0'..='7' => {
                self.pos -= 1;
                (3, 8, 255)
            }
            'x' => (2, 16, 255),
            'u' => (4, 16, u32::from(char::MAX)),
            'U' => (8, 16, u32::from(char::MAX)),
            _ => return self.error(format!("unknown escape sequence {}", unicode_notation(c))),
        };
        let mut value = 0u32;
        for _ in 0..digits {
            match self.bump() {
                None => return self.error("escape sequence not terminated".to_owned()),
                Some(c) => match c.to_digit(radix) {
                    // At most eight hexadecimal digits: 32 bits.
                    Some(d) => value = value * radix + d,
                    None => {
                        let c = unicode_notation(c);
                        return self.error(format!("illegal character {c} in escape sequence"));
                    }
                },
            }
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return self.error("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}

/// The text of a string token. Byte escapes that yield no valid UTF-8 become U+FFFD.
pub(crate) fn unquote(token: &str) -> Cow<'_, str> {
    match unquote_bytes(token) {
        // Without escapes it is a part of the token.
        Cow::Borrowed(b) => Cow::Borrowed(token.get(1..=b.len()).unwrap_or_default()),
        Cow::Owned(b) => Cow::Owned(match String::from_utf8(b) {
            Ok(s) => s,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        }),
    }
}

/// The bytes of a string token.
pub(crate) fn unquote_bytes(token: &str) -> Cow<'_, [u8]> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    if token.starts_with('`') || !inner.contains('\\') {
        return Cow::Borrowed(inner.as_bytes());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else { break };
        rest = &rest[c.len_utf8()..];
        let code = |digits: &str, radix| u32::from_str_radix(digits, radix).unwrap_or_default();
        match c {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            '0'..='7' => {
                let (digits, tail) = rest.split_at(2.min(rest.len()));
                let first = c.to_digit(8).unwrap_or_default();
                out.push((first << 6 | code(digits, 8)) as u8);
                rest = tail;
            }
            'x' => {
                let (digits, tail) = rest.split_at(2.min(rest.len()));
                out.push(code(digits, 16) as u8);
                rest = tail;
            }
            'u' | 'U' => {
                let (digits, tail) = rest.split_at((if c == 'u' { 4 } else { 8 }).min(rest.len()));
                let c = char::from_u32(code(digits, 16)).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail;
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Cow::Owned(out)
}
