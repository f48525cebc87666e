//! `*_over_time` over the floats of one window. Windows are never empty.

use super::kahan::{self, Mean};
use super::stretch::{GoOn, STRETCH, stretches};
use crate::error::QueryError;

pub(crate) fn avg(v: &[f64], go_on: GoOn<'_>) -> Result<f64, QueryError> {
    let mut m = Mean::start(v[0]);
    stretches(1..v.len(), go_on, |r| v[r].iter().for_each(|v| m.add(*v)))?;
    Ok(m.result())
}

/// Index of the greatest value, the first of equals; NaN gives way to anything.
pub(crate) fn max_at(v: &[f64], go_on: GoOn<'_>) -> Result<usize, QueryError> {
    best(v, go_on, |cur, best| cur > best)
}

/// Index of the least value, the first of equals; NaN gives way to anything.
pub(crate) fn min_at(v: &[f64], go_on: GoOn<'_>) -> Result<usize, QueryError> {
    best(v, go_on, |cur, best| cur < best)
}

/// As [`max_at`], the last of equals.
pub(crate) fn last_max_at(v: &[f64], go_on: GoOn<'_>) -> Result<usize, QueryError> {
    best(v, go_on, |cur, best| cur >= best)
}

/// As [`min_at`], the last of equals.
pub(crate) fn last_min_at(v: &[f64], go_on: GoOn<'_>) -> Result<usize, QueryError> {
    best(v, go_on, |cur, best| cur <= best)
}

#[inline]
fn best(v: &[f64], go_on: GoOn<'_>, better: impl Fn(f64, f64) -> bool) -> Result<usize, QueryError> {
    let (mut at, mut best) = (0, v[0]);
    stretches(0..v.len(), go_on, |r| {
        for (i, x) in r.clone().zip(&v[r]) {
            if better(*x, best) || best.is_nan() {
                (at, best) = (i, *x);
            }
        }
    })?;
    Ok(at)
}

/// The population variance (Welford, compensated).
pub(crate) fn stdvar(v: &[f64], go_on: GoOn<'_>) -> Result<f64, QueryError> {
    let (mut count, mut mean, mut c_mean, mut aux, mut c_aux) = (0.0, 0.0, 0.0, 0.0, 0.0);
    stretches(0..v.len(), go_on, |r| {
        for x in &v[r] {
            count += 1.0;
            let delta = x - (mean + c_mean);
            (mean, c_mean) = kahan::inc(delta / count, mean, c_mean);
            (aux, c_aux) = kahan::inc(delta * (x - (mean + c_mean)), aux, c_aux);
        }
    })?;
    Ok((aux + c_aux) / count)
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

/// A number that grows with the float as [`nan_first`] orders them, and back.
pub(super) fn rank_of(v: f64) -> u64 {
    let bits = if v.is_nan() { return 0 } else { v.to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

pub(super) fn of_rank(rank: u64) -> f64 {
    match rank {
        0 => f64::NAN,
        _ if rank >> 63 == 1 => f64::from_bits(rank & !(1 << 63)),
        _ => f64::from_bits(!rank),
    }
}

/// The value number `n` in order of [`nan_first`], found digit by digit without sorting.
fn nth(values: &[f64], mut n: usize, go_on: GoOn<'_>) -> Result<f64, QueryError> {
    let (mut prefix, mut mask) = (0u64, 0u64);
    let mut counts = vec![0usize; 1 << 16];
    for shift in [48, 32, 16, 0] {
        counts.fill(0);
        stretches(0..values.len(), go_on, |r| {
            for rank in values[r].iter().map(|v| rank_of(*v)).filter(|rank| rank & mask == prefix) {
                counts[usize::from((rank >> shift) as u16)] += 1;
            }
        })?;
        let mut digit = 0;
        while n >= counts[digit] {
            n -= counts[digit];
            digit += 1;
        }
        prefix |= (digit as u64) << shift;
        mask |= 0xffff << shift;
    }
    Ok(of_rank(prefix))
}

/// The `q`-quantile, linear between neighbours. May sort `values`.
pub(crate) fn quantile(q: f64, values: &mut [f64], go_on: GoOn<'_>) -> Result<f64, QueryError> {
    if values.len() <= STRETCH {
        values.sort_unstable_by(nan_first);
        return Ok(quantile_by(q, values.len(), |at| values[at]));
    }
    // The two that are asked for are found alone.
    let mut stopped = None;
    let result = quantile_by(q, values.len(), |at| {
        nth(values, at, go_on).unwrap_or_else(|e| {
            stopped = Some(e);
            f64::NAN
        })
    });
    stopped.map_or(Ok(result), Err)
}

/// The `q`-quantile of `n` values, of which `sorted` gives the one at a place.
#[inline]
pub(super) fn quantile_by(q: f64, n: usize, mut sorted: impl FnMut(usize) -> f64) -> f64 {
    if n == 0 || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let n = n as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(n - 1.0);
    let weight = rank - rank.floor();
    let low = sorted(lower as usize);
    if weight == 0.0 { low } else { low * (1.0 - weight) + sorted(upper as usize) * weight }
}

/// The median absolute deviation. `scratch` is overwritten.
pub(crate) fn mad(v: &[f64], scratch: &mut Vec<f64>, go_on: GoOn<'_>) -> Result<f64, QueryError> {
    if v.iter().any(|x| x.is_nan()) {
        return Ok(f64::NAN);
    }
    scratch.clear();
    scratch.extend_from_slice(v);
    let median = quantile(0.5, scratch, go_on)?;
    for x in scratch.iter_mut() {
        *x = (*x - median).abs();
    }
    quantile(0.5, scratch, go_on)
}

/// How often the value changes; NaN equals NaN.
pub(crate) fn changes(v: &[f64], go_on: GoOn<'_>) -> Result<f64, QueryError> {
    let mut n = 0;
    stretches(1..v.len().max(1), go_on, |r| {
        let pairs = v[r.start - 1..r.end].windows(2);
        n += pairs.filter(|w| w[0] != w[1] && !(w[0].is_nan() && w[1].is_nan())).count();
    })?;
    Ok(n as f64)
}

/// Holt's double exponential smoothing of at least two samples.
pub(crate) fn double_exponential_smoothing(
    v: &[f64],
    sf: f64,
    tf: f64,
    go_on: GoOn<'_>,
) -> Result<f64, QueryError> {
    let (mut s0, mut s1, mut trend) = (0.0, v[0], v[1] - v[0]);
    stretches(1..v.len(), go_on, |r| {
        for (i, x) in r.clone().zip(&v[r]) {
            if i > 1 {
                trend = tf * (s1 - s0) + (1.0 - tf) * trend;
            }
            let y = (1.0 - sf) * (s1 + trend);
            (s0, s1) = (s1, sf * x + y);
        }
    })?;
    Ok(s1)
}

/// How `integral` weighs two neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quadrature {
    Left,
    Right,
    Trapezoidal,
}

/// The integral over time in seconds; NaN counts as 0.
pub(crate) fn integral(t: &[i64], v: &[f64], rule: Quadrature, go_on: GoOn<'_>) -> Result<f64, QueryError> {
    let zero = |x: f64| if x.is_nan() { 0.0 } else { x };
    let (mut sum, mut c) = (0.0, 0.0);
    let mut add = |t: &[i64], v: &[f64]| {
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
    };
    stretches(1..v.len().max(1), go_on, |r| {
        let r = r.start - 1..r.end;
        t[r.clone()].windows(2).zip(v[r].windows(2)).for_each(|(t, v)| add(t, v));
    })?;
    Ok(if sum.is_infinite() { sum } else { sum + c })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_gives_way() {
        let v = [f64::NAN, 2.0, f64::NAN, 3.0, 3.0, 1.0];
        let on = || Ok(());
        let at = |f: fn(&[f64], GoOn<'_>) -> Result<usize, QueryError>, v| f(v, &on).unwrap();
        assert_eq!((at(max_at, &v), at(last_max_at, &v), at(min_at, &v)), (3, 4, 5));
        assert_eq!(at(max_at, &[f64::NAN, f64::NAN]), 1);
    }

    #[test]
    fn quantiles_interpolate() {
        for (q, expected) in
            [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (-0.1, f64::NEG_INFINITY), (1.1, f64::INFINITY)]
        {
            assert_eq!(quantile(q, &mut [4.0, 1.0, 3.0, 2.0], &|| Ok(())).unwrap(), expected);
        }
        assert!(quantile(f64::NAN, &mut [1.0], &|| Ok(())).unwrap().is_nan());
    }

    #[test]
    fn finds_places_without_sorting() {
        let mut values = [3.5, -0.25, f64::NAN, f64::INFINITY, -1e300, 0.0, 3.5, f64::NEG_INFINITY, 1e-310];
        let found: Vec<f64> = (0..values.len()).map(|n| nth(&values, n, &|| Ok(())).unwrap()).collect();
        values.sort_unstable_by(nan_first);
        assert!(found.iter().zip(&values).all(|(a, b)| a == b || a.is_nan() && b.is_nan()), "{found:?}");
    }

    #[test]
    fn variance_of_a_constant_is_nothing() {
        let stdvar = |v: &[f64]| stdvar(v, &|| Ok(())).unwrap();
        assert_eq!(stdvar(&[1.5990505637277868; 3]), 0.0);
        assert!((stdvar(&[0.0, 8.0, 8.0, 2.0, 3.0]) - 10.56).abs() < 1e-12);
    }

    #[test]
    fn integrates() {
        let t = [0, 1000, 3000];
        for (rule, expected) in
            [(Quadrature::Left, 5.0), (Quadrature::Right, 8.0), (Quadrature::Trapezoidal, 6.5)]
        {
            assert_eq!(integral(&t, &[1.0, 2.0, 3.0], rule, &|| Ok(())).unwrap(), expected);
        }
    }
}
