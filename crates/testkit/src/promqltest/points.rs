//! Series notation expanded into one point per step.

use std::sync::Arc;

use model::{Columns, FloatHistogram};
use promql_syntax::series_notation::{SeriesItem, StartOffset};

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

/// The points that `items` stand for.
///
/// # Errors
/// Too many points, or histograms that would have to be added up.
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
                if step.is_some() && *times > 0 {
                    return Err("series of rising histograms are not supported yet".to_owned());
                }
                let h = Arc::new(FloatHistogram::clone(first));
                out.extend((0..=*times).map(|_| Point::Histogram(h.clone(), *hint_given)));
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

/// The samples of points that are `step_ms` apart from time 0 on.
pub(super) fn columns(points: &[Point], offsets: &[Option<i64>], step_ms: i64) -> Columns {
    let mut out = Columns::default();
    for (i, p) in points.iter().enumerate() {
        let t = step_ms * i as i64;
        let st = offsets.get(i).copied().flatten().map_or(0, |d| t + d);
        match p {
            Point::Omitted => {}
            Point::Float(v) => out.push_started(t, st, *v),
            Point::Histogram(h, _) => out.push_histogram(t, st, h.clone()),
        }
    }
    out
}
