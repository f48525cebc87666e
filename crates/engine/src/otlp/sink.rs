//! The way into the head: by reference where the cache knows the series, by labels where it does not.

use model::histogram::CounterResetHint;
use model::{Histogram, Labels, Metadata, SeriesRef, TimestampMs};
use storage::{AppendError, Appender, Exemplar, HistogramValue};

use super::fault::Fault;
use crate::series_cache::{KeyHash, SeriesCache};

/// One transaction and what is known about its series.
pub(super) struct Sink<'a> {
    pub app: &'a mut dyn Appender,
    pub cache: &'a SeriesCache,
    /// Series that the cache did not have, or had wrong.
    pub found: &'a mut Vec<(KeyHash, SeriesRef)>,
    /// The latest time that is taken.
    pub ahead_ms: TimestampMs,
    /// Whether metadata are kept.
    pub keep_metadata: bool,
    /// Whether a sample of 0 is put where a series starts.
    pub zero_at_start: bool,
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub without_metadata: u64,
    pub late_exemplars: u64,
}

/// When a sample is, and since when it counts; 0 is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub t: TimestampMs,
    pub st: TimestampMs,
}

/// The labels of a series and whether it may be cached.
pub(super) type Named = (Labels, bool);

impl Sink<'_> {
    /// Adds a float sample to the series of `key`, whose labels are asked for only where the cache does not know it.
    #[inline]
    pub(super) fn float(
        &mut self,
        key: KeyHash,
        times: Times,
        v: f64,
        labels: impl FnOnce() -> Result<Named, Fault>,
    ) -> Result<SeriesRef, Fault> {
        let known = self.cache.get(key);
        if !known.is_none() {
            self.check(times)?;
            self.zero(times, |app| app.append(known, &Labels::empty(), times.st, 0, 0.0));
            match self.app.append_known_since(known, times.t, times.st, v) {
                Err(AppendError::UnknownSeries) => {}
                Err(e) => return Err(e.into()),
                Ok(()) => {
                    self.samples += 1;
                    return Ok(known);
                }
            }
        }
        let (labels, may_cache) = labels()?;
        self.check(times)?;
        self.zero(times, |app| app.append(SeriesRef::NONE, &labels, times.st, 0, 0.0));
        let series = self.app.append(SeriesRef::NONE, &labels, times.t, times.st, v)?;
        self.samples += 1;
        if may_cache {
            self.found.push((key, series));
        }
        Ok(series)
    }

    /// [`Self::float`] for a native histogram.
    pub(super) fn histogram(
        &mut self,
        key: KeyHash,
        times: Times,
        h: &Histogram,
        labels: impl FnOnce() -> Result<Named, Fault>,
    ) -> Result<SeriesRef, Fault> {
        let value = HistogramValue::Integer(h);
        let zero = |app: &mut dyn Appender, series, labels: &Labels| {
            let zero = Histogram {
                counter_reset_hint: CounterResetHint::Reset,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                custom_values: h.custom_values.clone(),
                ..Histogram::default()
            };
            app.append_histogram(series, labels, times.st, 0, HistogramValue::Integer(&zero))
        };
        let known = self.cache.get(key);
        if !known.is_none() {
            let none = Labels::empty();
            self.check(times)?;
            self.zero(times, |app| zero(app, known, &none));
            match self.app.append_histogram(known, &none, times.t, times.st, value) {
                // Without a series, the store finds fault with the missing labels.
                Err(AppendError::UnknownSeries | AppendError::InvalidLabels(_)) => {}
                Err(e) => return Err(e.into()),
                Ok(series) => {
                    self.histograms += 1;
                    return Ok(series);
                }
            }
        }
        let (labels, may_cache) = labels()?;
        self.check(times)?;
        self.zero(times, |app| zero(app, SeriesRef::NONE, &labels));
        let series = self.app.append_histogram(SeriesRef::NONE, &labels, times.t, times.st, value)?;
        self.histograms += 1;
        if may_cache {
            self.found.push((key, series));
        }
        Ok(series)
    }

    fn check(&self, times: Times) -> Result<(), Fault> {
        if times.t > self.ahead_ms { Err(Fault::ahead()) } else { Ok(()) }
    }

    /// Puts a sample of 0 where the series starts, if it fits there; nothing depends on it.
    #[inline]
    fn zero(
        &mut self,
        Times { t, st }: Times,
        append: impl FnOnce(&mut dyn Appender) -> Result<SeriesRef, AppendError>,
    ) {
        if self.zero_at_start && st != 0 && st < t {
            self.app.refuse_out_of_order(true);
            let _ = append(self.app);
            self.app.refuse_out_of_order(false);
        }
    }

    /// Adds exemplars, in order, to a series that has just got a sample. What is wrong with one costs only itself.
    pub(super) fn exemplars(&mut self, series: SeriesRef, exemplars: &[Exemplar]) -> Result<(), Fault> {
        for exemplar in exemplars.iter().filter(|e| e.timestamp_ms <= Some(self.ahead_ms)) {
            match self.app.append_exemplar(series, &Labels::empty(), exemplar) {
                Ok(_) => self.exemplars += 1,
                Err(AppendError::OutOfOrderExemplar) => self.late_exemplars += 1,
                Err(e @ AppendError::ReadOnly(_)) => return Err(e.into()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Notes what the metric of a series that has just got a sample is.
    pub(super) fn metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), Fault> {
        match self.app.update_metadata(series, &Labels::empty(), metadata) {
            Err(e @ AppendError::ReadOnly(_)) => Err(e.into()),
            _ => Ok(()),
        }
    }
}
