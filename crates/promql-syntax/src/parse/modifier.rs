//! What may follow an operand and binds tightest: ranges, subqueries, `offset`, `@`, `anchored`
//! and `smoothed`.

use super::expr::sign;
use super::{ExprTree, Parsed, Parser, Tree};
use crate::ast::{At, DurationValue, Expr, MatrixSelector, SubqueryExpr, VectorSelector};
use crate::lex::{Keyword, QueryWord, TokenKind};
use crate::number::to_go_int64;
use crate::op::UnaryOp;
use crate::span::Span;

/// `anchored` or `smoothed`.
#[derive(Clone, Copy, PartialEq)]
enum Extension {
    Anchored,
    Smoothed,
}

/// The parts of a selector or subquery that modifiers change.
struct Modified<'e> {
    offset: &'e mut Option<DurationValue>,
    at: &'e mut Option<At>,
    span: &'e mut Span,
}

impl Parser<'_> {
    /// An operand with all that modifies it.
    #[inline(never)]
    pub(super) fn modifiers(&mut self, mut tree: ExprTree) -> Parsed<ExprTree> {
        loop {
            match self.peek().kind {
                TokenKind::LeftBracket => tree = self.bracket(tree)?,
                TokenKind::Keyword(Keyword::Offset) => self.offset(&mut tree.node)?,
                TokenKind::At => self.at(&mut tree.node)?,
                TokenKind::Keyword(Keyword::Anchored) => self.extend(&mut tree.node, Extension::Anchored),
                TokenKind::Keyword(Keyword::Smoothed) => self.extend(&mut tree.node, Extension::Smoothed),
                _ => return Ok(tree),
            }
        }
    }

    /// A range or subquery.
    #[inline(never)]
    fn bracket(&mut self, tree: ExprTree) -> Parsed<ExprTree> {
        let open = self.next();
        let range = self.within(
            "subquery or range selector",
            "number, duration, step(), or range()",
            Self::positive_duration,
        )?;
        if self.accept(TokenKind::Colon).is_some() {
            return self.subquery(tree, range);
        }
        let Some(close) = self.accept(TokenKind::RightBracket) else {
            return Err(self.unexpected_in("subquery or range", "\":\" or \"]\""));
        };
        let message = match &*tree.node {
            Expr::Vector(v) if v.offset.is_some() => "no offset modifiers allowed before range",
            Expr::Vector(v) if v.at.is_some() => "no @ modifiers allowed before range",
            Expr::Vector(_) => "",
            _ => "ranges only allowed for vector selectors",
        };
        if !message.is_empty() {
            self.error(open.span.to(close.span), message);
        }
        let span = Span::new(tree.node.span().start, self.last_closing);
        let node = match *tree.node {
            Expr::Vector(selector) => Expr::Matrix(MatrixSelector { selector, range, span }),
            other => other,
        };
        Ok(Tree { node: Box::new(node), height: tree.height })
    }

    /// The part of a subquery behind the colon.
    #[inline(never)]
    fn subquery(&mut self, tree: ExprTree, range: DurationValue) -> Parsed<ExprTree> {
        let step = if self.peek().kind == TokenKind::RightBracket {
            None
        } else {
            let step = self.within(
                "subquery selector",
                "number, duration, step(), range(), or \"]\"",
                Self::positive_duration,
            )?;
            // A step that rounds to nothing is the default one.
            (step != DurationValue::Fixed { ns: 0 }).then_some(step)
        };
        let Some(close) = self.accept(TokenKind::RightBracket) else {
            return Err(self.unexpected_in("subquery selector", "\"]\""));
        };
        let span = tree.node.span().to(close.span);
        let height = self.grow(tree.height)?;
        let expr = tree.node;
        let node = Expr::Subquery(SubqueryExpr { expr, range, step, offset: None, at: None, span });
        Ok(Tree { node: Box::new(node), height })
    }

    #[inline(never)]
    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.next();
        let offset = self.within("offset", "number, duration, step(), or range()", Self::offset_duration)?;
        let span = expr.span();
        let end = self.last_closing;
        let Some(modified) = modified(expr) else {
            self.error(
                span,
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
            return Ok(());
        };
        modified.span.end = end;
        if modified.offset.is_some() {
            self.error(span, "offset may not be set multiple times");
        } else if offset != (DurationValue::Fixed { ns: 0 }) {
            *modified.offset = Some(offset);
        }
        Ok(())
    }

    #[inline(never)]
    fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.next();
        let span = expr.span();
        let at = self.within("@", "timestamp", |p| p.at_time(span))?;
        let end = self.last_closing;
        let Some(modified) = modified(expr) else {
            self.error(
                span,
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
            return Ok(());
        };
        if modified.at.is_some() {
            self.error(span, "@ <timestamp> may not be set multiple times");
            return Ok(());
        }
        *modified.at = Some(at);
        modified.span.end = end;
        Ok(())
    }

    /// What stands behind `@`; `modified` is the place of the expression before it.
    fn at_time(&mut self, modified: Span) -> Parsed<At> {
        if let TokenKind::Query(word @ (QueryWord::Start | QueryWord::End)) = self.peek().kind {
            self.next();
            self.expect(TokenKind::LeftParen)?;
            self.expect(TokenKind::RightParen)?;
            return Ok(if word == QueryWord::Start { At::Start } else { At::End });
        }
        let op = sign(self.peek().kind);
        if op.is_some() {
            self.next();
        }
        if !matches!(self.peek().kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected());
        }
        let token = self.next();
        let mut seconds = self.number_value(token);
        if op == Some(UnaryOp::Sub) {
            seconds = -seconds;
        }
        let limit = (1u64 << 63) as f64;
        // Not a number fails both comparisons.
        if !(seconds < limit && seconds > -limit) {
            let shown = if seconds.is_nan() {
                "NaN".to_owned()
            } else if seconds.is_infinite() {
                if seconds > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
            } else {
                format!("{seconds:.6}")
            };
            self.error(modified, format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        Ok(At::Timestamp(to_go_int64((seconds * 1000.0).round())))
    }

    #[inline(never)]
    fn extend(&mut self, expr: &mut Expr, extension: Extension) {
        self.next();
        let span = expr.span();
        let word = if extension == Extension::Anchored { "anchored" } else { "smoothed" };
        let selector = match expr {
            Expr::Vector(v) => v,
            Expr::Matrix(m) => &mut m.selector,
            Expr::Subquery(_) => {
                return self.error(span, format!("{word} modifier is not supported for subqueries"));
            }
            _ => return self.error(span, format!("{word} modifier not implemented")),
        };
        if !set_extension(selector, extension) {
            self.error(span, "anchored and smoothed modifiers cannot be used together");
        }
    }
}

/// False if the selector has the other extension.
fn set_extension(selector: &mut VectorSelector, extension: Extension) -> bool {
    match extension {
        Extension::Anchored => selector.anchored = true,
        Extension::Smoothed => selector.smoothed = true,
    }
    !(selector.anchored && selector.smoothed)
}

/// What `offset` and `@` change; none where they may not stand.
fn modified(expr: &mut Expr) -> Option<Modified<'_>> {
    match expr {
        Expr::Vector(v) => Some(Modified { offset: &mut v.offset, at: &mut v.at, span: &mut v.span }),
        Expr::Matrix(m) => {
            let v = &mut m.selector;
            Some(Modified { offset: &mut v.offset, at: &mut v.at, span: &mut m.span })
        }
        Expr::Subquery(s) => Some(Modified { offset: &mut s.offset, at: &mut s.at, span: &mut s.span }),
        _ => None,
    }
}
