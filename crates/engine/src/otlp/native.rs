//! Histograms of OTLP as native histograms of Prometheus.

use model::Histogram;
use model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, Span,
};
use model::sample::STALE_NAN_BITS;
use wire::otlp::{ExponentialBuckets, ExponentialPoint, HistogramPoint};

/// OTLP's own threshold says nothing yet, so that of the client libraries stands.
const ZERO_THRESHOLD: f64 = 1e-128;

/// Gaps of up to so many buckets are filled with empty ones; longer ones begin a span.
const GAP_MAX: i32 = 2;

/// Fills `out` with an exponential histogram; a resolution beyond the finest is made coarser.
///
/// # Errors
/// A resolution below the coarsest.
pub(super) fn exponential(
    p: &ExponentialPoint,
    is_stale: bool,
    is_delta: bool,
    out: &mut Histogram,
) -> Result<(), String> {
    if p.scale < EXPONENTIAL_SCHEMA_MIN {
        return Err(format!(
            "cannot convert exponential to native histogram. Scale must be >= {EXPONENTIAL_SCHEMA_MIN}, was {}",
            p.scale
        ));
    }
    begin(is_delta, out);
    out.schema = p.scale.min(EXPONENTIAL_SCHEMA_MAX);
    let scale_down = (p.scale - out.schema) as u32;
    out.zero_threshold = ZERO_THRESHOLD;
    out.zero_count = p.zero_count;
    let sign = |b: &ExponentialBuckets, spans: &mut Vec<Span>, deltas: &mut Vec<i64>| {
        layout(&b.counts, b.offset, scale_down, true, spans, deltas);
    };
    sign(&p.positive, &mut out.positive_spans, &mut out.positive_buckets);
    sign(&p.negative, &mut out.negative_spans, &mut out.negative_buckets);
    totals(p.count, p.sum, is_stale, out);
    Ok(())
}

/// Fills `out` with a histogram of custom buckets.
pub(super) fn custom(p: &HistogramPoint, is_stale: bool, is_delta: bool, out: &mut Histogram) {
    begin(is_delta, out);
    out.schema = CUSTOM_BUCKETS_SCHEMA;
    let empty = p.counts.iter().take_while(|c| **c == 0).count();
    let offset = i32::try_from(empty).unwrap_or(i32::MAX);
    layout(&p.counts[empty..], offset, 0, false, &mut out.positive_spans, &mut out.positive_buckets);
    out.custom_values.extend_from_slice(&p.bounds);
    totals(p.count, p.sum, is_stale, out);
}

fn begin(is_delta: bool, out: &mut Histogram) {
    out.positive_spans.clear();
    out.negative_spans.clear();
    out.positive_buckets.clear();
    out.negative_buckets.clear();
    out.custom_values.clear();
    (out.zero_threshold, out.zero_count) = (0.0, 0);
    // A hint is trusted, and nothing here has been compared: only of deltas is known that they never reset.
    out.counter_reset_hint = if is_delta { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
}

fn totals(count: u64, sum: Option<f64>, is_stale: bool, out: &mut Histogram) {
    (out.count, out.sum) = match is_stale {
        true => (STALE_NAN_BITS, f64::from_bits(STALE_NAN_BITS)),
        false => (count, sum.unwrap_or(0.0)),
    };
}

/// Turns dense counts, of which the first is that of bucket `offset`, into spans and deltas, and merges 2^`scale_down`
/// buckets into one. Of exponential buckets (`is_exponential`) OTLP's number 0 is Prometheus' number 1. Numbers wrap
/// where they overflow: what comes of it is refused, or is what the sender asked for.
fn layout(
    counts: &[u64],
    offset: i32,
    scale_down: u32,
    is_exponential: bool,
    spans: &mut Vec<Span>,
    deltas: &mut Vec<i64>,
) {
    let coarse = |index: i32| (index >> scale_down.min(31)).wrapping_add(1);
    let Some((first, rest)) = counts.split_first() else { return };
    let mut out = Layout { spans, deltas, before: 0, last: coarse(offset).wrapping_sub(1) };
    out.spans.push(Span { offset: if is_exponential { coarse(offset) } else { offset }, length: 0 });
    let (mut index, mut count) = (coarse(offset), *first as i64);
    for (i, more) in rest.iter().enumerate() {
        let next = coarse((i as i32 + 1).wrapping_add(offset));
        if next == index {
            count = count.wrapping_add(*more as i64);
            continue;
        }
        if count != 0 {
            out.bucket(index, count);
        }
        (index, count) = (next, *more as i64);
    }
    // The last one stands even where it is empty.
    out.bucket(index, count);
}

struct Layout<'a> {
    spans: &'a mut Vec<Span>,
    deltas: &'a mut Vec<i64>,
    /// The count of the last bucket.
    before: i64,
    /// The index of the last bucket.
    last: i32,
}

impl Layout<'_> {
    fn bucket(&mut self, index: i32, count: i64) {
        let gap = index.wrapping_sub(self.last).wrapping_sub(1);
        if gap > GAP_MAX {
            self.spans.push(Span { offset: gap, length: 0 });
        } else {
            for _ in 0..gap {
                self.delta(0);
            }
        }
        self.delta(count);
        self.last = index;
    }

    fn delta(&mut self, count: i64) {
        if let Some(span) = self.spans.last_mut() {
            span.length += 1;
        }
        self.deltas.push(count.wrapping_sub(self.before));
        self.before = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Laid = (Vec<(i32, u32)>, Vec<i64>);

    fn lay(counts: &[u64], offset: i32, scale_down: u32) -> Laid {
        let (mut spans, mut deltas) = (Vec::new(), Vec::new());
        layout(counts, offset, scale_down, true, &mut spans, &mut deltas);
        (spans.iter().map(|s| (s.offset, s.length)).collect(), deltas)
    }

    #[test]
    fn dense_counts_become_spans() {
        assert_eq!(lay(&[], 5, 0), (vec![], vec![]));
        assert_eq!(lay(&[4, 3, 2, 1], 1, 0), (vec![(2, 4)], vec![4, -1, -1, -1]));
        assert_eq!(lay(&[4, 3, 2, 1], 0, 1), (vec![(1, 2)], vec![7, -4]));
        assert_eq!(lay(&[4, 0, 0, 2], 0, 0), (vec![(1, 4)], vec![4, -4, 0, 2]));
        assert_eq!(lay(&[4, 0, 0, 0, 2], 0, 0), (vec![(1, 1), (3, 1)], vec![4, -2]));
        assert_eq!(lay(&[0, 0, 0, 0, 2], -3, 0), (vec![(-2, 0), (4, 1)], vec![2]));
        assert_eq!(lay(&[1, 0], -3, 0), (vec![(-2, 2)], vec![1, -1]));
        assert_eq!(lay(&[1, 1, 1], -1, 40), (vec![(0, 2)], vec![1, 1]));
        // Nothing overflows.
        lay(&[u64::MAX, u64::MAX, 3], i32::MAX, 0);
        lay(&[u64::MAX, 0, 0, 0, 3], i32::MIN, 31);
    }
}
