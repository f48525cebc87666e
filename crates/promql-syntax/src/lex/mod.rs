//! From text to tokens. Knows brackets as far as the meaning of characters depends on them, and
//! no grammar beyond.

mod character;
mod literal;
mod quote;
mod token;

pub(crate) use literal::series_number_len;
pub(crate) use quote::{unquote, unquote_bytes};
pub(crate) use token::{Keyword, QueryWord, Token, TokenKind, keyword};

pub(crate) use character::quoted as quoted_char;
use character::quoted;

use model::unicode::is_letter;

use crate::op::BinaryOp;
use crate::span::Span;

/// What the lexer found wrong; nothing follows it.
#[derive(Debug)]
pub(crate) struct LexError;

type Lexed<T> = Result<T, LexError>;

/// Cuts a query into tokens.
pub(crate) struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    /// Where the token being read starts.
    start: usize,
    /// Where the token read last starts.
    last_start: usize,
    paren_depth: usize,
    brace_open: bool,
    bracket_open: bool,
    /// Just behind a `[`, up to the first number.
    in_duration: bool,
    /// A `:` was seen since the `[`.
    got_colon: bool,
    /// A duration was seen since the `[`.
    got_duration: bool,
    unquoted_utf8_names: bool,
    /// What was wrong, once a token of kind `Error` was returned.
    message: String,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str, unquoted_utf8_names: bool) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            last_start: 0,
            paren_depth: 0,
            brace_open: false,
            bracket_open: false,
            in_duration: false,
            got_colon: false,
            got_duration: false,
            unquoted_utf8_names,
            message: String::new(),
        }
    }

    /// What was wrong, after a token of kind [`TokenKind::Error`].
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The next token; comments and white space are skipped. After the end or an error it must
    /// not be called again.
    pub(crate) fn next_token(&mut self) -> Token {
        loop {
            self.skip_spaces();
            let kind = if self.in_duration {
                self.duration_token()
            } else if self.peek() == Some('#') {
                self.skip_comment();
                continue;
            } else if self.brace_open {
                self.braces_token()
            } else {
                self.statement_token()
            };
            // An error stands where the token it interrupts starts.
            let token = match kind {
                Ok(kind) => Token { kind, span: Span::new(self.start, self.pos) },
                Err(LexError) => {
                    Token { kind: TokenKind::Error, span: Span::new(self.start, self.input.len()) }
                }
            };
            self.start = self.pos;
            self.last_start = token.span.start;
            return token;
        }
    }

    /// How far it has read.
    pub(crate) fn position(&self) -> usize {
        self.pos
    }

    /// Goes on at `pos`, a boundary of characters, after an error; what it knows of brackets stays.
    pub(crate) fn resume(&mut self, pos: usize) {
        self.pos = pos;
        self.start = pos;
    }

    #[inline]
    fn peek(&self) -> Option<char> {
        match self.input.as_bytes().get(self.pos) {
            Some(b) if b.is_ascii() => Some(char::from(*b)),
            Some(_) => self.input[self.pos..].chars().next(),
            None => None,
        }
    }

    #[inline]
    fn bump(&mut self) -> Option<char> {
        let c = self.peek();
        self.pos += c.map_or(0, char::len_utf8);
        c
    }

    /// Takes the next character if it is one of `set`.
    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.is(set);
        self.pos += usize::from(found);
        found
    }

    /// Whether the next character is one of `set`.
    fn is(&self, set: &[u8]) -> bool {
        self.input.as_bytes().get(self.pos).is_some_and(|b| set.contains(b))
    }

    fn take_while(&mut self, mut f: impl FnMut(char) -> bool) {
        while let Some(c) = self.peek() {
            if !f(c) {
                break;
            }
            self.pos += c.len_utf8();
        }
    }

    fn error<T>(&mut self, message: String) -> Lexed<T> {
        self.message = message;
        Err(LexError)
    }

    fn skip_spaces(&mut self) {
        while self.is(b" \t\n\r") {
            self.pos += 1;
        }
        self.start = self.pos;
    }

    fn skip_comment(&mut self) {
        self.take_while(|c| c != '\n' && c != '\r');
        self.last_start = self.start;
        self.start = self.pos;
    }

    fn is_name_start(&self, c: char) -> bool {
        c == '_' || c.is_ascii_alphabetic() || (self.unquoted_utf8_names && is_letter(c))
    }

    /// A token outside braces.
    fn statement_token(&mut self) -> Lexed<TokenKind> {
        let Some(c) = self.bump() else {
            return self.end_of_input();
        };
        Ok(match c {
            ',' => TokenKind::Comma,
            '*' => TokenKind::Op(BinaryOp::Mul),
            '/' => TokenKind::Op(BinaryOp::Div),
            '%' => TokenKind::Op(BinaryOp::Mod),
            '+' => TokenKind::Op(BinaryOp::Add),
            '-' => TokenKind::Op(BinaryOp::Sub),
            '^' => TokenKind::Op(BinaryOp::Pow),
            '@' => TokenKind::At,
            '=' | '!' | '<' | '>' => return self.comparison(c),
            '"' | '\'' | '`' => return self.string(c),
            '(' => self.open_paren(),
            ')' => return self.close_paren(),
            '{' => {
                self.brace_open = true;
                TokenKind::LeftBrace
            }
            '[' => return self.open_bracket(),
            ']' if !self.bracket_open => {
                return self.error("unexpected right bracket ']'".to_owned());
            }
            ']' => {
                self.bracket_open = false;
                TokenKind::RightBracket
            }
            _ if c.is_ascii_digit() || (c == '.' && self.is(b"0123456789")) => {
                self.pos = self.start;
                return self.number_or_duration();
            }
            _ if c == ':' || self.is_name_start(c) => {
                if self.bracket_open {
                    return self.word_in_brackets(c);
                }
                self.pos = self.start;
                return Ok(self.keyword_or_identifier());
            }
            _ => return self.error(format!("unexpected character: {}", quoted(Some(c)))),
        })
    }

    fn end_of_input(&mut self) -> Lexed<TokenKind> {
        if self.paren_depth != 0 {
            return self.error("unclosed left parenthesis".to_owned());
        }
        if self.bracket_open {
            return self.error("unclosed left bracket".to_owned());
        }
        Ok(TokenKind::Eof)
    }

    fn open_paren(&mut self) -> TokenKind {
        self.paren_depth += 1;
        TokenKind::LeftParen
    }

    fn close_paren(&mut self) -> Lexed<TokenKind> {
        match self.paren_depth.checked_sub(1) {
            Some(depth) => {
                self.paren_depth = depth;
                Ok(TokenKind::RightParen)
            }
            None => {
                // Prometheus points behind this one.
                self.start = self.pos;
                self.error("unexpected right parenthesis ')'".to_owned())
            }
        }
    }

    fn open_bracket(&mut self) -> Lexed<TokenKind> {
        if self.bracket_open {
            return self.error("unexpected left bracket '['".to_owned());
        }
        self.bracket_open = true;
        self.in_duration = true;
        self.got_colon = false;
        self.got_duration = false;
        Ok(TokenKind::LeftBracket)
    }

    /// What starts with `=`, `!`, `<` or `>`, outside braces.
    fn comparison(&mut self, first: char) -> Lexed<TokenKind> {
        if first == '!' {
            return match self.bump() {
                Some('=') => Ok(TokenKind::Op(BinaryOp::Neq)),
                other => {
                    let other = quoted(other);
                    self.error(format!("unexpected character after '!': {other}"))
                }
            };
        }
        let kind = match (first, self.peek()) {
            ('=', Some('=')) => TokenKind::Op(BinaryOp::Eql),
            ('=', Some('~')) => {
                return self.error("unexpected character after '=': '~'".to_owned());
            }
            ('=', _) => return Ok(TokenKind::Eql),
            ('<', Some('=')) => TokenKind::Op(BinaryOp::Lte),
            ('<', Some('/')) => TokenKind::Op(BinaryOp::TrimUpper),
            ('<', _) => return Ok(TokenKind::Op(BinaryOp::Lss)),
            (_, Some('=')) => TokenKind::Op(BinaryOp::Gte),
            (_, Some('/')) => TokenKind::Op(BinaryOp::TrimLower),
            _ => return Ok(TokenKind::Op(BinaryOp::Gtr)),
        };
        self.pos += 1;
        Ok(kind)
    }

    /// A token within braces, where words are never keywords.
    fn braces_token(&mut self) -> Lexed<TokenKind> {
        let Some(c) = self.bump() else {
            return self.error("unexpected end of input inside braces".to_owned());
        };
        Ok(match c {
            ',' => TokenKind::Comma,
            '"' | '\'' | '`' => return self.string(c),
            '=' if self.accept(b"~") => TokenKind::EqlRegex,
            '=' => TokenKind::Eql,
            '!' => match self.bump() {
                Some('~') => TokenKind::NeqRegex,
                Some('=') => TokenKind::Op(BinaryOp::Neq),
                other => {
                    let other = quoted(other);
                    return self.error(format!("unexpected character after '!' inside braces: {other}"));
                }
            },
            '{' => return self.error("unexpected left brace '{'".to_owned()),
            '}' => {
                self.brace_open = false;
                TokenKind::RightBrace
            }
            _ if self.is_name_start(c) => {
                let extended = self.unquoted_utf8_names;
                self.take_while(|c| is_name_continue(c, extended));
                TokenKind::Identifier
            }
            _ => return self.error(format!("unexpected character inside braces: {}", quoted(Some(c)))),
        })
    }

    /// A token behind a `[`, before the first number.
    fn duration_token(&mut self) -> Lexed<TokenKind> {
        let Some(c) = self.bump() else {
            return self.error("unexpected end of input in duration expression".to_owned());
        };
        Ok(match c {
            ']' => {
                self.bracket_open = false;
                self.in_duration = false;
                self.got_colon = false;
                TokenKind::RightBracket
            }
            ':' => {
                // Prometheus points behind the colon.
                if !self.got_duration {
                    self.start = self.pos;
                    return self.error("unexpected colon before duration in duration expression".to_owned());
                }
                if self.got_colon {
                    self.start = self.pos;
                    return self.error("unexpected repeated colon in duration expression".to_owned());
                }
                self.got_colon = true;
                TokenKind::Colon
            }
            '(' => self.open_paren(),
            ')' => return self.close_paren(),
            '+' => TokenKind::Op(BinaryOp::Add),
            '-' => TokenKind::Op(BinaryOp::Sub),
            '*' => TokenKind::Op(BinaryOp::Mul),
            '/' => TokenKind::Op(BinaryOp::Div),
            '%' => TokenKind::Op(BinaryOp::Mod),
            '^' => TokenKind::Op(BinaryOp::Pow),
            ',' => TokenKind::Comma,
            _ if c.is_ascii_digit() || (c == '.' && self.is(b"0123456789")) => {
                self.pos = self.start;
                self.got_duration = true;
                self.in_duration = false;
                return self.number_or_duration();
            }
            _ => match self.duration_word(c) {
                Some(kind) => {
                    self.got_duration = true;
                    kind
                }
                None => {
                    let c = quoted(Some(c));
                    return self.error(format!("unexpected character in duration expression: {c}"));
                }
            },
        })
    }

    /// A `:` or a word within brackets, behind the first number.
    fn word_in_brackets(&mut self, first: char) -> Lexed<TokenKind> {
        if first == ':' {
            if self.got_colon {
                return self.error("unexpected colon ':'".to_owned());
            }
            self.got_colon = true;
            return Ok(TokenKind::Colon);
        }
        match self.duration_word(first) {
            Some(kind) => Ok(kind),
            None => {
                let first = quoted(Some(first));
                self.error(format!("unexpected character: {first}, expected ':'"))
            }
        }
    }

    /// One of the words that duration expressions know, whose first letter was read.
    fn duration_word(&mut self, first: char) -> Option<TokenKind> {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.take_while(|c| c == '_' || c.is_ascii_alphabetic());
        match keyword(&self.input[self.start..self.pos]) {
            Some(
                kind @ TokenKind::Query(
                    QueryWord::Step | QueryWord::Range | QueryWord::MinOf | QueryWord::MaxOf,
                ),
            ) => Some(kind),
            _ => None,
        }
    }

    fn keyword_or_identifier(&mut self) -> TokenKind {
        let extended = self.unquoted_utf8_names;
        let mut colon = false;
        self.take_while(|c| {
            colon |= c == ':';
            c == ':' || is_name_continue(c, extended)
        });
        if colon {
            return TokenKind::MetricIdentifier;
        }
        match keyword(&self.input[self.start..self.pos]) {
            // Metrics of these names are older than the modifiers.
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.is_followed_by_paren() =>
            {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None => TokenKind::Identifier,
        }
    }

    fn is_followed_by_paren(&self) -> bool {
        self.input[self.pos..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(')
    }

    /// Where the closing parenthesis before the one just read ends, if nothing but space is
    /// between them; `fallback` otherwise.
    pub(crate) fn previous_right_paren(&self, fallback: usize) -> usize {
        let bytes = self.input.as_bytes();
        if self.last_start == 0 || bytes.get(self.last_start) != Some(&b')') {
            return fallback;
        }
        let before = bytes[..self.last_start].trim_ascii_end();
        if before.last() == Some(&b')') { before.len() } else { fallback }
    }
}

/// Whether `c` may stand in a name behind its first character.
pub(crate) fn is_name_continue(c: char, unquoted_utf8_names: bool) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || (unquoted_utf8_names && (c == '.' || is_letter(c)))
}

/// Whether `name` needs no quotes as a label name.
pub(crate) fn is_bare_label_name(name: &str, unquoted_utf8_names: bool) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic() || (unquoted_utf8_names && is_letter(c)))
        && chars.all(|c| is_name_continue(c, unquoted_utf8_names))
}
