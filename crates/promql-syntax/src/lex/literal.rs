//! Numbers and durations: which characters belong to them. Their values are the parser's.

use model::float::go_quoted;

use super::{Lexed, Lexer, TokenKind};

const DECIMAL: &[u8] = b"0123456789";
const HEXADECIMAL: &[u8] = b"0123456789abcdefABCDEF";

/// The length of the number at the start of `text`, in the notation of series.
///
/// # Errors
/// How much of it looked like a number that is none.
pub(crate) fn series_number_len(text: &str) -> Result<usize, usize> {
    let mut lexer = Lexer::new(text, false);
    if lexer.number(true) { Ok(lexer.pos) } else { Err(lexer.pos) }
}

impl Lexer<'_> {
    /// A number or a duration, none of whose characters was read.
    pub(super) fn number_or_duration(&mut self) -> Lexed<TokenKind> {
        if self.number(false) {
            return Ok(TokenKind::Number);
        }
        if self.rest_of_duration() {
            return Ok(TokenKind::Duration);
        }
        let text = go_quoted(&self.input.as_bytes()[self.start..self.pos]);
        self.error(format!("bad number or duration syntax: {text}"))
    }

    /// Reads the characters of a number as far as they fit; false if something else follows that
    /// cannot stand behind a number. In the notation of series `x` repeats and makes nothing
    /// hexadecimal.
    fn number(&mut self, in_series: bool) -> bool {
        let begin = self.pos;
        let mut digits = DECIMAL;
        if !in_series && self.accept(b"0") && self.accept(b"xX") {
            self.accept(b"_");
            digits = HEXADECIMAL;
        }
        self.accept(b".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        loop {
            if self.is(b".") {
                self.pos += 1;
                if dot {
                    return false;
                }
                dot = true;
                if self.accept(b"_.") || digits == HEXADECIMAL {
                    return false;
                }
            } else if self.is(b"eE") {
                self.pos += 1;
                if exponent {
                    return false;
                }
                exponent = true;
                self.accept(b"+-");
                if self.accept(b"._eE") || self.peek().is_none() {
                    return false;
                }
            } else if self.accept(b"_") {
                if self.accept(b"._eE") || self.peek().is_none() {
                    return false;
                }
            } else if self.is(digits) {
                while self.accept(digits) {}
            } else {
                break;
            }
        }
        self.pos > begin && ((in_series && self.is(b"x")) || !self.is_alphanumeric_next())
    }

    fn is_alphanumeric_next(&self) -> bool {
        self.peek().is_some_and(|c| c == '_' || c.is_ascii_alphanumeric())
    }

    /// Reads on behind the digits that start a duration.
    fn rest_of_duration(&mut self) -> bool {
        if !self.accept(b"smhdwy") {
            return false;
        }
        // For `ms`; what makes no sense here is refused when the duration is parsed.
        self.accept(b"s");
        while self.accept(DECIMAL) {
            while self.accept(DECIMAL) {}
            if !self.accept(b"smhdw") {
                return false;
            }
            self.accept(b"s");
        }
        if self.is_alphanumeric_next() {
            self.pos += 1;
            return false;
        }
        true
    }
}
