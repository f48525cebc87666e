//! Expressions as JSON: the tree of `/api/v1/parse_query`, in the order of keys and with the
//! escapes that Prometheus writes.

use model::Matcher;
use model::float::{append_f, format_value};

use crate::ast::{
    AggregateExpr, At, BinaryExpr, Call, DurationExpr, DurationKind, DurationValue, Expr, NumberLiteral,
    SubqueryExpr, VectorMatching, VectorSelector,
};
use crate::json::Writer;
use crate::value_type::ValueType;

/// The tree as JSON.
#[must_use]
pub fn tree_json(expr: &Expr) -> Vec<u8> {
    let mut w = Writer { out: Vec::with_capacity(512) };
    w.expr(expr);
    w.out
}

/// The nodes; keys are given in sorted order.
impl Writer {
    fn child(&mut self, key: &str, v: &Expr) {
        self.key(key);
        self.expr(v);
    }

    fn expr(&mut self, expr: &Expr) {
        self.object(|w| match expr {
            Expr::Number(n) => {
                w.str("type", "numberLiteral");
                w.number_value(n);
            }
            Expr::String(s) => {
                w.str("type", "stringLiteral");
                w.key("val");
                w.bytes(s.as_bytes());
            }
            Expr::Vector(v) => w.selector(v, None),
            Expr::Matrix(m) => w.selector(&m.selector, Some(&m.range)),
            Expr::Subquery(s) => w.subquery(s),
            Expr::Aggregate(a) => w.aggregate(a),
            Expr::Binary(b) => w.binary(b),
            Expr::Unary(u) => {
                w.child("expr", &u.expr);
                w.str("op", u.op.as_str());
                w.str("type", "unaryExpr");
            }
            Expr::Call(c) => w.call(c),
            Expr::Paren(p) => {
                w.child("expr", &p.expr);
                w.str("type", "parenExpr");
            }
        });
    }

    fn number_value(&mut self, n: &NumberLiteral) {
        self.key("val");
        self.raw("\"");
        append_f(n.value, &mut self.out);
        self.raw("\"");
    }

    /// A vector selector, or a matrix selector if there is a range.
    fn selector(&mut self, v: &VectorSelector, range: Option<&DurationValue>) {
        self.bool("anchored", v.anchored);
        self.key("matchers");
        self.list(&v.matchers, Self::matcher);
        self.str("name", v.name.as_deref().unwrap_or_default());
        self.duration("offset", "offsetExpr", v.offset.as_ref());
        if let Some(range) = range {
            self.duration("range", "rangeExpr", Some(range));
        }
        self.bool("smoothed", v.smoothed);
        self.start_or_end(v.at);
        self.timestamp(v.at);
        self.str("type", if range.is_some() { "matrixSelector" } else { "vectorSelector" });
    }

    fn matcher(&mut self, m: &Matcher) {
        self.object(|w| {
            w.str("name", &m.name);
            w.str("type", m.op.as_str());
            w.str("value", &m.value);
        });
    }

    fn start_or_end(&mut self, at: Option<At>) {
        self.key("startOrEnd");
        self.raw(match at {
            Some(At::Start) => "\"start\"",
            Some(At::End) => "\"end\"",
            Some(At::Timestamp(_)) | None => "null",
        });
    }

    fn timestamp(&mut self, at: Option<At>) {
        self.key("timestamp");
        match at {
            Some(At::Timestamp(ms)) => self.raw(&ms.to_string()),
            Some(At::Start | At::End) | None => self.raw("null"),
        }
    }

    fn subquery(&mut self, s: &SubqueryExpr) {
        self.child("expr", &s.expr);
        self.duration("offset", "offsetExpr", s.offset.as_ref());
        self.duration("range", "rangeExpr", Some(&s.range));
        self.start_or_end(s.at);
        self.duration("step", "stepExpr", s.step.as_ref());
        self.timestamp(s.at);
        self.str("type", "subquery");
    }

    /// Milliseconds, zero where there is an expression, and the expression.
    fn duration(&mut self, key: &str, expr_key: &str, v: Option<&DurationValue>) {
        self.int(key, v.and_then(DurationValue::fixed_ms).unwrap_or(0));
        self.key(expr_key);
        match v {
            Some(DurationValue::Expr(e)) => self.duration_expr(e),
            _ => self.raw("null"),
        }
    }

    fn duration_expr(&mut self, e: &DurationExpr) {
        let (op, lhs, rhs): (&str, Option<&DurationExpr>, Option<&DurationExpr>) = match &e.kind {
            DurationKind::Literal(n) => {
                return self.object(|w| {
                    w.bool("duration", n.duration);
                    w.str("type", "numberLiteral");
                    w.number_value(n);
                });
            }
            DurationKind::Step => ("step", None, None),
            DurationKind::Range => ("range", None, None),
            DurationKind::MinOf(a, b) => ("min_of", Some(a), Some(b)),
            DurationKind::MaxOf(a, b) => ("max_of", Some(a), Some(b)),
            DurationKind::Unary(op, a) => (op.as_str(), None, Some(a)),
            DurationKind::Binary(op, a, b) => (op.as_str(), Some(a), Some(b)),
        };
        self.object(|w| {
            w.operand("lhs", lhs);
            w.str("op", op);
            w.operand("rhs", rhs);
            w.str("type", "durationExpr");
            w.bool("wrapped", e.wrapped);
        });
    }

    fn operand(&mut self, key: &str, v: Option<&DurationExpr>) {
        self.key(key);
        match v {
            Some(v) => self.duration_expr(v),
            None => self.raw("null"),
        }
    }

    fn aggregate(&mut self, a: &AggregateExpr) {
        self.child("expr", &a.expr);
        self.strings("grouping", &a.grouping);
        self.str("op", a.op.as_str());
        self.key("param");
        match &a.param {
            Some(param) => self.expr(param),
            None => self.raw("null"),
        }
        self.str("type", "aggregation");
        self.bool("without", a.without);
    }

    fn binary(&mut self, b: &BinaryExpr) {
        self.bool("bool", b.return_bool);
        self.child("lhs", &b.lhs);
        self.key("matching");
        match &b.matching {
            Some(m) => self.matching(m),
            None => self.raw("null"),
        }
        self.str("op", b.op.as_str());
        self.child("rhs", &b.rhs);
        self.str("type", "binaryExpr");
    }

    fn matching(&mut self, m: &VectorMatching) {
        self.object(|w| {
            w.str("card", m.card.as_str());
            w.key("fillValues");
            w.object(|w| {
                w.fill("lhs", m.fill.lhs);
                w.fill("rhs", m.fill.rhs);
            });
            w.strings("include", &m.include);
            w.strings("labels", &m.matching_labels);
            w.bool("on", m.on);
        });
    }

    /// A number; JSON has none for infinities and not-a-number, where Prometheus fails.
    fn fill(&mut self, key: &str, v: Option<f64>) {
        self.key(key);
        match v.filter(|v| v.is_finite()) {
            Some(v) => format_value(v, &mut self.out),
            None => self.raw("null"),
        }
    }

    fn call(&mut self, c: &Call) {
        let signature = c.function.signature();
        self.key("args");
        self.list(&c.args, Self::expr);
        self.key("func");
        self.object(|w| {
            w.key("argTypes");
            w.list(signature.arg_types, |w, t: &ValueType| w.string(t.as_str()));
            w.str("name", signature.name);
            w.str("returnType", signature.return_type.as_str());
            w.int("variadic", i64::from(signature.variadic));
        });
        self.str("type", "call");
    }
}
