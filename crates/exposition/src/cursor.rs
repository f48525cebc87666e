//! A place in a body and what the two lexers share: characters, tokens, states, quoted strings.

/// What a lexer may expect next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Init,
    Comment,
    Meta1,
    Meta2,
    Labels,
    LabelValue,
    Value,
    Timestamp,
    Exemplar,
    ExemplarValue,
    ExemplarTimestamp,
}

/// What a lexer found, named in errors as Prometheus names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Whitespace,
    Help,
    Type,
    Unit,
    EofWord,
    Text,
    Comment,
    MetricName,
    QuotedString,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

impl Token {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Eof => "EOF",
            Self::Linebreak => "LINEBREAK",
            Self::Whitespace => "WHITESPACE",
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
            Self::EofWord => "EOFWORD",
            Self::Text => "TEXT",
            Self::Comment => "COMMENT",
            Self::MetricName => "MNAME",
            Self::QuotedString => "QSTRING",
            Self::BraceOpen => "BOPEN",
            Self::BraceClose => "BCLOSE",
            Self::LabelName => "LNAME",
            Self::LabelValue => "LVALUE",
            Self::Comma => "COMMA",
            Self::Equal => "EQUAL",
            Self::Timestamp => "TIMESTAMP",
            Self::Value => "VALUE",
        }
    }
}

/// A body, a position in it, and the token last read: `start..at`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    body: &'a [u8],
    /// The body's length, counting the line break that the text format supplies where it is missing.
    len: usize,
    pub(crate) at: usize,
    pub(crate) start: usize,
    pub(crate) state: State,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8], ensure_newline: bool) -> Self {
        let missing = ensure_newline && body.last() != Some(&b'\n');
        Self { body, len: body.len() + usize::from(missing), at: 0, start: 0, state: State::Init }
    }

    /// The body as it was given.
    pub(crate) fn body(&self) -> &'a [u8] {
        self.body
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.len
    }

    /// The character at the position; NUL behind the end.
    pub(crate) fn peek(&self) -> u8 {
        match self.body.get(self.at) {
            Some(b) => *b,
            None if self.at < self.len => b'\n',
            None => 0,
        }
    }

    /// Moves on by one character and returns the one there. NULs within label values, help texts
    /// and comments are passed over.
    pub(crate) fn bump(&mut self) -> u8 {
        self.at += 1;
        if self.at >= self.len {
            self.at = self.len;
            return 0;
        }
        if matches!(self.state, State::LabelValue | State::Meta2 | State::Comment) {
            while self.at < self.len && self.peek() == 0 {
                self.at += 1;
            }
        }
        self.peek()
    }

    pub(crate) fn bump_while(&mut self, class: impl Fn(u8) -> bool) {
        while class(self.bump()) {}
    }

    /// Ends a token of one character.
    pub(crate) fn single(&mut self, token: Token, next: State) -> Token {
        self.bump();
        self.state = next;
        token
    }

    /// Reads the rest of a string whose opening quote is at the position.
    pub(crate) fn quoted(&mut self, token: Token, next: State, newlines: bool) -> Token {
        loop {
            match self.bump() {
                0 => return Token::Invalid,
                b'\n' if !newlines => return Token::Invalid,
                b'"' => return self.single(token, next),
                b'\\' if matches!(self.bump(), 0 | b'\n') => return Token::Invalid,
                _ => {}
            }
        }
    }

    /// Reads `word`, whose first character is at the position; stops at the first that differs.
    pub(crate) fn word(&mut self, word: &[u8]) -> bool {
        word[1..].iter().all(|b| self.bump() == *b)
    }

    /// The bytes of the token, without the supplied line break.
    pub(crate) fn token(&self) -> &'a [u8] {
        self.slice(self.start, self.at)
    }

    /// Bytes `from..to`, without the supplied line break.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        let to = to.min(self.body.len());
        &self.body[from.min(to)..to]
    }

    /// Bytes `from..to` quoted for an error, with the supplied line break; clamped to the body.
    pub(crate) fn quote(&self, from: usize, to: usize) -> String {
        let mut bytes = self.slice(from, to).to_vec();
        if to.min(self.len) > self.body.len() && from <= self.body.len() {
            bytes.push(b'\n');
        }
        model::float::go_quoted(&bytes)
    }

    /// The 1-based number of the line that holds `at`.
    pub(crate) fn line(&self, at: usize) -> u64 {
        1 + memchr::memchr_iter(b'\n', self.slice(0, at)).count() as u64
    }
}

pub(crate) fn is_metric_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b == b':'
}

pub(crate) fn is_metric_char(b: u8) -> bool {
    is_metric_start(b) || b.is_ascii_digit()
}

pub(crate) fn is_label_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

pub(crate) fn is_label_char(b: u8) -> bool {
    is_label_start(b) || b.is_ascii_digit()
}
