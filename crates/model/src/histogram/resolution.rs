//! Merging buckets into those of a coarser schema (Prometheus `reduceResolution`).

use super::bounds::target_index;
use super::kahan::KahanSum;
use super::schema::is_custom_buckets_schema;
use super::{BucketValue, FloatHistogram, HistogramError, NativeHistogram, Span};

impl<C, B: BucketValue<Count = C>> NativeHistogram<C, B> {
    /// Merges the buckets into those of `target`, a coarser exponential schema.
    ///
    /// # Errors
    /// For custom buckets on either side, a schema that is not coarser, and spans that do not fit
    /// the buckets; the histogram is then as it was.
    pub fn reduce_resolution(&mut self, target: i32) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() {
            return Err(HistogramError::ReduceCustom);
        }
        if is_custom_buckets_schema(target) {
            return Err(HistogramError::ReduceToCustom);
        }
        if target >= self.schema {
            return Err(HistogramError::ReduceUpwards { from: self.schema, to: target });
        }
        let positive = reduce(&self.positive_spans, &self.positive_buckets, self.schema, target)?;
        let negative = reduce(&self.negative_spans, &self.negative_buckets, self.schema, target)?;
        (self.positive_spans, self.positive_buckets) = positive;
        (self.negative_spans, self.negative_buckets) = negative;
        self.schema = target;
        Ok(())
    }
}

impl FloatHistogram {
    /// A copy in a schema that is the same or coarser.
    ///
    /// # Errors
    /// Those of [`Self::reduce_resolution`], except that an equal schema is none.
    pub fn copy_to_schema(&self, target: i32) -> Result<Self, HistogramError> {
        let mut copy = self.clone();
        if target != self.schema {
            copy.reduce_resolution(target)?;
        }
        Ok(copy)
    }
}

/// Spans under construction.
#[derive(Default)]
struct TargetSpans {
    spans: Vec<Span>,
    last: i32,
}

impl TargetSpans {
    /// Takes a bucket; whether it is a new one and not the last again. Buckets that go backwards,
    /// which only wrapped offsets do, are none.
    fn take(&mut self, index: i32) -> Option<bool> {
        match self.spans.last_mut() {
            None => self.spans.push(Span { offset: index, length: 1 }),
            Some(_) if index == self.last => return Some(false),
            Some(span) if index == self.last.wrapping_add(1) => span.length += 1,
            Some(_) if index > self.last => {
                self.spans.push(Span { offset: index.wrapping_sub(self.last).wrapping_sub(1), length: 1 });
            }
            Some(_) => return None,
        }
        self.last = index;
        Some(true)
    }
}

/// Spans and buckets in the schema `target`.
pub(super) fn reduce<B: BucketValue>(
    spans: &[Span],
    buckets: &[B],
    schema: i32,
    target: i32,
) -> Result<(Vec<Span>, Vec<B>), HistogramError> {
    let mut out = TargetSpans::default();
    let mut counts: Vec<B> = Vec::new();
    let mut rest = buckets.iter();
    let (mut index, mut count) = (0i32, B::default());
    for (i, span) in spans.iter().enumerate() {
        if i > 0 && span.offset < 0 {
            return Err(HistogramError::SpanNegativeOffset { number: i + 1, offset: span.offset });
        }
        index = index.wrapping_add(span.offset);
        for _ in 0..span.length {
            let bucket = rest.next().ok_or(HistogramError::BucketsMissing { have: buckets.len() })?;
            count = bucket.after(count);
            match (out.take(target_index(index, schema, target)), counts.last_mut()) {
                (Some(false), Some(last)) => *last = last.plus(count),
                (Some(_), _) => counts.push(count),
                (None, _) => {}
            }
            index = index.wrapping_add(1);
        }
    }
    if rest.next().is_some() {
        let need = spans.iter().map(|s| u64::from(s.length)).sum();
        return Err(HistogramError::SpansBucketsMismatch { need, have: buckets.len() });
    }
    let mut before = B::default();
    for count in &mut counts {
        let absolute = *count;
        *count = absolute.store(before);
        before = absolute;
    }
    Ok((out.spans, counts))
}

/// Like [`reduce`] for sums with a compensation each; all three slices must fit one another.
pub(super) fn reduce_with_compensation(
    spans: &[Span],
    buckets: &[f64],
    compensation: &[f64],
    schema: i32,
    target: i32,
) -> (Vec<Span>, Vec<f64>, Vec<f64>) {
    let mut out = TargetSpans::default();
    let (mut sums, mut rests): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut source = buckets.iter().zip(compensation);
    let mut index = 0i32;
    for span in spans {
        index = index.wrapping_add(span.offset);
        for (bucket, rest) in source.by_ref().take(span.length as usize) {
            match (out.take(target_index(index, schema, target)), sums.last_mut(), rests.last_mut()) {
                (Some(false), Some(sum), Some(c)) => {
                    KahanSum::inc(*bucket, sum, c);
                    KahanSum::inc(*rest, sum, c);
                }
                (Some(_), ..) => {
                    sums.push(*bucket);
                    rests.push(*rest);
                }
                (None, ..) => {}
            }
            index = index.wrapping_add(1);
        }
    }
    (out.spans, sums, rests)
}
