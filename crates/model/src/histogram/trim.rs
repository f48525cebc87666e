//! PromQL's trim operators `</` and `>/`: observations below, or above, a value.

use super::{Bucket, FloatHistogram};

/// What is kept of a bucket: how many observations, and the value they are taken to have.
type Kept = (f64, f64);

impl FloatHistogram {
    /// Drops the observations above `limit` (`upper`) or below it. Buckets that the limit cuts are
    /// interpolated; if anything was dropped, count and sum are estimated from what is left.
    pub fn trim(&mut self, limit: f64, upper: bool) {
        let custom = self.uses_custom_buckets();
        let (mut count, mut sum, mut trimmed) = (0.0, 0.0, false);
        let mut add = |(kept, value): Kept| {
            count += kept;
            sum += value * kept;
        };
        let mut populated = [false; 2];
        for (positive, populated) in [true, false].into_iter().zip(&mut populated) {
            let buckets: Vec<_> = if positive { self.positive() } else { self.negative() }.collect();
            let counts = if positive { &mut self.positive_buckets } else { &mut self.negative_buckets };
            for (bucket, stored) in buckets.iter().zip(counts).filter(|(b, _)| b.count != 0.0) {
                *populated = true;
                let kept = Cut { bucket, limit, upper, positive, linear: custom }.kept();
                add(kept);
                if *stored != kept.0 {
                    *stored = kept.0;
                    trimmed = true;
                }
            }
        }
        if self.zero_count > 0.0 {
            let [positive, negative] = populated;
            let kept = trim_zero_bucket(&self.zero_bucket(), limit, negative, positive, upper);
            trimmed |= self.zero_count != kept.0;
            self.zero_count = kept.0;
            add(kept);
        }
        if trimmed {
            self.count = count;
            self.sum = sum;
            self.compact(0);
        }
    }
}

/// A populated bucket and where to cut it.
struct Cut<'a> {
    bucket: &'a Bucket<f64>,
    limit: f64,
    upper: bool,
    positive: bool,
    linear: bool,
}

impl Cut<'_> {
    fn kept(&self) -> Kept {
        let (b, limit) = (self.bucket, self.limit);
        let (all, cut) = if self.upper {
            (b.upper <= limit, b.lower < limit)
        } else {
            (b.lower >= limit, b.upper > limit)
        };
        if all {
            return (b.count, self.midpoint(b.lower, b.upper));
        }
        if !cut {
            return (0.0, 0.0);
        }
        if b.lower == f64::NEG_INFINITY {
            return self.unbounded_below();
        }
        if b.upper == f64::INFINITY {
            return self.unbounded_above();
        }
        let below = self.below();
        if self.upper {
            (below, self.midpoint(b.lower, limit))
        } else {
            (b.count - below, self.midpoint(limit, b.upper))
        }
    }

    /// Observations at or below the limit.
    fn below(&self) -> f64 {
        let (b, limit) = (self.bucket, self.limit);
        if limit <= b.lower {
            0.0
        } else if limit >= b.upper {
            b.count
        } else {
            b.count * b.fraction_below(limit, self.linear)
        }
    }

    /// A bucket from −Inf is taken to begin at 0 where it ends above; else nothing is known of how
    /// its observations lie.
    fn unbounded_below(&self) -> Kept {
        let (b, limit) = (self.bucket, self.limit);
        let from_zero = b.upper > 0.0 && b.upper != f64::INFINITY;
        if self.upper {
            if limit >= b.upper {
                return (b.count, 0.0);
            }
            if limit > 0.0 && from_zero {
                return (b.count * limit / b.upper, limit / 2.0);
            }
            if b.upper <= 0.0 {
                return (b.count, limit);
            }
            return (0.0, zero_if_infinite(b.upper));
        }
        if limit <= b.lower {
            return (b.count, 0.0);
        }
        if limit >= 0.0 && b.upper > limit && b.upper != f64::INFINITY {
            return (b.count * (1.0 - limit / b.upper), (limit + b.upper) / 2.0);
        }
        (0.0, zero_if_infinite(b.upper))
    }

    fn unbounded_above(&self) -> Kept {
        let (b, limit) = (self.bucket, self.limit);
        if !self.upper && limit >= b.lower { (b.count, limit) } else { (0.0, zero_if_infinite(b.lower)) }
    }

    /// The value that observations in an interval are taken to have: its middle, on the scale of
    /// the schema.
    fn midpoint(&self, lower: f64, upper: f64) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.linear => (lower + upper) / 2.0,
            (false, false) => {
                let mean = (lower * upper).abs().sqrt();
                if self.positive { mean } else { -mean }
            }
        }
    }
}

fn zero_if_infinite(v: f64) -> f64 {
    if v.is_infinite() { 0.0 } else { v }
}

/// The zero bucket is one-sided where all other observations are.
fn trim_zero_bucket(zero: &Bucket<f64>, limit: f64, negative: bool, positive: bool, upper: bool) -> Kept {
    let low = if positive && !negative { 0.0 } else { zero.lower };
    let high = if negative && !positive { 0.0 } else { zero.upper };
    let everything = (zero.count, (low + high) / 2.0);
    if upper {
        if limit <= low {
            return (0.0, 0.0);
        }
        if limit >= high {
            return everything;
        }
        return (zero.count * ((limit - low) / (high - low)), (low + limit) / 2.0);
    }
    if limit <= low {
        return everything;
    }
    if limit >= high {
        return (0.0, 0.0);
    }
    (zero.count * ((high - limit) / (high - low)), (limit + high) / 2.0)
}
