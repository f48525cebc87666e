//! Judging results.

use std::collections::HashMap;

use model::{FloatHistogram, Labels, is_stale_nan};
use promql::{SampleValue, Series, Value, VectorSample};

use super::expect::{Expect, TextMatch};
use super::points::Point;

const EPSILON: f64 = 1e-6;

/// Whether two floats are equal up to rounding.
pub(super) fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < EPSILON * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < EPSILON
}

fn same_histogram(expected: &FloatHistogram, got: &FloatHistogram, with_hint: bool) -> bool {
    let floats =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b));
    // Which empty buckets there are is nobody's concern.
    let (mut e, mut g) = (expected.clone(), got.clone());
    e.compact(0);
    g.compact(0);
    e.schema == g.schema
        && e.zero_threshold == g.zero_threshold
        && almost_equal(e.count, g.count)
        && almost_equal(e.sum, g.sum)
        && almost_equal(e.zero_count, g.zero_count)
        && e.positive_spans == g.positive_spans
        && e.negative_spans == g.negative_spans
        && floats(&e.positive_buckets, &g.positive_buckets)
        && floats(&e.negative_buckets, &g.negative_buckets)
        && floats(&e.custom_values, &g.custom_values)
        && (!with_hint || e.counter_reset_hint == g.counter_reset_hint)
}

fn same_point(expected: &Point, got: &SampleValue) -> bool {
    match (expected, got) {
        (Point::Float(e), SampleValue::Float(g)) => almost_equal(*e, *g),
        (Point::Histogram(e, hint), SampleValue::Histogram(g)) => same_histogram(e, g, *hint),
        _ => false,
    }
}

/// Compares the value of a query with what is expected; the times of a range are given by start,
/// end and step.
pub(super) fn compare(value: &Value, e: &Expect, times: (i64, i64, i64)) -> Result<(), String> {
    match value {
        Value::String(_, s) => match &e.string {
            Some(expected) if expected == s => Ok(()),
            expected => Err(format!("expected string {expected:?}, got {s:?}")),
        },
        _ if e.string.is_some() => Err("expected a string".to_owned()),
        Value::Scalar(_, v) => match e.scalar {
            Some(expected) if almost_equal(expected, *v) => Ok(()),
            Some(expected) => Err(format!("expected scalar {expected}, got {v}")),
            None => Err(format!("expected a vector or matrix, got scalar {v}")),
        },
        Value::Matrix(m) => compare_matrix(m, e, times),
        Value::Vector(v) => compare_vector(v, e),
    }
}

fn compare_vector(got: &[VectorSample], e: &Expect) -> Result<(), String> {
    if e.scalar.is_some() {
        return Err("expected a scalar, got a vector".to_owned());
    }
    let expected: HashMap<&Labels, (usize, &Point)> =
        e.series.iter().enumerate().filter_map(|(i, (l, p))| Some((l, (i, p.first()?)))).collect();
    for (at, s) in got.iter().enumerate() {
        let Some((place, point)) = expected.get(&s.labels) else {
            return Err(format!("unexpected {} with {:?}", s.labels, s.value));
        };
        if e.ordered && *place != at {
            return Err(format!("expected {} at position {place}, it is at {at}", s.labels));
        }
        if !same_point(point, &s.value) {
            return Err(format!("expected {point:?} for {}, got {:?}", s.labels, s.value));
        }
    }
    match e.series.iter().find(|(l, _)| !got.iter().any(|s| s.labels == *l)) {
        Some((l, _)) => Err(format!("expected {l}, not found")),
        None => Ok(()),
    }
}

fn compare_matrix(got: &[Series], e: &Expect, (start, end, step): (i64, i64, i64)) -> Result<(), String> {
    if e.scalar.is_some() {
        // A scalar over a range is a series without labels.
        return Err("expected a scalar, got a matrix".to_owned());
    }
    if e.ordered {
        return Err("a matrix has no order".to_owned());
    }
    if !got.is_sorted_by(|a, b| a.labels <= b.labels) {
        return Err("the matrix is not sorted by labels".to_owned());
    }
    let expected: HashMap<&Labels, &Vec<Point>> = e.series.iter().map(|(l, p)| (l, p)).collect();
    for s in got {
        let Some(points) = expected.get(&s.labels) else {
            return Err(format!("unexpected {} with {:?}", s.labels, s.v));
        };
        compare_series(s, points, (start, end, step))?;
    }
    match e.series.iter().find(|(l, _)| !got.iter().any(|s| s.labels == *l)) {
        Some((l, _)) => Err(format!("expected {l}, not found")),
        None => Ok(()),
    }
}

fn compare_series(got: &Series, points: &[Point], (start, end, step): (i64, i64, i64)) -> Result<(), String> {
    let (mut floats, mut histograms) = (Vec::new(), Vec::new());
    for (i, p) in points.iter().enumerate() {
        let t = start + step * i as i64;
        if t > end {
            return Err(format!(
                "{} points expected for {}, more than the range has",
                points.len(),
                got.labels
            ));
        }
        match p {
            Point::Omitted => {}
            Point::Float(v) => floats.push((t, *v)),
            Point::Histogram(h, hint) => histograms.push((t, h, *hint)),
        }
    }
    let shown = || format!("expected {floats:?} for {}, got {:?} at {:?}", got.labels, got.v, got.t);
    if floats.len() != got.t.len() || histograms.len() != got.h.len() {
        return Err(shown());
    }
    let same = floats
        .iter()
        .zip(got.t.iter().zip(&got.v))
        .all(|((t, v), (gt, gv))| t == gt && almost_equal(*v, *gv));
    if !same {
        return Err(shown());
    }
    for ((t, h, hint), (gt, gh)) in histograms.iter().zip(&got.h) {
        if t != gt || !same_histogram(h, gh, *hint) {
            return Err(format!("expected {h:?} at {t} for {}, got {gh:?} at {gt}", got.labels));
        }
    }
    Ok(())
}

/// Compares the remarks of one kind.
pub(super) fn compare_annotations(
    got: &[String],
    expected: &[Option<TextMatch>],
    none: bool,
    kind: &str,
) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("unexpected {kind}: {got:?}"));
    }
    if expected.is_empty() {
        return Ok(());
    }
    if got.is_empty() {
        return Err(format!("expected {kind}, got none"));
    }
    let matches = |m: &Option<TextMatch>, text: &String| m.as_ref().is_none_or(|m| m.matches(text));
    if let Some(Some(m)) = expected.iter().find(|m| !got.iter().any(|g| matches(m, g))) {
        return Err(format!("expected {kind} {:?}, got {got:?}", m.as_str()));
    }
    match got.iter().find(|g| !expected.iter().any(|m| matches(m, g))) {
        Some(g) => Err(format!("unexpected {kind} {g:?}")),
        None => Ok(()),
    }
}
