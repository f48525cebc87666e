//! Expressions as text: what parses again to the same tree, exactly as Prometheus prints it.

use std::fmt::{self, Display, Formatter, Write as _};

use model::duration::DurationMs;
use model::float::{go_quoted, to_string_f, to_string_g, write_go_quoted};
use model::{METRIC_NAME, MatchOp, Matcher};

use crate::ast::{
    AggregateExpr, At, BinaryExpr, Call, DurationExpr, DurationKind, DurationValue, Expr, MatchCardinality,
    MatrixSelector, NumberLiteral, ParenExpr, StringLiteral, SubqueryExpr, UnaryExpr, VectorMatching,
    VectorSelector,
};
use crate::lex::is_bare_label_name;
use crate::number::to_go_int64;
use crate::op::UnaryOp;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(e) => e.fmt(f),
            Self::String(e) => e.fmt(f),
            Self::Vector(e) => e.fmt(f),
            Self::Matrix(e) => e.fmt(f),
            Self::Subquery(e) => e.fmt(f),
            Self::Aggregate(e) => e.fmt(f),
            Self::Binary(e) => e.fmt(f),
            Self::Unary(e) => e.fmt(f),
            Self::Call(e) => e.fmt(f),
            Self::Paren(e) => e.fmt(f),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.duration {
            return f.write_str(&to_string_f(self.value));
        }
        if self.value < 0.0 {
            f.write_str("-")?;
        }
        DurationMs(to_go_int64(self.value.abs() * 1e9) / 1_000_000).fmt(f)
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.invalid_utf8 {
            None => write_go_quoted(f, &self.value),
            Some(bytes) => f.write_str(&go_quoted(bytes)),
        }
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_selector(f, self)?;
        write_at(f, self.at)?;
        if self.anchored {
            f.write_str(" anchored")?;
        } else if self.smoothed {
            f.write_str(" smoothed")?;
        }
        write_offset(f, self.offset.as_ref())
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let v = &self.selector;
        write_selector(f, v)?;
        write!(f, "[{}]", self.range)?;
        if v.anchored {
            f.write_str(" anchored")?;
        } else if v.smoothed {
            f.write_str(" smoothed")?;
        }
        write_at(f, v.at)?;
        write_offset(f, v.offset.as_ref())
    }
}

impl Display for SubqueryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        write_subquery_suffix(f, self)
    }
}

/// What stands behind the expression of a subquery.
pub(crate) fn write_subquery_suffix(f: &mut dyn fmt::Write, s: &SubqueryExpr) -> fmt::Result {
    write!(f, "[{}:", s.range)?;
    if let Some(step) = &s.step {
        write!(f, "{step}")?;
    }
    f.write_str("]")?;
    write_at(f, s.at)?;
    write_offset(f, s.offset.as_ref())
}

/// Name and matchers, without modifiers.
fn write_selector(f: &mut Formatter<'_>, v: &VectorSelector) -> fmt::Result {
    let name = v.name.as_deref().unwrap_or_default();
    f.write_str(name)?;
    let mut matchers: Vec<String> = v
        .matchers
        .iter()
        .filter(|m| {
            !(m.name == METRIC_NAME && m.op == MatchOp::Equal && m.value == name && !m.value.is_empty())
        })
        .map(|m| printed_matcher(m, v.unquoted_utf8_names))
        .collect();
    if matchers.is_empty() {
        return Ok(());
    }
    matchers.sort_unstable();
    write!(f, "{{{}}}", matchers.join(","))
}

fn printed_matcher(m: &Matcher, unquoted_utf8_names: bool) -> String {
    let mut out = String::with_capacity(m.name.len() + m.value.len() + 8);
    push_label(&mut out, &m.name, unquoted_utf8_names);
    out.push_str(m.op.as_str());
    out.push_str(&go_quoted(m.value.as_bytes()));
    out
}

pub(crate) fn push_label(out: &mut String, label: &str, unquoted_utf8_names: bool) {
    if is_bare_label_name(label, unquoted_utf8_names) {
        out.push_str(label);
    } else {
        out.push_str(&go_quoted(label.as_bytes()));
    }
}

fn write_at(f: &mut dyn fmt::Write, at: Option<At>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Timestamp(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn write_offset(f: &mut dyn fmt::Write, offset: Option<&DurationValue>) -> fmt::Result {
    match offset {
        None => Ok(()),
        Some(DurationValue::Fixed { ns }) if *ns < 0 => {
            write!(f, " offset -{}", DurationMs(ns.wrapping_neg() / 1_000_000))
        }
        Some(offset) => write!(f, " offset {offset}"),
    }
}

impl Display for DurationValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { ns } => DurationMs(ns / 1_000_000).fmt(f),
            Self::Expr(e) => e.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_str("(")?;
        }
        match &self.kind {
            DurationKind::Literal(n) => n.fmt(f)?,
            DurationKind::Step => f.write_str("step()")?,
            DurationKind::Range => f.write_str("range()")?,
            DurationKind::MinOf(a, b) => write!(f, "min_of({a}, {b})")?,
            DurationKind::MaxOf(a, b) => write!(f, "max_of({a}, {b})")?,
            DurationKind::Unary(UnaryOp::Add, a) => a.fmt(f)?,
            DurationKind::Unary(UnaryOp::Sub, a) => write!(f, "-{a}")?,
            DurationKind::Binary(op, a, b) => write!(f, "{a} {op} {b}")?,
        }
        if self.wrapped {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl Display for AggregateExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_aggregate_op(f, self)?;
        f.write_str("(")?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

/// The operator and its labels.
pub(crate) fn write_aggregate_op(f: &mut dyn fmt::Write, a: &AggregateExpr) -> fmt::Result {
    f.write_str(a.op.as_str())?;
    if a.without || !a.grouping.is_empty() {
        let clause = if a.without { "without" } else { "by" };
        write!(f, " {clause} ({}) ", labels(&a.grouping, a.unquoted_utf8_names))?;
    }
    Ok(())
}

fn labels(names: &[String], unquoted_utf8_names: bool) -> String {
    let mut out = String::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        push_label(&mut out, name, unquoted_utf8_names);
    }
    out
}

impl Display for BinaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.lhs.fmt(f)?;
        f.write_str(" ")?;
        write_binary_op(f, self)?;
        f.write_str(" ")?;
        self.rhs.fmt(f)
    }
}

/// The operator and its modifiers.
pub(crate) fn write_binary_op(f: &mut dyn fmt::Write, b: &BinaryExpr) -> fmt::Result {
    f.write_str(b.op.as_str())?;
    if b.return_bool {
        f.write_str(" bool")?;
    }
    match &b.matching {
        Some(m) => write_matching(f, m, b.unquoted_utf8_names),
        None => Ok(()),
    }
}

fn write_matching(f: &mut dyn fmt::Write, m: &VectorMatching, unquoted_utf8_names: bool) -> fmt::Result {
    let group = match m.card {
        MatchCardinality::ManyToOne => Some("left"),
        MatchCardinality::OneToMany => Some("right"),
        MatchCardinality::OneToOne | MatchCardinality::ManyToMany => None,
    };
    if !m.matching_labels.is_empty() || m.on || group.is_some() {
        let clause = if m.on { "on" } else { "ignoring" };
        write!(f, " {clause} ({})", labels(&m.matching_labels, unquoted_utf8_names))?;
    }
    if let Some(side) = group {
        write!(f, " group_{side} ({})", labels(&m.include, unquoted_utf8_names))?;
    }
    match (m.fill.lhs, m.fill.rhs) {
        (Some(l), Some(r)) if l == r => return write!(f, " fill ({})", to_string_g(l)),
        _ => {}
    }
    if let Some(l) = m.fill.lhs {
        write!(f, " fill_left ({})", to_string_g(l))?;
    }
    if let Some(r) = m.fill.rhs {
        write!(f, " fill_right ({})", to_string_g(r))?;
    }
    Ok(())
}

impl Display for UnaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.op, self.expr)
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function)?;
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            arg.fmt(f)?;
        }
        f.write_char(')')
    }
}

impl Display for ParenExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({})", self.expr)
    }
}
