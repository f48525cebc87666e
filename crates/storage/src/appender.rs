//! Adding samples: one appender is one transaction.

use model::{FloatHistogram, Labels, SeriesRef, TimestampMs};

use crate::StorageError;

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
    #[error("duplicate sample for timestamp")]
    DuplicateTimestamp,
    /// The labels cannot name a series; the text says why.
    #[error("invalid labels: {0}")]
    InvalidLabels(String),
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

    /// Adds a native histogram, as [`Appender::append`] does a float.
    ///
    /// # Errors
    /// Why this sample was refused.
    fn append_histogram(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        st: TimestampMs,
        h: &FloatHistogram,
    ) -> Result<SeriesRef, AppendError> {
        let _ = (series, labels, t, st, h);
        Err(AppendError::Unsupported("native histograms"))
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
