//! Start timestamps for series whose targets tell none (feature `st-synthesis`): the first sample is the origin and is
//! not stored, those after it count from there, and a reset begins a millisecond before the sample that shows it.
//! After Prometheus' scrape/st_synthesis.go, and the strategy that it names: OpenTelemetry's subtract-initial-point.

use exposition::NativeValue;
use model::histogram::NativeHistogram;
use model::{FloatHistogram, Histogram, TimestampMs};

/// What is remembered of a series.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// 0 until there was a sample.
    st: TimestampMs,
    /// The newest value and the one that counts as 0.
    float: (f64, f64),
    histogram: Option<Box<HistogramStart>>,
}

#[derive(Debug)]
struct HistogramStart {
    newest: FloatHistogram,
    /// `None` since a reset: nothing is to be subtracted.
    origin: Option<FloatHistogram>,
}

impl Start {
    /// Makes a sample count from its series' origin; when the series began, `None` where this sample is the origin.
    pub(super) fn float(&mut self, v: &mut f64, t: TimestampMs) -> Option<TimestampMs> {
        let (newest, origin) = &mut self.float;
        if self.st == 0 {
            (*newest, *origin, self.st) = (*v, *v, t);
            return None;
        }
        if *v < *newest {
            *origin = 0.0;
            // Somewhere between the two samples; this is the guess that promises least.
            self.st = t - 1;
        }
        *newest = *v;
        *v -= *origin;
        Some(self.st)
    }

    /// [`Self::float`] of a native histogram.
    pub(super) fn histogram(&mut self, value: &mut NativeValue, t: TimestampMs) -> Option<TimestampMs> {
        let now = if value.is_float { value.float.clone() } else { value.int.to_float() };
        let is_first = self.st == 0;
        let before = self.histogram.take();
        let is_reset = before.as_ref().is_none_or(|b| now.detect_reset(&b.newest));
        let mut origin = if is_first { Some(now.clone()) } else { None };
        if is_first {
            self.st = t;
        } else if is_reset {
            self.st = t - 1;
        } else if let Some(from) = before.and_then(|b| b.origin) {
            let mut difference = now.clone();
            if difference.sub(&from).is_ok() {
                difference.compact(0);
                match value.is_float {
                    true => value.float = difference,
                    false => value.int = integers(&difference, &value.int),
                }
                origin = Some(from);
            } else {
                // What cannot be subtracted from is another histogram.
                self.st = t - 1;
            }
        }
        self.histogram = Some(Box::new(HistogramStart { newest: now, origin }));
        (!is_first).then_some(self.st)
    }
}

/// The whole numbers of `h`, whose counts are such, with the hint of `like`.
fn integers(h: &FloatHistogram, like: &Histogram) -> Histogram {
    let deltas = |counts: &[f64]| {
        let mut last = 0;
        let delta = |count: &f64| {
            let delta = *count as i64 - last;
            last = *count as i64;
            delta
        };
        counts.iter().map(delta).collect()
    };
    NativeHistogram {
        counter_reset_hint: like.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as u64,
        count: h.count as u64,
        sum: h.sum,
        custom_values: h.custom_values.clone(),
        positive_spans: h.positive_spans.clone(),
        negative_spans: h.negative_spans.clone(),
        positive_buckets: deltas(&h.positive_buckets),
        negative_buckets: deltas(&h.negative_buckets),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::histogram::Span;

    use super::*;

    #[test]
    fn floats_count_from_the_first() {
        let mut start = Start::default();
        let mut take = |v: f64, t: i64| {
            let mut v = v;
            start.float(&mut v, t).map(|st| (v, st))
        };
        assert_eq!(take(10.0, 100), None);
        assert_eq!(take(15.0, 200), Some((5.0, 100)));
        assert_eq!(take(15.0, 300), Some((5.0, 100)));
        assert_eq!(take(3.0, 400), Some((3.0, 399)));
        assert_eq!(take(4.0, 500), Some((4.0, 399)));
    }

    fn value(buckets: &[i64], is_float: bool) -> NativeValue {
        let mut count = 0;
        let sum: i64 = buckets
            .iter()
            .map(|delta| {
                count += delta;
                count
            })
            .sum();
        let int = Histogram {
            count: sum as u64,
            sum: sum as f64,
            positive_spans: vec![Span { offset: 0, length: buckets.len() as u32 }],
            positive_buckets: buckets.to_vec(),
            ..Histogram::default()
        };
        NativeValue { is_float, float: int.to_float(), int }
    }

    #[test]
    fn histograms_count_from_the_first() {
        for is_float in [false, true] {
            let mut start = Start::default();
            let mut take = |buckets: &[i64], t| {
                let mut v = value(buckets, is_float);
                let st = start.histogram(&mut v, t)?;
                let counts = if is_float { v.float } else { v.int.to_float() };
                Some((st, counts.count, counts.positive_buckets))
            };
            assert_eq!(take(&[2, 1], 100), None);
            assert_eq!(take(&[2, 3], 200), Some((100, 2.0, vec![2.0])));
            assert_eq!(take(&[3, 3], 300), Some((100, 4.0, vec![1.0, 3.0])));
            assert_eq!(take(&[1, 0], 400), Some((399, 2.0, vec![1.0, 1.0])));
            assert_eq!(take(&[1, 1], 500), Some((399, 3.0, vec![1.0, 2.0])));
        }
    }
}
