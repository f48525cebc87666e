//! Quantiles and fractions of classic histograms.

/// A bucket: everything up to `upper`, cumulative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// Where counts fell from one bucket to the next and were raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Monotonicity {
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    pub(crate) max_diff: f64,
}

/// Relative differences below this are rounding errors.
const SMALL_DELTA: f64 = 1e-12;

/// Sorts the buckets and adds up those of equal bound. False where the last is not +Inf.
fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.upper.partial_cmp(&b.upper).unwrap_or(std::cmp::Ordering::Equal));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|b, kept| {
        let same = b.upper == kept.upper;
        if same {
            kept.count += b.count;
        }
        same
    });
    true
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < SMALL_DELTA
}

/// Raises counts that fall; tiny differences in either direction are taken out silently.
fn ensure_monotonic(buckets: &mut [Bucket]) -> Option<Monotonicity> {
    let mut fix: Option<Monotonicity> = None;
    let mut prev = buckets[0].count;
    for b in &mut buckets[1..] {
        if b.count == prev {
            continue;
        }
        if almost_equal(prev, b.count) {
            b.count = prev;
        } else if b.count < prev {
            let f = fix.get_or_insert(Monotonicity {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
            });
            f.min_bucket = f.min_bucket.min(b.upper);
            f.max_bucket = f.max_bucket.max(b.upper);
            f.max_diff = f.max_diff.max(prev - b.count);
            b.count = prev;
        } else {
            prev = b.count;
        }
    }
    fix
}

/// The `q`-quantile, linear within a bucket, and whether counts had to be raised. Reorders and
/// changes `buckets`.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Monotonicity>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !prepare(buckets) {
        return (f64::NAN, None);
    }
    let fix = ensure_monotonic(buckets);
    let last = buckets.len() - 1;
    if last == 0 || buckets[last].count == 0.0 {
        return (f64::NAN, fix);
    }
    let mut rank = q * buckets[last].count;
    let at = buckets[..last].partition_point(|b| b.count.partial_cmp(&rank).is_none_or(|o| o.is_lt()));
    if at == last {
        return (buckets[last - 1].upper, fix);
    }
    if at == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, fix);
    }
    let (mut start, end, mut count) = (0.0, buckets[at].upper, buckets[at].count);
    if at > 0 {
        start = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (start + (end - start) * (rank / count), fix)
}

/// The fraction of observations between `lower` and `upper`. Reorders and changes `buckets`.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut lower_rank, mut upper_rank) = (None, None);
    let mut rank = 0.0;
    let mut low = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    for b in buckets.iter() {
        let inside = |v: f64| {
            if low == f64::NEG_INFINITY {
                b.count
            } else {
                rank + (b.count - rank) * (v - low) / (b.upper - low)
            }
        };
        for (bound, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() {
                if low >= bound {
                    *found = Some(rank);
                } else if b.upper > bound {
                    *found = Some(inside(bound));
                }
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = b.count;
        low = b.upper;
    }
    let capped = |r: Option<f64>| match r {
        Some(r) if r > count => count,
        Some(r) => r,
        None => count,
    };
    (capped(upper_rank) - capped(lower_rank)) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(b: &[(f64, f64)]) -> Vec<Bucket> {
        b.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_of_buckets() {
        let inf = f64::INFINITY;
        let b = || buckets(&[(inf, 12.0), (0.1, 5.0), (0.2, 7.0), (1.0, 10.0)]);
        for (q, expected) in [(0.0, 0.0), (1.0, 1.0), (0.25, 0.06), (-1.0, -inf), (1.1, inf)] {
            let (got, fix) = quantile(q, &mut b());
            assert!((got - expected).abs() < 1e-12 || got == expected, "{q}: {got}");
            assert!(fix.is_none());
        }
        assert!(quantile(0.5, &mut buckets(&[(1.0, 1.0)])).0.is_nan());
        assert!(quantile(0.5, &mut buckets(&[(inf, 1.0)])).0.is_nan());
        assert!(quantile(0.5, &mut Vec::new()).0.is_nan());
    }

    #[test]
    fn falling_counts_are_raised_and_reported() {
        let mut b = buckets(&[(1.0, 5.0), (2.0, 3.0), (f64::INFINITY, 6.0)]);
        let (_, fix) = quantile(0.5, &mut b);
        assert_eq!(fix, Some(Monotonicity { min_bucket: 2.0, max_bucket: 2.0, max_diff: 2.0 }));
    }

    #[test]
    fn fractions_of_buckets() {
        let b = || buckets(&[(1.0, 4.0), (2.0, 8.0), (f64::INFINITY, 10.0)]);
        for (l, u, expected) in [(0.0, 1.0, 0.4), (0.5, 1.5, 0.4), (2.0, f64::INFINITY, 0.2), (3.0, 2.0, 0.0)]
        {
            assert_eq!(fraction(l, u, &mut b()), expected, "{l} {u}");
        }
    }
}
