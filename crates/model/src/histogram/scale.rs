//! Products and quotients of a histogram and a number; looking for infinities.

use super::{CounterResetHint, FloatHistogram};

impl FloatHistogram {
    /// Multiplies all counts and the sum. A negative factor makes the histogram a gauge.
    pub fn mul(&mut self, factor: f64) {
        self.for_each_number(|v| v * factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes the histogram a gauge; zero takes
    /// the buckets away.
    pub fn div(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive_buckets.clear();
            self.negative_buckets.clear();
            self.positive_spans.clear();
            self.negative_spans.clear();
        }
        self.for_each_number(|v| v / divisor);
        if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn for_each_number(&mut self, f: impl Fn(f64) -> f64) {
        for v in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *v = f(*v);
        }
        for v in self.positive_buckets.iter_mut().chain(&mut self.negative_buckets) {
            *v = f(*v);
        }
    }

    /// Whether any number of the histogram is infinite, as after a sum beyond what floats can say.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        let buckets = self.positive_buckets.iter().chain(&self.negative_buckets).chain(&self.custom_values);
        [self.zero_count, self.count, self.sum].iter().chain(buckets).any(|v| v.is_infinite())
    }
}
