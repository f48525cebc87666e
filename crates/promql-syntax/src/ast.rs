//! The syntax tree. Plain data with positions: no evaluation, no references to storage.

use model::Matcher;

use crate::function::Function;
use crate::op::{AggregateOp, BinaryOp, UnaryOp};
use crate::span::Span;
use crate::value_type::ValueType;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `1.5`, `0x1f`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `up{job="a"} offset 5m @ 10`
    Vector(VectorSelector),
    /// `up[5m]`
    Matrix(MatrixSelector),
    /// `expr[1h:1m]`
    Subquery(SubqueryExpr),
    /// `sum by (job) (up)`
    Aggregate(AggregateExpr),
    /// `a + on (x) b`
    Binary(BinaryExpr),
    /// `-a`; a sign before a number literal becomes part of the number.
    Unary(UnaryExpr),
    /// `rate(up[5m])`
    Call(Call),
    /// `(a)`
    Paren(ParenExpr),
}

/// A number, or a duration standing for its seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    /// The number; seconds if written as a duration.
    pub value: f64,
    /// Whether it was written as a duration, and so is printed as one.
    pub duration: bool,
    /// Where it stands.
    pub span: Span,
}

/// A string, unquoted.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// The text; where it is not UTF-8, with U+FFFD in place of what is not.
    pub value: String,
    /// The bytes, where escapes (`\xff`) make them something else than UTF-8. No label may have
    /// such a name or value.
    pub invalid_utf8: Option<Box<[u8]>>,
    /// Where it stands.
    pub span: Span,
}

impl StringLiteral {
    /// The bytes as they were meant.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.invalid_utf8.as_deref().unwrap_or(self.value.as_bytes())
    }
}

/// The time that `@` fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ 10.5`, in milliseconds since the epoch.
    Timestamp(i64),
    /// `@ start()`: the start of the range query, the time of an instant query.
    Start,
    /// `@ end()`
    End,
}

/// The length of a range, a step or an offset.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationValue {
    /// Written as one number or duration; kept in nanoseconds, as Prometheus does. Evaluation
    /// uses [`DurationValue::fixed_ms`].
    Fixed {
        /// Nanoseconds; only offsets may be negative.
        ns: i64,
    },
    /// To be computed when the query's start, end and step are known.
    Expr(Box<DurationExpr>),
}

impl DurationValue {
    /// The length in whole milliseconds, if it does not depend on the query.
    #[must_use]
    pub fn fixed_ms(&self) -> Option<i64> {
        match self {
            Self::Fixed { ns } => Some(ns / 1_000_000),
            Self::Expr(_) => None,
        }
    }
}

/// A duration expression: `5m * 2`, `step()`, `max_of(range(), 1h)`. Values are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What it computes.
    pub kind: DurationKind,
    /// Whether it stands in parentheses.
    pub wrapped: bool,
    /// Where it stands, as Prometheus positions it: without the parentheses.
    pub span: Span,
}

/// What a [`DurationExpr`] computes.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// A number or duration.
    Literal(NumberLiteral),
    /// `step()`: the query's step; 0 for an instant query.
    Step,
    /// `range()`: end minus start of the query.
    Range,
    /// `min_of(a, b)`
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `-a`, or `a` alone in parentheses (`+`).
    Unary(UnaryOp, Box<DurationExpr>),
    /// `a op b` with `+ - * / % ^` only.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
}

/// An instant vector selector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name written in front of the braces.
    pub name: Option<String>,
    /// All matchers in the order written; that of [`Self::name`] comes last.
    pub matchers: Vec<Matcher>,
    /// `offset`; none where it is zero.
    pub offset: Option<DurationValue>,
    /// `@`
    pub at: Option<At>,
    /// `anchored`
    pub anchored: bool,
    /// `smoothed`
    pub smoothed: bool,
    /// Whether names may be printed without quotes that only the extended syntax allows so.
    pub unquoted_utf8_names: bool,
    /// Where it stands, with its modifiers.
    pub span: Span,
}

/// A range vector selector. `offset`, `@`, `anchored` and `smoothed` are kept in its selector.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// What is selected, and the modifiers.
    pub selector: VectorSelector,
    /// How far back.
    pub range: DurationValue,
    /// Where it stands, with its modifiers; [`Self::selector`]'s span is that of the part
    /// before the bracket.
    pub span: Span,
}

/// A subquery.
#[derive(Clone, Debug, PartialEq)]
pub struct SubqueryExpr {
    /// What is evaluated at each step.
    pub expr: Box<Expr>,
    /// How far back.
    pub range: DurationValue,
    /// The step; none for the default evaluation interval.
    pub step: Option<DurationValue>,
    /// `offset`; none where it is zero.
    pub offset: Option<DurationValue>,
    /// `@`
    pub at: Option<At>,
    /// Where it stands, with its modifiers.
    pub span: Span,
}

/// An aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateExpr {
    /// The operator.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Box<Expr>,
    /// The parameter of operators that have one.
    pub param: Option<Box<Expr>>,
    /// The labels of `by` or `without`, in the order written.
    pub grouping: Vec<String>,
    /// `without` rather than `by`; no clause at all is `by ()`.
    pub without: bool,
    /// See [`VectorSelector::unquoted_utf8_names`].
    pub unquoted_utf8_names: bool,
    /// Where it stands.
    pub span: Span,
}

/// A binary operation.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryExpr {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub lhs: Box<Expr>,
    /// The right operand.
    pub rhs: Box<Expr>,
    /// How elements pair up: some exactly if both operands are instant vectors.
    pub matching: Option<VectorMatching>,
    /// `bool`: a comparison yields 0 or 1 rather than filtering.
    pub return_bool: bool,
    /// See [`VectorSelector::unquoted_utf8_names`].
    pub unquoted_utf8_names: bool,
    /// Where it stands.
    pub span: Span,
}

/// How many elements of one side may pair with one of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MatchCardinality {
    /// No modifier.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// The set operators.
    ManyToMany,
}

impl MatchCardinality {
    /// "one-to-one", "many-to-one", …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "one-to-one",
            Self::ManyToOne => "many-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToMany => "many-to-many",
        }
    }
}

/// How elements of two instant vectors pair up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// How many elements of one side may pair with one of the other.
    pub card: MatchCardinality,
    /// The labels of `on` or `ignoring`.
    pub matching_labels: Vec<String>,
    /// `on` rather than `ignoring`; no clause at all is `ignoring ()`.
    pub on: bool,
    /// The labels of `group_left` or `group_right`, copied from the side of "one".
    pub include: Vec<String>,
    /// `fill`, `fill_left`, `fill_right`
    pub fill: FillValues,
}

/// What stands in for an element without a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FillValues {
    /// For a missing left-hand element.
    pub lhs: Option<f64>,
    /// For a missing right-hand element.
    pub rhs: Option<f64>,
}

/// A sign before an expression that is no number literal.
#[derive(Clone, Debug, PartialEq)]
pub struct UnaryExpr {
    /// The sign.
    pub op: UnaryOp,
    /// The operand.
    pub expr: Box<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub function: Function,
    /// Its arguments; their number and types fit the signature.
    pub args: Vec<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// An expression in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct ParenExpr {
    /// What they enclose.
    pub expr: Box<Expr>,
    /// Where it stands, with the parentheses.
    pub span: Span,
}

impl Expr {
    /// The type of the expression's value; walks down operators and parentheses.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Vector(_) | Self::Aggregate(_) => ValueType::Vector,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Binary(b) => {
                if b.lhs.value_type() == ValueType::Scalar && b.rhs.value_type() == ValueType::Scalar {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            Self::Unary(u) => u.expr.value_type(),
            Self::Call(c) => c.function.signature().return_type,
            Self::Paren(p) => p.expr.value_type(),
        }
    }

    /// Where the expression stands in the query.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Number(n) => n.span,
            Self::String(s) => s.span,
            Self::Vector(v) => v.span,
            Self::Matrix(m) => m.span,
            Self::Subquery(s) => s.span,
            Self::Aggregate(a) => a.span,
            Self::Binary(b) => b.span,
            Self::Unary(u) => u.span,
            Self::Call(c) => c.span,
            Self::Paren(p) => p.span,
        }
    }

    /// Calls `f` on each direct subexpression in Prometheus' order: an aggregation's expression
    /// before its parameter.
    pub fn for_each_child<'a>(&'a self, mut f: impl FnMut(&'a Self)) {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => {}
            Self::Subquery(s) => f(&s.expr),
            Self::Aggregate(a) => {
                f(&a.expr);
                if let Some(p) = &a.param {
                    f(p);
                }
            }
            Self::Binary(b) => {
                f(&b.lhs);
                f(&b.rhs);
            }
            Self::Unary(u) => f(&u.expr),
            Self::Call(c) => c.args.iter().for_each(f),
            Self::Paren(p) => f(&p.expr),
        }
    }

    /// As [`Self::for_each_child`], for changing them.
    pub fn for_each_child_mut(&mut self, mut f: impl FnMut(&mut Self)) {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => {}
            Self::Subquery(s) => f(&mut s.expr),
            Self::Aggregate(a) => {
                f(&mut a.expr);
                if let Some(p) = &mut a.param {
                    f(p);
                }
            }
            Self::Binary(b) => {
                f(&mut b.lhs);
                f(&mut b.rhs);
            }
            Self::Unary(u) => f(&mut u.expr),
            Self::Call(c) => c.args.iter_mut().for_each(f),
            Self::Paren(p) => f(&mut p.expr),
        }
    }

    /// Calls `f` on the expression and everything below it, parents first.
    pub fn walk<'a>(&'a self, f: &mut impl FnMut(&'a Self)) {
        f(self);
        self.for_each_child(|c| c.walk(f));
    }

    /// The expression without the parentheses around it.
    #[must_use]
    pub fn without_parens(&self) -> &Self {
        let mut e = self;
        while let Self::Paren(p) = e {
            e = &p.expr;
        }
        e
    }
}
