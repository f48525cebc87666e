//! Samples of an embedder's own.

use model::{Labels, METRIC_NAME, SeriesRef, TimestampMs};
use storage::AppendError;

use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};

/// A timestamp and a value.
const SAMPLE_BYTES: usize = 16;

/// Samples of one series.
#[derive(Clone, Debug, Default)]
pub struct SeriesBatch {
    /// The series; a metric name is needed.
    pub labels: Labels,
    /// Milliseconds, rising.
    pub timestamps: Vec<TimestampMs>,
    /// As many as `timestamps`.
    pub values: Vec<f64>,
}

impl SeriesBatch {
    /// A series as JavaScript has it, where every number is a float.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] where a timestamp is no number of milliseconds.
    pub fn from_floats(labels: Labels, timestamps: &[f64], values: Vec<f64>) -> Result<Self, EngineError> {
        if let Some(t) = timestamps.iter().find(|t| !t.is_finite()) {
            return Err(EngineError::invalid(format!("timestamps are milliseconds, not {t}")));
        }
        Ok(Self { labels, timestamps: timestamps.iter().map(|t| *t as TimestampMs).collect(), values })
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendReport {
    /// Samples stored.
    pub appended: u64,
    /// Samples older than the newest of their series.
    pub out_of_order: u64,
    /// Samples whose series has another value at that time.
    pub duplicates: u64,
    /// Samples older than the store takes in, or more than ten minutes ahead of the clock.
    pub out_of_bounds: u64,
}

impl Engine {
    /// Appends samples as one transaction. Samples refused for their time are counted, not errors.
    pub fn append(
        &self,
        batch: Vec<SeriesBatch>,
        done: impl FnOnce(Result<AppendReport, EngineError>) + Send + 'static,
    ) {
        let samples: usize = batch.iter().map(|s| s.timestamps.len()).sum();
        self.run_ingest(samples.saturating_mul(SAMPLE_BYTES), move |inner| inner.append(&batch), done);
    }
}

impl Inner {
    fn append(&self, batch: &[SeriesBatch]) -> Result<AppendReport, EngineError> {
        for (i, s) in batch.iter().enumerate() {
            check_series(s).map_err(|e| EngineError::invalid(format!("series {i} {}: {e}", s.labels)))?;
        }
        let ahead_ms = self.ahead_ms();
        let mut app = self.db.appender();
        let mut report = AppendReport::default();
        for s in batch {
            let mut series = SeriesRef::NONE;
            for (t, v) in s.timestamps.iter().zip(&s.values) {
                if *t > ahead_ms {
                    report.out_of_bounds += 1;
                    continue;
                }
                match app.append(series, &s.labels, *t, 0, *v) {
                    Ok(r) => {
                        series = r;
                        report.appended += 1;
                    }
                    Err(AppendError::OutOfOrder) => report.out_of_order += 1,
                    Err(AppendError::DuplicateTimestamp(_)) => report.duplicates += 1,
                    Err(AppendError::OutOfBounds | AppendError::TooOld) => report.out_of_bounds += 1,
                    Err(e @ AppendError::ReadOnly(_)) => {
                        return Err(EngineError::new(ErrorCode::ReadOnly, e.to_string()));
                    }
                    Err(e) => return Err(EngineError::invalid(e.to_string())),
                }
            }
        }
        app.commit()?;
        Ok(report)
    }
}

fn check_series(s: &SeriesBatch) -> Result<(), String> {
    if s.labels.get(METRIC_NAME).is_none() {
        return Err("the label __name__ is missing".to_owned());
    }
    if s.timestamps.len() != s.values.len() {
        return Err(format!("{} timestamps but {} values", s.timestamps.len(), s.values.len()));
    }
    Ok(())
}
