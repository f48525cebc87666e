//! Sums and means of histograms, compensated.

use model::FloatHistogram;
use model::histogram::{CounterResetHint, HistogramError};

use super::Notes;

/// A running sum; or a mean, which is the sum divided in the end, until the sum would overflow:
/// from there on it is computed incrementally.
#[derive(Clone, Debug)]
pub(crate) struct Total {
    /// The sum, or the mean once `incremental`.
    value: FloatHistogram,
    /// What rounding lost.
    rest: Option<FloatHistogram>,
    count: f64,
    incremental: bool,
    reset: bool,
    not_reset: bool,
    reconciled: bool,
}

impl Total {
    pub(crate) fn start(h: &FloatHistogram) -> Self {
        let mut out = Self {
            value: h.clone(),
            rest: None,
            count: 1.0,
            incremental: false,
            reset: false,
            not_reset: false,
            reconciled: false,
        };
        out.track(h);
        out
    }

    fn track(&mut self, h: &FloatHistogram) {
        self.reset |= h.counter_reset_hint == CounterResetHint::Reset;
        self.not_reset |= h.counter_reset_hint == CounterResetHint::NotReset;
    }

    pub(crate) fn add_to_sum(&mut self, h: &FloatHistogram) -> Result<(), HistogramError> {
        self.track(h);
        self.count += 1.0;
        self.reconciled |= self.value.kahan_add(h, &mut self.rest)?.bounds_reconciled;
        Ok(())
    }

    pub(crate) fn add_to_mean(&mut self, h: &FloatHistogram) -> Result<(), HistogramError> {
        self.track(h);
        self.count += 1.0;
        if !self.incremental {
            let (mut value, mut rest) = (self.value.clone(), self.rest.clone());
            self.reconciled |= value.kahan_add(h, &mut rest)?.bounds_reconciled;
            if !value.has_overflow() {
                (self.value, self.rest) = (value, rest);
                return Ok(());
            }
            self.make_incremental(self.count - 1.0);
        }
        let mut part = h.clone();
        part.div(self.count);
        self.shrink((self.count - 1.0) / self.count);
        self.reconciled |= self.value.kahan_add(&part, &mut self.rest)?.bounds_reconciled;
        Ok(())
    }

    fn make_incremental(&mut self, count: f64) {
        self.incremental = true;
        self.value.div(count);
        if let Some(rest) = &mut self.rest {
            rest.div(count);
        }
    }

    fn shrink(&mut self, factor: f64) {
        self.value.mul(factor);
        if let Some(rest) = &mut self.rest {
            rest.mul(factor);
        }
    }

    /// Adds all that `other` has seen, to a mean or to a sum.
    pub(crate) fn merge(&mut self, mut other: Self, is_mean: bool) -> Result<(), HistogramError> {
        self.reset |= other.reset;
        self.not_reset |= other.not_reset;
        self.reconciled |= other.reconciled;
        let count = self.count + other.count;
        if is_mean {
            let mut sum = self.value.clone();
            sum.kahan_add(&other.value, &mut None)?;
            if self.incremental || other.incremental || sum.has_overflow() {
                for t in [&mut *self, &mut other] {
                    if !t.incremental {
                        t.make_incremental(t.count);
                    }
                    t.shrink(t.count / count);
                }
            }
        }
        self.count = count;
        for part in std::iter::once(&other.value).chain(&other.rest) {
            self.reconciled |= self.value.kahan_add(part, &mut self.rest)?.bounds_reconciled;
        }
        Ok(())
    }

    /// Remarks so far.
    pub(crate) fn notes(&self) -> Notes {
        let mut notes = Notes::default();
        notes.add_if(self.reset && self.not_reset, Notes::COLLISION_IN_AGGREGATION);
        notes.add_if(self.reconciled, Notes::BOUNDS_IN_AGGREGATION);
        notes
    }

    pub(crate) fn sum(mut self) -> Result<FloatHistogram, HistogramError> {
        if let Some(rest) = &self.rest {
            self.value.add(rest)?;
        }
        Ok(self.value)
    }

    pub(crate) fn mean(mut self) -> Result<FloatHistogram, HistogramError> {
        if !self.incremental {
            self.make_incremental(self.count);
        }
        self.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(count: f64) -> FloatHistogram {
        FloatHistogram { count, zero_count: count, ..FloatHistogram::default() }
    }

    #[test]
    fn means_survive_overflow_and_parts_add_up() {
        let huge = histogram(f64::MAX);
        let mut t = Total::start(&huge);
        t.add_to_mean(&huge).unwrap();
        t.merge(Total::start(&huge), true).unwrap();
        assert!((t.mean().unwrap().count / f64::MAX - 1.0).abs() < 1e-15);
        let mut t = Total::start(&histogram(1.0));
        t.add_to_sum(&histogram(1e100)).unwrap();
        let mut other = Total::start(&histogram(1.0));
        other.add_to_sum(&histogram(-1e100)).unwrap();
        t.merge(other, false).unwrap();
        assert_eq!(t.sum().unwrap().count, 2.0);
    }
}
