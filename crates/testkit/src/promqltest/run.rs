//! Running the statements of a script over a store.

use promql::{Cancel, QueryOptions, QueryResult, SampleValue, Value, VectorSample};
use promql_syntax::ast::{At, Expr};
use promql_syntax::{Function, ParseOptions, parse};
use storage::{Inline, ManualClock};

use super::TestStore;
use super::compare::{compare, compare_annotations};
use super::script::{Command, Eval, EvalKind, ScriptError, parse_script};

const MINUTE_MS: i64 = 60_000;

/// One statement, run.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Where it stands.
    pub line: usize,
    /// Its query.
    pub query: String,
    /// What went wrong, if anything.
    pub failure: Option<String>,
    /// Whether its block loads native histograms.
    pub with_histograms: bool,
    /// Whether its query names an experimental function.
    pub experimental: bool,
    /// Whether its query names a function of histograms.
    pub histogram_function: bool,
}

/// The statements of a script, in order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All of them.
    pub statements: Vec<Statement>,
}

/// The engine's settings in scripts.
#[must_use]
pub fn options() -> QueryOptions {
    QueryOptions {
        lookback_ms: 5 * MINUTE_MS,
        max_samples: 10_000,
        default_subquery_step_ms: MINUTE_MS,
        delayed_name_removal: true,
        use_start_timestamps: true,
        ..QueryOptions::default()
    }
}

/// Runs a script over `store`, which is cleared first.
///
/// # Errors
/// A script that cannot be read, or series that the store refuses.
pub fn run(script: &str, store: &mut dyn TestStore) -> Result<Report, ScriptError> {
    let mut report = Report::default();
    let mut unsupported = None;
    store.clear();
    for command in parse_script(script)? {
        match command {
            Command::Clear => {
                store.clear();
                unsupported = None;
            }
            Command::Load(load) => {
                let line = load.line;
                store.load(load.series).map_err(|message| ScriptError { line, message })?;
                unsupported = unsupported.or(load.unsupported);
            }
            Command::Eval(eval) => report.statements.push(statement(&eval, store, unsupported.as_deref())),
        }
    }
    Ok(report)
}

fn statement(eval: &Eval, store: &dyn TestStore, unsupported: Option<&str>) -> Statement {
    let mut out = Statement {
        line: eval.line,
        query: eval.query.clone(),
        failure: None,
        with_histograms: eval.with_histograms,
        experimental: false,
        histogram_function: false,
    };
    let expr = match parse(&eval.query, &ParseOptions::all()) {
        Ok(expr) => expr,
        Err(e) => {
            out.failure = Some(e.to_string());
            return out;
        }
    };
    expr.walk(&mut |e| {
        if let Expr::Call(c) = e {
            out.experimental |= c.function.signature().experimental;
            out.histogram_function |= c.function.name().starts_with("histogram_");
        }
    });
    out.failure = check(eval, &expr, store).err().map(|e| match unsupported {
        Some(why) => format!("{e} (after a load that was not complete: {why})"),
        None => e,
    });
    out
}

fn check(eval: &Eval, expr: &Expr, store: &dyn TestStore) -> Result<(), String> {
    match eval.kind {
        EvalKind::Range { start_ms, end_ms, step_ms } => {
            let result = query(store, expr, Some((start_ms, end_ms, step_ms)), 0);
            judge(eval, &eval.query, result, (start_ms, end_ms, step_ms))?;
            Ok(())
        }
        EvalKind::Instant { t_ms } => {
            let t_ms = eval.expect.range_vector.map_or(t_ms, |(_, end, _)| end);
            check_instant(eval, &eval.query, expr, t_ms, store)?;
            let Some(fixed) = fixed_in_time(expr, t_ms) else { return Ok(()) };
            let text = fixed.to_string();
            let expr = parse(&text, &ParseOptions::all()).map_err(|e| format!("{text}: {e}"))?;
            let times: &[i64] =
                if t_ms == 0 { &[-1000, 0, 1000] } else { &[-10 * t_ms, 0, t_ms / 5, t_ms, 10 * t_ms] };
            for t_ms in times {
                check_instant(eval, &text, &expr, *t_ms, store)
                    .map_err(|e| format!("{e} (as {text} at {t_ms} ms)"))?;
            }
            Ok(())
        }
    }
}

fn query(
    store: &dyn TestStore,
    expr: &Expr,
    range: Option<(i64, i64, i64)>,
    t_ms: i64,
) -> Result<QueryResult, String> {
    let (store, spawn, clock) = (store.queryable(), Inline, ManualClock::new(0));
    let (opts, cancel) = (options(), Cancel::new());
    match range {
        Some((start, end, step)) => {
            promql::range(store, &spawn, &clock, expr, start, end, step, &opts, &cancel)
        }
        None => promql::instant(store, &spawn, &clock, expr, t_ms, &opts, &cancel),
    }
    .map_err(|e| e.to_string())
}

/// Compares one result; gives it back where there is more to look at.
fn judge(
    eval: &Eval,
    text: &str,
    result: Result<QueryResult, String>,
    times: (i64, i64, i64),
) -> Result<Option<Value>, String> {
    let expect = &eval.expect;
    match (result, &expect.fail) {
        (Err(_), Some(None)) => Ok(None),
        (Err(e), Some(Some(m))) if m.matches(&e) => Ok(None),
        (Err(e), Some(Some(m))) => Err(format!("expected failure {:?}, got {e:?}", m.as_str())),
        (Err(e), None) => Err(format!("failed: {e}")),
        (Ok(_), Some(_)) => Err("expected to fail".to_owned()),
        (Ok(r), None) => {
            compare_annotations(&r.annotations.warnings(text, 0), &expect.warn, expect.no_warn, "warnings")?;
            compare_annotations(&r.annotations.infos(text, 0), &expect.info, expect.no_info, "infos")?;
            compare(&r.value, expect, times)?;
            Ok(Some(r.value))
        }
    }
}

fn check_instant(
    eval: &Eval,
    text: &str,
    expr: &Expr,
    t_ms: i64,
    store: &dyn TestStore,
) -> Result<(), String> {
    let times = eval.expect.range_vector.unwrap_or((t_ms, t_ms, 1));
    let Some(value) = judge(eval, text, query(store, expr, None, t_ms), times)? else { return Ok(()) };
    let expect = &eval.expect;
    let by_context = ["start()", "end()", "range()", "step()"].iter().any(|f| text.contains(f));
    if by_context || expect.ordered || expect.string.is_some() || expect.range_vector.is_some() {
        return Ok(());
    }
    let range = (t_ms - MINUTE_MS, t_ms + MINUTE_MS, MINUTE_MS);
    let result = query(store, expr, Some(range), 0).map_err(|e| format!("failed in range mode: {e}"))?;
    let Value::Matrix(matrix) = result.value else { return Err("no matrix in range mode".to_owned()) };
    if !matrix.is_sorted_by(|a, b| a.labels <= b.labels) {
        return Err("the matrix is not sorted by labels".to_owned());
    }
    let middle: Vec<VectorSample> = matrix
        .iter()
        .flat_map(|s| {
            let floats = s.t.iter().zip(&s.v).map(|(t, v)| (*t, SampleValue::Float(*v)));
            let histograms = s.h.iter().map(|(t, h)| (*t, SampleValue::Histogram(h.clone())));
            floats.chain(histograms).filter(|(t, _)| *t == t_ms).map(|(t_ms, value)| VectorSample {
                labels: s.labels.clone(),
                t_ms,
                value,
            })
        })
        .collect();
    let middle = match (&value, &middle[..]) {
        (Value::Scalar(..), [VectorSample { value: SampleValue::Float(v), .. }]) => Value::Scalar(t_ms, *v),
        (Value::Scalar(..), _) => return Err("no scalar in range mode".to_owned()),
        _ => Value::Vector(middle),
    };
    compare(&middle, expect, times).map_err(|e| format!("{e} (in range mode)"))
}

/// Functions that may answer differently at another time though their arguments are fixed.
fn depends_on_time(f: Function) -> bool {
    use Function as F;
    matches!(
        f,
        F::DaysInMonth
            | F::DayOfMonth
            | F::DayOfWeek
            | F::DayOfYear
            | F::Hour
            | F::Minute
            | F::Month
            | F::Year
            | F::PredictLinear
            | F::Start
            | F::End
            | F::Range
            | F::Step
            | F::Time
            | F::Timestamp
    )
}

/// The query with `@ t` on every selector and subquery that has no time of its own, or none if
/// it calls a function for which that is not enough.
fn fixed_in_time(expr: &Expr, t_ms: i64) -> Option<Expr> {
    let mut out = expr.clone();
    fix(&mut out, t_ms).then_some(out)
}

fn fix(e: &mut Expr, t_ms: i64) -> bool {
    let set = |at: &mut Option<At>| {
        if !matches!(at, Some(At::Timestamp(_))) {
            *at = Some(At::Timestamp(t_ms));
        }
    };
    match e {
        Expr::Vector(v) => set(&mut v.at),
        Expr::Matrix(m) => set(&mut m.selector.at),
        Expr::Subquery(s) => {
            set(&mut s.at);
            // What is inside is fixed by it.
            return true;
        }
        Expr::Call(c) if depends_on_time(c.function) => return false,
        _ => {}
    }
    let mut fine = true;
    e.for_each_child_mut(|c| fine &= fix(c, t_ms));
    fine
}
