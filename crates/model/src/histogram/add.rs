//! Sums and differences of histograms.

use super::custom::{bounds_match, intersect_bounds, map_buckets};
use super::merge::{Plain, merge_buckets};
use super::resolution::reduce;
use super::{CounterResetHint, FloatHistogram, HistogramError, Span};

/// What a sum or difference had to put up with; PromQL tells the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One histogram said that there was a counter reset, the other that there was none.
    pub counter_reset_collision: bool,
    /// Custom bounds differed; the bounds that both have were kept.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Adds `other`, whose buckets are made here where they are missing. The coarser schema and
    /// the larger zero bucket win; different custom bounds are reduced to the common ones. The
    /// result may have empty buckets and adjacent spans: see [`Self::compact`].
    ///
    /// # Errors
    /// Where one schema is exponential and the other custom, or the finer histogram is unsound;
    /// `self` is then as it was.
    pub fn add(&mut self, other: &Self) -> Result<Combined, HistogramError> {
        self.combine(other, false)
    }

    /// Subtracts `other` as [`Self::add`] adds it. The counter reset hint is treated alike: PromQL's
    /// `-` makes the result a gauge itself.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn sub(&mut self, other: &Self) -> Result<Combined, HistogramError> {
        self.combine(other, true)
    }

    fn combine(&mut self, other: &Self, subtract: bool) -> Result<Combined, HistogramError> {
        self.check_combinable(other)?;
        self.check_reducible(other)?;
        let counter_reset_collision = self.adjust_counter_reset(other);
        let signed = |v: f64| if subtract { -v } else { v };
        if !self.uses_custom_buckets() {
            let (other_zero, _) = self.reconcile_zero_buckets(other, None);
            self.zero_count += signed(other_zero);
        }
        self.count += signed(other.count);
        self.sum += signed(other.sum);

        let bounds_reconciled =
            self.uses_custom_buckets() && !bounds_match(&self.custom_values, &other.custom_values);
        if bounds_reconciled {
            let bounds = intersect_bounds(&self.custom_values, &other.custom_values);
            let (spans, buckets, _) = Custom { bounds: &bounds, subtract }.combine(self, other, None);
            (self.positive_spans, self.positive_buckets) = (spans, buckets);
            self.custom_values = bounds;
        } else {
            self.combine_buckets(other, subtract)?;
        }
        Ok(Combined { counter_reset_collision, bounds_reconciled })
    }

    /// The buckets of both signs, in the coarser of the two schemas.
    fn combine_buckets(&mut self, other: &Self, subtract: bool) -> Result<(), HistogramError> {
        if other.schema < self.schema {
            self.reduce_resolution(other.schema)?;
        }
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let merge = |spans: &mut Vec<Span>, sums: &mut Vec<f64>, theirs: (&[Span], &[f64])| {
            let mut cells = Plain { sums, subtract };
            if other.schema > schema {
                let (their_spans, values) = reduce(theirs.0, theirs.1, other.schema, schema)?;
                merge_buckets(schema, threshold, spans, &mut cells, (&their_spans, &values, None));
            } else {
                merge_buckets(schema, threshold, spans, &mut cells, (theirs.0, theirs.1, None));
            }
            Ok::<_, HistogramError>(())
        };
        let positive = (other.positive_spans.as_slice(), other.positive_buckets.as_slice());
        merge(&mut self.positive_spans, &mut self.positive_buckets, positive)?;
        if !self.uses_custom_buckets() {
            let negative = (other.negative_spans.as_slice(), other.negative_buckets.as_slice());
            merge(&mut self.negative_spans, &mut self.negative_buckets, negative)?;
        }
        Ok(())
    }

    /// Whether both schemas are exponential or both custom.
    pub(super) fn check_combinable(&self, other: &Self) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() == other.uses_custom_buckets() {
            Ok(())
        } else {
            Err(HistogramError::IncompatibleSchema)
        }
    }

    /// The hint of a sum or difference; whether the two contradict each other. A gauge beats all,
    /// then "unknown".
    pub(super) fn adjust_counter_reset(&mut self, other: &Self) -> bool {
        use CounterResetHint::{Gauge, Unknown};
        match (self.counter_reset_hint, other.counter_reset_hint) {
            (a, b) if a == b => false,
            (Gauge, _) | (_, Gauge) => {
                self.counter_reset_hint = Gauge;
                false
            }
            (a, b) => {
                self.counter_reset_hint = Unknown;
                a != Unknown && b != Unknown
            }
        }
    }
}

/// A sum or difference in the bounds that two histograms with custom bounds share.
pub(super) struct Custom<'a> {
    pub(super) bounds: &'a [f64],
    pub(super) subtract: bool,
}

impl Custom<'_> {
    /// Spans, buckets and their compensations; buckets that are empty are left out. `rest` is the
    /// compensation of `h` so far.
    pub(super) fn combine(
        &self,
        h: &FloatHistogram,
        other: &FloatHistogram,
        rest: Option<&[f64]>,
    ) -> (Vec<Span>, Vec<f64>, Vec<f64>) {
        let mut sums = vec![0.0; self.bounds.len() + 1];
        let mut rests = vec![0.0; self.bounds.len() + 1];
        map_buckets(h, self.bounds, rest, false, &mut sums, &mut rests);
        map_buckets(other, self.bounds, None, self.subtract, &mut sums, &mut rests);
        let (mut spans, mut values, mut compensations) = (Vec::<Span>::new(), Vec::new(), Vec::new());
        let mut end = 0;
        for (i, (sum, c)) in sums.iter().zip(&rests).enumerate() {
            if *sum == 0.0 && *c == 0.0 {
                continue;
            }
            values.push(*sum);
            compensations.push(*c);
            match spans.last_mut() {
                Some(span) if end == i => span.length += 1,
                _ => spans.push(Span { offset: (i - end) as i32, length: 1 }),
            }
            end = i + 1;
        }
        (spans, values, compensations)
    }
}
