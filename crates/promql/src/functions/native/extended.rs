//! `rate`, `increase` and `delta` of histograms over `anchored` and `smoothed` selectors, and the
//! value between two histograms.

use std::borrow::Cow;
use std::sync::Arc;

use model::FloatHistogram;
use model::histogram::{CounterResetHint, HistogramError};

use super::rate::{is_gauge, unless_mixed};
use super::{Notes, Window};

type Made = Result<Option<FloatHistogram>, HistogramError>;

/// The value at `t` between two histograms; a counter that was reset between them began at zero.
pub(crate) fn between(
    (t1, h1): (i64, &FloatHistogram),
    (t2, h2): (i64, &FloatHistogram),
    t: i64,
    is_counter: bool,
    notes: &mut Notes,
) -> Made {
    if t == t1 || t == t2 {
        return Ok(Some(if t == t1 { h1 } else { h2 }.clone()));
    }
    let fraction = (t - t1) as f64 / (t2 - t1) as f64;
    let mut out = h2.clone();
    if is_counter && h2.detect_reset(h1) {
        out.mul(fraction);
        return Ok(Some(out));
    }
    if !subtract(&mut out, h1, notes)? {
        return Ok(None);
    }
    out.mul(fraction);
    Ok(add(&mut out, h1, notes)?.then_some(out))
}

fn add(to: &mut FloatHistogram, h: &FloatHistogram, notes: &mut Notes) -> Result<bool, HistogramError> {
    let Some(did) = unless_mixed(to.add(h), notes)? else { return Ok(false) };
    notes.add_if(did.bounds_reconciled, Notes::BOUNDS_IN_ADDITION);
    Ok(true)
}

fn subtract(
    from: &mut FloatHistogram,
    h: &FloatHistogram,
    notes: &mut Notes,
) -> Result<bool, HistogramError> {
    let Some(did) = unless_mixed(from.sub(h), notes)? else { return Ok(false) };
    notes.add_if(did.bounds_reconciled, Notes::BOUNDS_IN_SUBTRACTION);
    Ok(true)
}

/// What a counter or gauge gained between the range's bounds; per second if `per_second`.
pub(crate) fn extended(
    w: &Window<'_>,
    smoothed: bool,
    is_counter: bool,
    per_second: bool,
    notes: &mut Notes,
) -> Made {
    let Some(mut last) = w.t.len().checked_sub(1) else { return Ok(None) };
    let first = w.t[..last].partition_point(|t| *t <= w.start_ms).saturating_sub(1);
    if smoothed {
        last = w.t[..last].partition_point(|t| *t < w.end_ms);
    }
    if w.t[last] <= w.start_ms || smoothed && w.t[first] > w.end_ms {
        return Ok(None);
    }
    let range = &w.h[first..=last.max(first)];
    if range.iter().any(|h| h.uses_custom_buckets() != range[0].uses_custom_buckets()) {
        notes.add(Notes::MIXED_SCHEMAS);
        return Ok(None);
    }
    notes.add_if(is_counter && range.iter().any(|h| is_gauge(h)), Notes::NOT_COUNTER);
    let point = |i: usize| (w.t[i], w.h[i].as_ref());
    let left = if smoothed && w.t[first] < w.start_ms {
        between(point(first), point(first + 1), w.start_ms, is_counter, notes)?
    } else {
        Some(FloatHistogram::clone(&w.h[first]))
    };
    let right = if smoothed && last > 0 && w.t[last] > w.end_ms {
        between(point(last - 1), point(last), w.end_ms, is_counter, notes)?
    } else {
        Some(FloatHistogram::clone(&w.h[last]))
    };
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    notes.add_if(!(is_counter || is_gauge(&left) && is_gauge(&right)), Notes::NOT_GAUGE);
    let mut out = right.clone();
    if !subtract(&mut out, &left, notes)? {
        return Ok(None);
    }
    if is_counter {
        let Ok(lost) = lost(w, (first, last), (&left, &right), smoothed, notes)? else { return Ok(None) };
        if let Some(lost) = lost
            && !add(&mut out, &lost, notes)?
        {
            return Ok(None);
        }
    }
    if per_second {
        out.div((w.end_ms - w.start_ms) as f64 / 1000.0);
    }
    out.counter_reset_hint = CounterResetHint::Gauge;
    out.compact(0);
    Ok(Some(out))
}

/// Kinds of histograms met that do not go together.
struct Mixed;

/// What resets between the bounds took away, if anything.
fn lost(
    w: &Window<'_>,
    (first, last): (usize, usize),
    (left, right): (&FloatHistogram, &FloatHistogram),
    smoothed: bool,
    notes: &mut Notes,
) -> Result<Result<Option<FloatHistogram>, Mixed>, HistogramError> {
    let (mut from, mut previous) = (first + 1, left);
    if smoothed && w.t[first] < w.start_ms && w.h[first + 1].detect_reset(&w.h[first]) {
        // The value at the left bound has taken this reset into account.
        previous = &w.h[first + 1];
        from += 1;
    }
    // The last sample is the right bound, or behind it.
    if from > last {
        return Ok(Ok(None));
    }
    let mut out: Option<Cow<'_, FloatHistogram>> = None;
    for h in w.h[from..last].iter().map(Arc::as_ref).chain([right]) {
        if h.detect_reset(previous) {
            match &mut out {
                None => out = Some(Cow::Borrowed(previous)),
                Some(out) => {
                    if !add(out.to_mut(), previous, notes)? {
                        return Ok(Err(Mixed));
                    }
                }
            }
        }
        previous = h;
    }
    Ok(Ok(out.map(Cow::into_owned)))
}
