//! Whether a counter was reset between two histograms.

use super::custom::bounds_match;
use super::iterate::Buckets;
use super::{CounterResetHint, FloatHistogram};

impl FloatHistogram {
    /// Whether a counter reset lies between `previous` and `self`: a count that fell, a populated
    /// bucket that is gone, a finer schema, a smaller zero bucket or one that cuts a populated
    /// bucket. A hint that says so, or says not, settles it; gauges are treated as counters.
    #[must_use]
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::Reset => return true,
            CounterResetHint::NotReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if !bounds_match(&self.custom_values, &previous.custom_values) {
                return custom_fell(self, previous);
            }
        }
        // An exponential schema is finer than the custom one, by number.
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let zero = previous.zero_bucket_for(self.zero_threshold, None);
        if zero.threshold != self.zero_threshold || self.zero_count < zero.count {
            return true;
        }
        let (threshold, schema) = (self.zero_threshold, self.schema);
        [true, false].into_iter().any(|positive| {
            fell(self.merged(positive, threshold, schema), previous.merged(positive, threshold, schema))
        })
    }
}

/// Whether a bucket holds less than it did, or one that was populated is gone.
fn fell(mut current: impl Iterator<Item = (i32, f64)>, previous: impl Iterator<Item = (i32, f64)>) -> bool {
    let mut now = current.next();
    for (index, count) in previous {
        while now.is_some_and(|(i, _)| i < index) {
            now = current.next();
        }
        match now {
            Some((i, n)) if i == index => {
                if n < count {
                    return true;
                }
            }
            _ => {
                if count != 0.0 {
                    return true;
                }
            }
        }
    }
    false
}

/// Whether a bucket between the bounds that both histograms have holds less than it did.
fn custom_fell(current: &FloatHistogram, previous: &FloatHistogram) -> bool {
    let mut now = UpTo { buckets: current.positive(), ahead: None };
    let mut then = UpTo { buckets: previous.positive(), ahead: None };
    let bound = |h: &FloatHistogram, i: usize| match h.custom_values.get(i) {
        Some(bound) => Some(*bound),
        None => (i == h.custom_values.len()).then_some(f64::INFINITY),
    };
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (bound(current, i), bound(previous, j)) {
        if a == b {
            if now.sum(a) < then.sum(a) {
                return true;
            }
            i += 1;
            j += 1;
        } else if a < b {
            i += 1;
        } else {
            j += 1;
        }
    }
    false
}

/// Buckets summed from bound to bound.
struct UpTo<'a> {
    buckets: Buckets<'a, f64>,
    /// The upper bound and count of a bucket that was read and not yet used.
    ahead: Option<(f64, f64)>,
}

impl UpTo<'_> {
    fn sum(&mut self, bound: f64) -> f64 {
        let mut sum = 0.0;
        while let Some((upper, count)) =
            self.ahead.take().or_else(|| self.buckets.next().map(|b| (b.upper, b.count)))
        {
            if upper > bound {
                self.ahead = Some((upper, count));
                break;
            }
            sum += count;
        }
        sum
    }
}
