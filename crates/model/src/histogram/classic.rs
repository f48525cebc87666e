//! Histograms with custom bounds as classic ones (Prometheus `ClassicBucketCounts`).

use super::iterate::Cursor;
use super::{FloatHistogram, Histogram, HistogramError};
use crate::is_stale_nan;

/// A classic histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicCounts {
    /// Cumulative counts: one for each custom bound, then that of +Inf.
    pub buckets: Vec<f64>,
    /// All observations.
    pub count: f64,
    /// Sum of all observed values.
    pub sum: f64,
}

impl FloatHistogram {
    /// The values of the classic series `_bucket`, `_count` and `_sum`; of a stale histogram all
    /// are stale markers.
    ///
    /// # Errors
    /// [`HistogramError::NotCustom`] for other schemas, and what [`Self::validate`] finds.
    pub fn classic_counts(&self) -> Result<ClassicCounts, HistogramError> {
        if !self.uses_custom_buckets() {
            return Err(HistogramError::NotCustom);
        }
        self.validate()?;
        let mut buckets = vec![0.0; self.custom_values.len() + 1];
        for (index, count) in Cursor::new(&self.positive_spans, &self.positive_buckets) {
            if let Some(bucket) = usize::try_from(index).ok().and_then(|i| buckets.get_mut(i)) {
                *bucket = count;
            }
        }
        let mut count = 0.0;
        for bucket in &mut buckets {
            count += *bucket;
            *bucket = count;
        }
        let (count, sum) = (self.count, self.sum);
        if is_stale_nan(sum) {
            buckets.fill(sum);
            return Ok(ClassicCounts { buckets, count: sum, sum });
        }
        Ok(ClassicCounts { buckets, count, sum })
    }
}

impl Histogram {
    /// As [`FloatHistogram::classic_counts`].
    ///
    /// # Errors
    /// As there.
    pub fn classic_counts(&self) -> Result<ClassicCounts, HistogramError> {
        if self.uses_custom_buckets() {
            self.validate()?;
        }
        self.to_float().classic_counts()
    }
}
