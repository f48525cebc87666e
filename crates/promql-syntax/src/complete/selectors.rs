//! The selectors in a part of a query, as they can be asked for.

use model::float::go_quoted;
use model::{METRIC_NAME, MatchOp, Matcher};

use super::Series;
use super::pieces::Piece;
use crate::lex::{Keyword, TokenKind, unquote};
use crate::op::BinaryOp;
use crate::print::push_label;

/// Selectors that are looked at.
const SELECTORS_MAX: usize = 16;
/// Matchers of a selector that are looked at.
const MATCHERS_MAX: usize = 32;

/// The text and its pieces.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    pub(super) text: &'a str,
    pub(super) all: &'a [Piece],
}

impl<'a> Pieces<'a> {
    pub(super) fn kind(self, at: usize) -> Option<TokenKind> {
        self.all.get(at).map(|p| p.kind)
    }

    pub(super) fn text(self, at: usize) -> &'a str {
        self.all.get(at).and_then(|p| self.text.get(p.span.start..p.span.end)).unwrap_or_default()
    }

    fn is_valid(self, at: usize) -> bool {
        self.all.get(at).is_some_and(|p| p.valid)
    }

    /// The piece as the name of a label or metric: without quotes.
    pub(super) fn name(self, at: usize) -> String {
        match self.kind(at) {
            Some(TokenKind::String) => unquote(self.text(at)).into_owned(),
            _ => self.text(at).to_owned(),
        }
    }

    /// The first piece from `at` on that closes more than was opened since, or is a comma outside of
    /// brackets where `comma` says so.
    pub(super) fn end_of_group(self, at: usize, comma: bool) -> usize {
        let mut depth = 0usize;
        let rest = self.all.get(at..).unwrap_or_default();
        let end = rest.iter().position(|piece| match piece.kind {
            TokenKind::LeftParen | TokenKind::LeftBrace | TokenKind::LeftBracket => {
                depth += 1;
                false
            }
            TokenKind::RightParen | TokenKind::RightBrace | TokenKind::RightBracket => {
                match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return true,
                }
                false
            }
            TokenKind::Comma => comma && depth == 0,
            _ => false,
        });
        at + end.unwrap_or(rest.len())
    }

    /// The first piece within the brackets that piece `close` closes.
    pub(super) fn start_of_group(self, close: usize) -> usize {
        let mut depth = 0usize;
        let before = self.all.get(..close).unwrap_or_default();
        let open = before.iter().rposition(|piece| match piece.kind {
            TokenKind::RightParen | TokenKind::RightBrace | TokenKind::RightBracket => {
                depth += 1;
                false
            }
            TokenKind::LeftParen | TokenKind::LeftBrace | TokenKind::LeftBracket => {
                match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return true,
                }
                false
            }
            _ => false,
        });
        open.map_or(0, |open| open + 1)
    }
}

impl Series {
    /// The series of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        let known = !self.selectors.is_empty() || !other.selectors.is_empty();
        self.metric = match (self.metric, other.metric) {
            (Some(a), Some(b)) => (a == b).then_some(a),
            (a, b) => a.or(b).filter(|_| known),
        };
        for selector in other.selectors {
            if !self.selectors.contains(&selector) {
                self.selectors.push(selector);
            }
        }
        self
    }
}

/// The series of all selectors among the pieces `from..to`, without the matcher whose value or
/// label is piece `skip`.
pub(super) fn series(pieces: Pieces<'_>, from: usize, to: usize, skip: Option<usize>) -> Series {
    let mut found = Found::default();
    let mut at = from;
    while at < to && found.selectors < SELECTORS_MAX {
        at = match pieces.kind(at) {
            Some(TokenKind::Identifier | TokenKind::MetricIdentifier) => match pieces.kind(at + 1) {
                Some(TokenKind::LeftParen) => at + 1,
                Some(TokenKind::LeftBrace) => found.braces(pieces, Some(at), at + 2, skip),
                _ => {
                    found.selector(Some(pieces.text(at).to_owned()), Vec::new());
                    at + 1
                }
            },
            // Words are names before braces.
            Some(TokenKind::Keyword(_) | TokenKind::Aggregate(_) | TokenKind::Query(_))
                if pieces.kind(at + 1) == Some(TokenKind::LeftBrace) =>
            {
                found.braces(pieces, Some(at), at + 2, skip)
            }
            Some(TokenKind::Keyword(word)) if takes_labels(word) => match pieces.kind(at + 1) {
                Some(TokenKind::LeftParen) => pieces.end_of_group(at + 2, false) + 1,
                _ => at + 1,
            },
            Some(TokenKind::LeftBrace) => found.braces(pieces, None, at + 1, skip),
            _ => at + 1,
        };
    }
    found.series
}

/// The series of the selector whose first piece behind the brace is `inside`.
pub(super) fn series_of_braces(
    pieces: Pieces<'_>,
    name: Option<usize>,
    inside: usize,
    skip: Option<usize>,
) -> Series {
    let mut found = Found::default();
    found.braces(pieces, name, inside, skip);
    found.series
}

const fn takes_labels(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::By
            | Keyword::Without
            | Keyword::On
            | Keyword::Ignoring
            | Keyword::GroupLeft
            | Keyword::GroupRight
    )
}

#[derive(Default)]
struct Found {
    series: Series,
    selectors: usize,
}

impl Found {
    /// Reads matchers up to the closing brace; the piece behind it.
    fn braces(
        &mut self,
        pieces: Pieces<'_>,
        name: Option<usize>,
        mut at: usize,
        skip: Option<usize>,
    ) -> usize {
        let mut name = name.map(|at| pieces.text(at).to_owned());
        let mut matchers = Vec::new();
        while let Some(kind) = pieces.kind(at).filter(|kind| *kind != TokenKind::RightBrace) {
            let is_label = matches!(kind, TokenKind::Identifier | TokenKind::String);
            let op = match pieces.kind(at + 1) {
                Some(TokenKind::Eql) => Some(MatchOp::Equal),
                Some(TokenKind::Op(BinaryOp::Neq)) => Some(MatchOp::NotEqual),
                Some(TokenKind::EqlRegex) => Some(MatchOp::Regex),
                Some(TokenKind::NeqRegex) => Some(MatchOp::NotRegex),
                _ => None,
            };
            let has_value = pieces.kind(at + 2) == Some(TokenKind::String) && pieces.is_valid(at + 2);
            match op {
                Some(op) if is_label && has_value => {
                    if skip != Some(at) && skip != Some(at + 2) && matchers.len() < MATCHERS_MAX {
                        matchers.push((pieces.name(at), op, pieces.name(at + 2)));
                    }
                    at += 3;
                }
                None if kind == TokenKind::String && skip != Some(at) && pieces.is_valid(at) => {
                    name.get_or_insert_with(|| pieces.name(at));
                    at += 1;
                }
                _ => at += 1,
            }
        }
        self.selector(name, matchers);
        at + 1
    }

    fn selector(&mut self, name: Option<String>, matchers: Vec<(String, MatchOp, String)>) {
        self.selectors += 1;
        let named = matchers.iter().find(|(label, op, _)| label == METRIC_NAME && *op == MatchOp::Equal);
        let metric = name.clone().or_else(|| named.map(|(_, _, value)| value.clone()));
        self.series.metric = if self.selectors == 1 { metric } else { None };

        let name = name.map(|name| (METRIC_NAME.to_owned(), MatchOp::Equal, name));
        // What no server would read is left out.
        let all: Vec<Matcher> = name
            .into_iter()
            .chain(matchers)
            .filter_map(|(label, op, value)| Matcher::new(op, label, value).ok())
            .collect();
        if all.iter().all(Matcher::matches_empty) {
            return;
        }
        let mut selector = String::from("{");
        for (i, matcher) in all.iter().enumerate() {
            if i > 0 {
                selector.push(',');
            }
            push_label(&mut selector, &matcher.name, false);
            selector.push_str(matcher.op.as_str());
            selector.push_str(&go_quoted(matcher.value.as_bytes()));
        }
        selector.push('}');
        if !self.series.selectors.contains(&selector) {
            self.series.selectors.push(selector);
        }
    }
}
