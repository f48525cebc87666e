//! Sums of histograms with a compensation for what rounding loses (Kahan's sum in Neumaier's form).

use super::add::{Combined, Custom};
use super::custom::{bounds_match, intersect_bounds};
use super::merge::{Compensated, merge_buckets};
use super::resolution::reduce_with_compensation;
use super::validate::check_spans;
use super::{FloatHistogram, HistogramError};

/// Compensated addition (Prometheus `kahansum`).
pub(super) struct KahanSum;

impl KahanSum {
    /// Adds `inc` to `sum`, and what was lost to `c`. Once the sum is infinite nothing is.
    #[inline]
    pub(super) fn inc(inc: f64, sum: &mut f64, c: &mut f64) {
        let t = *sum + inc;
        if t.is_infinite() {
            *c = 0.0;
        } else if sum.abs() >= inc.abs() {
            *c += (*sum - t) + inc;
        } else {
            *c += (inc - t) + *sum;
        }
        *sum = t;
    }
}

impl FloatHistogram {
    /// Adds `other` like [`Self::add`], and what rounding loses to `compensation`: a histogram with
    /// the same buckets, made at the first call. Adding it in the end gives the sum.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn kahan_add(
        &mut self,
        other: &Self,
        compensation: &mut Option<Self>,
    ) -> Result<Combined, HistogramError> {
        self.check_combinable(other)?;
        self.check_reducible(other)?;
        let counter_reset_collision = self.adjust_counter_reset(other);
        let c = compensation.get_or_insert_with(|| self.no_compensation());
        if !self.uses_custom_buckets() {
            let (other_zero, other_rest) = self.reconcile_zero_buckets(other, Some(c));
            KahanSum::inc(other_zero, &mut self.zero_count, &mut c.zero_count);
            KahanSum::inc(other_rest, &mut self.zero_count, &mut c.zero_count);
        }
        KahanSum::inc(other.count, &mut self.count, &mut c.count);
        KahanSum::inc(other.sum, &mut self.sum, &mut c.sum);

        let custom = self.uses_custom_buckets();
        let bounds_reconciled = custom && !bounds_match(&self.custom_values, &other.custom_values);
        if bounds_reconciled {
            let bounds = intersect_bounds(&self.custom_values, &other.custom_values);
            let rest = Some(c.positive_buckets.as_slice());
            let mapped = Custom { bounds: &bounds, subtract: false }.combine(self, other, rest);
            (self.positive_spans, self.positive_buckets, c.positive_buckets) = mapped;
            c.custom_values.clone_from(&bounds);
            self.custom_values = bounds;
        } else {
            self.kahan_add_buckets(other, c);
        }
        c.schema = self.schema;
        c.zero_threshold = self.zero_threshold;
        c.positive_spans.clone_from(&self.positive_spans);
        c.negative_spans.clone_from(&self.negative_spans);
        Ok(Combined { counter_reset_collision, bounds_reconciled })
    }

    /// The buckets of both signs, in the coarser of the two schemas.
    fn kahan_add_buckets(&mut self, other: &Self, c: &mut Self) {
        let (schema, target) = (self.schema, other.schema.min(self.schema));
        if target < schema {
            let reduce = |spans: &[_], sums: &[_], rests: &[_]| {
                reduce_with_compensation(spans, sums, rests, schema, target)
            };
            (self.positive_spans, self.positive_buckets, c.positive_buckets) =
                reduce(&self.positive_spans, &self.positive_buckets, &c.positive_buckets);
            (self.negative_spans, self.negative_buckets, c.negative_buckets) =
                reduce(&self.negative_spans, &self.negative_buckets, &c.negative_buckets);
            self.schema = target;
        }
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let merge =
            |spans: &mut Vec<_>, sums: &mut Vec<f64>, rests: &mut Vec<f64>, theirs: (&[_], &[f64])| {
                let mut cells = Compensated { sums, rests };
                if other.schema > target && !theirs.1.is_empty() {
                    let zeros = vec![0.0; theirs.1.len()];
                    let (their_spans, their_sums, their_rests) =
                        reduce_with_compensation(theirs.0, theirs.1, &zeros, other.schema, target);
                    let theirs =
                        (their_spans.as_slice(), their_sums.as_slice(), Some(their_rests.as_slice()));
                    merge_buckets(schema, threshold, spans, &mut cells, theirs);
                } else {
                    merge_buckets(schema, threshold, spans, &mut cells, (theirs.0, theirs.1, None));
                }
            };
        let (h, o) = (self, other);
        merge(
            &mut h.positive_spans,
            &mut h.positive_buckets,
            &mut c.positive_buckets,
            (&o.positive_spans, &o.positive_buckets),
        );
        if !is_custom(schema) {
            merge(
                &mut h.negative_spans,
                &mut h.negative_buckets,
                &mut c.negative_buckets,
                (&o.negative_spans, &o.negative_buckets),
            );
        }
    }

    /// Nothing lost yet, in the buckets of `self`.
    fn no_compensation(&self) -> Self {
        Self {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_values: self.custom_values.clone(),
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: vec![0.0; self.positive_buckets.len()],
            negative_buckets: if self.uses_custom_buckets() {
                Vec::new()
            } else {
                vec![0.0; self.negative_buckets.len()]
            },
            ..Self::default()
        }
    }

    /// Whether whichever of the two has the finer schema can be reduced.
    pub(super) fn check_reducible(&self, other: &Self) -> Result<(), HistogramError> {
        let finer = match self.schema.cmp(&other.schema) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => return Ok(()),
        };
        check_spans(&finer.positive_spans, finer.positive_buckets.len())?;
        check_spans(&finer.negative_spans, finer.negative_buckets.len())
    }
}

fn is_custom(schema: i32) -> bool {
    super::schema::is_custom_buckets_schema(schema)
}
