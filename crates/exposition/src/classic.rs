//! Classic histograms put together and turned into native ones with custom bounds (Prometheus
//! `util/convertnhcb`).

use model::float::to_string_g;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};

use crate::native::NativeValue;

/// Where the floats that can be integers of 64 bits end.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
/// Where those without a sign end.
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// What the samples of one classic histogram say. The first thing wrong with it is kept and fails the conversion.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClassicHistogram {
    /// Upper bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    /// Whether bounds came out of order.
    unsorted: bool,
    count: Option<f64>,
    sum: f64,
    error: Option<String>,
}

impl ClassicHistogram {
    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
        self.unsorted = false;
        self.count = None;
        self.sum = 0.0;
        self.error = None;
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    /// Takes a bucket. Of two with the same bound the first counts.
    pub(crate) fn set_bucket(&mut self, bound: f64, count: f64) {
        if bound.is_nan() {
            return self.fail("bucket boundary must not be NaN".to_owned());
        }
        if count < 0.0 {
            let (le, count) = (to_string_g(bound), to_string_g(count));
            return self.fail(format!("bucket count must be non-negative: le={le}, count={count}"));
        }
        match self.buckets.last() {
            Some((last, _)) if *last == bound => return,
            Some((last, _)) if *last > bound => self.unsorted = true,
            Some((_, before)) if !self.unsorted && count < *before => {
                let error = not_cumulative(count, '<', *before);
                return self.fail(error);
            }
            _ => {}
        }
        self.buckets.push((bound, count));
    }

    /// Takes the count of all observations.
    pub(crate) fn set_count(&mut self, count: f64) {
        if count < 0.0 {
            return self.fail(format!("count must be non-negative: count={}", to_string_g(count)));
        }
        if self.error.is_none() {
            self.count = Some(count);
        }
    }

    /// Takes the sum of all observations.
    pub(crate) fn set_sum(&mut self, sum: f64) {
        if self.error.is_none() {
            self.sum = sum;
        }
    }

    /// Puts the native histogram into `out`: integers where all counts are, floats otherwise.
    ///
    /// # Errors
    /// What is wrong with the samples, in Prometheus' words.
    pub(crate) fn convert(&mut self, out: &mut NativeValue) -> Result<(), String> {
        self.sort();
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let count = match (self.count, self.buckets.last()) {
            (Some(count), _) => count,
            (None, Some((_, count))) => *count,
            (None, None) => return Err("count must be provided when no buckets are present".to_owned()),
        };
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        out.clear();
        let whole = |v: f64, end: f64| v < end && v.round() == v;
        out.is_float = !(self.buckets.iter().all(|(_, c)| whole(*c, TWO_TO_63)) && whole(count, TWO_TO_64));
        if out.is_float { self.convert_floats(count, out) } else { self.convert_integers(count as u64, out) }
    }

    fn sort(&mut self) {
        if !self.unsorted {
            return;
        }
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Zeroes of both signs are one bound.
        self.buckets.dedup_by(|b, a| a.0 == b.0);
        if let Some(pair) = self.buckets.windows(2).find(|pair| pair[1].1 < pair[0].1) {
            let error = not_cumulative(pair[0].1, '>', pair[1].1);
            self.fail(error);
        }
    }

    /// The bounds without the last, which is +Inf.
    fn bounds(&self) -> impl Iterator<Item = f64> {
        self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| *bound != f64::INFINITY)
    }

    fn span(&self) -> Result<Span, String> {
        let length = u32::try_from(self.buckets.len()).map_err(|_| "too many buckets".to_owned())?;
        Ok(Span { offset: 0, length })
    }

    fn convert_integers(&self, count: u64, out: &mut NativeValue) -> Result<(), String> {
        let h = &mut out.int;
        h.schema = CUSTOM_BUCKETS_SCHEMA;
        (h.count, h.sum) = (count, self.sum);
        h.positive_spans.push(self.span()?);
        h.custom_values.extend(self.bounds());
        let (mut cumulative, mut in_bucket) = (0i64, 0i64);
        for (_, c) in &self.buckets {
            let here = (*c as i64).wrapping_sub(cumulative);
            h.positive_buckets.push(here.wrapping_sub(in_bucket));
            (cumulative, in_bucket) = (*c as i64, here);
        }
        let (bound, last) = self.buckets.last().copied().unwrap_or_default();
        if count != last as u64 {
            return Err(mismatch(&count.to_string(), bound, last));
        }
        h.compact(2);
        h.validate().map_err(|e| format!("invalid histogram: {e}"))
    }

    fn convert_floats(&self, count: f64, out: &mut NativeValue) -> Result<(), String> {
        let h = &mut out.float;
        h.schema = CUSTOM_BUCKETS_SCHEMA;
        (h.count, h.sum) = (count, self.sum);
        h.positive_spans.push(self.span()?);
        h.custom_values.extend(self.bounds());
        let mut cumulative = 0.0;
        for (_, c) in &self.buckets {
            h.positive_buckets.push(c - cumulative);
            cumulative = *c;
        }
        let (bound, last) = self.buckets.last().copied().unwrap_or_default();
        // NaN is no count that matches.
        #[expect(clippy::float_cmp, reason = "the same number is meant")]
        if count != last {
            return Err(mismatch(&to_string_g(count), bound, last));
        }
        h.compact(0);
        h.validate().map_err(|e| format!("invalid float histogram: {e}"))
    }
}

fn not_cumulative(count: f64, than: char, other: f64) -> String {
    format!("count is not cumulative: {} {than} {}", to_string_g(count), to_string_g(other))
}

fn mismatch(count: &str, bound: f64, last: f64) -> String {
    format!("count mismatch: count={count} != le={} count={}", to_string_g(bound), to_string_g(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(buckets: &[(f64, f64)], count: Option<f64>) -> Result<NativeValue, String> {
        let mut classic = ClassicHistogram::default();
        buckets.iter().for_each(|(le, c)| classic.set_bucket(*le, *c));
        count.into_iter().for_each(|c| classic.set_count(c));
        classic.set_sum(2.5);
        let mut out = NativeValue::default();
        classic.convert(&mut out).map(|()| out)
    }

    #[test]
    fn order_of_buckets_does_not_matter() {
        let sorted = convert(&[(0.5, 1.0), (1.0, 3.0), (f64::INFINITY, 4.0)], Some(4.0)).unwrap();
        let shuffled =
            convert(&[(f64::INFINITY, 4.0), (1.0, 3.0), (0.5, 1.0), (1.0, 9.0)], Some(4.0)).unwrap();
        assert_eq!(sorted.int, shuffled.int);
        assert_eq!(sorted.int.positive_buckets, [1, 1, -1]);
        assert_eq!(sorted.int.custom_values, [0.5, 1.0]);
    }

    #[test]
    fn refuses_what_is_no_histogram() {
        let fails = |buckets: &[(f64, f64)], count, want: &str| {
            assert_eq!(convert(buckets, count).unwrap_err(), want);
        };
        fails(&[], None, "count must be provided when no buckets are present");
        fails(&[(f64::NAN, 1.0)], None, "bucket boundary must not be NaN");
        fails(&[(1.0, -1.0)], None, "bucket count must be non-negative: le=1, count=-1");
        fails(&[], Some(-2.0), "count must be non-negative: count=-2");
        fails(&[(1.0, 5.0), (2.0, 4.0)], None, "count is not cumulative: 4 < 5");
        fails(&[(2.0, 4.0), (1.0, 5.0)], None, "count is not cumulative: 5 > 4");
        fails(&[(f64::INFINITY, 4.0)], Some(7.0), "count mismatch: count=7 != le=+Inf count=4");
        fails(&[(f64::INFINITY, 4.5)], Some(7.0), "count mismatch: count=7 != le=+Inf count=4.5");
    }

    #[test]
    fn numbers_beyond_integers_are_floats() {
        for v in [TWO_TO_63, TWO_TO_64, 1e30, 0.5] {
            assert!(convert(&[(1.0, v)], Some(v)).unwrap().is_float, "{v}");
        }
        assert!(!convert(&[(1.0, 4e18)], Some(4e18)).unwrap().is_float);
    }
}
