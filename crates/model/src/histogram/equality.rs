//! Whether two histograms are the same data.

use super::custom::bounds_match;
use super::{BucketCount, BucketValue, NativeHistogram, Span};

impl<C: BucketCount, B: BucketValue<Count = C>> NativeHistogram<C, B> {
    /// Whether both hold the same data (Prometheus `Equals`): the same buckets, empty ones too,
    /// with the same counts; sum and float counts to the bit. Where empty spans lie, the counter
    /// reset hint, and custom bounds of exponential schemas do not matter.
    #[must_use]
    pub fn same_data(&self, other: &Self) -> bool {
        let same = |a: &[B], b: &[B]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(*b));
        self.schema == other.schema
            && self.count.same(other.count)
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.uses_custom_buckets() || bounds_match(&self.custom_values, &other.custom_values))
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.same(other.zero_count)
            && spans_match(&self.negative_spans, &other.negative_spans)
            && same(&self.negative_buckets, &other.negative_buckets)
            && spans_match(&self.positive_spans, &other.positive_spans)
            && same(&self.positive_buckets, &other.positive_buckets)
    }
}

/// Whether spans agree once each empty span is part of the gap behind it.
fn spans_match(a: &[Span], b: &[Span]) -> bool {
    solid(a).eq(solid(b))
}

fn solid(spans: &[Span]) -> impl Iterator<Item = Span> {
    let mut gap = 0i32;
    spans.iter().filter_map(move |s| {
        gap = gap.wrapping_add(s.offset);
        (s.length > 0).then(|| Span { offset: std::mem::take(&mut gap), length: s.length })
    })
}
