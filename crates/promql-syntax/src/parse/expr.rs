//! Expressions: operands, signs, literals, parentheses, and precedence.

use super::{ExprTree, Parsed, Parser};
use crate::ast::{Expr, NumberLiteral, ParenExpr, StringLiteral, UnaryExpr};
use crate::lex::{Keyword, QueryWord, Token, TokenKind, unquote_bytes};
use crate::number::{parse_duration_seconds, parse_number};
use crate::op::{AggregateOp, BinaryOp, UnaryOp};
use crate::span::Span;

/// What binds tighter than a sign: only `^`.
const SIGN_PRECEDENCE: u8 = BinaryOp::Pow.precedence();

impl Parser<'_> {
    /// An expression.
    pub(super) fn expr(&mut self) -> Parsed<ExprTree> {
        self.expr_from(0)
    }

    /// An expression of operators that bind at least as tightly as `precedence_min`.
    pub(super) fn expr_from(&mut self, precedence_min: u8) -> Parsed<ExprTree> {
        self.deeper(|p| {
            let mut lhs = p.signed()?;
            loop {
                match p.peek().kind {
                    TokenKind::Op(op) if op.precedence() >= precedence_min => {
                        lhs = p.binary(lhs, op)?;
                    }
                    _ => return Ok(lhs),
                }
            }
        })
    }

    /// An operand, with signs and modifiers.
    fn signed(&mut self) -> Parsed<ExprTree> {
        match sign(self.peek().kind) {
            Some(op) => self.unary(op),
            None => {
                let operand = self.operand()?;
                if is_modifier(self.peek().kind) { self.modifiers(operand) } else { Ok(operand) }
            }
        }
    }

    #[inline(never)]
    fn unary(&mut self, op: UnaryOp) -> Parsed<ExprTree> {
        let start = self.next().span.start;
        let inner = self.expr_from(SIGN_PRECEDENCE)?;
        if let Expr::Number(mut n) = *inner.node {
            if op == UnaryOp::Sub {
                n.value = -n.value;
            }
            n.span.start = start;
            return Ok(ExprTree::of(Expr::Number(n)));
        }
        let height = self.grow(inner.height)?;
        let span = Span::new(start, inner.node.span().end);
        Ok(ExprTree { node: Box::new(Expr::Unary(UnaryExpr { op, expr: inner.node, span })), height })
    }

    fn operand(&mut self) -> Parsed<ExprTree> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                Ok(ExprTree::of(Expr::Number(self.number_or_duration())))
            }
            TokenKind::String => {
                self.next();
                Ok(ExprTree::of(Expr::String(self.string(token))))
            }
            TokenKind::LeftParen => self.paren(),
            TokenKind::LeftBrace => Ok(ExprTree::of(Expr::Vector(self.vector_selector()?))),
            TokenKind::Aggregate(op) => self.aggregate_or_metric(op),
            TokenKind::Identifier | TokenKind::Query(_) => self.call_or_metric(),
            kind if is_metric_identifier(kind) => Ok(ExprTree::of(Expr::Vector(self.vector_selector()?))),
            _ => Err(self.unexpected()),
        }
    }

    #[inline(never)]
    fn string(&self, token: Token) -> StringLiteral {
        let span = token.span;
        match String::from_utf8(unquote_bytes(self.text(token)).into_owned()) {
            Ok(value) => StringLiteral { value, invalid_utf8: None, span },
            Err(e) => {
                let value = String::from_utf8_lossy(e.as_bytes()).into_owned();
                StringLiteral { value, invalid_utf8: Some(e.into_bytes().into()), span }
            }
        }
    }

    #[inline(never)]
    fn paren(&mut self) -> Parsed<ExprTree> {
        let open = self.next();
        let inner = self.expr()?;
        let close = self.expect(TokenKind::RightParen)?;
        let height = self.grow(inner.height)?;
        let span = open.span.to(close.span);
        Ok(ExprTree { node: Box::new(Expr::Paren(ParenExpr { expr: inner.node, span })), height })
    }

    #[inline(never)]
    fn aggregate_or_metric(&mut self, op: AggregateOp) -> Parsed<ExprTree> {
        let name = self.next();
        match self.peek().kind {
            TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without) => {
                self.aggregate(name, op)
            }
            _ => Ok(ExprTree::of(Expr::Vector(self.named_selector(name)?))),
        }
    }

    #[inline(never)]
    fn call_or_metric(&mut self) -> Parsed<ExprTree> {
        let name = self.next();
        match self.peek().kind {
            TokenKind::LeftParen => self.call(name),
            _ => Ok(ExprTree::of(Expr::Vector(self.named_selector(name)?))),
        }
    }

    /// A number or duration; the next token is one.
    #[inline(never)]
    pub(super) fn number_or_duration(&mut self) -> NumberLiteral {
        let token = self.next();
        NumberLiteral {
            value: self.number_value(token),
            duration: token.kind == TokenKind::Duration,
            span: token.span,
        }
    }

    /// What a number or duration token stands for; zero and an error if it is malformed.
    pub(super) fn number_value(&mut self, token: Token) -> f64 {
        let text = self.text(token);
        if token.kind == TokenKind::Duration {
            return parse_duration_seconds(text).unwrap_or_else(|e| {
                self.error(token.span, e);
                0.0
            });
        }
        parse_number(text).unwrap_or_else(|e| {
            self.error(token.span, format!("error parsing number: {e}"));
            0.0
        })
    }
}

/// The sign that a token is.
pub(super) fn sign(kind: TokenKind) -> Option<UnaryOp> {
    match kind {
        TokenKind::Op(BinaryOp::Add) => Some(UnaryOp::Add),
        TokenKind::Op(BinaryOp::Sub) => Some(UnaryOp::Sub),
        _ => None,
    }
}

/// Whether a token modifies the operand before it.
fn is_modifier(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::LeftBracket
            | TokenKind::At
            | TokenKind::Keyword(Keyword::Offset | Keyword::Anchored | Keyword::Smoothed)
    )
}

/// Whether a metric may have this name; the words of `on (…)` and a few others may not.
pub(super) fn is_metric_identifier(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Identifier
        | TokenKind::MetricIdentifier
        | TokenKind::Aggregate(_)
        | TokenKind::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
        | TokenKind::Query(
            QueryWord::Start
            | QueryWord::End
            | QueryWord::Step
            | QueryWord::Range
            | QueryWord::MinOf
            | QueryWord::MaxOf,
        ) => true,
        TokenKind::Keyword(k) => !matches!(
            k,
            Keyword::Bool | Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight
        ),
        _ => false,
    }
}

/// Whether an expression may start so.
pub(super) fn starts_expr(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Number
            | TokenKind::Duration
            | TokenKind::String
            | TokenKind::LeftParen
            | TokenKind::LeftBrace
    ) || is_metric_identifier(kind)
        || sign(kind).is_some()
}
