//! Histograms as text: for people, and as the series notation of rule tests.

use std::fmt;

use super::{BucketCount, BucketValue, CounterResetHint, FloatHistogram, NativeHistogram, Span};
use crate::float::to_string_g;

impl<C: BucketCount, B: BucketValue<Count = C>> fmt::Display for NativeHistogram<C, B> {
    /// Count, sum and all populated buckets, upwards.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut count = Vec::new();
        self.count.append(&mut count);
        write!(f, "{{count:{}, sum:{}", String::from_utf8_lossy(&count), to_string_g(self.sum))?;
        let negative: Vec<_> = self.negative().filter(|b| b.count != C::default()).collect();
        for bucket in negative.iter().rev() {
            write!(f, ", {bucket}")?;
        }
        if self.zero_count != C::default() {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for bucket in self.positive().filter(|b| b.count != C::default()) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl FloatHistogram {
    /// The histogram in the notation of rule tests, `{{schema:1 count:2 …}}`. Gaps between spans are
    /// written out as empty buckets: not for histograms from outside.
    #[must_use]
    pub fn test_expression(&self) -> String {
        let mut h = self.clone();
        h.compact(usize::MAX);
        let mut parts = Vec::new();
        if h.schema != 0 {
            parts.push(format!("schema:{}", h.schema));
        }
        for (key, v) in
            [("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count), ("z_bucket_w", h.zero_threshold)]
        {
            if v != 0.0 {
                parts.push(format!("{key}:{}", to_string_g(v)));
            }
        }
        if h.uses_custom_buckets() {
            parts.push(format!("custom_values:{}", list(&h.custom_values)));
        }
        match h.counter_reset_hint {
            CounterResetHint::Unknown => {}
            CounterResetHint::Reset => parts.push("counter_reset_hint:reset".into()),
            CounterResetHint::NotReset => parts.push("counter_reset_hint:not_reset".into()),
            CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
        }
        let mut side = |prefix: &str, spans: &[Span], buckets: &[f64]| {
            if let Some(span) = spans.first().filter(|s| s.offset != 0) {
                parts.push(format!("{prefix}offset:{}", span.offset));
            }
            if !buckets.is_empty() {
                parts.push(format!("{prefix}buckets:{}", list(buckets)));
            }
        };
        side("", &h.positive_spans, &h.positive_buckets);
        side("n_", &h.negative_spans, &h.negative_buckets);
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

fn list(values: &[f64]) -> String {
    let values: Vec<_> = values.iter().map(|v| to_string_g(*v)).collect();
    format!("[{}]", values.join(" "))
}
