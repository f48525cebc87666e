//! Duration expressions: what stands in brackets and behind `offset`.

use super::expr::sign;
use super::{Parsed, Parser, Tree, duration_op};
use crate::ast::{DurationExpr, DurationKind, DurationValue, NumberLiteral};
use crate::lex::{QueryWord, Token, TokenKind};
use crate::number::{is_out_of_duration_range, seconds_to_ns};
use crate::op::{BinaryOp, UnaryOp};
use crate::span::Span;

/// What binds tighter than a sign: only `^`.
const SIGN_PRECEDENCE: u8 = BinaryOp::Pow.precedence();

impl Parser<'_> {
    /// A duration expression that must not be a literal of zero or less.
    pub(super) fn positive_duration(&mut self) -> Parsed<DurationValue> {
        let tree = self.duration_from(0)?;
        Ok(match tree.node.kind {
            DurationKind::Literal(n) if n.value <= 0.0 => {
                self.error(n.span, "duration must be greater than 0");
                DurationValue::Fixed { ns: 0 }
            }
            _ => value(tree.node),
        })
    }

    /// What stands behind `offset`: arithmetic only if it starts with a parenthesis or two signs,
    /// so that `a offset 5m + b` adds `b` to `a offset 5m`.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationValue> {
        let first = self.peek();
        let Some(op) = sign(first.kind) else {
            let tree = match first.kind {
                TokenKind::LeftParen => self.duration_from(0)?,
                _ => self.duration_operand()?,
            };
            return Ok(value(tree.node));
        };
        self.next();
        let second = self.peek();
        let tree = match second.kind {
            TokenKind::Query(_) => {
                let inner = self.duration_operand()?;
                let span = Span::new(first.span.start, inner.node.span.end);
                let height = self.grow(inner.height)?;
                let kind = DurationKind::Unary(op, Box::new(inner.node));
                Tree { node: DurationExpr { kind, wrapped: false, span }, height }
            }
            TokenKind::LeftParen => {
                let inner = self.duration_operand()?;
                self.apply_sign(first, op, inner)?
            }
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number_or_duration();
                Tree::leaf(self.signed_literal(first, op, number))
            }
            _ => {
                let inner = self.duration_from(SIGN_PRECEDENCE)?;
                let lhs = self.apply_sign(first, op, inner)?;
                self.duration_rest(lhs, 0)?
            }
        };
        Ok(value(tree.node))
    }

    fn duration_from(&mut self, precedence_min: u8) -> Parsed<Tree<DurationExpr>> {
        self.deeper(|p| {
            let lhs = p.duration_operand()?;
            p.duration_rest(lhs, precedence_min)
        })
    }

    /// Operators behind the first operand.
    fn duration_rest(
        &mut self,
        mut lhs: Tree<DurationExpr>,
        precedence_min: u8,
    ) -> Parsed<Tree<DurationExpr>> {
        loop {
            let token = self.peek();
            let Some(op) = duration_op(token.kind).filter(|op| op.precedence() >= precedence_min) else {
                return Ok(lhs);
            };
            self.next();
            let precedence = op.precedence();
            let rhs =
                self.duration_from(if op.is_right_associative() { precedence } else { precedence + 1 })?;
            lhs = self.duration_binary(lhs, op, token, rhs)?;
        }
    }

    fn duration_binary(
        &mut self,
        lhs: Tree<DurationExpr>,
        op: BinaryOp,
        token: Token,
        rhs: Tree<DurationExpr>,
    ) -> Parsed<Tree<DurationExpr>> {
        let by_zero = matches!(&rhs.node.kind, DurationKind::Literal(n) if n.value == 0.0);
        match op {
            BinaryOp::Div if by_zero => {
                self.error(token.span, "division by zero");
                return Ok(Tree::leaf(zero()));
            }
            BinaryOp::Mod if by_zero => {
                self.error(token.span, "modulo by zero");
                return Ok(Tree::leaf(zero()));
            }
            _ => {}
        }
        let height = self.grow(lhs.height.max(rhs.height))?;
        let span = lhs.node.span.to(rhs.node.span);
        let kind = DurationKind::Binary(op, Box::new(lhs.node), Box::new(rhs.node));
        Ok(Tree { node: DurationExpr { kind, wrapped: false, span }, height })
    }

    fn duration_operand(&mut self) -> Parsed<Tree<DurationExpr>> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number_or_duration();
                if is_out_of_duration_range(number.value) {
                    self.error(number.span, "duration out of range");
                    return Ok(Tree::leaf(zero()));
                }
                Ok(Tree::leaf(literal(number)))
            }
            TokenKind::Query(QueryWord::Step) => self.query_duration(DurationKind::Step),
            TokenKind::Query(QueryWord::Range) => self.query_duration(DurationKind::Range),
            TokenKind::Query(QueryWord::MinOf) => self.duration_choice(DurationKind::MinOf),
            TokenKind::Query(QueryWord::MaxOf) => self.duration_choice(DurationKind::MaxOf),
            TokenKind::LeftParen => {
                self.next();
                let inner = self.duration_from(0)?;
                let close = self.expect(TokenKind::RightParen)?;
                self.wrap(inner, token.span.to(close.span))
            }
            _ => {
                let Some(op) = sign(token.kind) else {
                    return Err(self.unexpected());
                };
                self.next();
                let inner = self.duration_from(SIGN_PRECEDENCE)?;
                self.apply_sign(token, op, inner)
            }
        }
    }

    /// `step()` or `range()`.
    fn query_duration(&mut self, kind: DurationKind) -> Parsed<Tree<DurationExpr>> {
        let name = self.next();
        self.expect(TokenKind::LeftParen)?;
        let close = self.expect(TokenKind::RightParen)?;
        let span = name.span.to(close.span);
        Ok(Tree::leaf(DurationExpr { kind, wrapped: false, span }))
    }

    /// `min_of(a, b)` or `max_of(a, b)`.
    fn duration_choice(
        &mut self,
        kind: impl FnOnce(Box<DurationExpr>, Box<DurationExpr>) -> DurationKind,
    ) -> Parsed<Tree<DurationExpr>> {
        let name = self.next();
        self.expect(TokenKind::LeftParen)?;
        let a = self.duration_from(0)?;
        self.expect(TokenKind::Comma)?;
        let b = self.duration_from(0)?;
        let close = self.expect(TokenKind::RightParen)?;
        let height = self.grow(a.height.max(b.height))?;
        let kind = kind(Box::new(a.node), Box::new(b.node));
        Ok(Tree { node: DurationExpr { kind, wrapped: false, span: name.span.to(close.span) }, height })
    }

    /// Marks what stands in parentheses; a literal becomes the operand of a sign that is not
    /// printed, which bears the mark.
    fn wrap(&mut self, inner: Tree<DurationExpr>, parens: Span) -> Parsed<Tree<DurationExpr>> {
        if !matches!(inner.node.kind, DurationKind::Literal(_)) {
            let node = DurationExpr { wrapped: true, ..inner.node };
            return Ok(Tree { node, height: inner.height });
        }
        let span = Span::new(parens.start, inner.node.span.end);
        let kind = DurationKind::Unary(UnaryOp::Add, Box::new(inner.node));
        Ok(Tree { node: DurationExpr { kind, wrapped: true, span }, height: self.grow(inner.height)? })
    }

    fn apply_sign(
        &mut self,
        token: Token,
        op: UnaryOp,
        inner: Tree<DurationExpr>,
    ) -> Parsed<Tree<DurationExpr>> {
        if let DurationKind::Literal(number) = inner.node.kind {
            return Ok(Tree::leaf(self.signed_literal(token, op, number)));
        }
        if op == UnaryOp::Add {
            return Ok(inner);
        }
        let span = Span::new(token.span.start, inner.node.span.end);
        let height = self.grow(inner.height)?;
        let kind = DurationKind::Unary(op, Box::new(inner.node));
        Ok(Tree { node: DurationExpr { kind, wrapped: false, span }, height })
    }

    fn signed_literal(&mut self, token: Token, op: UnaryOp, mut number: NumberLiteral) -> DurationExpr {
        if op == UnaryOp::Sub {
            number.value = -number.value;
        }
        if is_out_of_duration_range(number.value) {
            self.error(token.span, "duration out of range");
            return zero();
        }
        number.span.start = token.span.start;
        literal(number)
    }
}

fn literal(number: NumberLiteral) -> DurationExpr {
    let span = number.span;
    DurationExpr { kind: DurationKind::Literal(number), wrapped: false, span }
}

/// What stands for a part in error.
fn zero() -> DurationExpr {
    literal(NumberLiteral { value: 0.0, duration: false, span: Span::default() })
}

fn value(expr: DurationExpr) -> DurationValue {
    match expr.kind {
        DurationKind::Literal(n) => DurationValue::Fixed { ns: seconds_to_ns(n.value) },
        _ => DurationValue::Expr(Box::new(expr)),
    }
}
