//! What can go wrong while a query runs, in Prometheus' words.

use storage::StorageError;

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The question cannot be asked so: the caller must change it (HTTP 400).
    #[error("{0}")]
    Invalid(String),
    /// The data does not allow an answer: duplicate series, a bad parameter (HTTP 422).
    #[error("{0}")]
    Execution(String),
    /// The deadline passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The caller gave up.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// More samples would be in memory at once than allowed.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// More series would be selected than allowed.
    #[error("query would load too many series into memory in query execution")]
    TooManySeries,
    /// More samples would be read than allowed.
    #[error("query would read too many samples in query execution")]
    TooManySamplesRead,
    /// The query would take more memory than allowed.
    #[error("query processing would take more than {0} bytes of memory in query execution")]
    TooMuchMemory(u64),
    /// The store could not answer.
    #[error("expanding series: {0}")]
    Storage(#[from] StorageError),
}

impl QueryError {
    /// A store that stopped does not know why; whoever told it to does.
    pub(crate) fn told_by(self, go_on: &dyn Fn() -> Result<(), Self>) -> Self {
        match self {
            Self::Storage(StorageError::Stopped) => go_on().err().unwrap_or(self),
            other => other,
        }
    }

    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    /// A histogram that is unsound.
    pub(crate) fn unsound(e: model::histogram::HistogramError) -> Self {
        Self::Execution(e.to_string())
    }

    pub(crate) fn duplicates() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }
}
