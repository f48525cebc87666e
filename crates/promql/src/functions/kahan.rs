//! Compensated summation (Kahan's, with Neumaier's improvement).

use super::stretch::{GoOn, stretches};
use crate::error::QueryError;

/// Adds `inc` to the running `sum` with compensation `c`; the total is their sum. Infinite sums
/// lose their compensation.
#[inline]
pub(crate) fn inc(inc: f64, sum: f64, c: f64) -> (f64, f64) {
    let t = sum + inc;
    let c = if t.is_infinite() {
        0.0
    } else if sum.abs() >= inc.abs() {
        c + ((sum - t) + inc)
    } else {
        c + ((inc - t) + sum)
    };
    (t, c)
}

/// [`inc`] to the bit, without a branch; the error is Knuth's, which is the same number.
#[inline]
pub(crate) fn inc_even(inc: f64, sum: f64, c: f64) -> (f64, f64) {
    let t = sum + inc;
    let added = t - sum;
    let error = (sum - (t - added)) + (inc - added);
    (t, if t.abs() == f64::INFINITY { 0.0 } else { c + error })
}

/// [`inc`] for columns of one length: each of `values` into the sum in its place. Runs on several at
/// once.
#[inline]
pub(crate) fn inc_columns(values: &[f64], sums: &mut [f64], compensations: &mut [f64]) {
    for ((v, sum), c) in values.iter().zip(sums).zip(compensations) {
        (*sum, *c) = inc_even(*v, *sum, *c);
    }
}

/// The sum of `values`.
pub(crate) fn sum(values: &[f64], go_on: GoOn<'_>) -> Result<f64, QueryError> {
    let (mut sum, mut c) = (0.0, 0.0);
    stretches(0..values.len(), go_on, |r| {
        for v in &values[r] {
            (sum, c) = inc(*v, sum, c);
        }
    })?;
    Ok(if sum.is_infinite() { sum } else { sum + c })
}

/// A mean that is the compensated sum divided by the count, until that sum would overflow; from
/// there on it is computed incrementally.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    pub(crate) count: f64,
    /// The sum, or the mean once `incremental`.
    pub(crate) value: f64,
    pub(crate) c: f64,
    pub(crate) incremental: bool,
}

impl Mean {
    #[inline]
    pub(crate) fn start(v: f64) -> Self {
        Self { count: 1.0, value: v, c: 0.0, incremental: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, v: f64) {
        self.count += 1.0;
        if !self.incremental {
            let (value, c) = inc(v, self.value, self.c);
            if !value.is_infinite() {
                (self.value, self.c) = (value, c);
                return;
            }
            self.incremental = true;
            self.value /= self.count - 1.0;
            self.c /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        (self.value, self.c) = inc(v / self.count, q * self.value, q * self.c);
    }

    /// Adds all that `other` has seen.
    pub(crate) fn merge(&mut self, mut other: Self) {
        let count = self.count + other.count;
        if !self.incremental && !other.incremental {
            let (value, c) = inc(other.value, self.value, self.c + other.c);
            if !value.is_infinite() {
                *self = Self { count, value, c, incremental: false };
                return;
            }
        }
        for m in [&mut *self, &mut other] {
            if !m.incremental {
                m.value /= m.count;
                m.c /= m.count;
            }
        }
        let (q, p) = (self.count / count, other.count / count);
        let (value, c) = inc(p * other.value, q * self.value, q * self.c + p * other.c);
        *self = Self { count, value, c, incremental: true };
    }

    #[inline]
    pub(crate) fn result(&self) -> f64 {
        if self.incremental { self.value + self.c } else { self.value / self.count + self.c / self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_plain_sums_lose() {
        let sum = |v: &[f64]| sum(v, &|| Ok(())).unwrap();
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn both_ways_to_add_are_one() {
        let all = [0.0, -0.0, 1.0, -1.5, 1e-310, 3e16, -1e300, f64::MAX, f64::INFINITY, f64::NEG_INFINITY];
        for a in all {
            for b in all {
                let bits = |(sum, c): (f64, f64)| (sum.is_nan(), c.is_nan(), (sum + c).to_bits());
                let (one, other) = (inc(a, b, 0.25), inc_even(a, b, 0.25));
                assert!(one.0.is_nan() && other.0.is_nan() || bits(one) == bits(other), "{a} {b}");
            }
        }
        assert!(inc_even(f64::NAN, 1.0, 0.0).0.is_nan() && inc_even(1.0, f64::NAN, 0.0).0.is_nan());
    }

    #[test]
    fn means_survive_overflow() {
        let mut m = Mean::start(f64::MAX);
        m.add(f64::MAX);
        assert_eq!(m.result(), f64::MAX);
        let mut other = Mean::start(f64::MAX);
        other.merge(m);
        assert_eq!(other.count, 3.0);
        assert!((other.result() / f64::MAX - 1.0).abs() < 1e-15);
    }

    #[test]
    fn columns_are_added_as_single_values_are() {
        let big = [1e308, -1e308, 1.7e308, f64::MAX, -f64::MAX];
        let odd = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, -2.5e-310];
        let plain = [1.0, 0.1, -0.1, 1e16, -1e16, 3.0, 1e-16, 123_456.789];
        let values: Vec<f64> = big.iter().chain(&odd).chain(&plain).copied().collect();
        for first in &values {
            for second in &values {
                let (mut sums, mut cs) = (vec![0.0; values.len()], vec![0.0; values.len()]);
                let mut want = vec![(0.0, 0.0); values.len()];
                let n = values.len();
                for added in [vec![*first; n], vec![*second; n], values.clone(), vec![*first; n]] {
                    inc_columns(&added, &mut sums, &mut cs);
                    for (w, v) in want.iter_mut().zip(&added) {
                        *w = inc(*v, w.0, w.1);
                    }
                }
                let bits = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { (v + 0.0).to_bits() };
                for ((sum, c), (want_sum, want_c)) in sums.iter().zip(&cs).zip(&want) {
                    assert_eq!(bits(*sum), bits(*want_sum), "{first} {second}");
                    assert_eq!(bits(sum + c), bits(want_sum + want_c), "{first} {second}: {sum} {c}");
                }
            }
        }
    }
}
