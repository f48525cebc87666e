//! What will be done for a query, decided before any sample is read: constants folded, the step
//! grid of every node fixed, step-invariant parts marked, equal selectors shared, and for each
//! select the span of time that it needs. Knows no store.

mod absent;
mod build;
mod duration;
mod info;
mod invariant;
mod tally;
mod totals;

use model::{Labels, Matcher};
use promql_syntax::ast::{StringLiteral, VectorMatching};
use promql_syntax::{AggregateOp, BinaryOp, Function, Span};
use storage::SelectHints;

pub(crate) use build::{QueryRange, build};
pub(crate) use tally::{Tally, goes_by_step};

use crate::grid::Grid;

/// A query ready to run.
#[derive(Debug)]
pub(crate) struct QueryPlan {
    pub(crate) root: Plan,
    pub(crate) selects: Vec<Select>,
    /// What is counted of each node, by its number.
    pub(crate) tallies: Vec<Tally>,
    /// First and last time that any select asks for.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

/// A question to the store; nodes refer to it by its number.
#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) hints: SelectHints,
    /// Whether only count and sum of its native histograms are looked at.
    pub(crate) totals: bool,
}

/// Where in the query a remark points, and when the part that makes it is evaluated: of equal
/// remarks the latest is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) span: Span,
    /// Rises from operands to operators and from left to right.
    pub(crate) order: usize,
}

/// A node with the steps at which it is evaluated.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The node's number, from 0 on, unique in the plan.
    pub(crate) id: usize,
    pub(crate) node: Node,
    pub(crate) grid: Grid,
    pub(crate) span: Place,
}

#[derive(Debug)]
pub(crate) enum Node {
    Number(f64),
    String(StringLiteral),
    /// `time()`
    Time,
    Selector(Selector),
    /// `timestamp(selector)`, or `start_timestamp(selector)` if `started`.
    TimestampOf {
        selector: Selector,
        started: bool,
    },
    /// A function of a range vector.
    Range(RangeCall),
    /// Any other function.
    Call(Call),
    Info(Info),
    Aggregate(Aggregate),
    Binary(Binary),
    Negate(Box<Plan>),
    /// Evaluated at the first step, then the same at every step.
    Invariant(Box<Plan>),
    /// A range vector as the query's result.
    Matrix(Window),
}

impl Node {
    /// Calls `f` with each operand, but those of a range vector.
    pub(crate) fn for_each_operand<'p>(&'p self, f: &mut dyn FnMut(&'p Plan)) {
        match self {
            Self::Number(_)
            | Self::String(_)
            | Self::Time
            | Self::Selector(_)
            | Self::TimestampOf { .. }
            | Self::Matrix(_) => {}
            Self::Range(c) => c.scalars.iter().for_each(f),
            Self::Call(c) => c.args.iter().for_each(f),
            Self::Info(i) => f(&i.base),
            Self::Aggregate(a) => {
                a.param.iter().for_each(|p| f(p));
                f(&a.input);
            }
            Self::Binary(b) => {
                f(&b.lhs);
                f(&b.rhs);
            }
            Self::Negate(inner) | Self::Invariant(inner) => f(inner),
        }
    }
}

/// An instant vector selector.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) select: usize,
    pub(crate) offset_ms: i64,
    /// The time that `@` fixes.
    pub(crate) at_ms: Option<i64>,
    pub(crate) smoothed: bool,
}

/// A range vector.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) source: WindowSource,
    pub(crate) range_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    pub(crate) anchored: bool,
    pub(crate) smoothed: bool,
}

#[derive(Debug)]
pub(crate) enum WindowSource {
    Select(usize),
    Subquery(Box<Plan>),
}

#[derive(Debug)]
pub(crate) struct RangeCall {
    pub(crate) function: Function,
    pub(crate) window: Window,
    /// The scalar arguments in order.
    pub(crate) scalars: Vec<Plan>,
    /// Where annotations point: the first argument.
    pub(crate) span: Place,
    /// Where those on the second argument point.
    pub(crate) second_span: Place,
    /// What `absent_over_time` answers with.
    pub(crate) absent: Labels,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) args: Vec<Plan>,
    /// What `absent` answers with.
    pub(crate) absent: Labels,
}

/// `info(base, {matchers})`: which series it asks for depends on those of its base.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) base: Box<Plan>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    /// The span of time that it asks for.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) input: Box<Plan>,
    pub(crate) param: Option<Box<Plan>>,
    pub(crate) grouping: Grouping,
}

/// `by` or `without`, with sorted names; `without` includes the labels that make up the metric.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    pub(crate) without: bool,
    pub(crate) names: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Box<Plan>,
    pub(crate) rhs: Box<Plan>,
    pub(crate) matching: Option<VectorMatching>,
    pub(crate) return_bool: bool,
}
