//! The zero bucket of two histograms made to agree.

use super::FloatHistogram;
use super::kahan::KahanSum;

/// What the zero bucket would be.
pub(super) struct ZeroBucket {
    pub(super) count: f64,
    pub(super) threshold: f64,
    /// The compensation of `count`.
    pub(super) rest: f64,
}

impl FloatHistogram {
    /// The zero bucket for a threshold that is not smaller. One that falls into a populated bucket
    /// is raised to the end of it, and that bucket is included.
    pub(super) fn zero_bucket_for(&self, mut threshold: f64, compensation: Option<&Self>) -> ZeroBucket {
        let mut rest = compensation.map_or(0.0, |c| c.zero_count);
        if threshold == self.zero_threshold {
            return ZeroBucket { count: self.zero_count, threshold, rest };
        }
        'again: loop {
            let mut count = self.zero_count;
            for (i, b) in self.positive().enumerate() {
                if b.lower >= threshold {
                    break;
                }
                KahanSum::inc(b.count, &mut count, &mut rest);
                if let Some(c) = compensation.and_then(|c| c.positive_buckets.get(i)) {
                    KahanSum::inc(*c, &mut count, &mut rest);
                }
                if b.upper > threshold {
                    if b.count != 0.0 {
                        threshold = b.upper;
                    }
                    break;
                }
            }
            for (i, b) in self.negative().enumerate() {
                if b.upper <= -threshold {
                    break;
                }
                KahanSum::inc(b.count, &mut count, &mut rest);
                if let Some(c) = compensation.and_then(|c| c.negative_buckets.get(i)) {
                    KahanSum::inc(*c, &mut count, &mut rest);
                }
                if b.lower < -threshold {
                    if b.count != 0.0 {
                        // What was found among the positive buckets no longer holds.
                        threshold = -b.lower;
                        continue 'again;
                    }
                    break;
                }
            }
            return ZeroBucket { count, threshold, rest };
        }
    }

    /// Widens the zero bucket of `self` until its threshold is one that both histograms can have,
    /// and returns the zero count, with compensation, that `other` would then have.
    pub(super) fn reconcile_zero_buckets(
        &mut self,
        other: &Self,
        mut compensation: Option<&mut Self>,
    ) -> (f64, f64) {
        let (mut count, mut threshold, mut rest) = (other.zero_count, other.zero_threshold, 0.0);
        loop {
            if self.zero_threshold > threshold {
                let zero = other.zero_bucket_for(self.zero_threshold, None);
                (count, threshold, rest) = (zero.count, zero.threshold, zero.rest);
            }
            if threshold > self.zero_threshold {
                let zero = self.zero_bucket_for(threshold, compensation.as_deref());
                (self.zero_count, self.zero_threshold) = (zero.count, zero.threshold);
                if let Some(c) = compensation.as_deref_mut() {
                    c.zero_count = zero.rest;
                }
                self.trim_zero_bucket(compensation.as_deref_mut());
            } else {
                // Equal, or not comparable.
                return (count, rest);
            }
        }
    }

    /// Drops the buckets inside the zero bucket, whose counts it has taken over.
    fn trim_zero_bucket(&mut self, compensation: Option<&mut Self>) {
        let threshold = self.zero_threshold;
        let positive = self.positive().take_while(|b| b.lower < threshold).count();
        let negative = self.negative().take_while(|b| b.upper > -threshold).count();
        let clear = |h: &mut Self| {
            h.positive_buckets[..positive].fill(0.0);
            h.negative_buckets[..negative].fill(0.0);
        };
        clear(self);
        match compensation {
            Some(c) => {
                clear(c);
                self.compact_with(c);
            }
            None => self.compact(0),
        }
    }
}
