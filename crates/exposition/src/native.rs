//! The value of a sample that is a native histogram.

use model::histogram::{CounterResetHint, NativeHistogram};
use model::{FloatHistogram, Histogram};

/// A native histogram in memory that is used again. Which of the two holds it, `is_float` says; what the other one
/// holds means nothing.
#[derive(Clone, Debug, Default)]
pub struct NativeValue {
    /// Whether counts are floats.
    pub is_float: bool,
    /// The histogram unless `is_float`.
    pub int: Histogram,
    /// The histogram if `is_float`.
    pub float: FloatHistogram,
}

impl NativeValue {
    pub(crate) fn clear(&mut self) {
        self.is_float = false;
        clear(&mut self.int);
        clear(&mut self.float);
    }

    pub(crate) fn set_hint(&mut self, hint: CounterResetHint) {
        self.int.counter_reset_hint = hint;
        self.float.counter_reset_hint = hint;
    }
}

/// Empties a histogram and keeps its memory.
fn clear<C: Default, B>(h: &mut NativeHistogram<C, B>) {
    h.counter_reset_hint = CounterResetHint::Unknown;
    h.schema = 0;
    (h.zero_threshold, h.sum) = (0.0, 0.0);
    (h.zero_count, h.count) = (C::default(), C::default());
    h.positive_spans.clear();
    h.negative_spans.clear();
    h.positive_buckets.clear();
    h.negative_buckets.clear();
    h.custom_values.clear();
}
