//! `rate`, `increase` and `delta` over `anchored` and `smoothed` selectors: the value at the range's
//! bounds is taken from, or interpolated between, the samples around them.

use super::rate::Samples;
use super::start_time::{is_reset, is_reset_after, st_at};

/// How the bounds are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension {
    /// Interpolate rather than take the sample before.
    pub(crate) smoothed: bool,
    /// Counters are corrected for resets.
    pub(crate) is_counter: bool,
    /// The start of the range minus the lookback.
    pub(crate) lookback_start_ms: i64,
}

#[derive(Clone, Copy)]
struct Point {
    t: i64,
    v: f64,
}

fn point(s: &Samples<'_>, i: usize) -> Point {
    Point { t: s.t[i], v: s.v[i] }
}

fn interpolate(a: Point, b: Point, t: i64, is_counter: bool) -> f64 {
    let from = if is_counter && b.v < a.v { 0.0 } else { a.v };
    from + (b.v - from) * (t - a.t) as f64 / (b.t - a.t) as f64
}

/// The value between two samples of an instant `smoothed` selector.
pub(crate) fn between(t1: i64, v1: f64, t2: i64, v2: f64, t: i64) -> f64 {
    interpolate(Point { t: t1, v: v1 }, Point { t: t2, v: v2 }, t, false)
}

/// Value and start timestamp at the range's start.
fn left(s: &Samples<'_>, first: usize, e: Extension) -> (f64, i64) {
    let (mut here, st) = (point(s, first), st_at(s.st, first));
    let mut told = if st > s.start_ms { 0 } else { st };
    if here.t == s.start_ms {
        return (here.v, st);
    }
    if here.t > s.start_ms {
        if !e.is_counter || !is_reset_after(e.lookback_start_ms, st, here.t) {
            return (here.v, told);
        }
        if is_reset_after(s.start_ms, st, here.t) || !e.smoothed {
            return (0.0, told);
        }
        return (interpolate(Point { t: st, v: 0.0 }, here, s.start_ms, e.is_counter), told);
    }
    let (mut next, next_st) = (point(s, first + 1), st_at(s.st, first + 1));
    if e.is_counter {
        if is_reset_after(s.start_ms, next_st, next.t) {
            next = Point { t: next_st, v: 0.0 };
        } else if is_reset(st, here.t, next_st, next.t) {
            here = Point { t: next_st, v: 0.0 };
            told = next_st;
        }
    }
    (if e.smoothed { interpolate(here, next, s.start_ms, e.is_counter) } else { here.v }, told)
}

/// Value and start timestamp at the range's end.
fn right(s: &Samples<'_>, last: usize, e: Extension) -> (f64, i64) {
    let (mut here, st) = (point(s, last), st_at(s.st, last));
    let mut told = if st > s.end_ms { 0 } else { st };
    if here.t <= s.end_ms {
        return (here.v, told);
    }
    if last == 0 {
        if !e.is_counter || !is_reset_after(e.lookback_start_ms, st, here.t) {
            return (here.v, told);
        }
        if is_reset_after(s.end_ms, st, here.t) || !e.smoothed {
            return (0.0, told);
        }
        return (interpolate(Point { t: st, v: 0.0 }, here, s.end_ms, e.is_counter), told);
    }
    let (mut prev, prev_st) = (point(s, last - 1), st_at(s.st, last - 1));
    if e.is_counter {
        if is_reset_after(s.end_ms, st, here.t) {
            here = Point { t: st, v: 0.0 };
            told = prev_st;
        } else if is_reset(prev_st, prev.t, st, here.t) {
            prev = Point { t: st, v: 0.0 };
        }
    }
    (if e.smoothed { interpolate(prev, here, s.end_ms, e.is_counter) } else { prev.v }, told)
}

/// First and last sample that matter; none where nothing lies after the range's start.
fn bounds(s: &Samples<'_>, smoothed: bool) -> Option<(usize, usize)> {
    let mut last = s.t.len().checked_sub(1)?;
    let first = s.t[..last].partition_point(|t| *t <= s.start_ms).saturating_sub(1);
    if smoothed {
        last = s.t[..last].partition_point(|t| *t < s.end_ms);
    }
    (s.t[last] > s.start_ms).then_some((first, last))
}

/// What a counter or gauge gained between the range's bounds; per second if `per_second`.
pub(crate) fn extended(s: Samples<'_>, e: Extension, per_second: bool) -> Option<f64> {
    let (mut first, last) = bounds(&s, e.smoothed)?;
    if e.smoothed && s.t[first] > s.end_ms {
        let (t, st) = (s.t[first], st_at(s.st, first));
        let told =
            e.is_counter && is_reset_after(e.lookback_start_ms, st, t) && !is_reset_after(s.end_ms, st, t);
        if !told {
            return None;
        }
    }
    let (left, left_st) = left(&s, first, e);
    let (right, right_st) = right(&s, last, e);
    let mut result = right - left;
    if e.is_counter {
        let mut lost = 0.0;
        if s.t[first] <= s.start_ms {
            first += 1;
        }
        let end = if s.t[last] >= s.end_ms { last } else { last + 1 };
        let (mut prev, mut prev_t, mut prev_st) = (left, s.start_ms, left_st);
        for i in first..end.max(first) {
            if s.v[i] < prev || is_reset(prev_st, prev_t, st_at(s.st, i), s.t[i]) {
                lost += prev;
            }
            (prev, prev_t, prev_st) = (s.v[i], s.t[i], st_at(s.st, i));
        }
        if right < prev || is_reset(prev_st, prev_t, right_st, s.end_ms) {
            lost += prev;
        }
        result += lost;
    }
    Some(if per_second { result / ((s.end_ms - s.start_ms) as f64 / 1000.0) } else { result })
}

/// The samples of an extended range vector itself: those inside, and one at each bound.
pub(crate) fn extend(s: Samples<'_>, e: Extension, t: &mut Vec<i64>, v: &mut Vec<f64>) {
    let Some((mut first, last)) = bounds(&s, e.smoothed) else { return };
    let (at_start, _) = left(&s, first, e);
    let (at_end, _) = right(&s, last, e);
    if s.t[first] <= s.start_ms {
        first += 1;
    }
    let end = if s.t[last] >= s.end_ms { last } else { last + 1 };
    let end = end.max(first);
    t.push(s.start_ms);
    v.push(at_start);
    t.extend_from_slice(&s.t[first..end]);
    v.extend_from_slice(&s.v[first..end]);
    t.push(s.end_ms);
    v.push(at_end);
}
