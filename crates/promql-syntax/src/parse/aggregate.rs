//! Aggregations and lists of labels.

use model::float::go_quoted;

use super::{ExprTree, Parsed, Parser, Tree};
use crate::ast::{AggregateExpr, Expr, NumberLiteral};
use crate::lex::{Keyword, Token, TokenKind, is_bare_label_name, unquote_bytes};
use crate::op::{AggregateOp, BinaryOp};
use crate::span::Span;

const CONSTRUCT: &str = "grouping opts";

/// The labels of `by` or `without`.
#[derive(Default)]
struct Grouping {
    labels: Vec<String>,
    without: bool,
}

impl Parser<'_> {
    /// An aggregation whose operator was read.
    #[inline(never)]
    pub(super) fn aggregate(&mut self, name: Token, op: AggregateOp) -> Parsed<ExprTree> {
        let outer = self.enter("aggregation", "");
        let before = self.grouping()?;
        let args = self.arguments()?;
        let (grouping, end) = self.grouping_behind(before)?;
        self.context = outer;
        let height = self.grow(args.height)?;
        let span = Span::new(name.span.start, end);
        Ok(Tree { node: self.aggregate_node(op, args.node, grouping, span), height })
    }

    /// The clause, which may stand before or behind the arguments, and where all of it ends.
    #[inline(never)]
    fn grouping_behind(&mut self, before: Option<Grouping>) -> Parsed<(Grouping, usize)> {
        if let Some(grouping) = before {
            return Ok((grouping, self.last_closing));
        }
        Ok(match self.grouping()? {
            Some(grouping) => (grouping, self.last_closing),
            // The token behind was read to see that there is no clause.
            None => (Grouping::default(), self.lexer.previous_right_paren(self.last_closing)),
        })
    }

    #[inline(never)]
    fn aggregate_node(
        &mut self,
        op: AggregateOp,
        args: Vec<Expr>,
        grouping: Grouping,
        span: Span,
    ) -> Box<Expr> {
        Box::new(match self.aggregate_arguments(op, args, span) {
            Some((param, expr)) => Expr::Aggregate(AggregateExpr {
                op,
                expr: Box::new(expr),
                param: param.map(Box::new),
                grouping: grouping.labels,
                without: grouping.without,
                unquoted_utf8_names: self.options.unquoted_utf8_names,
                span,
            }),
            // The tree of a query with errors is thrown away: any node does.
            None => Expr::Number(NumberLiteral { value: 0.0, duration: false, span }),
        })
    }

    /// Parameter and expression; none if there are too few or too many, which is on record then.
    #[inline(never)]
    fn aggregate_arguments(
        &mut self,
        op: AggregateOp,
        args: Vec<Expr>,
        span: Span,
    ) -> Option<(Option<Expr>, Expr)> {
        if args.is_empty() {
            self.error(span, "no arguments for aggregate expression provided");
            return None;
        }
        if op.is_experimental() && !self.options.experimental_functions {
            self.error(
                span,
                format!(
                    "{op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions"
                ),
            );
            return None;
        }
        let desired = if op.has_param() { 2 } else { 1 };
        let got = args.len();
        let mut args = args.into_iter();
        match (op.has_param(), args.next(), args.next(), args.next()) {
            (false, Some(expr), None, None) => Some((None, expr)),
            (true, Some(param), Some(expr), None) => Some((Some(param), expr)),
            _ => {
                self.error(
                    span,
                    format!(
                        "wrong number of arguments for aggregate expression provided, expected {desired}, got {got}"
                    ),
                );
                None
            }
        }
    }

    /// `by (…)` or `without (…)`, if the next token is one of these words.
    #[inline(never)]
    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = match self.peek().kind {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(Grouping { labels: self.grouping_labels()?, without }))
    }

    /// Labels in parentheses.
    pub(super) fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        if self.accept(TokenKind::LeftParen).is_none() {
            return Err(self.unexpected_in(CONSTRUCT, "\"(\""));
        }
        let mut labels = Vec::new();
        if self.accept(TokenKind::RightParen).is_some() {
            return Ok(labels);
        }
        loop {
            labels.push(self.grouping_label()?);
            if self.accept(TokenKind::Comma).is_none() && self.peek().kind != TokenKind::RightParen {
                return Err(self.unexpected_in(CONSTRUCT, "\",\" or \")\""));
            }
            if self.accept(TokenKind::RightParen).is_some() {
                return Ok(labels);
            }
        }
    }

    fn grouping_label(&mut self) -> Parsed<String> {
        let token = self.peek();
        let bytes = match token.kind {
            TokenKind::String => unquote_bytes(self.text(token)),
            kind if is_label(kind) => self.text(token).as_bytes().into(),
            _ => return Err(self.unexpected_in(CONSTRUCT, "label")),
        };
        self.next();
        // Names with a colon are older than the rule that forbids them.
        let bare = token.kind != TokenKind::String && self.options.unquoted_utf8_names;
        match std::str::from_utf8(&bytes) {
            Ok(label) if !label.is_empty() && (!bare || is_bare_label_name(label, true)) => {
                return Ok(label.to_owned());
            }
            _ => {}
        }
        self.error(token.span, format!("invalid label name for grouping: {}", go_quoted(&bytes)));
        Ok(String::new())
    }
}

/// Whether a label may have this name: any word but `without`, `inf` and `nan`.
fn is_label(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Identifier
        | TokenKind::MetricIdentifier
        | TokenKind::Aggregate(_)
        | TokenKind::Query(_)
        | TokenKind::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2) => true,
        TokenKind::Keyword(k) => k != Keyword::Without,
        _ => false,
    }
}
