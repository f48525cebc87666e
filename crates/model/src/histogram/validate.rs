//! Whether a histogram is sound (Prometheus `Validate`).

use super::schema::{is_custom_buckets_schema, is_exponential_schema};
use super::{BucketValue, FloatHistogram, Histogram, HistogramError, NativeHistogram, Span};

impl FloatHistogram {
    /// Checks spans against buckets, schema against the fields it allows, and counts for being
    /// negative. The count is not compared with the buckets: floats do not add up exactly.
    ///
    /// # Errors
    /// The first fault, in Prometheus' order and words.
    pub fn validate(&self) -> Result<(), HistogramError> {
        self.validate_layout(|h| {
            if h.zero_count < 0.0 {
                return Err(HistogramError::NegativeZeroCount(h.zero_count));
            }
            Ok(())
        })?;
        if self.count < 0.0 {
            return Err(HistogramError::NegativeCount(self.count));
        }
        check_buckets(&self.positive_buckets, |_| {}).map_err(|e| e.within(POSITIVE))
    }
}

impl Histogram {
    /// Checks spans against buckets, schema against the fields it allows, buckets for being
    /// negative, and the count against the buckets: it must be their sum, or at least that where
    /// the sum of observations is NaN.
    ///
    /// # Errors
    /// The first fault, in Prometheus' order and words.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let mut buckets = 0u64;
        self.validate_layout(|_| Ok(()))?;
        if !self.uses_custom_buckets() {
            check_buckets(&self.negative_buckets, |n| buckets = buckets.wrapping_add(n as u64))
                .map_err(|e| e.within(NEGATIVE))?;
        }
        check_buckets(&self.positive_buckets, |n| buckets = buckets.wrapping_add(n as u64))
            .map_err(|e| e.within(POSITIVE))?;
        let (buckets, count) = (buckets.wrapping_add(self.zero_count), self.count);
        if self.sum.is_nan() && buckets > count {
            return Err(HistogramError::CountNotBigEnough { buckets, count });
        }
        if !self.sum.is_nan() && buckets != count {
            return Err(HistogramError::CountMismatch { buckets, count });
        }
        Ok(())
    }
}

const POSITIVE: &str = "positive side";
const NEGATIVE: &str = "negative side";

impl<B: BucketValue> NativeHistogram<B::Count, B> {
    /// Everything but the count and the positive buckets; `zero` checks the zero bucket.
    fn validate_layout(
        &self,
        zero: impl Fn(&Self) -> Result<(), HistogramError>,
    ) -> Result<(), HistogramError> {
        if is_custom_buckets_schema(self.schema) {
            check_custom_bounds(&self.custom_values, &self.positive_spans, self.positive_buckets.len())
                .map_err(|e| e.within("custom buckets"))?;
            if self.zero_count != B::Count::default() {
                return Err(HistogramError::CustomZeroCount);
            }
            if self.zero_threshold != 0.0 {
                return Err(HistogramError::CustomZeroThreshold);
            }
            if !self.negative_spans.is_empty() {
                return Err(HistogramError::CustomNegativeSpans);
            }
            if !self.negative_buckets.is_empty() {
                return Err(HistogramError::CustomNegativeBuckets);
            }
            return Ok(());
        }
        if !is_exponential_schema(self.schema) {
            return Err(HistogramError::InvalidSchema(self.schema));
        }
        check_spans(&self.positive_spans, self.positive_buckets.len()).map_err(|e| e.within(POSITIVE))?;
        check_spans(&self.negative_spans, self.negative_buckets.len()).map_err(|e| e.within(NEGATIVE))?;
        check_buckets(&self.negative_buckets, |_| {}).map_err(|e| e.within(NEGATIVE))?;
        zero(self)?;
        if !self.custom_values.is_empty() {
            return Err(HistogramError::ExponentialCustomBounds);
        }
        Ok(())
    }
}

/// Whether spans lie in order, in range, and describe `buckets` buckets.
pub(super) fn check_spans(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    let (mut need, mut end) = (0u64, 0i64);
    for (i, span) in spans.iter().enumerate() {
        let number = i + 1;
        if i > 0 && span.offset < 0 {
            return Err(HistogramError::SpanNegativeOffset { number, offset: span.offset });
        }
        if i == 0 && span.offset == i32::MIN {
            return Err(HistogramError::SpanStartOutOfRange { number, index: span.offset });
        }
        need += u64::from(span.length);
        end += i64::from(span.offset) + i64::from(span.length);
        if end - 1 > i64::from(i32::MAX) {
            return Err(HistogramError::SpanEndOutOfRange { number, index: end - 1 });
        }
    }
    if need != buckets as u64 {
        return Err(HistogramError::SpansBucketsMismatch { need, have: buckets });
    }
    Ok(())
}

fn check_custom_bounds(bounds: &[f64], spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    let mut previous = f64::NEG_INFINITY;
    for (i, current) in bounds.iter().copied().enumerate() {
        if current.is_nan() {
            return Err(HistogramError::CustomBoundsNaN);
        }
        if i > 0 && current <= previous {
            return Err(HistogramError::CustomBoundsInvalid { previous, current });
        }
        previous = current;
    }
    if previous == f64::INFINITY {
        return Err(HistogramError::CustomBoundsInfinite);
    }
    let (mut need, mut length) = (0u64, 0u64);
    for (i, span) in spans.iter().enumerate() {
        let Ok(offset) = u64::try_from(span.offset) else {
            return Err(HistogramError::SpanNegativeOffset { number: i + 1, offset: span.offset });
        };
        need += u64::from(span.length);
        length += u64::from(span.length) + offset;
    }
    if need != buckets as u64 {
        return Err(HistogramError::SpansBucketsMismatch { need, have: buckets });
    }
    if ((bounds.len() + 1) as u64) < length {
        return Err(HistogramError::CustomBoundsTooFew { bounds: bounds.len(), length });
    }
    Ok(())
}

/// Checks each bucket for being negative and tells its count.
fn check_buckets<B: BucketValue>(buckets: &[B], mut each: impl FnMut(B)) -> Result<(), HistogramError> {
    let mut count = B::default();
    for (i, bucket) in buckets.iter().enumerate() {
        count = bucket.after(count);
        if count < B::default() {
            return Err(HistogramError::NegativeBucketCount { number: i + 1, count: count.text() });
        }
        each(count);
    }
    Ok(())
}
