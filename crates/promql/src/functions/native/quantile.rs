//! Quantiles, fractions and variance of one histogram (Prometheus promql/quantile.go).

use model::{FloatHistogram, maths};

use super::Notes;
use crate::functions::kahan;

/// The `q`-quantile: interpolated within its bucket, linearly for custom bounds and in the zero
/// bucket, else on a logarithmic scale.
pub(crate) fn quantile(q: f64, h: &FloatHistogram, notes: &mut Notes) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if h.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // Observations that are NaN count, but are in no bucket: then only upwards works.
    let upwards = h.sum.is_nan() || q < 0.5;
    let mut rank = if upwards { q * h.count } else { (1.0 - q) * h.count };
    let mut buckets = if upwards { h.all_buckets() } else { h.all_buckets_reverse() };
    let (mut bucket, mut count) = (model::histogram::Bucket::default(), 0.0);
    for b in buckets.by_ref() {
        bucket = b;
        count += b.count;
        if b.count != 0.0 && count >= rank {
            break;
        }
    }
    let custom = h.uses_custom_buckets();
    if custom {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        one_sided(h, &mut bucket);
    }
    count = count.min(h.count);
    if count < rank {
        if h.sum.is_nan() {
            notes.add(Notes::NAN_RESULT);
            return f64::NAN;
        }
        return bucket.upper;
    }
    rank = if upwards { rank - (count - bucket.count) } else { count - rank };
    if h.sum.is_nan() {
        count = buckets.fold(count, |sum, b| sum + b.count);
        notes.add_if(count < h.count, Notes::NAN_SKEW);
    }
    let fraction = rank / bucket.count;
    if custom || bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower, upper) = (maths::log2(bucket.lower.abs()), maths::log2(bucket.upper.abs()));
    if bucket.lower > 0.0 {
        maths::exp2(lower + (upper - lower) * fraction)
    } else {
        -maths::exp2(upper + (lower - upper) * (1.0 - fraction))
    }
}

/// The zero bucket of a histogram that has buckets of one sign only ends at zero on the other.
fn one_sided(h: &FloatHistogram, zero: &mut model::histogram::Bucket<f64>) {
    match (h.negative_buckets.is_empty(), h.positive_buckets.is_empty()) {
        (true, false) => zero.lower = 0.0,
        (false, true) => zero.upper = 0.0,
        _ => {}
    }
}

/// Which part of the observations lies between `lower` and `upper`.
pub(crate) fn fraction(lower: f64, upper: f64, h: &FloatHistogram, notes: &mut Notes) -> f64 {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let custom = h.uses_custom_buckets();
    let (mut count, mut rank) = (0.0, 0.0);
    let mut found = [None; 2];
    let mut buckets = h.all_buckets();
    for mut b in buckets.by_ref() {
        count += b.count;
        let is_zero = !custom && b.lower <= 0.0 && b.upper >= 0.0;
        if custom {
            if b.lower == f64::NEG_INFINITY && b.upper > 0.0 {
                b.lower = 0.0;
            }
        } else if is_zero {
            one_sided(h, &mut b);
        }
        for (limit, found) in [lower, upper].into_iter().zip(&mut found) {
            if found.is_some() {
            } else if b.lower >= limit {
                *found = Some(rank);
            } else if b.upper > limit {
                let linear = custom || is_zero;
                *found = Some(if linear && b.lower == f64::NEG_INFINITY {
                    b.count
                } else {
                    rank + b.count * b.fraction_below(limit, linear)
                });
            }
        }
        if found[0].is_some() && found[1].is_some() {
            break;
        }
        rank += b.count;
    }
    if h.sum.is_nan() {
        count = buckets.fold(count, |sum, b| sum + b.count);
        notes.add_if(count < h.count, Notes::NAN_FRACTION);
    } else {
        count = h.count;
    }
    let [lower, upper] = found.map(|rank| rank.filter(|r| *r <= count).unwrap_or(count));
    (upper - lower) / h.count
}

/// The variance, every observation taken to stand in the middle of its bucket.
pub(crate) fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let (mut sum, mut rest) = (0.0, 0.0);
    for b in h.all_buckets().filter(|b| b.count != 0.0) {
        let v = if h.uses_custom_buckets() {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            let middle = (b.upper * b.lower).sqrt();
            if b.upper < 0.0 { -middle } else { middle }
        };
        let delta = v - mean;
        (sum, rest) = kahan::inc(b.count * delta * delta, sum, rest);
    }
    (sum + rest) / h.count
}
