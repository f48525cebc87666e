//! Dropping empty buckets (Prometheus `compactBuckets`).

use super::iterate::Cursor;
use super::{BucketValue, FloatHistogram, NativeHistogram, Span};

impl<C, B: BucketValue<Count = C>> NativeHistogram<C, B> {
    /// Drops empty buckets at both ends of every span, joins spans that are at most
    /// `empty_buckets_max` apart, and splits spans at more empty buckets in a row than that.
    pub fn compact(&mut self, empty_buckets_max: usize) {
        compact(&mut self.positive_spans, &mut self.positive_buckets, None, empty_buckets_max);
        compact(&mut self.negative_spans, &mut self.negative_buckets, None, empty_buckets_max);
    }
}

impl FloatHistogram {
    /// [`Self::compact`] for a histogram and the compensation of its Kahan sums, which has the same
    /// buckets: one that has a compensation is not empty.
    pub(super) fn compact_with(&mut self, compensation: &mut Self) {
        let (h, c) = (self, compensation);
        compact(&mut h.positive_spans, &mut h.positive_buckets, Some(&mut c.positive_buckets), 0);
        compact(&mut h.negative_spans, &mut h.negative_buckets, Some(&mut c.negative_buckets), 0);
    }
}

fn compact<B: BucketValue>(
    spans: &mut Vec<Span>,
    buckets: &mut Vec<B>,
    mut extra: Option<&mut Vec<f64>>,
    empty_max: usize,
) {
    if is_compact(spans, buckets, empty_max) {
        return;
    }
    let mut out = Compacted::<B>::default();
    let mut extra_out = Vec::new();
    let mut end = 0i64;
    for (i, (index, count)) in Cursor::new(spans, buckets).enumerate() {
        let index = i64::from(index);
        let compensation = extra.as_ref().and_then(|e| e.get(i)).copied().unwrap_or(0.0);
        if count == B::default() && compensation == 0.0 {
            continue;
        }
        let gap = index - end;
        if out.spans.is_empty() || gap < 0 || gap as u64 > empty_max as u64 {
            out.spans.push(Span { offset: gap as i32, length: 0 });
        } else {
            let empty = gap as usize;
            (0..empty).for_each(|_| out.push(B::default()));
            extra_out.resize(extra_out.len() + empty, 0.0);
        }
        out.push(count);
        extra_out.push(compensation);
        end = index + 1;
    }
    *spans = out.spans;
    *buckets = out.buckets;
    if let Some(extra) = &mut extra {
        **extra = extra_out;
    }
}

#[derive(Default)]
struct Compacted<B> {
    spans: Vec<Span>,
    buckets: Vec<B>,
    count: B,
}

impl<B: BucketValue> Compacted<B> {
    fn push(&mut self, count: B) {
        self.buckets.push(count.store(self.count));
        self.count = count;
        if let Some(span) = self.spans.last_mut() {
            span.length += 1;
        }
    }
}

/// Whether there is nothing to do: no empty bucket, no empty span, no small gap.
fn is_compact<B: BucketValue>(spans: &[Span], buckets: &[B], empty_max: usize) -> bool {
    let mut count = B::default();
    let full = buckets.iter().all(|b| {
        count = b.after(count);
        count != B::default()
    });
    full && spans
        .iter()
        .enumerate()
        .all(|(i, s)| s.length > 0 && (i == 0 || usize::try_from(s.offset).is_ok_and(|gap| gap > empty_max)))
}
