//! Series notation expanded into one point per step.

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram};
use promql_syntax::series_notation::{HistogramStep, SeriesItem, StartOffset};

/// How many points a series of a script may have.
const POINTS_MAX: u64 = 10_000_000;

/// What a series has at one step.
#[derive(Clone, Debug, PartialEq)]
pub enum Point {
    /// Nothing.
    Omitted,
    /// A float; the stale marker too.
    Float(f64),
    /// A histogram, and whether its counter reset hint is to be compared.
    Histogram(Arc<FloatHistogram>, bool),
}

fn check_len(lens: impl Iterator<Item = u64>) -> Result<(), String> {
    match lens.fold(0u64, u64::saturating_add) {
        n if n > POINTS_MAX => Err(format!("more than {POINTS_MAX} values in a series")),
        _ => Ok(()),
    }
}

fn next(h: &FloatHistogram, step: &HistogramStep) -> Result<FloatHistogram, String> {
    if h.schema > step.histogram.schema {
        let (from, to) = (step.histogram.schema, h.schema);
        return Err(format!("error combining histograms: cannot merge from schema {from} to {to}"));
    }
    let mut out = h.clone();
    let combined = if step.subtract { out.sub(&step.histogram) } else { out.add(&step.histogram) };
    combined.map_err(|e| e.to_string())?;
    Ok(out)
}

/// The points that `items` stand for.
///
/// # Errors
/// Too many points, or histograms that do not add up.
pub(super) fn expand(items: &[SeriesItem]) -> Result<Vec<Point>, String> {
    check_len(items.iter().map(SeriesItem::len))?;
    let mut out = Vec::new();
    for item in items {
        match item {
            SeriesItem::Omitted { times } => out.extend((0..*times).map(|_| Point::Omitted)),
            SeriesItem::Float { first, step, times } => {
                let mut v = *first;
                out.push(Point::Float(v));
                for _ in 0..*times {
                    v = step.map_or(v, |s| v + s);
                    out.push(Point::Float(v));
                }
            }
            SeriesItem::Histogram { first, step, times, hint_given } => {
                let mut h = Arc::new(FloatHistogram::clone(first));
                out.push(Point::Histogram(h.clone(), *hint_given));
                for _ in 0..*times {
                    if let Some(step) = step {
                        h = Arc::new(next(&h, step)?);
                    }
                    out.push(Point::Histogram(h.clone(), *hint_given));
                }
            }
        }
    }
    Ok(out)
}

/// The start offsets that `items` stand for, none where unknown, milliseconds.
///
/// # Errors
/// Too many of them.
pub(super) fn expand_offsets(items: &[StartOffset]) -> Result<Vec<Option<i64>>, String> {
    check_len(items.iter().map(|i| match i {
        StartOffset::Omitted { times } => *times,
        StartOffset::Offset { times, .. } => times.saturating_add(1),
    }))?;
    let mut out = Vec::new();
    for item in items {
        match item {
            StartOffset::Omitted { times } => out.extend((0..*times).map(|_| None)),
            StartOffset::Offset { first_ms, step_ms, times } => {
                out.extend((0..=*times).map(|i| Some(first_ms + step_ms * i as i64)));
            }
        }
    }
    Ok(out)
}

/// What a database would say of a reset between two counter histograms that follow each other.
fn hint(h: &FloatHistogram, previous: Option<&FloatHistogram>) -> CounterResetHint {
    match previous {
        _ if h.counter_reset_hint == CounterResetHint::Gauge => CounterResetHint::Gauge,
        None => CounterResetHint::Unknown,
        Some(previous) if previous.counter_reset_hint == CounterResetHint::Gauge => CounterResetHint::Unknown,
        Some(_) if h.counter_reset_hint == CounterResetHint::Reset => CounterResetHint::Reset,
        Some(previous) => {
            let unknown = FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..h.clone() };
            // Prometheus' head begins another chunk at a reset, and says nothing of its first sample.
            if unknown.detect_reset(previous) {
                CounterResetHint::Unknown
            } else {
                CounterResetHint::NotReset
            }
        }
    }
}

/// The samples of points that are `step_ms` apart from time 0 on. Histograms have the counter reset
/// hints that a database gives them.
pub(super) fn columns(points: &[Point], offsets: &[Option<i64>], step_ms: i64) -> Columns {
    let mut out = Columns::default();
    let mut previous: Option<Arc<FloatHistogram>> = None;
    for (i, p) in points.iter().enumerate() {
        let t = step_ms * i as i64;
        let st = offsets.get(i).copied().flatten().map_or(0, |d| t + d);
        match p {
            Point::Omitted => {}
            Point::Float(v) => {
                out.push_started(t, st, *v);
                previous = None;
            }
            Point::Histogram(h, _) => {
                let counter_reset_hint = hint(h, previous.as_deref());
                let h = Arc::new(FloatHistogram { counter_reset_hint, ..FloatHistogram::clone(h) });
                out.push_histogram(t, st, h.clone());
                previous = Some(h);
            }
        }
    }
    out
}
