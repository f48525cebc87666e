//! Adding samples: one appender is one transaction.

use std::fmt;

use model::float::to_string_g;
use model::{FloatHistogram, Histogram, Labels, Metadata, SeriesRef, TimestampMs};

use crate::{Exemplar, StorageError};

/// A native histogram with integer or float counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HistogramValue<'a> {
    /// Counts are integers, buckets deltas of them.
    Integer(&'a Histogram),
    /// Counts are floats.
    Float(&'a FloatHistogram),
}

/// A float that would take another sample's place, printed as the end of Prometheus' sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overriding {
    t_ms: TimestampMs,
    /// The bits of the float that is there; `None` where it is a histogram.
    existing: Option<u64>,
    new: u64,
}

impl fmt::Display for Overriding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Prometheus takes 0 for no time.
        if self.t_ms == 0 {
            return Ok(());
        }
        let existing = self.existing.map_or_else(|| "is a histogram".to_owned(), decimal);
        write!(
            f,
            " {}; overrides not allowed: existing {existing}, new value {}",
            self.t_ms,
            decimal(self.new)
        )
    }
}

fn decimal(bits: u64) -> String {
    to_string_g(f64::from_bits(bits))
}

impl AppendError {
    /// A float at the time of another sample, which is `existing` or a histogram.
    #[cold]
    #[must_use]
    pub fn overriding(t_ms: TimestampMs, existing: Option<f64>, new: f64) -> Self {
        let existing = existing.map(f64::to_bits);
        Self::DuplicateTimestamp(Some(Box::new(Overriding { t_ms, existing, new: new.to_bits() })))
    }
}

/// Why one sample was refused. The appender stays usable; the other samples are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Older than the newest sample of its series.
    #[error("out of order sample")]
    OutOfOrder,
    /// Older than the store still takes in.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the out-of-order window.
    #[error("too old sample")]
    TooOld,
    /// The series has a sample of another value at this time.
    #[error("duplicate sample for timestamp{}", .0.as_deref().map_or_else(String::new, Overriding::to_string))]
    DuplicateTimestamp(Option<Box<Overriding>>),
    /// The labels cannot name a series; the text says why.
    #[error("invalid labels: {0}")]
    InvalidLabels(String),
    /// The histogram contradicts itself; the text says how.
    #[error("{0}")]
    InvalidHistogram(String),
    /// The exemplar lies before the newest of its series.
    #[error("out of order exemplar")]
    OutOfOrderExemplar,
    /// The series has this exemplar already.
    #[error("duplicate exemplar")]
    DuplicateExemplar,
    /// The exemplar's labels have more than 128 characters together.
    #[error("label length for exemplar exceeds maximum of 128 UTF-8 characters")]
    ExemplarTooLong,
    /// No series has this reference any more, and no labels were given.
    #[error("unknown series reference")]
    UnknownSeries,
    /// This store does not take such samples.
    #[error("{0} are not supported by this store")]
    Unsupported(&'static str),
    /// The database refuses writes.
    #[error("storage refuses writes: {0}")]
    ReadOnly(String),
}

/// One transaction. Nothing is visible to queries before [`Appender::commit`] returns; dropping
/// the appender rolls back.
pub trait Appender: Send {
    /// Adds a float sample to the series `series`, or, where that is [`SeriesRef::NONE`] or no
    /// longer known, to the series `labels`, which is created when it does not exist. `st` is the
    /// start timestamp, 0 if unknown. Returns the reference to use next time.
    ///
    /// # Errors
    /// Why this sample was refused.
    fn append(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        st: TimestampMs,
        v: f64,
    ) -> Result<SeriesRef, AppendError>;

    /// Adds a float sample to a series known by its reference: the hot path, no labels needed.
    ///
    /// # Errors
    /// [`AppendError::UnknownSeries`] when the series has gone: call [`Appender::append`] with
    /// its labels then. Otherwise why this sample was refused.
    fn append_known(&mut self, series: SeriesRef, t: TimestampMs, v: f64) -> Result<(), AppendError>;

    /// [`Self::append_known`] with a start timestamp, 0 for none; a store that keeps none drops it.
    ///
    /// # Errors
    /// Why this sample was refused.
    fn append_known_since(
        &mut self,
        series: SeriesRef,
        t: TimestampMs,
        st: TimestampMs,
        v: f64,
    ) -> Result<(), AppendError> {
        let _ = st;
        self.append_known(series, t, v)
    }

    /// Adds a native histogram, as [`Appender::append`] does a float.
    ///
    /// # Errors
    /// Why this sample was refused, [`AppendError::InvalidHistogram`] among the reasons.
    fn append_histogram(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        st: TimestampMs,
        h: HistogramValue<'_>,
    ) -> Result<SeriesRef, AppendError> {
        let _ = (series, labels, t, st, h);
        Err(AppendError::Unsupported("native histograms"))
    }

    /// Adds a zero where a series began: at `st` of the times (t, st) of a sample that is appended next, for a native
    /// histogram an empty one like `like`. A start that is not before `t`, or too late for its series, adds nothing, and
    /// nothing is counted as refused. Returns the reference to use next time.
    ///
    /// # Errors
    /// What keeps the sample from being appended, too: [`AppendError::UnknownSeries`] where there is no such series and
    /// `labels` are empty.
    fn append_start_zero(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        times: (TimestampMs, TimestampMs),
        like: Option<HistogramValue<'_>>,
    ) -> Result<SeriesRef, AppendError> {
        let _ = (labels, times, like);
        Ok(series)
    }

    /// Adds an exemplar to a series that exists: `series`, or, where that is [`SeriesRef::NONE`] or
    /// no longer known, `labels`. Its time must be given. One that the series has already as its
    /// newest is accepted and dropped.
    ///
    /// # Errors
    /// Why it was refused; [`AppendError::UnknownSeries`] where there is no such series.
    fn append_exemplar(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
    ) -> Result<SeriesRef, AppendError> {
        let _ = (series, labels, exemplar);
        Err(AppendError::Unsupported("exemplars"))
    }

    /// [`Self::append_exemplar`] where one without a time of its own gets `t`. Such a one is the same as the newest of
    /// its series where that had no time either, and is equal but for it.
    ///
    /// # Errors
    /// As there.
    fn append_exemplar_at(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
        t: TimestampMs,
    ) -> Result<SeriesRef, AppendError> {
        let _ = (series, labels, exemplar, t);
        Err(AppendError::Unsupported("exemplars"))
    }

    /// Notes what the metric of a series that exists is, where that has changed.
    ///
    /// # Errors
    /// [`AppendError::UnknownSeries`] where there is no such series.
    fn update_metadata(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        metadata: &Metadata,
    ) -> Result<SeriesRef, AppendError> {
        let _ = (series, labels, metadata);
        Err(AppendError::Unsupported("metadata"))
    }

    /// Whether samples older than the newest of their series are refused from now on even where
    /// the store takes such samples (Prometheus `AppendOptions.DiscardOutOfOrder`).
    fn refuse_out_of_order(&mut self, refuse: bool) {
        let _ = refuse;
    }

    /// Makes everything added visible and durable as far as the store promises. When it returns,
    /// write(2) to the log has returned.
    ///
    /// # Errors
    /// The whole transaction is discarded.
    fn commit(self: Box<Self>) -> Result<(), StorageError>;

    /// Discards everything added.
    fn rollback(self: Box<Self>);
}
