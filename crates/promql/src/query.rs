//! Running a query from syntax tree to result.

use std::sync::PoisonError;

use model::Matcher;
use promql_syntax::{Expr, ValueType};
use storage::{Clock, Queryable, SelectHints, Spawn};

use crate::error::QueryError;
use crate::exec::{Consumption, Exec, SeriesRow, Val};
use crate::functions::stretch::{LABELS, Pulse};
use crate::grid::Grid;
use crate::labels::drop_metadata;
use crate::options::{Cancel, QueryOptions};
use crate::plan::{self, Node, QueryPlan, QueryRange};
use crate::row::Cell;
use crate::value::{PerStep, QueryResult, QueryStats, SampleValue, Series, Value, VectorSample};

/// Evaluates `expr` at the time `t_ms`.
///
/// # Errors
/// See [`QueryError`].
#[allow(clippy::too_many_arguments)]
pub fn instant(
    store: &dyn Queryable,
    spawn: &dyn Spawn,
    clock: &dyn Clock,
    expr: &Expr,
    t_ms: i64,
    opts: &QueryOptions,
    cancel: &Cancel,
) -> Result<QueryResult, QueryError> {
    let range = QueryRange { start_ms: t_ms, end_ms: t_ms, step_ms: 0 };
    run(store, spawn, clock, expr, Grid::instant(t_ms), range, opts, cancel, Shape::Instant)
}

/// Evaluates `expr` at `start_ms`, `start_ms + step_ms` … up to `end_ms`.
///
/// # Errors
/// See [`QueryError`]; also where the expression is neither a scalar nor an instant vector, or the
/// end lies before the start.
#[allow(clippy::too_many_arguments)]
pub fn range(
    store: &dyn Queryable,
    spawn: &dyn Spawn,
    clock: &dyn Clock,
    expr: &Expr,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    opts: &QueryOptions,
    cancel: &Cancel,
) -> Result<QueryResult, QueryError> {
    let value_type = expr.value_type();
    if !matches!(value_type, ValueType::Vector | ValueType::Scalar) {
        return Err(QueryError::Invalid(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            value_type.documented()
        )));
    }
    if step_ms <= 0 {
        return Err(QueryError::Invalid(
            "zero or negative query resolution step widths are not accepted".into(),
        ));
    }
    if end_ms < start_ms {
        return Err(QueryError::Invalid("end timestamp must not be before start time".into()));
    }
    let grid = Grid::range(start_ms, end_ms, step_ms);
    let range = QueryRange { start_ms, end_ms, step_ms };
    run(store, spawn, clock, expr, grid, range, opts, cancel, Shape::Range)
}

/// What a query asks a store for, as far as that can be told before it runs.
#[derive(Clone, Debug)]
pub struct Selects {
    /// First time of interest of all of them, milliseconds.
    pub start_ms: i64,
    /// The last.
    pub end_ms: i64,
    /// What each asks for; equal ones are one.
    pub list: Vec<(SelectHints, Vec<Matcher>)>,
}

/// What `expr` asks for from `start_ms` to `end_ms`; a step of 0 is an instant query at `start_ms`. What
/// `info` adds depends on what its operand finds, so only its span of time is in the answer.
///
/// # Errors
/// As [`instant`] and [`range`] before they look at any sample.
pub fn selects(
    expr: &Expr,
    (start_ms, end_ms, step_ms): (i64, i64, i64),
    opts: &QueryOptions,
) -> Result<Selects, QueryError> {
    let grid = if step_ms > 0 { Grid::range(start_ms, end_ms, step_ms) } else { Grid::instant(start_ms) };
    let plan = plan::build(expr, grid, QueryRange { start_ms, end_ms, step_ms }, opts)?;
    let list = plan.selects.into_iter().map(|s| (s.hints, s.matchers)).collect();
    Ok(Selects { start_ms: plan.min_ms, end_ms: plan.max_ms, list })
}

/// Whether a vector becomes an instant vector or a matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Instant,
    Range,
}

#[allow(clippy::too_many_arguments)]
fn run(
    store: &dyn Queryable,
    spawn: &dyn Spawn,
    clock: &dyn Clock,
    expr: &Expr,
    grid: Grid,
    range: QueryRange,
    opts: &QueryOptions,
    cancel: &Cancel,
    shape: Shape,
) -> Result<QueryResult, QueryError> {
    let began = clock.monotonic_ns();
    let plan = plan::build(expr, grid, range, opts)?;
    let querier = store.querier(plan.min_ms, plan.max_ms)?;
    let exec = Exec::new(&plan, querier, spawn, opts, cancel);
    let prepared = clock.monotonic_ns();
    let evaluated = evaluate(&exec, &plan, shape);
    let evaluated_ns = clock.monotonic_ns();
    let value = evaluated.and_then(|raw| finish(&exec, raw));
    let value = value.map_err(|e| e.told_by(&|| exec.check()));
    let value = value.and_then(|v| exec.check_samples().map(|()| v));
    // A query that failed may have asked for more steps than could ever be walked.
    let Consumption { total, read, steps } =
        if value.is_ok() { exec.consumption() } else { Consumption::default() };
    let stats = QueryStats {
        total_samples: total,
        samples_read: read,
        peak_samples: if value.is_ok() { exec.peak_samples().unwrap_or(0) } else { 0 },
        series: exec.budget.series(),
        per_step: opts.per_step_stats.then_some(PerStep {
            start_ms: grid.start_ms,
            step_ms: grid.step_ms,
            total: steps.total,
            read: steps.read,
        }),
        prepare_ns: prepared.saturating_sub(began),
        eval_ns: evaluated_ns.saturating_sub(prepared),
        result_ns: clock.monotonic_ns().saturating_sub(evaluated_ns),
    };
    if let Some(report) = &opts.report {
        report.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&stats);
    }
    Ok(QueryResult { value: value?, annotations: exec.into_annotations(), stats })
}

/// What is left to shape.
enum Raw {
    Value(Value),
    /// To be sorted by labels.
    Unsorted(Vec<Series>),
}

fn finish(exec: &Exec<'_>, raw: Raw) -> Result<Value, QueryError> {
    match raw {
        Raw::Value(v) => Ok(v),
        Raw::Unsorted(mut series) => {
            exec.stop.sort_by(&mut series, |a, b| a.labels.cmp(&b.labels))?;
            Ok(Value::Matrix(series))
        }
    }
}

fn evaluate<'e>(exec: &'e Exec<'e>, plan: &'e QueryPlan, shape: Shape) -> Result<Raw, QueryError> {
    let root = &plan.root;
    let t_ms = root.grid.start_ms;
    if let Node::Matrix(w) = &root.node {
        return Ok(Raw::Value(Value::Matrix(exec.matrix(w, root)?)));
    }
    let rows = match exec.eval(root)? {
        Val::String(s) => return Ok(Raw::Value(Value::String(t_ms, s))),
        Val::Scalar(v) if shape == Shape::Instant => {
            return Ok(Raw::Value(Value::Scalar(t_ms, v.first().copied().unwrap_or(f64::NAN))));
        }
        other => named(exec, other)?,
    };
    exec.check()?;
    if shape == Shape::Instant {
        let samples = rows.into_iter().filter_map(|r| {
            let value = match r.row.get(0)? {
                Cell::Float(v) => SampleValue::Float(v),
                Cell::Histogram(h) => SampleValue::Histogram(h.clone()),
            };
            Some(VectorSample { labels: r.head.labels, t_ms, value })
        });
        return Ok(Raw::Value(Value::Vector(samples.collect())));
    }
    let go_on = || exec.check();
    let mut pulse = Pulse::new(&go_on);
    let mut out = Vec::with_capacity(rows.len());
    for r in rows {
        pulse.beat(LABELS + r.row.count())?;
        out.push(series(r, root.grid));
    }
    Ok(Raw::Unsorted(out))
}

/// The rows of a vector with the names removed that were to go at the end.
fn named<'e>(exec: &'e Exec<'e>, val: Val<'e>) -> Result<Vec<SeriesRow>, QueryError> {
    let mut stream = val.into_vector();
    if exec.opts.delayed_name_removal {
        stream = stream.map(
            &|| exec.check(),
            |h| {
                let mut h = h.clone();
                if h.drop_name {
                    h.labels = drop_metadata(&h.labels);
                }
                h
            },
            Ok,
        )?;
        stream = exec.distinct(stream)?;
    }
    exec.collect(stream)
}

fn series(r: SeriesRow, grid: Grid) -> Series {
    let mut out = Series { labels: r.head.labels, ..Series::default() };
    out.t.reserve_exact(r.row.count());
    out.v.reserve_exact(r.row.count());
    for (step, cell) in r.row.iter() {
        match cell {
            Cell::Float(v) => {
                out.t.push(grid.time(step));
                out.v.push(v);
            }
            Cell::Histogram(h) => out.h.push((grid.time(step), h.clone())),
        }
    }
    out
}
