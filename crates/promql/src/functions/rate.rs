//! `rate`, `increase`, `delta` and their instant forms over the floats of one window.

use super::start_time::{is_reset, st_at};

/// The window's bounds and samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) t: &'a [i64],
    pub(crate) v: &'a [f64],
    /// As long as `t`, or empty.
    pub(crate) st: &'a [i64],
    /// The range: (start, end], milliseconds.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// The places in a series where its counter was reset: `i` where sample `i` began anew.
pub(crate) fn find_resets(t: &[i64], v: &[f64], st: &[i64], out: &mut Vec<u32>) {
    out.clear();
    if st.is_empty() {
        for (i, w) in v.windows(2).enumerate() {
            if w[1] < w[0] {
                out.push(i as u32 + 1);
            }
        }
        return;
    }
    for i in 1..v.len() {
        if v[i] < v[i - 1] || is_reset(st[i - 1], t[i - 1], st[i], t[i]) {
            out.push(i as u32);
        }
    }
}

/// When counting began, if that was within the window: the first sample's start timestamp.
pub(crate) fn began_within(t: &[i64], st: &[i64], start_ms: i64) -> Option<i64> {
    Some(st_at(st, 0)).filter(|st| *st != 0 && *st > start_ms && t.first().is_some_and(|t| st < t))
}

/// What to multiply the gain between first and last sample by, so that it is the gain between the
/// window's bounds as far as samples reach near them. A counter that `began` within is not
/// extrapolated to the left; others no further than where they were zero: at the part `to_zero` of
/// the time between first and last sample before the first, infinite for never. None where there is too little to go by.
#[inline]
pub(crate) fn factor(
    t: &[i64],
    (start_ms, end_ms): (i64, i64),
    began: Option<i64>,
    to_zero: f64,
    per_second: bool,
) -> Option<f64> {
    let last = t.len().checked_sub(1)?;
    let (first_t, last_t) = (t[0], t[last]);
    let mut to_start = (first_t - start_ms) as f64 / 1000.0;
    let mut to_end = (end_ms - last_t) as f64 / 1000.0;
    let mut sampled = (last_t - first_t) as f64 / 1000.0;
    let average = if last > 0 { sampled / last as f64 } else { 0.0 };
    let threshold = average * 1.1;
    if let Some(began) = began {
        to_start = 0.0;
        sampled = (last_t - began) as f64 / 1000.0;
    } else if last == 0 {
        return None;
    } else {
        // Selects rather than branches: which way they go is hard to predict.
        to_start = if to_start >= threshold { average / 2.0 } else { to_start };
        let to_zero = sampled * to_zero;
        to_start = if to_zero < to_start { to_zero } else { to_start };
    }
    to_end = if to_end >= threshold { average / 2.0 } else { to_end };
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if per_second {
        factor /= (end_ms - start_ms) as f64 / 1000.0;
    }
    Some(factor)
}

/// What a counter or gauge gained in the window, extrapolated by [`factor`]. `lost` adds the values
/// before resets; it is not called for gauges. Per second if `per_second`.
#[inline]
pub(crate) fn extrapolated(
    s: Samples<'_>,
    lost: impl Fn(f64) -> f64,
    is_counter: bool,
    per_second: bool,
) -> Option<f64> {
    let last = s.v.len().checked_sub(1)?;
    let mut result = s.v[last] - s.v[0];
    let (mut began, mut to_zero) = (None, f64::INFINITY);
    if is_counter {
        result = lost(result);
        let part = s.v[0] / result;
        to_zero = if result > 0.0 && s.v[0] >= 0.0 { part } else { f64::INFINITY };
        began = began_within(s.t, s.st, s.start_ms);
        if began.is_some() {
            result += s.v[0];
        }
    }
    Some(result * factor(s.t, (s.start_ms, s.end_ms), began, to_zero, per_second)?)
}

/// `irate` (`is_rate`) and `idelta`: from the last two samples.
pub(crate) fn instant(s: Samples<'_>, is_rate: bool) -> Option<f64> {
    let n = s.t.len();
    if n < 2 {
        return None;
    }
    let (a, b) = (n - 2, n - 1);
    let interval_ms = s.t[b] - s.t[a];
    if interval_ms == 0 {
        return None;
    }
    let reset = is_rate && (s.v[b] < s.v[a] || is_reset(st_at(s.st, a), s.t[a], st_at(s.st, b), s.t[b]));
    let result = if reset { s.v[b] } else { s.v[b] - s.v[a] };
    Some(if is_rate { result / (interval_ms as f64 / 1000.0) } else { result })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extrapolates_to_near_bounds_only() {
        let (t, v) = ([0, 10_000, 20_000], [10.0, 20.0, 30.0]);
        let gain = |start_ms, end_ms| {
            extrapolated(Samples { t: &t, v: &v, st: &[], start_ms, end_ms }, |r| r, true, false).unwrap()
        };
        assert_eq!(gain(-1, 20_000), 20.001);
        assert_eq!(gain(-100_000, 20_000), 25.0);
        assert_eq!(gain(-1, 100_000), 25.001);
    }

    #[test]
    fn finds_resets() {
        let mut out = Vec::new();
        find_resets(&[1, 2, 3, 4], &[1.0, 2.0, 1.0, 3.0], &[], &mut out);
        assert_eq!(out, [2]);
        find_resets(&[10, 20, 30], &[1.0, 2.0, 3.0], &[5, 5, 25], &mut out);
        assert_eq!(out, [2]);
    }
}
