//! The lexer of the text format: Prometheus' `promlex.l`, state by state.

use crate::cursor::{Cursor, State, Token, is_label_char, is_label_start, is_metric_char, is_metric_start};

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// Reads the next token that is no white space.
pub(crate) fn next_token(c: &mut Cursor<'_>) -> Token {
    loop {
        let token = lex(c);
        if token != Token::Whitespace {
            return token;
        }
    }
}

fn lex(c: &mut Cursor<'_>) -> Token {
    if c.is_at_end() {
        return Token::Eof;
    }
    c.start = c.at;
    let first = c.peek();
    if is_blank(first) && c.state != State::Meta2 {
        c.bump_while(is_blank);
        return Token::Whitespace;
    }
    match c.state {
        State::Init => lex_init(c, first),
        State::Comment => lex_comment(c),
        State::Meta1 if first == b'"' => c.quoted(Token::MetricName, State::Meta2, true),
        State::Meta1 if is_metric_start(first) => {
            c.bump_while(is_metric_char);
            c.state = State::Meta2;
            Token::MetricName
        }
        State::Meta2 => lex_meta_text(c, first),
        State::Labels => lex_labels(c, first),
        State::LabelValue if first == b'"' => c.quoted(Token::LabelValue, State::Labels, true),
        State::Value if first == b'{' => c.single(Token::BraceOpen, State::Labels),
        State::Value if is_value_char(first) => {
            c.bump_while(is_value_char);
            c.state = State::Timestamp;
            Token::Value
        }
        State::Timestamp if first == b'\n' => c.single(Token::Linebreak, State::Init),
        State::Timestamp if first.is_ascii_digit() => {
            c.bump_while(|b| b.is_ascii_digit());
            Token::Timestamp
        }
        _ => Token::Invalid,
    }
}

fn is_value_char(b: u8) -> bool {
    !matches!(b, 0 | b'\t' | b'\n' | b' ' | b'{')
}

fn lex_init(c: &mut Cursor<'_>, first: u8) -> Token {
    match first {
        0 => c.single(Token::Eof, State::Init),
        b'\n' => c.single(Token::Linebreak, State::Init),
        b'{' => c.single(Token::BraceOpen, State::Labels),
        b'#' => {
            if !is_blank(c.bump()) {
                return consume_comment(c);
            }
            c.bump_while(is_blank);
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
    let (word, token) = match c.peek() {
        b'H' => (b"HELP", Token::Help),
        b'T' => (b"TYPE", Token::Type),
        _ => return consume_comment(c),
    };
    if !c.word(word) || !is_blank(c.bump()) {
        return consume_comment(c);
    }
    c.bump_while(is_blank);
    c.state = State::Meta1;
    token
}

fn consume_comment(c: &mut Cursor<'_>) -> Token {
    let mut b = c.peek();
    loop {
        match b {
            0 => return Token::Eof,
            b'\n' => {
                c.state = State::Init;
                return Token::Comment;
            }
            _ => b = c.bump(),
        }
    }
}

/// The text of HELP or TYPE, from the white space before it to the end of the line.
fn lex_meta_text(c: &mut Cursor<'_>, first: u8) -> Token {
    let mut b = first;
    while is_blank(b) {
        b = c.bump();
    }
    if is_blank(first) && matches!(b, 0 | b'\n') {
        return Token::Whitespace;
    }
    while !matches!(b, 0 | b'\n') {
        b = c.bump();
    }
    c.state = State::Init;
    Token::Text
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
