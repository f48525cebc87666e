//! One series of a request on its way into the head: known by reference, its labels parsed only
//! where that does not suffice.

use std::fmt;

use model::histogram::{EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MAX_RESERVED};
use model::{Labels, Metadata, SeriesRef, TimestampMs};
use storage::{AppendError, Appender, Exemplar, HistogramValue};
use wire::{EncodedLabels, HistogramSample, LabelsError, WireError};

use crate::error::{EngineError, ErrorCode};
use crate::series_cache::{KeyHash, SeriesCache};

/// Why something was not stored.
#[derive(Debug)]
pub(super) enum Fault {
    /// The sample's own fault.
    Sample(AppendError),
    /// Its time lies too far ahead of the clock.
    Ahead,
    /// The histogram's own fault.
    Histogram(String),
    /// The body is damaged.
    Wire(WireError),
    /// The database's fault.
    Engine(EngineError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sample(e) => write!(f, "{e}"),
            Self::Ahead => {
                write!(f, "{}: timestamp is too far in the future", AppendError::OutOfBounds)
            }
            Self::Histogram(text) => f.write_str(text),
            Self::Wire(e) => write!(f, "{e}"),
            Self::Engine(e) => write!(f, "{e}"),
        }
    }
}

impl From<AppendError> for Fault {
    fn from(e: AppendError) -> Self {
        match e {
            AppendError::ReadOnly(_) => Self::Engine(EngineError::new(ErrorCode::ReadOnly, e.to_string())),
            e => Self::Sample(e),
        }
    }
}

impl From<WireError> for Fault {
    fn from(e: WireError) -> Self {
        Self::Wire(e)
    }
}

/// A series of a request.
pub(super) struct SeriesHandle<'k> {
    key: EncodedLabels<'k>,
    hash: KeyHash,
    /// What the cache said.
    cached: SeriesRef,
    series: SeriesRef,
    labels: Option<Labels>,
}

impl<'k> SeriesHandle<'k> {
    /// Looks the series up; where the cache does not have it, its labels are parsed and checked.
    ///
    /// # Errors
    /// Labels that cannot name a series.
    #[inline]
    pub(super) fn new(key: EncodedLabels<'k>, cache: &SeriesCache) -> Result<Self, LabelsError> {
        let hash = cache.hash(key.as_bytes());
        let series = cache.get(hash);
        let labels = if series.is_none() { Some(key.decode()?) } else { None };
        Ok(Self { key, hash, cached: series, series, labels })
    }

    /// Adds a float sample; `st` is 0 if unknown.
    #[inline]
    pub(super) fn sample(
        &mut self,
        app: &mut dyn Appender,
        t: TimestampMs,
        st: TimestampMs,
        v: f64,
    ) -> Result<(), Fault> {
        if !self.series.is_none() {
            match app.append_known_since(self.series, t, st, v) {
                Err(AppendError::UnknownSeries) => {}
                other => return other.map_err(Fault::from),
            }
        }
        self.with_labels(|series, labels| app.append(series, labels, t, st, v))
    }

    /// Adds a zero at `st` before the sample at `t` (feature `created-timestamp-zero-ingestion`), or an empty histogram
    /// like that sample; one that does not fit there is left out.
    pub(super) fn start_zero(
        &mut self,
        app: &mut dyn Appender,
        times: (TimestampMs, TimestampMs),
        like: Option<HistogramValue<'_>>,
    ) -> Result<(), Fault> {
        self.with_labels(|series, labels| app.append_start_zero(series, labels, times, like))
    }

    /// Adds the histogram of `sample`, with `zeroes` behind an empty one at its start; a resolution that
    /// is finer than the store's finest is made coarser.
    pub(super) fn histogram(
        &mut self,
        app: &mut dyn Appender,
        sample: &mut HistogramSample,
        zeroes: bool,
    ) -> Result<(), Fault> {
        let (t, st) = (sample.t, sample.st);
        let schema = if sample.is_float { sample.float.schema } else { sample.int.schema };
        if (EXPONENTIAL_SCHEMA_MAX + 1..=EXPONENTIAL_SCHEMA_MAX_RESERVED).contains(&schema) {
            let reduced = if sample.is_float {
                sample.float.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)
            } else {
                sample.int.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)
            };
            reduced.map_err(|e| Fault::Histogram(e.to_string()))?;
        }
        let value = if sample.is_float {
            HistogramValue::Float(&sample.float)
        } else {
            HistogramValue::Integer(&sample.int)
        };
        let valid = || match value {
            HistogramValue::Integer(h) => h.validate().is_ok(),
            HistogramValue::Float(h) => h.validate().is_ok(),
        };
        if zeroes && st != 0 && valid() {
            self.start_zero(app, (t, st), Some(value))?;
        }
        self.with_labels(|series, labels| app.append_histogram(series, labels, t, st, value))
    }

    /// Adds an exemplar.
    pub(super) fn exemplar(&mut self, app: &mut dyn Appender, exemplar: &Exemplar) -> Result<(), Fault> {
        self.with_labels(|series, labels| app.append_exemplar(series, labels, exemplar))
    }

    /// Notes what the series' metric is.
    pub(super) fn metadata(&mut self, app: &mut dyn Appender, metadata: &Metadata) -> Result<(), Fault> {
        self.with_labels(|series, labels| app.update_metadata(series, labels, metadata))
    }

    /// The labels, parsed where they have not been.
    ///
    /// # Errors
    /// None in practice: a key that the cache has was parsed before.
    pub(super) fn labels(&mut self) -> Result<&Labels, Fault> {
        let labels = match self.labels.take() {
            Some(labels) => labels,
            None => self.key.decode().map_err(|e| match e {
                LabelsError::Wire(e) => Fault::Wire(e),
                e => Fault::Sample(AppendError::InvalidLabels(e.to_string())),
            })?,
        };
        Ok(self.labels.insert(labels))
    }

    /// What the cache is to know of this series from now on.
    #[inline]
    pub(super) fn news(&self) -> Option<(KeyHash, SeriesRef)> {
        (self.series != self.cached && !self.series.is_none()).then_some((self.hash, self.series))
    }

    /// Calls `append` with the reference alone while the labels are not parsed, and again with them
    /// where the reference names nothing any more.
    fn with_labels(
        &mut self,
        mut append: impl FnMut(SeriesRef, &Labels) -> Result<SeriesRef, AppendError>,
    ) -> Result<(), Fault> {
        if self.labels.is_none() {
            match append(self.series, &Labels::empty()) {
                // Without a series, the store finds fault with the missing labels.
                Err(AppendError::UnknownSeries | AppendError::InvalidLabels(_)) => {}
                other => return other.map(|_| ()).map_err(Fault::from),
            }
            self.series = SeriesRef::NONE;
            self.labels()?;
        }
        let labels = self.labels.as_ref().expect("labels() has put them there");
        self.series = append(self.series, labels)?;
        Ok(())
    }
}
