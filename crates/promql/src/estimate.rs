//! What a query would cost, from the labels that its selectors find and a sample of their series.
//!
//! The model is Prometheus' (promql/estimate.go, 3.16): a selector is read once at each step, a range
//! selector once in full and then what each step adds, never more than there is. Where Prometheus
//! looks at 50 chunks of a selector we read at most 50 series, as long as they are short, so the two
//! estimates are of one kind but not equal.

use model::Columns;
use model::is_stale_nan;
use promql_syntax::{Expr, ValueType};
use storage::{Querier, Queryable, SelectHints, Stop};

use crate::error::QueryError;
use crate::exec::point_weight;
use crate::grid::Grid;
use crate::options::{Cancel, QueryOptions};
use crate::plan::{self, Node, Plan, QueryPlan, QueryRange, Select, Window, WindowSource};

/// Series of a selector that are read.
const SERIES_SAMPLED: usize = 50;
/// Samples that are read of them.
const SAMPLES_READ: usize = 6000;

/// What a query would cost, in the units of its statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Series that its selectors find, summed over selectors.
    pub series: u64,
    /// Samples that it would read.
    pub samples: u64,
    /// What the estimate leaves out.
    pub warnings: Vec<String>,
}

/// Estimates what `expr` would cost from `start_ms` to `end_ms`; a step of 0 is an instant query at
/// `start_ms`. `scrape_interval_ms` stands for the distance of samples where none can be seen.
///
/// # Errors
/// See [`QueryError`].
#[allow(clippy::too_many_arguments)]
pub fn estimate(
    store: &dyn Queryable,
    expr: &Expr,
    (start_ms, end_ms, step_ms): (i64, i64, i64),
    scrape_interval_ms: i64,
    opts: &QueryOptions,
    cancel: &Cancel,
) -> Result<Estimate, QueryError> {
    let value_type = expr.value_type();
    if step_ms > 0 && !matches!(value_type, ValueType::Vector | ValueType::Scalar) {
        return Err(QueryError::Invalid(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            value_type.documented()
        )));
    }
    let grid = if step_ms > 0 { Grid::range(start_ms, end_ms, step_ms) } else { Grid::instant(start_ms) };
    let plan = plan::build(expr, grid, QueryRange { start_ms, end_ms, step_ms }, opts)?;
    let querier = store.querier(plan.min_ms, plan.max_ms)?;
    let go_on = || opts.check(cancel);
    let stop = opts.stop(cancel);
    let mut out = Estimate::default();
    let e =
        Estimator { querier: querier.as_ref(), plan: &plan, opts, scrape_interval_ms, go_on: &go_on, stop };
    e.node(&plan.root, &mut out).map_err(|e| e.told_by(&go_on))?;
    Ok(out)
}

struct Estimator<'a> {
    querier: &'a dyn Querier,
    plan: &'a QueryPlan,
    opts: &'a QueryOptions,
    scrape_interval_ms: i64,
    go_on: &'a dyn Fn() -> Result<(), QueryError>,
    stop: Stop,
}

/// How often a selector is read, and how much each time.
#[derive(Clone, Copy)]
struct Reads {
    steps: u64,
    step_ms: i64,
    /// The width of the window; none where a step reads one sample.
    window_ms: Option<i64>,
}

impl Reads {
    /// Samples of a series whose samples lie `gap_ms` apart.
    fn samples(self, gap_ms: f64) -> f64 {
        if self.steps == 0 {
            return 0.0;
        }
        let Some(window_ms) = self.window_ms else { return self.steps as f64 };
        if gap_ms < 1.0 {
            return 1.0;
        }
        let full = (window_ms as f64 / gap_ms).floor() + 1.0;
        full + ((self.steps - 1) as f64 * (self.step_ms as f64 / gap_ms).min(full)).round()
    }
}

/// What the sampled series of a selector are like.
#[derive(Default)]
struct Density {
    /// Distance of samples, milliseconds; 0 where unknown.
    gap_ms: f64,
    /// Samples that a series has, on average.
    per_series: Option<f64>,
    /// What a sample weighs.
    weight: f64,
}

impl Estimator<'_> {
    fn node(&self, p: &Plan, out: &mut Estimate) -> Result<(), QueryError> {
        (self.go_on)()?;
        let step_ms = p.grid.step_ms;
        let steps = p.grid.steps as u64;
        let point = Reads { steps, step_ms, window_ms: None };
        let bucketless = self.plan.tallies[p.id].bucketless;
        match &p.node {
            Node::Selector(s) if s.smoothed => {
                let window_ms = Some(self.opts.lookback_ms.saturating_mul(2));
                self.select(s.select, Reads { window_ms, ..point }, bucketless, out)?;
            }
            Node::Selector(s) | Node::TimestampOf { selector: s, .. } => {
                self.select(s.select, point, bucketless, out)?;
            }
            Node::Range(c) => self.window(&c.window, point, bucketless, out)?,
            Node::Matrix(w) => self.window(w, point, bucketless, out)?,
            Node::Info(_) => {
                let text = "query cost estimate is incomplete: info() selects additional series at runtime";
                if !out.warnings.iter().any(|w| w == text) {
                    out.warnings.push(text.to_owned());
                }
            }
            _ => {}
        }
        let mut result = Ok(());
        p.node.for_each_operand(&mut |o| {
            if result.is_ok() {
                result = self.node(o, out);
            }
        });
        result
    }

    fn window(
        &self,
        w: &Window,
        once: Reads,
        bucketless: bool,
        out: &mut Estimate,
    ) -> Result<(), QueryError> {
        let select = match &w.source {
            WindowSource::Subquery(inner) => return self.node(inner, out),
            WindowSource::Select(select) => *select,
        };
        let around = i64::from(w.anchored || w.smoothed) + i64::from(w.smoothed);
        let window_ms = w.range_ms.saturating_add(self.opts.lookback_ms.saturating_mul(around));
        // A window that `@` fixes is read once.
        let steps = if w.at_ms.is_some() { once.steps.min(1) } else { once.steps };
        self.select(select, Reads { steps, window_ms: Some(window_ms), ..once }, bucketless, out)
    }

    fn select(&self, i: usize, reads: Reads, bucketless: bool, out: &mut Estimate) -> Result<(), QueryError> {
        let select = &self.plan.selects[i];
        let hints = SelectHints { series_only: true, stop: self.stop.clone(), ..select.hints.clone() };
        let found = self.querier.select(&hints, &select.matchers)?.len() as u64;
        out.series = out.series.saturating_add(found);
        if found == 0 {
            return Ok(());
        }
        let density = self.density(select, bucketless)?;
        let gap_ms = if density.gap_ms > 0.0 { density.gap_ms } else { self.scrape_interval_ms as f64 };
        let mut each = reads.samples(gap_ms);
        if let (Some(_), Some(there)) = (reads.window_ms, density.per_series) {
            each = each.min(there);
        }
        // Casts of floats saturate.
        out.samples = out.samples.saturating_add((found as f64 * each * density.weight).round() as u64);
        Ok(())
    }

    /// Looks at the first few series.
    fn density(&self, select: &Select, bucketless: bool) -> Result<Density, QueryError> {
        let hints = SelectHints { limit: 0, stop: self.stop.clone(), ..select.hints.clone() };
        let set = self.querier.select(&hints, &select.matchers)?;
        let mut columns = Columns::default();
        let (mut seen, mut span_ms, mut gaps, mut samples, mut whole) = (0, 0.0, 0usize, 0usize, 0usize);
        let (mut weight, mut weighed) = (0.0, 0usize);
        for i in 0..set.len().min(SERIES_SAMPLED) {
            (self.go_on)()?;
            columns.clear();
            set.read(i, &mut columns)?;
            let (Some(first), Some(last)) = (columns.t.first(), columns.t.last()) else { continue };
            span_ms += last.saturating_sub(*first) as f64;
            gaps += columns.len() - 1;
            samples += columns.len();
            whole += 1;
            match columns.h.first().filter(|(at, _)| *at == 0) {
                Some((_, h)) if is_stale_nan(h.sum) => {}
                Some(_) if bucketless => (weight, weighed) = (weight + 11.0, weighed + 1),
                Some((_, h)) => (weight, weighed) = (weight + point_weight(h) as f64, weighed + 1),
                None if is_stale_nan(columns.v[0]) => {}
                None => (weight, weighed) = (weight + 1.0, weighed + 1),
            }
            seen += columns.len();
            if seen >= SAMPLES_READ {
                break;
            }
        }
        Ok(Density {
            gap_ms: if gaps > 0 { span_ms / gaps as f64 } else { 0.0 },
            per_series: (whole > 0).then(|| samples as f64 / whole as f64),
            weight: if weighed > 0 { weight / weighed as f64 } else { 1.0 },
        })
    }
}
