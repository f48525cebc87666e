//! From syntax to plan.

use model::{Labels, METRIC_NAME, MatchOp, Matcher};
use promql_syntax::ast::{At, DurationValue, MatrixSelector, SubqueryExpr, VectorSelector};
use promql_syntax::{AggregateOp, Expr, Function, Span, UnaryOp, ValueType, ast};
use storage::{Projection, SelectHints, Stop};

use super::invariant::is_invariant;
use super::totals::LookedAt;
use super::{
    Aggregate, Binary, Call, Grouping, Info, Node, Place, Plan, QueryPlan, RangeCall, Select, Selector,
    Window, WindowSource, absent, duration, info, tally,
};
use crate::error::QueryError;
use crate::grid::Grid;
use crate::labels::{METADATA, is_metadata};
use crate::options::QueryOptions;

/// The span and step that the caller asked for; the step is 0 for an instant query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryRange {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
}

impl QueryRange {
    pub(super) fn span_seconds(&self) -> f64 {
        self.end_ms.saturating_sub(self.start_ms) as f64 / 1000.0
    }
}

/// Plans `expr` over `grid`.
pub(crate) fn build(
    expr: &Expr,
    grid: Grid,
    range: QueryRange,
    opts: &QueryOptions,
) -> Result<QueryPlan, QueryError> {
    let mut b = Builder {
        range,
        span: (range.start_ms, range.end_ms),
        opts,
        selects: Vec::new(),
        func: "",
        grouping: (Vec::new(), false),
        wanted: Projection::All,
        info_spans: Vec::new(),
        looked_at: LookedAt::default(),
        places: 0,
        nodes: 0,
    };
    let root = b.build(expr, grid)?;
    let selects = b.selects;
    let spans = || {
        let selected = selects.iter().map(|s| (s.hints.start_ms, s.hints.end_ms));
        selected.chain(b.info_spans.iter().copied())
    };
    let min_ms = spans().map(|(start, _)| start).min().unwrap_or(0);
    let max_ms = spans().map(|(_, end)| end).max().unwrap_or(0);
    let tallies = tally::tallies(&root, b.nodes, opts.per_step_stats);
    Ok(QueryPlan { root, selects, tallies, min_ms, max_ms })
}

struct Builder<'a> {
    range: QueryRange,
    opts: &'a QueryOptions,
    /// The span of time in which the node being built is evaluated: from the bounds asked for, which
    /// its first and last step need not reach. Prometheus selects by it.
    span: (i64, i64),
    selects: Vec<Select>,
    /// The function or aggregation above the node being built.
    func: &'static str,
    /// The labels of the aggregation directly above, and whether it is `by` them; the next select takes it.
    grouping: (Vec<String>, bool),
    /// Which labels what stands above looks at; the next select takes it.
    wanted: Projection,
    /// What `info` will ask for beyond the selects.
    info_spans: Vec<(i64, i64)>,
    /// What is looked at of the histograms below the node being built.
    looked_at: LookedAt,
    /// How many places have been given out.
    places: usize,
    /// How many nodes there are.
    nodes: usize,
}

impl Builder<'_> {
    fn build(&mut self, e: &Expr, grid: Grid) -> Result<Plan, QueryError> {
        let plain = matches!(e, Expr::Number(_) | Expr::String(_) | Expr::Matrix(_) | Expr::Subquery(_));
        if grid.steps > 1 && !plain && is_invariant(e, &self.range) {
            let inner = self.build(e, grid.first())?;
            let span = inner.span;
            return Ok(Plan { id: self.number(), node: Node::Invariant(Box::new(inner)), grid, span });
        }
        let above = self.looked_at;
        self.looked_at = above.below(e);
        let plan = self.node(e, grid);
        self.looked_at = above;
        plan
    }

    fn node(&mut self, e: &Expr, grid: Grid) -> Result<Plan, QueryError> {
        let node = match e {
            Expr::Number(n) => Node::Number(n.value),
            Expr::String(s) => Node::String(s.clone()),
            Expr::Paren(p) => return self.build(&p.expr, grid),
            Expr::Vector(v) => Node::Selector(self.selector(v, grid)?),
            Expr::Matrix(m) => Node::Matrix(self.matrix_window(m, grid)?),
            Expr::Subquery(s) => Node::Matrix(self.subquery_window(s, grid)?),
            Expr::Unary(u) => match u.op {
                UnaryOp::Add => return self.build(&u.expr, grid),
                UnaryOp::Sub => Node::Negate(Box::new(self.build(&u.expr, grid)?)),
            },
            Expr::Binary(b) => self.binary(b, grid)?,
            Expr::Aggregate(a) => self.aggregate(a, grid)?,
            Expr::Call(c) => self.call(c, grid)?,
        };
        Ok(Plan { id: self.number(), node, grid, span: self.place(e.span()) })
    }

    /// The number of another node.
    fn number(&mut self) -> usize {
        self.nodes += 1;
        self.nodes - 1
    }

    /// The place of what has been built last.
    fn place(&mut self, span: Span) -> Place {
        self.places += 1;
        Place { span, order: self.places }
    }

    /// Builds a part with `func` as what stands above it.
    fn below(&mut self, func: &'static str, e: &Expr, grid: Grid) -> Result<Plan, QueryError> {
        let above = std::mem::replace(&mut self.func, func);
        let plan = self.build(e, grid);
        self.func = above;
        plan
    }

    fn at(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::Timestamp(t) => t,
            At::Start => self.range.start_ms,
            At::End => self.range.end_ms,
        })
    }

    fn offset(&self, d: Option<&DurationValue>) -> Result<i64, QueryError> {
        d.map_or(Ok(0), |d| duration::resolve(d, &self.range, true))
    }

    /// The first and last moment that a selector may refer to.
    fn reach(&self, at_ms: Option<i64>, offset_ms: i64) -> (i64, i64) {
        let (first, last) = at_ms.map_or(self.span, |t| (t, t));
        (first.saturating_sub(offset_ms), last.saturating_sub(offset_ms))
    }

    /// The select that asks for `v` from `back_ms` before the first moment of interest
    /// (exclusive) to `ahead_ms` after the last; one already planned where it is the same.
    fn select(&mut self, v: &VectorSelector, first_ms: i64, last_ms: i64, grid: Grid, reach: Reach) -> usize {
        let (grouping, by) = std::mem::take(&mut self.grouping);
        let hints = SelectHints {
            start_ms: first_ms.saturating_sub(reach.back_ms).saturating_add(1),
            end_ms: last_ms.saturating_add(reach.ahead_ms),
            step_ms: if grid.steps > 1 { grid.step_ms } else { self.range.step_ms },
            range_ms: reach.range_ms,
            func: self.func.to_owned(),
            grouping,
            by,
            projection: std::mem::take(&mut self.wanted),
            any_order: true,
            limit: 0,
            series_only: false,
            stop: Stop::default(),
        };
        let totals = self.looked_at.totals();
        let same = |s: &Select| {
            s.matchers == v.matchers
                && (s.hints.start_ms, s.hints.end_ms) == (hints.start_ms, hints.end_ms)
                && s.totals == totals
        };
        if let Some(i) = self.selects.iter().position(same) {
            let shared = &mut self.selects[i].hints.projection;
            if *shared != hints.projection {
                *shared = Projection::All;
            }
            return i;
        }
        self.selects.push(Select { matchers: v.matchers.clone(), hints, totals });
        self.selects.len() - 1
    }

    fn selector(&mut self, v: &VectorSelector, grid: Grid) -> Result<Selector, QueryError> {
        let (offset_ms, at_ms) = (self.offset(v.offset.as_ref())?, self.at(v.at));
        let ahead_ms = if v.smoothed { self.opts.lookback_ms } else { 0 };
        let (first, last) = self.reach(at_ms, offset_ms);
        let reach = Reach { back_ms: self.opts.lookback_ms, ahead_ms, range_ms: 0 };
        let select = self.select(v, first, last, grid, reach);
        Ok(Selector { select, offset_ms, at_ms, smoothed: v.smoothed })
    }

    fn matrix_window(&mut self, m: &MatrixSelector, grid: Grid) -> Result<Window, QueryError> {
        let v = &m.selector;
        let (offset_ms, at_ms) = (self.offset(v.offset.as_ref())?, self.at(v.at));
        let range_ms = duration::resolve(&m.range, &self.range, false)?;
        let lookback = if v.anchored || v.smoothed { self.opts.lookback_ms } else { 0 };
        let (first, last) = self.reach(at_ms, offset_ms);
        let reach = Reach {
            back_ms: range_ms.saturating_add(lookback),
            ahead_ms: if v.smoothed { lookback } else { 0 },
            range_ms,
        };
        let select = self.select(v, first, last, grid, reach);
        Ok(Window {
            source: WindowSource::Select(select),
            range_ms,
            offset_ms,
            at_ms,
            anchored: v.anchored,
            smoothed: v.smoothed,
        })
    }

    fn subquery_window(&mut self, s: &SubqueryExpr, grid: Grid) -> Result<Window, QueryError> {
        let (offset_ms, at_ms) = (self.offset(s.offset.as_ref())?, self.at(s.at));
        let range_ms = duration::resolve(&s.range, &self.range, false)?;
        let step_ms = match &s.step {
            Some(d) => duration::resolve(d, &self.range, false)?,
            None => 0,
        };
        let step_ms = if step_ms > 0 { step_ms } else { self.opts.default_subquery_step_ms }.max(1);
        let (first, last) = moments(grid, at_ms, offset_ms);
        let before = first.saturating_sub(range_ms);
        // The first multiple of the step after the window's open end; Go divides towards zero.
        let mut start_ms = step_ms.saturating_mul(before / step_ms);
        if start_ms <= before {
            start_ms = start_ms.saturating_add(step_ms);
        }
        let (from, to) = self.reach(at_ms, offset_ms);
        let span = std::mem::replace(&mut self.span, (from.saturating_sub(range_ms), to));
        let above = self.looked_at;
        self.looked_at = above.below_subquery();
        let inner = self.build(&s.expr, Grid::range(start_ms, last, step_ms));
        self.looked_at = above;
        self.span = span;
        Ok(Window {
            source: WindowSource::Subquery(Box::new(inner?)),
            range_ms,
            offset_ms,
            at_ms,
            anchored: false,
            smoothed: false,
        })
    }

    fn binary(&mut self, b: &ast::BinaryExpr, grid: Grid) -> Result<Node, QueryError> {
        let lhs = Box::new(self.below("", &b.lhs, grid)?);
        let rhs = Box::new(self.below("", &b.rhs, grid)?);
        let matching = b.matching.clone().map(|mut m| {
            m.matching_labels.sort_unstable();
            m.matching_labels.dedup();
            m
        });
        Ok(Node::Binary(Binary { op: b.op, lhs, rhs, matching, return_bool: b.return_bool }))
    }

    fn aggregate(&mut self, a: &ast::AggregateExpr, grid: Grid) -> Result<Node, QueryError> {
        let func = a.op.as_str();
        let param = match &a.param {
            Some(p) => Some(Box::new(self.below(func, p.without_parens(), grid)?)),
            None => None,
        };
        let mut names = a.grouping.clone();
        if a.op == AggregateOp::CountValues
            && !a.without
            && let Some(Plan { node: Node::String(label), .. }) = param.as_deref()
        {
            names.push(label.value.clone());
        }
        names.sort_unstable();
        names.dedup();
        let inner = a.expr.without_parens();
        if drops_labels(a.op) && hands_labels_on(inner) {
            self.wanted = projection(a.without, &names);
        }
        if matches!(*a.expr, Expr::Vector(_)) {
            self.grouping = (a.grouping.clone(), !a.without);
        }
        let input = Box::new(self.below(func, inner, grid)?);
        self.wanted = Projection::All;
        Ok(Node::Aggregate(Aggregate {
            op: a.op,
            input,
            param,
            grouping: Grouping { without: a.without, names },
        }))
    }

    fn call(&mut self, c: &ast::Call, grid: Grid) -> Result<Node, QueryError> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        match c.function {
            Function::Start => return Ok(Node::Number(seconds(self.range.start_ms))),
            Function::End => return Ok(Node::Number(seconds(self.range.end_ms))),
            Function::Range => return Ok(Node::Number(self.range.span_seconds())),
            Function::Step if self.range.start_ms == self.range.end_ms => return Ok(Node::Number(0.0)),
            Function::Step => return Ok(Node::Number(seconds(self.range.step_ms))),
            Function::Pi => return Ok(Node::Number(std::f64::consts::PI)),
            Function::Time => return Ok(Node::Time),
            _ => {}
        }
        let func = c.function.name();
        let args: Vec<&Expr> = c.args.iter().map(Expr::without_parens).collect();
        if let (Function::Timestamp | Function::StartTimestamp, [Expr::Vector(v)]) = (c.function, &args[..]) {
            let above = std::mem::replace(&mut self.func, func);
            let selector = self.selector(v, grid);
            self.func = above;
            let started = c.function == Function::StartTimestamp;
            return Ok(Node::TimestampOf { selector: selector?, started });
        }
        if c.function == Function::Info {
            return self.info(&args, grid);
        }
        if args.iter().any(|a| a.value_type() == ValueType::Matrix) {
            return self.range_call(c.function, &args, grid);
        }
        let absent = if c.function == Function::Absent { absent::labels(args[0]) } else { Labels::empty() };
        let args = args.into_iter().map(|a| self.below(func, a, grid)).collect::<Result<_, _>>()?;
        Ok(Node::Call(Call { function: c.function, args, absent }))
    }

    fn info(&mut self, args: &[&Expr], grid: Grid) -> Result<Node, QueryError> {
        let base = Box::new(self.below("info", args[0], grid)?);
        let matchers = match args.get(1) {
            Some(Expr::Vector(v)) => v.matchers.clone(),
            _ => Vec::new(),
        };
        let reference = info::uniform_reference(args[0], &self.range).unwrap_or_default();
        let (first, last) = self.reach(reference.at_ms, reference.offset_ms);
        let start_ms = first.saturating_sub(self.opts.lookback_ms).saturating_add(1);
        self.info_spans.push((start_ms, last));
        let info::Reference { at_ms, offset_ms } = reference;
        Ok(Node::Info(Info { base, matchers, offset_ms, at_ms, start_ms, end_ms: last }))
    }

    fn range_call(&mut self, function: Function, args: &[&Expr], grid: Grid) -> Result<Node, QueryError> {
        let above = std::mem::replace(&mut self.func, function.name());
        let mut window = None;
        let mut scalars = Vec::new();
        let mut spans = Vec::new();
        for a in args {
            spans.push(a.span());
            match a {
                Expr::Matrix(m) => window = Some(self.matrix_window(m, grid)?),
                Expr::Subquery(s) => {
                    window = Some(self.subquery_window(s, grid)?);
                    // Prometheus puts a selector without a position in a subquery's place.
                    if let Some(last) = spans.last_mut() {
                        *last = Span::default();
                    }
                }
                _ => {
                    let wanted = std::mem::take(&mut self.wanted);
                    scalars.push(self.build(a, grid)?);
                    self.wanted = wanted;
                }
            }
        }
        self.func = above;
        let Some(window) = window else {
            return Err(QueryError::Invalid(format!("{function} needs a range vector")));
        };
        let absent =
            if function == Function::AbsentOverTime { absent::labels(args[0]) } else { Labels::empty() };
        let span = self.place(spans.first().copied().unwrap_or_default());
        let second_span = Place { span: spans.get(1).copied().unwrap_or_default(), ..span };
        Ok(Node::Range(RangeCall { function, window, scalars, span, second_span, absent }))
    }
}

/// Whether an aggregation's result has nothing of the labels it does not group by.
fn drops_labels(op: AggregateOp) -> bool {
    use AggregateOp as Op;
    !matches!(op, Op::Topk | Op::Bottomk | Op::Limitk | Op::LimitRatio)
}

/// Whether a vector's elements are the series of one select, each under labels of its own.
fn hands_labels_on(e: &Expr) -> bool {
    match e {
        Expr::Vector(_) => true,
        Expr::Call(c) if !matches!(c.function, Function::AbsentOverTime | Function::Info) => {
            c.args.iter().map(Expr::without_parens).any(|a| match a {
                // Where names may differ, the function must tell apart what is equal but for them.
                Expr::Matrix(m) => m.selector.matchers.iter().any(names_metric),
                _ => false,
            })
        }
        _ => false,
    }
}

fn names_metric(m: &Matcher) -> bool {
    m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty()
}

/// What grouping looks at, and what remarks and checks of names do.
fn projection(without: bool, names: &[String]) -> Projection {
    let mut names = names.to_vec();
    if without {
        names.retain(|n| !is_metadata(n));
        return Projection::Without(names);
    }
    names.extend(METADATA.map(str::to_owned));
    names.sort_unstable();
    names.dedup();
    Projection::Only(names)
}

/// How far around the moments of interest a select must look, milliseconds.
#[derive(Clone, Copy)]
struct Reach {
    back_ms: i64,
    ahead_ms: i64,
    range_ms: i64,
}

/// The first and last moment that a selector refers to.
fn moments(grid: Grid, at_ms: Option<i64>, offset_ms: i64) -> (i64, i64) {
    match at_ms {
        Some(t) => (t.saturating_sub(offset_ms), t.saturating_sub(offset_ms)),
        None => (grid.start_ms.saturating_sub(offset_ms), grid.end_ms().saturating_sub(offset_ms)),
    }
}
