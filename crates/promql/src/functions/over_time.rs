//! `*_over_time` over the floats of one window. Windows are never empty.

use super::kahan::{self, Mean};

pub(crate) fn avg(v: &[f64]) -> f64 {
    let mut m = Mean::start(v[0]);
    for v in &v[1..] {
        m.add(*v);
    }
    m.result()
}

/// Index of the greatest value, the first of equals; NaN gives way to anything.
pub(crate) fn max_at(v: &[f64]) -> usize {
    best(v, |cur, best| cur > best)
}

/// Index of the least value, the first of equals; NaN gives way to anything.
pub(crate) fn min_at(v: &[f64]) -> usize {
    best(v, |cur, best| cur < best)
}

/// As [`max_at`], the last of equals.
pub(crate) fn last_max_at(v: &[f64]) -> usize {
    best(v, |cur, best| cur >= best)
}

/// As [`min_at`], the last of equals.
pub(crate) fn last_min_at(v: &[f64]) -> usize {
    best(v, |cur, best| cur <= best)
}

#[inline]
fn best(v: &[f64], better: impl Fn(f64, f64) -> bool) -> usize {
    let mut at = 0;
    for (i, x) in v.iter().enumerate() {
        if better(*x, v[at]) || v[at].is_nan() {
            at = i;
        }
    }
    at
}

/// The population variance (Welford, compensated).
pub(crate) fn stdvar(v: &[f64]) -> f64 {
    let (mut count, mut mean, mut c_mean, mut aux, mut c_aux) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for x in v {
        count += 1.0;
        let delta = x - (mean + c_mean);
        (mean, c_mean) = kahan::inc(delta / count, mean, c_mean);
        (aux, c_aux) = kahan::inc(delta * (x - (mean + c_mean)), aux, c_aux);
    }
    (aux + c_aux) / count
}

/// Orders floats with NaN first.
pub(crate) fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
    }
}

/// The `q`-quantile, linear between neighbours. Sorts `values`.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(nan_first);
    let n = values.len() as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(n - 1.0);
    let weight = rank - rank.floor();
    if weight == 0.0 {
        return values[lower as usize];
    }
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// The median absolute deviation. `scratch` is overwritten.
pub(crate) fn mad(v: &[f64], scratch: &mut Vec<f64>) -> f64 {
    if v.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    scratch.clear();
    scratch.extend_from_slice(v);
    let median = quantile(0.5, scratch);
    for x in scratch.iter_mut() {
        *x = (*x - median).abs();
    }
    quantile(0.5, scratch)
}

/// How often the value changes; NaN equals NaN.
pub(crate) fn changes(v: &[f64]) -> f64 {
    v.windows(2).filter(|w| w[0] != w[1] && !(w[0].is_nan() && w[1].is_nan())).count() as f64
}

/// Holt's double exponential smoothing; none for fewer than two samples.
pub(crate) fn double_exponential_smoothing(v: &[f64], sf: f64, tf: f64) -> Option<f64> {
    if v.len() < 2 {
        return None;
    }
    let (mut s0, mut s1, mut trend) = (0.0, v[0], v[1] - v[0]);
    for (i, x) in v.iter().enumerate().skip(1) {
        if i > 1 {
            trend = tf * (s1 - s0) + (1.0 - tf) * trend;
        }
        let y = (1.0 - sf) * (s1 + trend);
        (s0, s1) = (s1, sf * x + y);
    }
    Some(s1)
}

/// How `integral` weighs two neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quadrature {
    Left,
    Right,
    Trapezoidal,
}

/// The integral over time in seconds; NaN counts as 0.
pub(crate) fn integral(t: &[i64], v: &[f64], rule: Quadrature) -> f64 {
    let zero = |x: f64| if x.is_nan() { 0.0 } else { x };
    let (mut sum, mut c) = (0.0, 0.0);
    for (t, v) in t.windows(2).zip(v.windows(2)) {
        let (prev, cur) = (zero(v[0]), zero(v[1]));
        let (mut value, mut rest) = match rule {
            Quadrature::Left => (prev, 0.0),
            Quadrature::Right => (cur, 0.0),
            Quadrature::Trapezoidal => kahan::inc(cur, prev, 0.0),
        };
        if rule == Quadrature::Trapezoidal {
            if value.is_infinite() && cur.is_finite() && prev.is_finite() {
                (value, rest) = kahan::inc(cur / 2.0, prev / 2.0, 0.0);
            } else {
                value /= 2.0;
                rest /= 2.0;
            }
        }
        if value != 0.0 || rest != 0.0 {
            let seconds = (t[1] - t[0]) as f64 / 1000.0;
            (sum, c) = kahan::inc(value * seconds, sum, c + rest * seconds);
        }
    }
    if sum.is_infinite() { sum } else { sum + c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_gives_way() {
        let v = [f64::NAN, 2.0, f64::NAN, 3.0, 3.0, 1.0];
        assert_eq!((max_at(&v), last_max_at(&v), min_at(&v)), (3, 4, 5));
        assert_eq!(max_at(&[f64::NAN, f64::NAN]), 1);
    }

    #[test]
    fn quantiles_interpolate() {
        for (q, expected) in
            [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (-0.1, f64::NEG_INFINITY), (1.1, f64::INFINITY)]
        {
            assert_eq!(quantile(q, &mut [4.0, 1.0, 3.0, 2.0]), expected);
        }
        assert!(quantile(f64::NAN, &mut [1.0]).is_nan());
    }

    #[test]
    fn variance_of_a_constant_is_nothing() {
        assert_eq!(stdvar(&[1.5990505637277868; 3]), 0.0);
        assert!((stdvar(&[0.0, 8.0, 8.0, 2.0, 3.0]) - 10.56).abs() < 1e-12);
    }

    #[test]
    fn integrates() {
        let t = [0, 1000, 3000];
        for (rule, expected) in
            [(Quadrature::Left, 5.0), (Quadrature::Right, 8.0), (Quadrature::Trapezoidal, 6.5)]
        {
            assert_eq!(integral(&t, &[1.0, 2.0, 3.0], rule), expected);
        }
    }
}
