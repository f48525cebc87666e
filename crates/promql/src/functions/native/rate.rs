//! `rate`, `increase`, `delta`, `irate`, `idelta`, `changes` and `resets` over the histograms of one
//! window.

use std::sync::Arc;

use model::FloatHistogram;
use model::histogram::{CounterResetHint, HistogramError};

use super::Notes;
use crate::functions::rate::{began_within, factor};
use crate::functions::start_time::{is_reset, overlaps, st_at};

/// Histograms in order of time, with the bounds of their window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) t: &'a [i64],
    pub(crate) h: &'a [Arc<FloatHistogram>],
    /// As long as `t`, or empty.
    pub(crate) st: &'a [i64],
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

impl Window<'_> {
    fn reset_by_start(&self, i: usize) -> bool {
        is_reset(st_at(self.st, i - 1), self.t[i - 1], st_at(self.st, i), self.t[i])
    }
}

/// Nothing, where histograms of different kinds meet; any other error is the query's.
pub(crate) fn unless_mixed<T>(
    result: Result<T, HistogramError>,
    notes: &mut Notes,
) -> Result<Option<T>, HistogramError> {
    match result {
        Err(HistogramError::IncompatibleSchema) => {
            *notes = Notes::MIXED_SCHEMAS;
            Ok(None)
        }
        other => other.map(Some),
    }
}

pub(super) fn is_gauge(h: &FloatHistogram) -> bool {
    h.counter_reset_hint == CounterResetHint::Gauge
}

/// The gain between the first and the last of at least two histograms.
fn gain(
    w: &Window<'_>,
    is_counter: bool,
    notes: &mut Notes,
) -> Result<Option<FloatHistogram>, HistogramError> {
    let (first, second, last) = (&w.h[0], &w.h[1], &w.h[w.h.len() - 1]);
    notes.add_if(is_counter && (is_gauge(first) || is_gauge(last)), Notes::NOT_COUNTER);
    let mut base = first.clone();
    if is_counter && (w.reset_by_start(1) || second.detect_reset(first)) {
        // The layout of what is subtracted no longer matters: it is nothing.
        base = Arc::new(FloatHistogram {
            schema: second.schema,
            custom_values: second.custom_values.clone(),
            ..FloatHistogram::default()
        });
    }
    let custom = base.uses_custom_buckets();
    if last.uses_custom_buckets() != custom {
        notes.add(Notes::MIXED_SCHEMAS);
        return Ok(None);
    }
    let mut schema = last.schema.min(base.schema);
    if is_counter {
        for h in &w.h[1..w.h.len() - 1] {
            notes.add_if(is_gauge(h), Notes::NOT_COUNTER);
            schema = schema.min(h.schema);
            if h.uses_custom_buckets() != custom {
                *notes = Notes::MIXED_SCHEMAS;
                return Ok(None);
            }
        }
    }
    let mut out = last.copy_to_schema(schema)?;
    let Some(combined) = unless_mixed(out.sub(&base), notes)? else { return Ok(None) };
    notes.add_if(combined.bounds_reconciled, Notes::BOUNDS_IN_SUBTRACTION);
    if is_counter {
        let mut previous = &base;
        for (i, h) in w.h.iter().enumerate().skip(1) {
            let overlap = overlaps(st_at(w.st, i - 1), w.t[i - 1], st_at(w.st, i));
            notes.add_if(overlap, Notes::START_TIME_OVERLAP);
            if w.reset_by_start(i) || h.detect_reset(previous) {
                let Some(combined) = unless_mixed(out.add(previous), notes)? else { return Ok(None) };
                notes.add_if(combined.bounds_reconciled, Notes::BOUNDS_IN_ADDITION);
            }
            previous = h;
        }
    } else {
        notes.add_if(!is_gauge(first) || !is_gauge(last), Notes::NOT_GAUGE);
    }
    out.counter_reset_hint = CounterResetHint::Gauge;
    out.compact(0);
    Ok(Some(out))
}

/// As [`crate::functions::rate::extrapolated`].
pub(crate) fn extrapolated(
    w: &Window<'_>,
    is_counter: bool,
    per_second: bool,
    notes: &mut Notes,
) -> Result<Option<FloatHistogram>, HistogramError> {
    let mut out = None;
    if w.h.len() > 1 {
        match gain(w, is_counter, notes)? {
            None => return Ok(None),
            some => out = some,
        }
    }
    let bounds = (w.start_ms, w.end_ms);
    // As for floats, the count tells where a counter was zero.
    let to_zero = match &out {
        Some(gain) if is_counter && gain.count > 0.0 && w.h[0].count >= 0.0 => w.h[0].count / gain.count,
        _ => f64::INFINITY,
    };
    let began = if is_counter { began_within(w.t, w.st, w.start_ms) } else { None };
    if began.is_some() {
        match &mut out {
            None => out = Some(FloatHistogram::clone(&w.h[0])),
            Some(out) => {
                let Some(combined) = unless_mixed(out.add(&w.h[0]), notes)? else { return Ok(None) };
                notes.add_if(combined.bounds_reconciled, Notes::BOUNDS_IN_ADDITION);
            }
        }
    }
    let (Some(mut out), Some(factor)) = (out, factor(w.t, bounds, began, to_zero, per_second)) else {
        return Ok(None);
    };
    out.mul(factor);
    Ok(Some(out))
}

/// `irate` and `idelta` from two histograms.
pub(crate) fn instant(
    w: &Window<'_>,
    is_rate: bool,
    notes: &mut Notes,
) -> Result<Option<FloatHistogram>, HistogramError> {
    let [first, last] = w.h else { return Ok(None) };
    let interval_ms = w.t[1] - w.t[0];
    if interval_ms == 0 {
        return Ok(None);
    }
    let mut out = FloatHistogram::clone(last);
    notes.add_if(is_rate && (is_gauge(first) || is_gauge(last)), Notes::NOT_COUNTER);
    notes.add_if(!(is_rate || is_gauge(first) && is_gauge(last)), Notes::NOT_GAUGE);
    if !is_rate || !w.reset_by_start(1) && !last.detect_reset(first) {
        let combined = match out.sub(first) {
            Err(HistogramError::IncompatibleSchema) => {
                notes.add(Notes::MIXED_SCHEMAS);
                return Ok(None);
            }
            other => other?,
        };
        notes.add_if(combined.bounds_reconciled, Notes::BOUNDS_IN_SUBTRACTION);
    }
    out.counter_reset_hint = CounterResetHint::Gauge;
    out.compact(0);
    if is_rate {
        out.div(interval_ms as f64 / 1000.0);
    }
    Ok(Some(out))
}

/// Which samples, in order of time, of a window with floats at `t` and histograms at `w.t`:
/// calls `f` with the places of each two neighbours, floats as `Ok`.
fn neighbours(t: &[i64], w: &Window<'_>, mut f: impl FnMut(Result<usize, usize>, Result<usize, usize>)) {
    let (mut i, mut j) = (0, 0);
    let mut previous = None;
    while i < t.len() || j < w.t.len() {
        let float = j == w.t.len() || i < t.len() && t[i] < w.t[j];
        let current = if float { Ok(i) } else { Err(j) };
        if float {
            i += 1
        } else {
            j += 1
        }
        if let Some(previous) = previous {
            f(previous, current);
        }
        previous = Some(current);
    }
}

/// How often the value changes, among floats and histograms; a change of kind is one.
pub(crate) fn changes(t: &[i64], v: &[f64], w: &Window<'_>) -> f64 {
    let mut n = 0.0;
    neighbours(t, w, |a, b| {
        let same = match (a, b) {
            (Ok(a), Ok(b)) => v[a] == v[b] || v[a].is_nan() && v[b].is_nan(),
            (Err(a), Err(b)) => w.h[a].same_data(&w.h[b]),
            _ => false,
        };
        n += f64::from(u8::from(!same));
    });
    n
}

/// How often a counter was reset; a change of kind is a reset. `st` are the floats' start times.
pub(crate) fn resets(t: &[i64], v: &[f64], st: &[i64], w: &Window<'_>) -> f64 {
    let mut n = 0.0;
    neighbours(t, w, |a, b| {
        let reset = match (a, b) {
            (Ok(a), Ok(b)) => v[b] < v[a] || is_reset(st_at(st, a), t[a], st_at(st, b), t[b]),
            (Err(a), Err(b)) => w.reset_by_start(b) || w.h[b].detect_reset(&w.h[a]),
            _ => true,
        };
        n += f64::from(u8::from(reset));
    });
    n
}
