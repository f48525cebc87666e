//! The characters of series values: what belongs to one number or word.

use model::float::go_quoted;

use super::{Parsed, Wrong};
use crate::lex::{Token, TokenKind, is_name_continue, keyword, quoted_char, series_number_len};
use crate::span::Span;

const SPACES: [char; 4] = [' ', '\t', '\n', '\r'];

/// A part of the input and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) span: Span,
}

/// Reads the values of a series.
pub(super) struct Scanner<'a> {
    input: &'a str,
    pos: usize,
    unquoted_utf8_names: bool,
}

impl<'a> Scanner<'a> {
    /// Reads `input` from `pos` on.
    pub(super) fn new(input: &'a str, pos: usize, unquoted_utf8_names: bool) -> Self {
        Self { input, pos, unquoted_utf8_names }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.pos == self.input.len()
    }

    /// The place of the next `len` bytes.
    pub(super) fn span(&self, len: usize) -> Span {
        Span::new(self.pos, (self.pos + len).min(self.input.len()))
    }

    /// What is wrong here.
    pub(super) fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong { span: Span::new(self.pos, self.input.len()), message: message.into() }
    }

    pub(super) fn starts_with_space(&self) -> bool {
        self.rest().starts_with(SPACES)
    }

    /// Whether an item comes next, well-formed or not.
    pub(super) fn starts_item(&self) -> bool {
        match self.rest().as_bytes() {
            [b'{', b'{', ..] | [b'+' | b'-' | b'_' | b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => true,
            [b'x', ..] => false,
            [b, ..] => b.is_ascii_alphabetic(),
            [] => false,
        }
    }

    /// Skips white space; whether there was any.
    pub(super) fn skip_spaces(&mut self) -> bool {
        self.take_while(|c| SPACES.contains(&c)).is_some()
    }

    /// Skips `token` if it comes next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.pos += if found { token.len() } else { 0 };
        found
    }

    /// Skips a sign; whether it was a minus.
    pub(super) fn take_sign(&mut self) -> Option<bool> {
        if self.take("-") {
            Some(true)
        } else if self.take("+") {
            Some(false)
        } else {
            None
        }
    }

    /// The longest run of characters that `f` accepts, unless empty.
    pub(super) fn take_while(&mut self, f: impl Fn(char) -> bool) -> Option<Text<'a>> {
        let rest = self.rest();
        let len = rest.find(|c| !f(c)).unwrap_or(rest.len());
        (len > 0).then(|| self.text(len))
    }

    fn text(&mut self, len: usize) -> Text<'a> {
        let text = Text { text: &self.rest()[..len], span: self.span(len) };
        self.pos += len;
        text
    }

    /// A word, unless it is the `x` of a repetition or the `_` of a gap.
    pub(super) fn word(&mut self) -> Option<Text<'a>> {
        match self.rest().as_bytes().first() {
            Some(b) if b.is_ascii_alphabetic() && *b != b'x' => {
                let extended = self.unquoted_utf8_names;
                self.take_while(|c| c == ':' || is_name_continue(c, extended))
            }
            _ => None,
        }
    }

    /// A decimal number without a sign.
    pub(super) fn number(&mut self) -> Parsed<Option<Text<'a>>> {
        let starts = match self.rest().as_bytes() {
            [b'.', b, ..] | [b, ..] => b.is_ascii_digit(),
            [] => false,
        };
        if !starts {
            return Ok(None);
        }
        match series_number_len(self.rest()) {
            Ok(len) => Ok(Some(self.text(len))),
            Err(len) => {
                let text = go_quoted(&self.rest().as_bytes()[..len]);
                Err(self.wrong(format!("bad number syntax: {text}")))
            }
        }
    }

    /// The next thing, whatever it is.
    pub(super) fn any(&mut self) -> Parsed<Text<'a>> {
        if let Some(text) = self.word() {
            return Ok(text);
        }
        if let Some(text) = self.number()? {
            return Ok(text);
        }
        if let Some(text) = self.take_while(|c| SPACES.contains(&c)) {
            return Ok(Text { text: &text.text[..1], ..text });
        }
        for token in ["{{", "+", "-", "x", "_"] {
            if self.rest().starts_with(token) {
                return Ok(self.text(token.len()));
            }
        }
        match self.rest().chars().next() {
            None => Ok(self.text(0)),
            c => Err(self.wrong(format!("unexpected character in series sequence: {}", quoted_char(c)))),
        }
    }
}

/// Whether a word stands for a number.
pub(super) fn is_special_number(word: &str) -> bool {
    word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan")
}

/// As "unexpected …" names it.
pub(super) fn describe(text: &str) -> String {
    let kind = match text.as_bytes().first() {
        None => TokenKind::Eof,
        Some(b'+') => TokenKind::Op(crate::op::BinaryOp::Add),
        Some(b'-') => TokenKind::Op(crate::op::BinaryOp::Sub),
        Some(b'.' | b'0'..=b'9') => TokenKind::Number,
        Some(b) if b.is_ascii_alphabetic() && text != "x" => match keyword(text) {
            Some(kind) => kind,
            None if text.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        },
        // Punctuation is named by its text alone.
        Some(_) => TokenKind::Comma,
    };
    Token { kind, span: Span::new(0, text.len()) }.describe(text)
}
