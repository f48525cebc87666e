//! The lexer of OpenMetrics 1.0: Prometheus' `openmetricslex.l`, state by state.

use crate::cursor::{Cursor, State, Token, is_label_char, is_label_start, is_metric_char, is_metric_start};

/// Reads the next token. White space is part of the tokens that follow it.
pub(crate) fn next_token(c: &mut Cursor<'_>) -> Token {
    if c.is_at_end() {
        return Token::Eof;
    }
    c.start = c.at;
    let first = c.peek();
    match c.state {
        State::Init => lex_init(c, first),
        State::Comment => lex_comment(c),
        State::Meta1 if first == b'"' => c.quoted(Token::MetricName, State::Meta2, true),
        State::Meta1 if is_metric_start(first) => {
            c.bump_while(is_metric_char);
            c.state = State::Meta2;
            Token::MetricName
        }
        State::Meta2 if first == b' ' => {
            c.bump_while(|b| !matches!(b, 0 | b'\n'));
            if c.peek() == b'\n' && !c.is_at_end() {
                c.single(Token::Text, State::Init)
            } else {
                Token::Invalid
            }
        }
        State::Labels => lex_labels(c, first),
        State::LabelValue if first == b'"' => c.quoted(Token::LabelValue, State::Labels, false),
        State::Value if first == b'{' => c.single(Token::BraceOpen, State::Labels),
        State::Value if first == b' ' => lex_word(c, Token::Value, State::Timestamp),
        State::Timestamp if first == b' ' => lex_timestamp_or_exemplar(c),
        State::Exemplar => lex_exemplar(c, first),
        State::ExemplarValue if first == b'"' => c.quoted(Token::LabelValue, State::Exemplar, false),
        State::ExemplarValue if first == b' ' => lex_word(c, Token::Value, State::ExemplarTimestamp),
        State::ExemplarTimestamp if first == b' ' => lex_word(c, Token::Timestamp, State::ExemplarTimestamp),
        State::Timestamp | State::ExemplarTimestamp if first == b'\n' => {
            c.single(Token::Linebreak, State::Init)
        }
        _ => Token::Invalid,
    }
}

fn is_word_char(b: u8) -> bool {
    !matches!(b, 0 | b'\n' | b' ')
}

/// A space and at least one character.
fn lex_word(c: &mut Cursor<'_>, token: Token, next: State) -> Token {
    if !is_word_char(c.bump()) {
        return Token::Invalid;
    }
    c.bump_while(is_word_char);
    c.state = next;
    token
}

fn lex_timestamp_or_exemplar(c: &mut Cursor<'_>) -> Token {
    match c.bump() {
        b'#' => match c.bump() {
            b' ' if c.bump() == b'{' => return c.single(Token::Comment, State::Exemplar),
            b' ' => return Token::Invalid,
            b if !is_word_char(b) => return Token::Timestamp,
            _ => {}
        },
        b if !is_word_char(b) => return Token::Invalid,
        _ => {}
    }
    c.bump_while(is_word_char);
    Token::Timestamp
}

fn lex_init(c: &mut Cursor<'_>, first: u8) -> Token {
    match first {
        b'{' => c.single(Token::BraceOpen, State::Labels),
        b'#' if c.bump() == b' ' => {
            c.bump();
            c.state = State::Comment;
            lex_comment(c)
        }
        _ if is_metric_start(first) => {
            c.bump_while(is_metric_char);
            c.state = State::Value;
            Token::MetricName
        }
        _ => Token::Invalid,
    }
}

fn lex_comment(c: &mut Cursor<'_>) -> Token {
    let (word, token): (&[u8], _) = match c.peek() {
        b'E' => (b"EOF", Token::EofWord),
        b'H' => (b"HELP ", Token::Help),
        b'T' => (b"TYPE ", Token::Type),
        b'U' => (b"UNIT ", Token::Unit),
        _ => return Token::Invalid,
    };
    if !c.word(word) {
        return Token::Invalid;
    }
    if c.bump() == b'\n' && token == Token::EofWord {
        c.bump();
    }
    c.state = if token == Token::EofWord { State::Init } else { State::Meta1 };
    token
}

fn lex_labels(c: &mut Cursor<'_>, first: u8) -> Token {
    match first {
        b'"' => c.quoted(Token::QuotedString, State::Labels, true),
        b',' => c.single(Token::Comma, State::Labels),
        b'=' => c.single(Token::Equal, State::LabelValue),
        b'}' => c.single(Token::BraceClose, State::Value),
        _ if is_label_start(first) => {
            c.bump_while(is_label_char);
            Token::LabelName
        }
        _ => Token::Invalid,
    }
}

fn lex_exemplar(c: &mut Cursor<'_>, first: u8) -> Token {
    match first {
        b'"' => c.quoted(Token::QuotedString, State::Exemplar, false),
        b',' => c.single(Token::Comma, State::Exemplar),
        b'=' => c.single(Token::Equal, State::ExemplarValue),
        b'}' => c.single(Token::BraceClose, State::ExemplarValue),
        _ if is_label_start(first) => {
            c.bump_while(is_label_char);
            Token::LabelName
        }
        _ => Token::Invalid,
    }
}
