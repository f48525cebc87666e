//! Binary operations and how their operands pair up.

use super::expr::{sign, starts_expr};
use super::{ExprTree, Parsed, Parser, Tree};
use crate::ast::{BinaryExpr, Expr, MatchCardinality, VectorMatching};
use crate::lex::{Keyword, TokenKind};
use crate::op::{BinaryOp, UnaryOp};

impl Parser<'_> {
    /// The rest of a binary operation; the next token is its operator.
    #[inline(never)]
    pub(super) fn binary(&mut self, lhs: ExprTree, op: BinaryOp) -> Parsed<ExprTree> {
        self.next();
        let return_bool = self.accept(TokenKind::Keyword(Keyword::Bool)).is_some();
        let matching = self.matching()?;
        let precedence = op.precedence();
        let rhs = self.expr_from(if op.is_right_associative() { precedence } else { precedence + 1 })?;
        let span = lhs.node.span().to(rhs.node.span());
        let fills = matching.fill.lhs.is_some() || matching.fill.rhs.is_some();
        if fills && !self.options.binop_fill_modifiers {
            self.error(span, "binop fill modifiers are experimental and not enabled");
        }
        let height = self.grow(lhs.height.max(rhs.height))?;
        let node = Expr::Binary(BinaryExpr {
            op,
            lhs: lhs.node,
            rhs: rhs.node,
            matching: Some(matching),
            return_bool,
            unquoted_utf8_names: self.options.unquoted_utf8_names,
            span,
        });
        Ok(Tree { node: Box::new(node), height })
    }

    #[inline(never)]
    fn matching(&mut self) -> Parsed<VectorMatching> {
        let mut matching = VectorMatching::default();
        if let TokenKind::Keyword(word @ (Keyword::On | Keyword::Ignoring)) = self.peek().kind {
            self.next();
            matching.on = word == Keyword::On;
            matching.matching_labels = self.grouping_labels()?;
            if let TokenKind::Keyword(word @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.peek().kind {
                self.next();
                matching.card = if word == Keyword::GroupLeft {
                    MatchCardinality::ManyToOne
                } else {
                    MatchCardinality::OneToMany
                };
                let next = self.peek().kind;
                if next == TokenKind::LeftParen || !starts_expr(next) {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        self.fill(&mut matching)?;
        Ok(matching)
    }

    /// `fill (…)`, or `fill_left (…)` and `fill_right (…)` in any order.
    fn fill(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        let fill = &mut matching.fill;
        match self.peek().kind {
            TokenKind::Keyword(Keyword::Fill) => {
                fill.lhs = Some(self.fill_value()?);
                fill.rhs = fill.lhs;
            }
            TokenKind::Keyword(Keyword::FillLeft) => {
                fill.lhs = Some(self.fill_value()?);
                if self.peek().kind == TokenKind::Keyword(Keyword::FillRight) {
                    fill.rhs = Some(self.fill_value()?);
                }
            }
            TokenKind::Keyword(Keyword::FillRight) => {
                fill.rhs = Some(self.fill_value()?);
                if self.peek().kind == TokenKind::Keyword(Keyword::FillLeft) {
                    fill.lhs = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The word and its number in parentheses.
    fn fill_value(&mut self) -> Parsed<f64> {
        self.next();
        self.expect(TokenKind::LeftParen)?;
        let op = sign(self.peek().kind);
        if op.is_some() {
            self.next();
        }
        if !matches!(self.peek().kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected());
        }
        let value = self.number_or_duration().value;
        self.expect(TokenKind::RightParen)?;
        Ok(if op == Some(UnaryOp::Sub) { -value } else { value })
    }
}
