//! The tokens of a text that may be broken: behind what the lexer refuses it goes on.

use crate::lex::{Lexer, TokenKind};
use crate::span::Span;

/// A token, or what stands in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// `Error` where no token was recognised; a string or number may be wrong within.
    pub(super) kind: TokenKind,
    pub(super) span: Span,
    /// A string that has its closing quote; true of all others.
    pub(super) closed: bool,
    /// Whether the lexer takes it as it is.
    pub(super) valid: bool,
}

/// The pieces of `text` without the end; each is at least a byte long, and none overlap.
pub(super) fn pieces(text: &str, unquoted_utf8_names: bool) -> Vec<Piece> {
    let mut lexer = Lexer::new(text, unquoted_utf8_names);
    let mut pieces = Vec::new();
    loop {
        let before = lexer.position();
        let token = lexer.next_token();
        match token.kind {
            TokenKind::Eof => return pieces,
            // Some errors point behind what is wrong, that of an end too early behind the text.
            TokenKind::Error if token.span.start >= lexer.position() => {
                if lexer.position() == before {
                    return pieces;
                }
                lexer.resume(lexer.position());
            }
            TokenKind::Error => {
                let piece = broken_piece(text, token.span.start, lexer.position());
                lexer.resume(piece.span.end);
                pieces.push(piece);
            }
            kind => pieces.push(Piece { kind, span: token.span, closed: true, valid: true }),
        }
    }
}

/// What stands at `start`, where the lexer gave up at `stop`.
fn broken_piece(text: &str, start: usize, stop: usize) -> Piece {
    let rest = &text[start..];
    let first = rest.chars().next().unwrap_or_default();
    let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    match first {
        '"' | '\'' | '`' => {
            let (len, closed) = string_len(rest, first);
            Piece { kind: TokenKind::String, span: Span::new(start, start + len), closed, valid: false }
        }
        '0'..='9' | '.' => {
            let len = rest.find(|c| !word(c) && c != '.').unwrap_or(rest.len());
            Piece { kind: TokenKind::Number, span: Span::new(start, start + len), closed: true, valid: false }
        }
        _ if word(first) => {
            let len = rest.find(|c| !word(c)).unwrap_or(rest.len());
            Piece {
                kind: TokenKind::Identifier,
                span: Span::new(start, start + len),
                closed: true,
                valid: false,
            }
        }
        _ => {
            // Of a name that may not stand there the lexer has read all.
            let len = first.len_utf8().max(if first.is_ascii() { 1 } else { stop.saturating_sub(start) });
            let end = (start + len).min(text.len());
            Piece { kind: TokenKind::Error, span: Span::new(start, end), closed: true, valid: false }
        }
    }
}

/// How long the string at the start of `rest` is, and whether it is closed: whatever its escapes are,
/// it ends with its quote; without one, with the line, or the text where it is raw.
fn string_len(rest: &str, quote: char) -> (usize, bool) {
    let bytes = rest.as_bytes();
    let mut i = 1;
    while let Some(b) = bytes.get(i) {
        match b {
            b'\\' if quote != '`' => i += 1,
            b'\n' if quote != '`' => return (i, false),
            b if char::from(*b) == quote => return (i + 1, true),
            _ => {}
        }
        i += 1;
    }
    (rest.len(), false)
}

impl Piece {
    /// A word or number, to which the character behind it may belong.
    pub(super) fn is_word(&self) -> bool {
        match self.kind {
            TokenKind::Op(op) => op.as_str().starts_with(|c: char| c.is_ascii_alphabetic()),
            TokenKind::Identifier
            | TokenKind::MetricIdentifier
            | TokenKind::Number
            | TokenKind::Duration
            | TokenKind::Aggregate(_)
            | TokenKind::Keyword(_)
            | TokenKind::Query(_) => true,
            _ => false,
        }
    }

    /// An operator of symbols, or what may become one.
    pub(super) fn is_symbol(&self) -> bool {
        match self.kind {
            TokenKind::Op(_) => !self.is_word(),
            TokenKind::Eql | TokenKind::EqlRegex | TokenKind::NeqRegex | TokenKind::Error => true,
            _ => false,
        }
    }
}

/// How many pieces the cursor stands behind and does not touch.
pub(super) fn pieces_before(pieces: &[Piece], cursor: usize) -> usize {
    pieces.partition_point(|p| {
        let touches = p.is_word() || p.is_symbol() || !p.closed;
        p.span.end < cursor || (p.span.end == cursor && !touches)
    })
}
