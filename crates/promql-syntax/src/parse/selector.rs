//! Vector selectors: a name, matchers in braces, or both.

use model::regex::Regex;
use model::{METRIC_NAME, MatchOp, Matcher};

use super::{Abort, Parsed, Parser, REGEX_BYTES_MAX};
use crate::ast::VectorSelector;
use crate::lex::{Token, TokenKind, unquote};
use crate::op::BinaryOp;
use crate::span::Span;

const CONSTRUCT: &str = "label matching";
const NEXT_OR_END: &str = "\",\" or \"}\"";
const MATCHER_OR_END: &str = "identifier or \"}\"";
const TOO_MANY_REGEXES: &str = "regular expressions need more than 64 MiB";

impl Parser<'_> {
    /// A selector; the next token is a metric's name or the opening brace.
    #[inline(never)]
    pub(super) fn vector_selector(&mut self) -> Parsed<VectorSelector> {
        if self.peek().kind == TokenKind::LeftBrace {
            let (matchers, span) = self.matchers()?;
            return Ok(self.selector(None, matchers, span));
        }
        let name = self.next();
        self.named_selector(name)
    }

    /// A selector whose name was read.
    #[inline(never)]
    pub(super) fn named_selector(&mut self, name: Token) -> Parsed<VectorSelector> {
        let (mut matchers, mut span) = (Vec::new(), name.span);
        if self.peek().kind == TokenKind::LeftBrace {
            let (in_braces, braces) = self.matchers()?;
            matchers = in_braces;
            span = name.span.to(braces);
        }
        let name = self.text(name);
        matchers.push(Matcher::equal(METRIC_NAME, name));
        Ok(self.selector(Some(name.to_owned()), matchers, span))
    }

    fn selector(&self, name: Option<String>, matchers: Vec<Matcher>, span: Span) -> VectorSelector {
        VectorSelector {
            name,
            matchers,
            offset: None,
            at: None,
            anchored: false,
            smoothed: false,
            unquoted_utf8_names: self.options.unquoted_utf8_names,
            span,
        }
    }

    /// Matchers with their braces.
    fn matchers(&mut self) -> Parsed<(Vec<Matcher>, Span)> {
        let open = self.next().span;
        let mut matchers = Vec::new();
        if let Some(close) = self.accept(TokenKind::RightBrace) {
            return Ok((matchers, open.to(close.span)));
        }
        loop {
            matchers.extend(self.matcher()?);
            if self.accept(TokenKind::Comma).is_none() && self.peek().kind != TokenKind::RightBrace {
                return Err(self.unexpected_in(CONSTRUCT, NEXT_OR_END));
            }
            if let Some(close) = self.accept(TokenKind::RightBrace) {
                return Ok((matchers, open.to(close.span)));
            }
        }
    }

    /// One matcher; none if it is wrong, which is on record then.
    fn matcher(&mut self) -> Parsed<Option<Matcher>> {
        let label = self.peek();
        if !matches!(label.kind, TokenKind::Identifier | TokenKind::String) {
            return Err(self.unexpected_in(CONSTRUCT, MATCHER_OR_END));
        }
        self.next();
        let quoted = label.kind == TokenKind::String;
        let op = match self.peek().kind {
            TokenKind::Eql => MatchOp::Equal,
            TokenKind::Op(BinaryOp::Neq) => MatchOp::NotEqual,
            TokenKind::EqlRegex => MatchOp::Regex,
            TokenKind::NeqRegex => MatchOp::NotRegex,
            _ if quoted => {
                return Ok(Some(Matcher::equal(METRIC_NAME, unquote(self.text(label)))));
            }
            _ => return Err(self.unexpected_in(CONSTRUCT, "label matching operator")),
        };
        self.next();
        if self.peek().kind != TokenKind::String {
            return Err(self.unexpected_in(CONSTRUCT, "string"));
        }
        let value = self.next();
        let name = if quoted { unquote(self.text(label)) } else { self.text(label).into() };
        match Matcher::new(op, name, unquote(self.text(value))) {
            Ok(matcher) => {
                self.regex_bytes += matcher.regex().map_or(0, Regex::automaton_bytes);
                if self.regex_bytes > REGEX_BYTES_MAX {
                    self.error(label.span.to(value.span), TOO_MANY_REGEXES);
                    return Err(Abort);
                }
                Ok(Some(matcher))
            }
            Err(e) => {
                self.error(label.span.to(value.span), e.to_string());
                Ok(None)
            }
        }
    }
}
