//! Tokens and how error messages name them.

use model::float::go_quoted;

use crate::op::{AggregateOp, BinaryOp};
use crate::span::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// The end of the input.
    Eof,
    /// The lexer gave up; the message is with it.
    Error,
    /// A name without a colon that is no keyword; any name within braces.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    /// A number, not checked further.
    Number,
    /// A duration, not checked further.
    Duration,
    /// A string with its quotes; its escapes are correct.
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    /// `=`
    Eql,
    /// `=~`
    EqlRegex,
    /// `!~`
    NeqRegex,
    /// A binary operator; `!=` is also one of matchers.
    Op(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    Query(QueryWord),
}

/// Words of modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
}

/// Words that are functions of the query's own times, or combine durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryWord {
    Start,
    End,
    Step,
    Range,
    MinOf,
    MaxOf,
}

/// A token: what it is and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

impl Token {
    /// The token as "unexpected …" names it.
    pub(crate) fn describe(self, input: &str) -> String {
        let text = &input[self.span.start..self.span.end];
        match self.kind {
            TokenKind::Eof => "end of input".to_owned(),
            TokenKind::Error => "error".to_owned(),
            TokenKind::Identifier => format!("identifier {}", go_quoted(text.as_bytes())),
            TokenKind::MetricIdentifier => format!("metric identifier {}", go_quoted(text.as_bytes())),
            TokenKind::Number => format!("number {}", abbreviated(text)),
            TokenKind::Duration => format!("duration {}", abbreviated(text)),
            TokenKind::String => format!("string {}", abbreviated(text)),
            TokenKind::Keyword(_) => format!("<{text}>"),
            TokenKind::Op(_) | TokenKind::At | TokenKind::EqlRegex | TokenKind::NeqRegex => {
                format!("<op:{text}>")
            }
            TokenKind::Aggregate(_) => format!("<aggr:{text}>"),
            _ => abbreviated(text),
        }
    }
}

/// Quoted, with at most ten characters.
fn abbreviated(text: &str) -> String {
    if text.len() <= 10 {
        return go_quoted(text.as_bytes());
    }
    let end = text.char_indices().nth(10).map_or(text.len(), |(i, _)| i);
    format!("{}...", go_quoted(&text.as_bytes()[..end]))
}

/// The longest keyword, `count_values`.
const KEYWORD_LEN_MAX: usize = 12;

/// The keyword that `word` is in any case, if it is one; `inf` and `nan` are numbers.
pub(crate) fn keyword(word: &str) -> Option<TokenKind> {
    let mut lower = [0u8; KEYWORD_LEN_MAX];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"and" => TokenKind::Op(BinaryOp::And),
        b"or" => TokenKind::Op(BinaryOp::Or),
        b"unless" => TokenKind::Op(BinaryOp::Unless),
        b"atan2" => TokenKind::Op(BinaryOp::Atan2),
        b"sum" => TokenKind::Aggregate(AggregateOp::Sum),
        b"avg" => TokenKind::Aggregate(AggregateOp::Avg),
        b"count" => TokenKind::Aggregate(AggregateOp::Count),
        b"min" => TokenKind::Aggregate(AggregateOp::Min),
        b"max" => TokenKind::Aggregate(AggregateOp::Max),
        b"group" => TokenKind::Aggregate(AggregateOp::Group),
        b"stddev" => TokenKind::Aggregate(AggregateOp::Stddev),
        b"stdvar" => TokenKind::Aggregate(AggregateOp::Stdvar),
        b"topk" => TokenKind::Aggregate(AggregateOp::Topk),
        b"bottomk" => TokenKind::Aggregate(AggregateOp::Bottomk),
        b"count_values" => TokenKind::Aggregate(AggregateOp::CountValues),
        b"quantile" => TokenKind::Aggregate(AggregateOp::Quantile),
        b"limitk" => TokenKind::Aggregate(AggregateOp::Limitk),
        b"limit_ratio" => TokenKind::Aggregate(AggregateOp::LimitRatio),
        b"offset" => TokenKind::Keyword(Keyword::Offset),
        b"smoothed" => TokenKind::Keyword(Keyword::Smoothed),
        b"anchored" => TokenKind::Keyword(Keyword::Anchored),
        b"by" => TokenKind::Keyword(Keyword::By),
        b"without" => TokenKind::Keyword(Keyword::Without),
        b"on" => TokenKind::Keyword(Keyword::On),
        b"ignoring" => TokenKind::Keyword(Keyword::Ignoring),
        b"group_left" => TokenKind::Keyword(Keyword::GroupLeft),
        b"group_right" => TokenKind::Keyword(Keyword::GroupRight),
        b"fill" => TokenKind::Keyword(Keyword::Fill),
        b"fill_left" => TokenKind::Keyword(Keyword::FillLeft),
        b"fill_right" => TokenKind::Keyword(Keyword::FillRight),
        b"bool" => TokenKind::Keyword(Keyword::Bool),
        b"start" => TokenKind::Query(QueryWord::Start),
        b"end" => TokenKind::Query(QueryWord::End),
        b"step" => TokenKind::Query(QueryWord::Step),
        b"range" => TokenKind::Query(QueryWord::Range),
        b"max_of" => TokenKind::Query(QueryWord::MaxOf),
        b"min_of" => TokenKind::Query(QueryWord::MinOf),
        b"inf" | b"nan" => TokenKind::Number,
        _ => return None,
    })
}
