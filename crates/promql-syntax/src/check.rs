//! The type check, which also settles how binary operands pair up.

use model::METRIC_NAME;
use model::float::go_quoted;

use crate::ast::{AggregateExpr, BinaryExpr, Call, Expr, MatchCardinality, VectorSelector};
use crate::error::ParseError;
use crate::function::{Function, Signature};
use crate::op::AggregateOp;
use crate::span::Span;
use crate::value_type::ValueType;

/// Checks the types within a tree, recording what is wrong in Prometheus' order. In binary
/// operations drops the matching where an operand is no vector, and makes that of set operators
/// many-to-many.
pub(crate) fn check(expr: &mut Expr, input: &str, errors: &mut Vec<ParseError>) {
    Checker { input, errors }.expr(expr);
}

struct Checker<'a> {
    input: &'a str,
    errors: &'a mut Vec<ParseError>,
}

impl Checker<'_> {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        let position = span.position_in(self.input);
        self.errors.push(ParseError { span, position, message: message.into() });
    }

    /// Checks below `expr`; its type.
    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        match expr {
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Vector(v) => {
                self.selector(v, false);
                ValueType::Vector
            }
            Expr::Matrix(m) => {
                self.selector(&m.selector, false);
                ValueType::Matrix
            }
            Expr::Subquery(s) => {
                let t = self.expr(&mut s.expr);
                if t != ValueType::Vector {
                    self.error(
                        s.span,
                        format!("subquery is only allowed on instant vector, got {t} instead"),
                    );
                }
                ValueType::Matrix
            }
            Expr::Aggregate(a) => {
                self.aggregate(a);
                ValueType::Vector
            }
            Expr::Binary(b) => self.binary(b),
            Expr::Unary(u) => {
                let t = self.expr(&mut u.expr);
                if !matches!(t, ValueType::Scalar | ValueType::Vector) {
                    self.error(
                        u.span,
                        format!(
                            "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                            go_quoted(t.documented().as_bytes())
                        ),
                    );
                }
                t
            }
            Expr::Call(c) => {
                self.call(c);
                c.function.signature().return_type
            }
            Expr::Paren(p) => self.expr(&mut p.expr),
        }
    }

    /// Checks `expr` and that it has the type wanted.
    fn expect(&mut self, expr: &mut Expr, want: ValueType, context: &str) {
        let got = self.expr(expr);
        if got != want {
            let (want, got) = (want.documented(), got.documented());
            self.error(expr.span(), format!("expected type {want} in {context}, got {got}"));
        }
    }

    fn aggregate(&mut self, a: &mut AggregateExpr) {
        self.expect(&mut a.expr, ValueType::Vector, "aggregation expression");
        if let Some(param) = &mut a.param {
            let want = if a.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
            self.expect(param, want, "aggregation parameter");
        }
    }

    fn binary(&mut self, b: &mut BinaryExpr) -> ValueType {
        let lt = self.expr(&mut b.lhs);
        let rt = self.expr(&mut b.rhs);
        let scalars = lt == ValueType::Scalar && rt == ValueType::Scalar;
        if b.return_bool && !b.op.is_comparison() {
            self.error(self.operator(b), "bool modifier can only be used on comparison operators");
        }
        if b.op.is_comparison() && !b.return_bool && scalars {
            self.error(self.operator(b), "comparisons between scalars must use BOOL modifier");
        }
        self.labels(b);
        for (t, operand) in [(lt, &b.lhs), (rt, &b.rhs)] {
            if !matches!(t, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                self.error(operand.span(), message);
            }
        }
        if lt == ValueType::Vector && rt == ValueType::Vector {
            self.set_operator(b);
        } else {
            self.no_matching(b);
        }
        if (lt == ValueType::Scalar || rt == ValueType::Scalar) && b.op.is_set() {
            self.error(b.span, format!("set operator \"{}\" not allowed in binary scalar expression", b.op));
        }
        if scalars { ValueType::Scalar } else { ValueType::Vector }
    }

    /// Where the operator stands, with its modifiers.
    fn operator(&self, b: &BinaryExpr) -> Span {
        let (start, end) = (b.lhs.span().end, b.rhs.span().start);
        let between = self.input.get(start..end).unwrap_or_default();
        let leading = between.len() - between.trim_ascii_start().len();
        Span::new(start + leading, start + between.trim_ascii_end().len())
    }

    /// No label may be both matched on and copied.
    fn labels(&mut self, b: &BinaryExpr) {
        let Some(m) = b.matching.as_ref().filter(|m| m.on) else { return };
        for label in &m.matching_labels {
            for _ in m.include.iter().filter(|l| *l == label) {
                let label = go_quoted(label.as_bytes());
                let message = format!("label {label} must not occur in ON and GROUP clause at once");
                self.error(self.operator(b), message);
            }
        }
    }

    fn no_matching(&mut self, b: &mut BinaryExpr) {
        let Some(m) = b.matching.take() else { return };
        if !m.matching_labels.is_empty() {
            self.error(b.span, "vector matching only allowed between instant vectors");
        }
        if m.fill.lhs.is_some() || m.fill.rhs.is_some() {
            self.error(b.span, "filling in missing series only allowed between instant vectors");
        }
    }

    fn set_operator(&mut self, b: &mut BinaryExpr) {
        let Some(m) = b.matching.as_mut().filter(|_| b.op.is_set()) else { return };
        let fills = m.fill.lhs.is_some() || m.fill.rhs.is_some();
        if m.card == MatchCardinality::OneToOne {
            m.card = MatchCardinality::ManyToMany;
        } else {
            self.error(b.span, format!("no grouping allowed for \"{}\" operation", b.op));
            self.error(b.span, "set operations must always be many-to-many");
        }
        if fills {
            self.error(b.span, "filling in missing series not allowed for set operators");
        }
    }

    fn call(&mut self, c: &mut Call) {
        let signature = c.function.signature();
        self.argument_count(c.span, signature, c.args.len());
        let is_info = c.function == Function::Info;
        if let (true, Some(selector)) = (is_info, c.args.get(1)) {
            self.info_selector(c.span, selector);
        }
        for (i, arg) in c.args.iter_mut().enumerate() {
            let last = signature.arg_types.len().wrapping_sub(1);
            if i > last && signature.variadic == 0 {
                break;
            }
            let Some(want) = signature.arg_types.get(i.min(last)).copied() else { break };
            let got = match arg {
                Expr::Vector(v) if is_info && i == 1 => {
                    self.selector(v, true);
                    ValueType::Vector
                }
                _ => self.expr(arg),
            };
            if got != want {
                let (want, got) = (want.documented(), got.documented());
                let name = signature.name;
                self.error(
                    arg.span(),
                    format!("expected type {want} in call to function \"{name}\", got {got}"),
                );
            }
        }
    }

    fn argument_count(&mut self, span: Span, signature: &Signature, got: usize) {
        let Signature { name, variadic, .. } = *signature;
        let listed = signature.arg_types.len();
        if variadic == 0 {
            if got != listed {
                self.error(span, format!("expected {listed} argument(s) in call to \"{name}\", got {got}"));
            }
            return;
        }
        let least = listed.saturating_sub(1);
        if got < least {
            let message = format!("expected at least {least} argument(s) in call to \"{name}\", got {got}");
            self.error(span, message);
        } else if let Ok(more) = usize::try_from(variadic)
            && got > least + more
        {
            let most = least + more;
            self.error(span, format!("expected at most {most} argument(s) in call to \"{name}\", got {got}"));
        }
    }

    /// The second argument of `info`: matchers only.
    fn info_selector(&mut self, call: Span, selector: &Expr) {
        let t = selector.value_type();
        if t != ValueType::Vector {
            let (want, got) = (ValueType::Vector.documented(), t.documented());
            self.error(call, format!("expected type {want} in call to function \"info\", got {got}"));
        }
        match selector {
            Expr::Vector(v) if v.name.is_some() => {
                self.error(v.span, "expected label selectors only, got vector selector instead");
            }
            Expr::Vector(_) => {}
            other => self.error(other.span(), "expected label selectors only"),
        }
    }

    /// `may_be_empty`: whether all matchers may match the empty string.
    fn selector(&mut self, v: &VectorSelector, may_be_empty: bool) {
        if let Some(name) = &v.name {
            // The last one is that of the name.
            let others = v.matchers.split_last().map_or(&[][..], |(_, others)| others);
            for m in others.iter().filter(|m| m.name == METRIC_NAME) {
                let (a, b) = (go_quoted(name.as_bytes()), go_quoted(m.value.as_bytes()));
                self.error(v.span, format!("metric name must not be set twice: {a} or {b}"));
            }
        } else if !may_be_empty && v.matchers.iter().all(model::Matcher::matches_empty) {
            self.error(v.span, "vector selector must contain at least one non-empty matcher");
        }
    }
}
